"""One request of the client, over real HTTP on loopback: tokens, retries, limits."""

import itertools
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import (
    IrisAuthenticationError,
    IrisError,
    IrisNoAnswerError,
    IrisNotFoundError,
    IrisPermissionError,
    IrisRateLimitError,
    IrisServerError,
    IrisTokenError,
)
from tests.iris.conftest import ClientFactory, HandClock
from tests.iris.scripted import ScriptedServer, http

ASSETS = "/api/asset/v1/assets"
ONBOARD = f"{ASSETS}/onboard"
FLEET = "/public/api/aemp/v2/15143/-3/Fleet/1"
EVENTS = "/public/api/eventlog/v3/asset-event/active"
LOCATIONS = "/api/location/v1/locations"
METRICS = "/api/time-series/v1/assets/{assetId}/metrics"
TOOL = {"assetType": "TOOL", "name": "Breaker"}


def calls(iris: IrisEmulator, path: str, method: str = "GET") -> int:
    return int(iris.stats()["calls"].get(f"{method} {path}", 0))


def tokens(iris: IrisEmulator) -> int:
    return int(iris.stats()["token_requests"])


def together(count: int, work: Callable[[], Any]) -> list[Any]:
    """Return what ``work`` gave in so many threads that began at the same moment."""
    results: list[Any] = []
    barrier = threading.Barrier(count)

    def run() -> None:
        barrier.wait()
        try:
            results.append(work())
        except IrisError as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# --- an answer ---------------------------------------------------------------------------------------


def test_a_call_returns_the_decoded_answer(client: IrisClient) -> None:
    assert client.run(ASSETS, query_params={"size": 1})["totalElements"] == 250


def test_an_answer_without_a_body_is_none(client: IrisClient) -> None:
    asset_id = client.run(ASSETS, query_params={"size": 1})["content"][0]["id"]
    assert client.run(f"{ASSETS}/{{id}}/offboard", method="POST", path_params={"id": asset_id}) is None
    with pytest.raises(IrisNotFoundError, match=rf"GET {ASSETS}/{{id}}: HTTP 404 not_found"):
        client.run(f"{ASSETS}/{{id}}", path_params={"id": asset_id})


def test_json_is_asked_for_where_xml_is_the_default(client: IrisClient) -> None:
    assert client.run(FLEET)["equipment"]


def test_a_body_and_headers_arrive_as_they_were_given(
    client: IrisClient, iris_emulator: IrisEmulator
) -> None:
    client.run(ONBOARD, method="POST", json=TOOL, headers={"TU-PREVIEW": "JUNGLE-DIGGER"})
    asked = iris_emulator.requests(ONBOARD)[-1]
    assert asked["body"] == '{"assetType":"TOOL","name":"Breaker"}'
    assert asked["headers"]["tu-preview"] == "JUNGLE-DIGGER"
    assert asked["headers"]["content-type"] == "application/json"


def test_a_pin_arrives_as_it_is(client: IrisClient, iris_emulator: IrisEmulator) -> None:
    with pytest.raises(IrisNotFoundError):
        client.run(f"{FLEET[:-2]}/Equipment/ID/{{pin}}", path_params={"pin": " A/B#1%20?ü"})
    assert (
        iris_emulator.requests("/Equipment/")[-1]["path"]
        == f"{FLEET[:-2]}/Equipment/ID/%20A%2FB%231%2520%3F%C3%BC"
    )


# --- tokens ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("api_key", "grant"), [(False, "v1 password"), (True, "v2 client_credentials")])
def test_many_requests_need_one_token(
    new_client: ClientFactory, iris_emulator: IrisEmulator, api_key: bool, grant: str
) -> None:
    client = new_client(api_key=api_key)
    for _ in range(5):
        client.run(ASSETS)
    assert iris_emulator.stats()["tokens"] == {grant: 1}
    assert (client.token_requests, client.requests) == (1, 6)


def test_threads_that_begin_together_need_one_token(client: IrisClient, iris_emulator: IrisEmulator) -> None:
    iris_emulator.fault(path="/token", kind="delay", delay_s=0.1)
    answers = together(8, lambda: client.run(ASSETS, query_params={"size": 1})["totalElements"])
    assert answers == [250] * 8
    assert tokens(iris_emulator) == 1


def test_threads_whose_token_was_revoked_need_one_more(
    client: IrisClient, iris_emulator: IrisEmulator
) -> None:
    client.run(ASSETS)
    iris_emulator.revoke_tokens()
    answers = together(8, lambda: client.run(ASSETS, query_params={"size": 1})["totalElements"])
    assert answers == [250] * 8
    assert tokens(iris_emulator) == 2


def test_threads_without_a_way_to_a_token_all_get_the_error(
    client: IrisClient, iris_emulator: IrisEmulator
) -> None:
    iris_emulator.fault(path="/token", status=400, body='{"error":"invalid_grant"}', times=None)
    errors = together(4, lambda: client.run(ASSETS))
    assert [(type(error), error.code) for error in errors] == [(IrisTokenError, "invalid_grant")] * 4
    assert calls(iris_emulator, ASSETS) == 0


def test_a_token_is_renewed_ahead_of_its_end(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    client.run(ASSETS)
    clock.now += 3539
    client.run(ASSETS)
    assert tokens(iris_emulator) == 1
    clock.now += 1
    client.run(ASSETS)
    assert tokens(iris_emulator) == 2
    assert iris_emulator.stats()["statuses"] == {"200": 5}


def test_a_lifetime_in_text_is_a_lifetime(
    new_client: ClientFactory, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    iris_emulator.settings(expires_in_as_text=True)
    client = new_client(api_key=True)
    client.run(ASSETS)
    clock.now += 1139
    client.run(ASSETS)
    assert tokens(iris_emulator) == 1
    clock.now += 1
    client.run(ASSETS)
    assert tokens(iris_emulator) == 2


def test_a_refused_token_is_renewed_once_and_the_request_sent_again(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    client.run(ASSETS)
    iris_emulator.revoke_tokens()
    client.run(ONBOARD, method="POST", json=TOOL)
    assert tokens(iris_emulator) == 2
    assert iris_emulator.stats()["mutations"] == {f"POST {ONBOARD}": 1}
    assert clock.slept == []


def test_a_token_that_is_refused_twice_is_an_error_for_good(
    new_client: ClientFactory, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    iris_emulator.settings(graphql_refuse_api_keys=True)
    client = new_client(api_key=True)
    with pytest.raises(IrisAuthenticationError, match=r"Granted scope: api\.iso15143") as caught:
        client.run("/api/graphql/", method="POST", json={"query": "{ assets { edges { node { id } } } }"})
    assert not caught.value.transient
    assert calls(iris_emulator, "/api/graphql/", "POST") == 2
    assert tokens(iris_emulator) == 2
    assert clock.slept == []


def test_a_missing_scope_is_a_permission_error_that_names_what_was_granted(
    new_client: ClientFactory, iris_emulator: IrisEmulator
) -> None:
    client = new_client(api_key=True)
    with pytest.raises(IrisPermissionError, match=r"access_denied.*Granted scope: .*asset\.view"):
        client.run("/api/customer/v1/customers")
    assert calls(iris_emulator, "/api/customer/v1/customers") == 1


def test_authenticate_asks_once_and_says_what_was_granted(
    new_client: ClientFactory, iris_emulator: IrisEmulator
) -> None:
    client = new_client(api_key=True)
    token = client.authenticate()
    assert (token.scope, token.expires_in_s) == (iris_emulator.api_key_scopes, 1200.0)
    assert client.authenticate() is token
    assert tokens(iris_emulator) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_token_endpoint_is_asked_again_also_for_a_request_that_must_not_be_repeated(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock, status: int
) -> None:
    iris_emulator.fault(path="/token", status=status, times=2)
    client.run(ONBOARD, method="POST", json=TOOL)
    assert clock.slept == [1.0, 2.0]
    assert iris_emulator.stats()["mutations"] == {f"POST {ONBOARD}": 1}


def test_who_only_wants_to_authenticate_tries_as_often_as_a_request_would(
    new_client: ClientFactory, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    client = new_client(max_attempts=3)
    iris_emulator.fault(path="/token", status=503, times=2)
    assert client.authenticate().value
    assert clock.slept == [1.0, 2.0]
    iris_emulator.revoke_tokens()
    iris_emulator.fault(path="/token", status=503, times=9)
    with pytest.raises(IrisServerError):
        new_client(max_attempts=3).authenticate()
    assert clock.slept == [1.0, 2.0, 1.0, 2.0]


def test_a_client_says_how_often_an_endpoint_bears_to_be_asked_for_ever(client: IrisClient) -> None:
    assert client.sustained_interval_s(EVENTS, 2, method="POST") == 1800.0
    assert client.sustained_interval_s(ASSETS, 2) == 0.0


def test_a_token_answer_that_broke_off_is_asked_for_again(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    iris_emulator.fault(path="/token", kind="truncated")
    client.run(ONBOARD, method="POST", json=TOOL)
    assert clock.slept == [1.0]


# --- retries -----------------------------------------------------------------------------------------

FAILURES = [
    pytest.param({"kind": "status", "status": 500}, id="500"),
    pytest.param({"kind": "status", "status": 502}, id="502"),
    pytest.param({"kind": "status", "status": 503}, id="503"),
    pytest.param({"kind": "status", "status": 504}, id="504"),
    pytest.param({"kind": "reset_before"}, id="reset"),
    pytest.param({"kind": "reset_after"}, id="reset after it was processed"),
    pytest.param({"kind": "truncated"}, id="truncated"),
    pytest.param({"kind": "truncated", "keep_bytes": 0}, id="only headers"),
    pytest.param({"kind": "huge_length"}, id="more promised than sent"),
]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_safe_request_that_failed_is_sent_again(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock, failure: dict[str, Any]
) -> None:
    iris_emulator.fault(path=ASSETS, times=2, **failure)
    assert client.run(ASSETS)["totalElements"] == 250
    assert calls(iris_emulator, ASSETS) == 3
    assert clock.slept == [1.0, 2.0]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_request_that_may_have_been_processed_is_not_sent_again_when_it_changes_something(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock, failure: dict[str, Any]
) -> None:
    iris_emulator.fault(path=ONBOARD, times=None, **failure)
    with pytest.raises((IrisNoAnswerError, IrisServerError)):
        client.run(ONBOARD, method="POST", json=TOOL)
    assert calls(iris_emulator, ONBOARD, "POST") == 1
    assert clock.slept == []


def test_a_post_that_only_reads_is_sent_again(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    iris_emulator.fault(path="/can-faults/", kind="reset_after")
    interval = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
    body = {"canFaultsRequest": {"machineIds": [1], "interval": interval}}
    assert client.run("/public/api/can-faults/faults", method="POST", json=body) == {"canFaults": []}
    assert clock.slept == [1.0]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "slow", "chunk_bytes": 64}, id="a body that drips"),
        pytest.param({"kind": "delay", "delay_s": 1.0}, id="an answer that does not begin"),
    ],
)
def test_an_answer_that_is_not_complete_in_time_is_given_up(
    new_client: ClientFactory, iris_emulator: IrisEmulator, fault: dict[str, Any]
) -> None:
    slept: list[float] = []
    client = new_client(clock=time.monotonic, sleep=slept.append, timeout_s=0.3)
    client.authenticate()
    iris_emulator.fault(path=ASSETS, **fault)
    began = time.monotonic()
    assert client.run(ASSETS)["totalElements"] == 250
    assert slept == [1.0]
    assert time.monotonic() - began < 1.5


def test_attempts_end_with_the_last_error(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    iris_emulator.fault(path=ASSETS, status=503, times=None)
    with pytest.raises(IrisServerError, match=rf"^GET {ASSETS}: HTTP 503"):
        client.run(ASSETS)
    assert calls(iris_emulator, ASSETS) == 4
    assert clock.slept == [1.0, 2.0, 4.0]


def test_one_attempt_means_no_retry(
    new_client: ClientFactory, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    iris_emulator.fault(path=ASSETS, status=503)
    with pytest.raises(IrisServerError):
        new_client(max_attempts=1).run(ASSETS)
    assert clock.slept == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_that_never_left_is_sent_again_whatever_it_does(
    new_client: ClientFactory, clock: HandClock, method: str
) -> None:
    with ScriptedServer(http()) as gone:
        url = gone.url
    with pytest.raises(IrisNoAnswerError, match=rf"no connection to {url}. Check the URL") as caught:
        new_client(base_url=url).run("/api/x", method=method)
    assert not caught.value.sent
    assert clock.slept == [1.0, 2.0, 4.0]


# --- limits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retry_after", "slept"),
    [("7", 7.25), ("0.5", 1.0), ("120", 120.25), (None, 1.0), ("soon", 1.0), ("0", 1.0), ("-3", 1.0)],
)
def test_a_429_is_waited_out_as_it_says(
    client: IrisClient,
    iris_emulator: IrisEmulator,
    clock: HandClock,
    retry_after: str | None,
    slept: float,
) -> None:
    iris_emulator.fault(path=ASSETS, kind="rate_limit", retry_after=retry_after)
    assert client.run(ASSETS)["totalElements"] == 250
    assert sum(clock.slept) == pytest.approx(slept)


def test_a_429_is_waited_out_until_its_date(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    until = formatdate(time.time() + 30, usegmt=True)
    iris_emulator.fault(path=ASSETS, kind="rate_limit", retry_after=until)
    assert client.run(ASSETS)["totalElements"] == 250
    assert sum(clock.slept) == pytest.approx(30, abs=3)


def test_a_429_was_not_processed_so_that_even_a_change_is_sent_again(
    client: IrisClient, iris_emulator: IrisEmulator
) -> None:
    iris_emulator.fault(path=ONBOARD, kind="rate_limit", retry_after="1")
    client.run(ONBOARD, method="POST", json=TOOL)
    assert iris_emulator.stats()["mutations"] == {f"POST {ONBOARD}": 1}


@pytest.mark.parametrize("kind", ["rate_limit", "status"])
def test_a_wait_that_is_too_long_is_raised_and_not_slept(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock, kind: str
) -> None:
    iris_emulator.fault(path=ASSETS, kind=kind, retry_after="500", times=None)
    with pytest.raises((IrisRateLimitError, IrisServerError)) as caught:
        client.run(ASSETS)
    assert caught.value.retry_after == 500.0
    assert clock.slept == []
    assert calls(iris_emulator, ASSETS) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_metered_url_is_asked_twice_and_no_more(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock, status: int
) -> None:
    iris_emulator.fault(path="/Fleet/1", status=status, times=None)
    with pytest.raises(IrisServerError):
        client.run(FLEET)
    assert calls(iris_emulator, FLEET) == 2
    assert clock.slept == [1.0]


@pytest.mark.parametrize("style", ["none", "seconds", "date"])
@pytest.mark.parametrize("body", ["text", "json", "html", "empty"])
def test_a_metered_url_says_when_it_answers_again(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock, style: str, body: str
) -> None:
    iris_emulator.settings(aemp_pool_calls=0, retry_after=style, limit_body=body)
    client.run(FLEET)
    with pytest.raises(IrisRateLimitError, match=r"HTTP 429.*Try again in \d{3} s$") as caught:
        client.run(FLEET)
    assert 850 <= (caught.value.retry_after or 0) <= 902
    assert calls(iris_emulator, FLEET) == 2
    # No more than the distance that pages of the fleet keep from each other.
    assert sum(clock.slept) < 0.03


def test_a_call_beyond_a_documented_limit_is_not_even_sent(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    for _ in range(2):
        client.run(EVENTS, method="POST", json={})
    with pytest.raises(IrisRateLimitError, match=r"Nothing was sent") as caught:
        client.run(EVENTS, method="POST", json={})
    assert caught.value.status is None
    assert 1800 <= (caught.value.retry_after or 0) <= 1900
    assert calls(iris_emulator, EVENTS, "POST") == 2
    clock.now += caught.value.retry_after or 0
    iris_emulator.advance(1900)
    client.run(EVENTS, method="POST", json={})
    assert iris_emulator.stats()["rate_limited"] == 0


@pytest.fixture
def asleep_together(
    clock: HandClock, iris_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], None]:
    """Return a sleep in which the time of the emulator passes as well, and nobody has to be told of it."""
    monkeypatch.setattr(IrisEmulator, "when_time_moves", [])

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        iris_emulator.advance(seconds)

    return sleep


def test_who_paces_its_requests_is_never_refused(
    new_client: ClientFactory,
    iris_emulator: IrisEmulator,
    clock: HandClock,
    asleep_together: Callable[[float], None],
) -> None:
    client = new_client(sleep=asleep_together)
    for _ in range(4):
        client.run(LOCATIONS)
    assert iris_emulator.stats()["rate_limited"] == 0
    assert 3.0 <= sum(clock.slept) <= 3.4


def test_waits_of_a_few_milliseconds_are_slept_as_well(
    new_client: ClientFactory,
    iris_emulator: IrisEmulator,
    clock: HandClock,
    asleep_together: Callable[[float], None],
) -> None:
    client = new_client(sleep=asleep_together)
    asset_id = client.run(ASSETS)["content"][0]["id"]
    began = clock.now
    for number in range(50):
        client.run(METRICS, path_params={"assetId": asset_id}, query_params={"number": number})
    assert 48 / 20 <= clock.now - began <= 51 / 20
    assert 0 < max(clock.slept) < 1
    assert iris_emulator.stats()["rate_limited"] == 0


@pytest.mark.parametrize("path", ["/public/api/operator/operators", LOCATIONS, ASSETS])
def test_a_refusal_that_names_a_long_pause_is_told_at_once_to_everybody_and_to_nobody_after_it(
    new_client: ClientFactory, iris_emulator: IrisEmulator, clock: HandClock, path: str
) -> None:
    one, other = new_client(), new_client()
    iris_emulator.fault(path=path, kind="rate_limit", retry_after="200")
    with pytest.raises(IrisRateLimitError, match=r"HTTP 429.*Try again in 200 s$"):
        one.run(path)
    clock.now += 50
    with pytest.raises(IrisRateLimitError, match=r"used up for 150 s.*Nothing was sent") as caught:
        other.run(path)
    assert caught.value.retry_after == pytest.approx(150)
    assert calls(iris_emulator, path) == 1
    clock.now += 150
    other.run(path)
    assert clock.slept == []


def test_the_budget_of_graphql_says_when_it_is_filled_again(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    iris_emulator.settings(graphql_points_per_10_min=10)
    query = {"query": "{ assets(first: 8) { edges { node { id } } } }"}
    client.run("/api/graphql/", method="POST", json=query)
    with pytest.raises(IrisRateLimitError) as caught:
        client.run("/api/graphql/", method="POST", json=query)
    assert 500 < (caught.value.retry_after or 0) <= 600.1
    assert clock.slept == []


# --- the time of a whole client ------------------------------------------------------------------------


def test_after_the_end_of_its_time_a_client_neither_sends_nor_sleeps(
    new_client: ClientFactory, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    client = new_client(budget_s=10.0)
    client.run(ASSETS)
    clock.now += 10.0
    with pytest.raises(IrisNoAnswerError, match=r"time for this client is used up") as caught:
        client.run(ASSETS)
    assert not caught.value.sent
    assert calls(iris_emulator, ASSETS) == 1
    assert clock.slept == []


@pytest.mark.parametrize("retry_after", ["4", "11", None])
def test_a_client_does_not_sleep_past_the_end_of_its_time_and_tells_the_real_reason(
    new_client: ClientFactory, iris_emulator: IrisEmulator, clock: HandClock, retry_after: str | None
) -> None:
    client = new_client(budget_s=10.0, max_attempts=20)
    iris_emulator.fault(path=ASSETS, status=503, retry_after=retry_after, times=None)
    began = clock.now
    with pytest.raises(IrisServerError, match=r"HTTP 503"):
        client.run(ASSETS)
    assert clock.now - began <= 10.0


@pytest.mark.parametrize("jitter", [*itertools.product([0.0, 1.0], repeat=3)])
def test_however_the_jitter_falls_the_end_of_its_time_does_not_hide_the_real_reason(
    new_client: ClientFactory, iris_emulator: IrisEmulator, clock: HandClock, jitter: tuple[float, ...]
) -> None:
    chances = itertools.cycle(jitter)
    client = new_client(budget_s=0.75, max_attempts=20, chance=lambda: next(chances))
    iris_emulator.fault(path=ASSETS, status=503, times=None)
    with pytest.raises(IrisServerError, match=r"HTTP 503"):
        client.run(ASSETS)
    assert clock.slept in ([], [0.5])


def test_a_client_does_not_wait_for_a_limit_past_the_end_of_its_time(
    new_client: ClientFactory, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    client = new_client(budget_s=0.5)
    began = clock.now
    client.run(LOCATIONS)
    with pytest.raises(IrisNoAnswerError, match=r"time for this client is used up before its turn") as caught:
        client.run(LOCATIONS)
    assert not caught.value.sent
    assert clock.now - began <= 0.5
    assert calls(iris_emulator, LOCATIONS) == 1


def test_a_client_can_be_closed_and_used_again(new_client: ClientFactory) -> None:
    with new_client() as client:
        client.run(ASSETS)
    assert client.run(ASSETS)["totalElements"] == 250
