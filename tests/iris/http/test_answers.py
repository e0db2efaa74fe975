"""An answer is what was asked for, or the one error that says what it is instead."""

import json
import re
from typing import Any

import pytest

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import (
    IrisAuthenticationError,
    IrisBadRequestError,
    IrisNotFoundError,
    IrisPermissionError,
    IrisRateLimitError,
    IrisResponseError,
    IrisServerError,
    IrisUnexpectedResponseError,
)
from airflow_provider_trackunit.iris.http.answers.judging import check
from airflow_provider_trackunit.iris.http.answers.reading import read_retry_after
from airflow_provider_trackunit.iris.http.wire import Request, Response, build_request

ORIGIN = "https://iris.trackunit.com"
TOKEN = "eyJhbGciOiJub25lIn0.very-secret.signature"
JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html; charset=utf-8"}
PAGE = b'<!doctype html><html><body><div id="root"></div></body></html>'
PROMETHEUS = "/api/time-series/v1/assets/{assetId}/prometheus/api/v1/query"


def request(endpoint: str = "/api/x", **arguments: Any) -> Request:
    return build_request(make_call(ORIGIN, endpoint, **arguments)).with_token(TOKEN)


def graphql() -> Request:
    return request("/api/graphql/", method="POST", json={"query": "{ assets { id } }"})


def prometheus() -> Request:
    return request(PROMETHEUS, path_params={"assetId": "a"}, query_params={"query": "up"})


def answer(status: int = 200, body: Any = b"", headers: dict[str, str] | None = None) -> Response:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(
        status, {"content-length": str(len(encoded)), **(JSON if headers is None else headers)}, encoded
    )


def refused(asked: Request, given: Response, **facts: Any) -> IrisResponseError:
    with pytest.raises(IrisResponseError) as caught:
        check(asked, given, **facts)
    return caught.value


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(answer(200, {"a": 1}), id="JSON"),
        pytest.param(answer(201, {"a": 1}), id="created"),
        pytest.param(answer(204, b"", {}), id="no content"),
        pytest.param(answer(200, b"", {}), id="an empty body"),
        pytest.param(answer(200, {}, {"content-type": "application/geo+json;charset=UTF-8"}), id="GeoJSON"),
        pytest.param(answer(200, {}, {"content-type": "Application/JSON"}), id="any case"),
        pytest.param(answer(200, b' {"a":1}', {}), id="an object without a content type"),
        pytest.param(answer(200, b"[1]", {}), id="a list without a content type"),
    ],
)
def test_json_passes(given: Response) -> None:
    check(request(), given)


ADVICE = {
    IrisUnexpectedResponseError: "stays with IRIS: check the Base URL of the connection",
    IrisAuthenticationError: "Check the connection",
    IrisRateLimitError: "A limit of the API is used up",
    IrisServerError: ". IRIS failed; try again later.",
}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (300, IrisUnexpectedResponseError),
        (301, IrisUnexpectedResponseError),
        (302, IrisUnexpectedResponseError),
        (304, IrisUnexpectedResponseError),
        (308, IrisUnexpectedResponseError),
        (400, IrisBadRequestError),
        (401, IrisAuthenticationError),
        (402, IrisBadRequestError),
        (403, IrisPermissionError),
        (404, IrisNotFoundError),
        (405, IrisBadRequestError),
        (406, IrisBadRequestError),
        (409, IrisBadRequestError),
        (410, IrisBadRequestError),
        (413, IrisBadRequestError),
        (415, IrisBadRequestError),
        (422, IrisBadRequestError),
        (429, IrisRateLimitError),
        (451, IrisBadRequestError),
        (500, IrisServerError),
        (501, IrisServerError),
        (502, IrisServerError),
        (503, IrisServerError),
        (504, IrisServerError),
        (599, IrisServerError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"Bad Gateway", b"[]", b'"text"', b'{"code": {}}', b"\xff"])
def test_every_status_has_its_error_whatever_the_body(
    status: int, kind: type[IrisResponseError], body: bytes
) -> None:
    error = refused(request("/api/x", query_params={"q": "HIDDEN"}), answer(status, body))
    assert type(error) is kind
    assert error.status == status
    # What to do follows at once where the server said nothing about it.
    assert re.match(rf"GET /api/x: HTTP {status}(, a redirect)?\. [A-Z]", str(error))
    assert ADVICE.get(kind, "") in str(error)
    assert "HIDDEN" not in str(error)
    assert (error.code, error.message, error.violations) == (None, None, ())


def test_the_vendors_code_message_and_violations_are_kept_and_shown() -> None:
    body = {
        "violations": [
            {"field": "name", "message": "value '' was rejected: must not be empty"},
            {"field": "size", "message": "too large"},
            "not an object",
            {"field": None},
        ],
        "message": "Constraint violation",
        "status": 400,
        "code": "constraint_violation",
    }
    error = refused(request(), answer(400, body))
    assert error.code == "constraint_violation"
    assert error.message == "Constraint violation"
    assert error.violations == (
        ("name", "value '' was rejected: must not be empty"),
        ("size", "too large"),
        ("", ""),
    )
    assert "constraint_violation (Constraint violation)" in str(error)
    assert "name: value '' was rejected: must not be empty; size: too large" in str(error)


def test_a_refusal_without_a_name_of_its_own_says_that_it_is_one() -> None:
    assert str(refused(request(), answer(409))) == "GET /api/x: HTTP 409. IRIS rejected the request."


def test_a_code_without_a_message_is_shown_alone() -> None:
    shown = str(refused(request(), answer(409, {"code": "conflict"})))
    assert shown == "GET /api/x: HTTP 409 conflict. IRIS rejected the request."


@pytest.mark.parametrize("status", [404, 409])
def test_an_answer_without_a_content_type_is_judged_by_its_status(status: int) -> None:
    assert refused(request(), answer(status, b"", {})).status == status


@pytest.mark.parametrize("status", [401, 403])
def test_the_granted_scope_is_named_where_it_may_be_missing(status: int) -> None:
    assert "Granted scope: asset.view." in str(refused(request(), answer(status), scope="asset.view"))
    assert "scope:" not in str(refused(request(), answer(404), scope="asset.view"))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(f"invalid token {TOKEN}", id="the token"),
        pytest.param(f"Bearer {TOKEN} twice {TOKEN}", id="twice"),
        pytest.param("x" * 480 + TOKEN, id="the token where the text is cut"),
        pytest.param("x" * 499 + TOKEN, id="the token just before the cut"),
    ],
)
@pytest.mark.parametrize("member", ["message", "code", "field", "violation"])
def test_a_token_that_the_server_repeats_is_not_passed_on(message: str, member: str) -> None:
    body: dict[str, Any] = {"message": "m", "code": "c", "violations": [{"field": "f", "message": "v"}]}
    if member in {"field", "violation"}:
        body["violations"][0]["field" if member == "field" else "message"] = message
    else:
        body[member] = message
    error = refused(request(), answer(400, body))
    shown = f"{error} {error!r} {error.code} {error.message} {error.violations}"
    assert TOKEN[:8] not in shown


def test_in_place_of_a_token_that_the_server_repeats_there_are_three_stars() -> None:
    assert refused(request(), answer(400, {"message": f"token {TOKEN} is bad"})).message == "token *** is bad"


def test_an_answer_to_a_request_without_a_token_is_judged_too() -> None:
    asked = build_request(make_call(ORIGIN, "/api/x"))
    assert refused(asked, answer(400, {"message": "m"})).message == "m"


def test_an_empty_message_or_code_is_none() -> None:
    error = refused(request(), answer(400, {"message": "", "code": ""}))
    assert (error.message, error.code) == (None, None)
    assert "()" not in str(error)


@pytest.mark.parametrize("code", ["", "UNAUTHENTICATED ", "RATE_LIMITED "])
def test_a_token_in_a_graphql_error_is_not_passed_on(code: str) -> None:
    body = {"errors": [{"message": "x" * 490 + TOKEN, "extensions": {"code": code + TOKEN}}]}
    error = refused(graphql(), answer(200, body))
    assert TOKEN[:8] not in f"{error} {error.code} {error.message}"


def test_a_token_in_a_prometheus_error_is_not_passed_on() -> None:
    body = {"status": "error", "errorType": TOKEN, "error": "x" * 490 + TOKEN}
    error = refused(prometheus(), answer(200, body))
    assert TOKEN[:8] not in f"{error} {error.code} {error.message}"


def test_a_long_message_is_cut_and_stands_on_one_line() -> None:
    error = refused(request(), answer(400, {"message": "a\nb\t" + "x" * 10_000}))
    assert error.message is not None
    assert error.message.startswith("a b xxx")
    assert error.message.endswith("…")
    assert len(error.message) == 500
    assert "\n" not in str(error)


def test_a_message_that_fits_is_not_cut() -> None:
    assert refused(request(), answer(400, {"message": "x" * 500})).message == "x" * 500


def test_only_so_many_violations_are_kept() -> None:
    body = {"violations": [{"field": str(n), "message": "m"} for n in range(1000)]}
    assert len(refused(request(), answer(400, body)).violations) == 20


@pytest.mark.parametrize("status", [200, 201, 404])
def test_a_web_page_says_that_the_path_is_wrong(status: int) -> None:
    error = refused(request("/api/graphql"), answer(status, PAGE, HTML))
    assert type(error) is IrisUnexpectedResponseError
    assert not error.transient
    assert error.status == status
    assert "text/html instead of JSON" in str(error)
    assert "no API: check the path, its version and its trailing slash" in str(error)
    assert "(/api/graphql/ needs one, other endpoints have none)" in str(error)
    assert "root" not in str(error)


MIB = 1024 * 1024


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("ü", id="short"),
        pytest.param("x" * (MIB - 7) + "機" + "x" * MIB, id="a character that lies across a mebibyte"),
        pytest.param("x" * (2 * MIB) + "機", id="behind two mebibytes"),
    ],
)
def test_utf_8_passes_however_long_it_is(text: str) -> None:
    check(request(), answer(200, json.dumps({"a": text}, ensure_ascii=False).encode()))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a":"\xfc"}', id="Latin 1"),
        pytest.param(b'{"a":"' + b"x" * (2 * MIB) + b'\xfc"}', id="Latin 1, late"),
        pytest.param(b'{"a":"\xc3', id="half a character at the end"),
        pytest.param('{"a":"x"}'.encode("utf-16"), id="UTF-16"),
    ],
)
def test_text_that_is_not_utf_8_is_no_answer(body: bytes) -> None:
    error = refused(request(), answer(200, body))
    assert (type(error), error.status) == (IrisUnexpectedResponseError, 200)
    assert str(error).startswith("GET /api/x: HTTP 200, ")
    assert "utf-8" in str(error)


def test_what_no_log_can_hold_is_shown_as_something_it_can() -> None:
    body = b'{"message": "a\\u0000b\\u202ec \\n d"}'
    assert refused(request(), answer(400, body)).message == "a\ufffdb\ufffdc d"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"content-type": "application/xml"}, id="XML"),
        pytest.param({"content-type": "text/plain"}, id="text"),
        pytest.param({}, id="no content type and no JSON"),
    ],
)
def test_a_success_that_is_not_json_is_an_error(headers: dict[str, str]) -> None:
    error = refused(request(), answer(200, b"<a/>", headers))
    assert isinstance(error, IrisUnexpectedResponseError)
    assert f"with {headers.get('content-type', 'no content type')} instead of JSON" in str(error)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_gateways_web_page_does_not_hide_a_status_that_goes_away(status: int) -> None:
    assert refused(request(), answer(status, PAGE, HTML)).transient


def test_a_redirect_is_an_error_that_does_not_repeat_where_it_leads() -> None:
    headers = {**HTML, "location": "https://evil.example/steal"}
    error = refused(request(), answer(302, b"", headers))
    assert "redirect" in str(error)
    assert "evil" not in str(error)


@pytest.mark.parametrize(
    ("errors", "kind", "code", "said"),
    [
        pytest.param(
            [{"message": "m", "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}],
            IrisBadRequestError,
            "GRAPHQL_VALIDATION_FAILED",
            "GraphQL error GRAPHQL_VALIDATION_FAILED: m",
            id="validation",
        ),
        pytest.param(
            [{"message": "m", "extensions": {"code": "QUERY_COMPLEXITY_REACHED"}}],
            IrisBadRequestError,
            "QUERY_COMPLEXITY_REACHED",
            "COMPLEXITY_REACHED: m. Ask for fewer fields, or for a smaller 'first'",
            id="too complex, for good",
        ),
        pytest.param(
            [{"message": "m", "extensions": {"code": "UNAUTHENTICATED"}}],
            IrisAuthenticationError,
            "UNAUTHENTICATED",
            "m",
            id="not authenticated",
        ),
        pytest.param(
            [{"message": "m", "extensions": {"code": "FORBIDDEN"}}],
            IrisPermissionError,
            "FORBIDDEN",
            "m",
            id="not allowed",
        ),
        pytest.param([{"message": "m"}], IrisBadRequestError, None, "GraphQL error: m", id="no extensions"),
        pytest.param([{"extensions": []}], IrisBadRequestError, None, "no message", id="strange extensions"),
        pytest.param([{}], IrisBadRequestError, None, "no message", id="empty"),
    ],
)
def test_graphql_errors_in_a_200_are_errors(
    errors: list[Any], kind: type[IrisResponseError], code: str | None, said: str
) -> None:
    error = refused(graphql(), answer(200, {"data": {"assets": None}, "errors": errors}))
    assert type(error) is kind
    assert not error.transient
    assert (error.status, error.code, error.message) == (200, code, errors[0].get("message"))
    assert str(error).startswith("POST /api/graphql/: GraphQL error")
    assert said in str(error)


@pytest.mark.parametrize(
    ("reset_in", "retry_after"),
    [
        (586351, 586.351),
        ("1500", 1.5),
        (0, 0.0),
        (-5, 0.0),
        (None, None),
        ("soon", None),
        ("nan", None),
        ({}, None),
    ],
)
def test_the_graphql_budget_names_its_end_in_milliseconds(reset_in: Any, retry_after: float | None) -> None:
    extensions = {"code": "RATE_LIMITED", "cost": 49011, "resetIn": reset_in}
    error = refused(graphql(), answer(200, {"errors": [{"message": "m", "extensions": extensions}]}))
    assert type(error) is IrisRateLimitError
    assert (error.status, error.code, error.message) == (200, "RATE_LIMITED", "m")
    assert error.retry_after == retry_after
    assert str(error).startswith(
        "POST /api/graphql/: GraphQL error RATE_LIMITED: m. The budget of this API user"
    )


@pytest.mark.parametrize("body", [{"data": {}}, {"data": {}, "errors": None}, {"data": {}, "errors": []}])
def test_a_graphql_answer_without_errors_passes(body: Any) -> None:
    check(graphql(), answer(200, body))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"errors": ["text"]}', b'{"errors": "text"}'])
def test_a_graphql_answer_that_is_none_is_an_error(body: bytes) -> None:
    error = refused(graphql(), answer(200, body))
    assert (type(error), error.status) == (IrisUnexpectedResponseError, 200)
    assert str(error).startswith("POST /api/graphql/: HTTP 200, ")


def test_a_graphql_answer_that_is_broken_says_where() -> None:
    assert "not valid JSON (Input data was truncated)" in str(refused(graphql(), answer(200, b"{")))


def test_errors_in_an_answer_that_is_not_graphql_are_data() -> None:
    check(request(), answer(200, {"errors": [{"message": "a record"}]}))


@pytest.mark.parametrize(
    "body", [{"status": "success", "data": []}, {"status": "success", "isPartial": False}]
)
def test_a_whole_prometheus_result_passes(body: Any) -> None:
    check(prometheus(), answer(200, body))


def test_a_prometheus_error_in_a_200_is_an_error() -> None:
    body = {"status": "error", "errorType": "bad_data", "error": "parse error at char 3"}
    error = refused(prometheus(), answer(200, body))
    assert (type(error), error.code, error.message) == (
        IrisBadRequestError,
        "bad_data",
        "parse error at char 3",
    )
    assert "the query failed: parse error at char 3" in str(error)
    assert error.status == 200


def test_a_prometheus_error_without_a_reason_says_that_there_is_none() -> None:
    assert "the query failed: no message" in str(refused(prometheus(), answer(200, {"status": "error"})))


def test_a_prometheus_error_with_its_own_status_says_what_is_wrong_with_the_query() -> None:
    body = {"status": "error", "errorType": "bad_data", "error": "parse error at char 3"}
    error = refused(prometheus(), answer(400, body))
    assert (error.code, error.message) == ("bad_data", "parse error at char 3")


def test_a_partial_prometheus_result_is_worth_another_try() -> None:
    error = refused(prometheus(), answer(200, {"status": "success", "isPartial": True, "data": []}))
    assert (type(error), error.status) == (IrisServerError, 200)
    assert "prometheus/api/v1/query: IRIS marks the result as partial" in str(error)


def test_a_prometheus_answer_that_is_no_json_is_an_error() -> None:
    error = refused(prometheus(), answer(200, b"{"))
    assert (type(error), error.status) == (IrisUnexpectedResponseError, 200)
    assert str(error).startswith("GET /api/time-series/v1/assets/{assetId}/prometheus/api/v1/query: HTTP 200")
    assert "not valid JSON (Input data was truncated)" in str(error)


DATE = "Thu, 15 Jan 2026 06:00:00 GMT"
LATER = "Thu, 15 Jan 2026 06:01:30 GMT"
NOW_EPOCH_S = 1_768_456_800.0  # 2026-01-15T06:00:00Z


@pytest.mark.parametrize(
    ("headers", "now", "seconds"),
    [
        pytest.param({}, None, None, id="absent"),
        pytest.param({"retry-after": ""}, None, None, id="empty"),
        pytest.param({"retry-after": "120"}, None, 120.0, id="seconds"),
        pytest.param({"retry-after": " 120 "}, None, 120.0, id="blanks"),
        pytest.param({"retry-after": "1.5"}, None, 1.5, id="a float"),
        pytest.param({"retry-after": "0"}, None, 0.0, id="zero"),
        pytest.param({"retry-after": "-5"}, None, 0.0, id="negative"),
        pytest.param({"retry-after": "31536000"}, None, 31536000.0, id="a year is not cut down"),
        pytest.param({"retry-after": "1e400"}, None, None, id="beyond all numbers"),
        pytest.param({"retry-after": "9" * 5000}, None, None, id="a very long number"),
        pytest.param({"retry-after": "nan"}, None, None, id="nan"),
        pytest.param({"retry-after": "inf"}, None, None, id="inf"),
        pytest.param({"retry-after": "soon"}, None, None, id="a word"),
        pytest.param({"retry-after": "Thu, 99 Foo 2026"}, NOW_EPOCH_S, None, id="a date that is none"),
        pytest.param({"retry-after": LATER, "date": DATE}, None, 90.0, id="a date, by the answer's own"),
        pytest.param({"retry-after": LATER, "date": DATE}, 0.0, 90.0, id="the answer's clock wins over ours"),
        pytest.param({"retry-after": LATER}, NOW_EPOCH_S, 90.0, id="a date, by our clock"),
        pytest.param({"retry-after": LATER, "date": "garbage"}, NOW_EPOCH_S, 90.0, id="no usable Date"),
        pytest.param({"retry-after": LATER}, None, None, id="a date and no clock"),
        pytest.param({"retry-after": DATE, "date": LATER}, None, 0.0, id="a date that is past"),
        pytest.param(
            {"retry-after": "Thu, 15 Jan 2026 06:01:30 +0000", "date": DATE}, None, 90.0, id="no offset"
        ),
        pytest.param(
            {"retry-after": "Thu, 15 Jan 2026 07:01:30 +0100", "date": DATE}, None, 90.0, id="an offset"
        ),
        pytest.param({"retry-after": "1e15"}, None, 315_360_000.0, id="more than ten years is ten years"),
    ],
)
def test_retry_after_is_read_in_both_forms(
    headers: dict[str, str], now: float | None, seconds: float | None
) -> None:
    assert read_retry_after(headers, now) == seconds


def test_a_date_without_a_zone_is_utc_wherever_the_machine_is(far_from_utc: None) -> None:
    assert read_retry_after({"retry-after": "Thu, 15 Jan 2026 06:01:30 -0000", "date": DATE}) == 90.0


@pytest.mark.parametrize("status", [429, 503])
def test_an_error_carries_its_retry_after(status: int) -> None:
    error = refused(request(), answer(status, b"", {"retry-after": LATER}), now_epoch_s=NOW_EPOCH_S)
    assert error.retry_after == 90.0
