"""Bodies of failures: whatever they hold, the error has the class of its status and a text that can be shown."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris import errors
from airflow_provider_trackunit.iris.errors import IrisError, IrisResponseError
from airflow_provider_trackunit.iris.http.wire import Response
from tests.fuzz.documents import VALUES, hostile
from tests.fuzz.wires import JSON, TOKEN, run_both

TEXTS = st.one_of(
    st.sampled_from(
        [
            "constraint_violation",
            f"Bearer {TOKEN}",
            f"{'x' * 490}{TOKEN}",
            "line\r\nforged line",
            "\x00\x1b[31m",
            "\u202e",
            "x" * 100_000,
        ]
    ),
    st.text(max_size=30),
)
VIOLATIONS = st.lists(st.fixed_dictionaries({"field": TEXTS, "message": TEXTS}), max_size=30)
PROBLEMS = st.one_of(
    st.fixed_dictionaries(
        {"code": TEXTS, "message": TEXTS}, optional={"violations": VIOLATIONS, "traceId": TEXTS}
    ),
    st.fixed_dictionaries(
        {"timestamp": st.just("2026-01-15"), "status": st.integers(), "error": TEXTS, "path": TEXTS}
    ),
    st.fixed_dictionaries({"type": TEXTS, "title": TEXTS, "detail": TEXTS, "instance": TEXTS}),
    st.fixed_dictionaries({"errorType": TEXTS, "error": TEXTS, "status": st.just("error")}),
    st.fixed_dictionaries({"error": TEXTS, "error_description": TEXTS}),
    VALUES,
)
EXTENSIONS = st.fixed_dictionaries(
    {"code": st.one_of(st.sampled_from(["RATE_LIMITED", "QUERY_COMPLEXITY_REACHED", "FORBIDDEN"]), TEXTS)},
    optional={"resetIn": st.one_of(VALUES, st.sampled_from([0, -1, 1e308, 10**40, "5000", "NaN", True]))},
)
GRAPHQL = st.fixed_dictionaries(
    {
        "errors": st.lists(
            st.fixed_dictionaries({"message": TEXTS}, optional={"extensions": EXTENSIONS}), max_size=3
        )
    },
    optional={"data": VALUES},
)
PROMETHEUS = st.fixed_dictionaries(
    {"status": st.sampled_from(["error", "success"])},
    optional={
        "errorType": TEXTS,
        "error": TEXTS,
        "isPartial": st.one_of(st.booleans(), VALUES),
        "data": VALUES,
    },
)
TYPES = st.sampled_from(["application/json", "application/problem+json", "text/html", "", "application/xml"])
QUERY: dict[str, Any] = {"method": "POST", "json": {"query": "{ assets { id } }"}}

CLASSES = {
    400: errors.IrisBadRequestError,
    401: errors.IrisAuthenticationError,
    403: errors.IrisPermissionError,
    404: errors.IrisNotFoundError,
    409: errors.IrisBadRequestError,
    429: errors.IrisRateLimitError,
    500: errors.IrisServerError,
    503: errors.IrisServerError,
}


def assert_can_be_stored(error: IrisError) -> None:
    """What an error carries goes into logs, events and manifests."""
    assert isinstance(error, IrisResponseError)
    told = [error.code, error.message, *(text for pair in error.violations for text in pair)]
    for text in told:
        assert text is None or (text.isprintable() and TOKEN not in text and len(text) <= 500)
    assert len(error.violations) <= 20


@given(status=st.sampled_from(sorted(CLASSES)), body=hostile(PROBLEMS), content_type=TYPES)
def test_a_failure_has_the_class_of_its_status_whatever_its_body_holds(
    status: int, body: bytes, content_type: str
) -> None:
    exchange = run_both(
        lambda _: Response(status, {"content-type": content_type}, body), "/api/asset/v1/assets"
    )
    assert exchange.error is not None
    html = status == 404 and "html" in content_type
    assert type(exchange.error) is (errors.IrisUnexpectedResponseError if html else CLASSES[status])
    assert exchange.error.status == status
    assert_can_be_stored(exchange.error)


@given(status=st.integers(100, 999), body=hostile(PROBLEMS))
def test_every_status_is_an_answer_or_one_of_our_errors(status: int, body: bytes) -> None:
    exchange = run_both(lambda _: Response(status, JSON, body), "/api/x")
    assert (exchange.error is None) <= (200 <= status < 300)
    assert len(exchange.asked) <= 2


@given(body=hostile(GRAPHQL))
def test_a_graphql_answer_is_data_or_one_of_our_errors(body: bytes) -> None:
    exchange = run_both(lambda _: Response(200, JSON, body), "/api/graphql/", **QUERY)
    if exchange.error is not None:
        assert_can_be_stored(exchange.error)
    else:
        assert not (isinstance(exchange.result, dict) and exchange.result.get("errors"))


@given(body=hostile(PROMETHEUS))
def test_a_time_series_answer_is_data_or_one_of_our_errors(body: bytes) -> None:
    endpoint = "/api/time-series/v1/assets/a/prometheus/api/v1/query"
    exchange = run_both(lambda _: Response(200, JSON, body), endpoint, query_params={"query": "query-secret"})
    if exchange.error is not None:
        assert_can_be_stored(exchange.error)
    else:
        assert not (isinstance(exchange.result, dict) and exchange.result.get("status") == "error")
