"""Faults on order, as a client sees them on the wire."""

import pytest
import requests

from tests.emulator.conftest import ASSETS, Api


def outcome(api: Api, method: str = "GET", path: str = ASSETS) -> int | str:
    try:
        return api.ask(path, method, json={} if method != "GET" else None).status_code
    except requests.RequestException as exc:
        return str(exc)


def test_a_fault_hits_the_requests_it_names_and_no_other(api: Api) -> None:
    api.iris.fault(path="page=1", status=502, times=2)
    asked = [outcome(api, path=f"{ASSETS}?page={page}") for page in (0, 1, 1, 1)]
    assert asked == [200, 502, 502, 200]


def test_a_fault_can_let_some_requests_pass_first(api: Api) -> None:
    api.iris.fault(path="re:^/api/asset/v[12]/assets$", status=500, skip=1)
    assert [outcome(api) for _ in range(3)] == [200, 500, 200]


def test_a_fault_can_be_for_one_method_only(api: Api) -> None:
    api.iris.fault(path=ASSETS, method="POST", status=500, times=None)
    assert [outcome(api), outcome(api, "POST"), outcome(api, "POST")] == [200, 500, 500]


def test_a_fault_by_chance_is_the_same_chance_every_time(api: Api) -> None:
    api.iris.fault(path=ASSETS, probability=0.5, times=None)
    hits = [outcome(api) for _ in range(20)].count(503)
    assert 3 < hits < 17


def test_a_status_comes_with_its_body_and_headers(api: Api) -> None:
    api.iris.fault(status=503, body="busy", headers={"X-Why": "test"}, retry_after="7")
    response = api.ask(ASSETS)
    assert (response.text, response.headers["X-Why"], response.headers["Retry-After"]) == (
        "busy",
        "test",
        "7",
    )


def test_a_429_may_come_without_a_hint(api: Api) -> None:
    api.iris.fault(kind="rate_limit")
    response = api.ask(ASSETS)
    assert response.status_code == 429
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize(("kind", "executed"), [("reset_before", 0), ("reset_after", 1)])
def test_a_connection_can_be_reset_before_or_after_the_work_is_done(
    api: Api, kind: str, executed: int
) -> None:
    api.iris.fault(path="onboard", kind=kind)
    assert "reset" in str(outcome(api, "POST", f"{ASSETS}/onboard"))
    assert sum(api.iris.stats()["mutations"].values()) == executed
    assert api.iris.requests("onboard")[0]["status"] is None
    assert outcome(api) == 200


def test_a_body_can_be_cut_short(api: Api) -> None:
    api.iris.fault(kind="truncated", keep_bytes=10)
    assert "10 bytes read" in str(outcome(api))
    assert outcome(api) == 200


def test_a_body_can_claim_a_huge_length(api: Api) -> None:
    api.iris.fault(kind="huge_length")
    response = api.ask(ASSETS, stream=True)
    assert int(response.headers["Content-Length"]) == 10**12
    response.close()


def test_a_body_can_come_in_drops(api: Api) -> None:
    whole = api.ask(f"{ASSETS}?size=1").content
    api.iris.fault(kind="slow", chunk_bytes=400)
    assert api.ask(f"{ASSETS}?size=1").content == whole


def test_the_page_can_be_html_or_garbage_or_elsewhere(api: Api) -> None:
    for kind in ("html", "garbage", "redirect"):
        api.iris.fault(kind=kind)
    page, garbage, redirect = (api.ask(ASSETS) for _ in range(3))
    assert page.headers["content-type"].startswith("text/html")
    with pytest.raises(requests.JSONDecodeError):
        garbage.json()
    assert (redirect.status_code, redirect.headers["Location"]) == (302, "https://iris.example.net/elsewhere")


def test_a_token_can_be_revoked_in_the_middle_of_a_walk(api: Api) -> None:
    api.iris.fault(path="page=2", kind="revoke")
    assert [outcome(api, path=f"{ASSETS}?page={page}") for page in (1, 2, 3)] == [200, 401, 401]


def test_the_token_endpoint_can_fail_too(api: Api) -> None:
    api.iris.fault(path="/token", status=503)
    assert [api.password_grant().status_code for _ in range(2)] == [503, 200]


@pytest.mark.parametrize(
    "rule", [{"kind": "nonsense"}, {"path": "re:("}, {"kind": "status", "unknown": 1}, {"skip": "two"}]
)
def test_a_rule_that_cannot_be_read_is_refused(api: Api, rule: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        api.iris.fault(**rule)  # type: ignore[arg-type]


GRAPHQL = {"query": "{assets(first: 2){edges{node{name}}}}"}


@pytest.mark.parametrize("keep_data", [False, True])
@pytest.mark.parametrize(
    "codes", [["UNAUTHENTICATED"], ["INTERNAL_SERVER_ERROR"], ["NOT_FOUND", "RATE_LIMITED"]], ids=str
)
def test_graphql_can_answer_200_with_errors_beside_some_data_or_none(
    api: Api, codes: list[str], keep_data: bool
) -> None:
    api.iris.fault("/graphql/", "graphql_errors", codes=codes, reset_in_ms=1500, keep_data=keep_data)
    answer = api.json("/api/graphql/", "POST", json=GRAPHQL)
    assert [error["extensions"]["code"] for error in answer["errors"]] == codes
    waits = [error["extensions"].get("resetIn") for error in answer["errors"]]
    assert waits == [1500 if code == "RATE_LIMITED" else None for code in codes]
    assert bool(answer["data"]) == keep_data
    assert "errors" not in api.json("/api/graphql/", "POST", json=GRAPHQL)


def test_an_answer_of_promql_can_say_that_it_is_not_all(api: Api) -> None:
    asset = api.json(ASSETS)["content"][0]["id"]
    path = f"/api/time-series/v1/assets/{asset}/prometheus/api/v1/query?query=advanced_sensor_run_1[1d]"
    api.iris.fault("/query", "partial")
    assert [api.json(path)["isPartial"] for _ in range(2)] == [True, False]


def test_a_body_without_a_length_can_end_early_and_only_its_text_shows_it(api: Api) -> None:
    api.iris.fault(ASSETS, "cut", keep_bytes=40)
    response = api.ask(ASSETS)
    assert "content-length" not in response.headers
    assert "transfer-encoding" not in response.headers
    assert (response.status_code, len(response.content)) == (200, 40)


@pytest.mark.parametrize("status", [408, 425, 500, 502])
@pytest.mark.parametrize("coding", ["br", "zstd", "nonsense"])
def test_an_error_can_come_in_a_coding_that_nobody_reads(api: Api, status: int, coding: str) -> None:
    api.iris.fault(ASSETS, status=status, body="???", headers={"Content-Encoding": coding})
    response = api.http.get(api.iris.url + ASSETS, stream=True)
    assert (response.status_code, response.headers["Content-Encoding"]) == (status, coding)
    assert response.raw.read(decode_content=False) == b"???"
