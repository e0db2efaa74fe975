"""Answers of the token endpoint: a usable token or one of our errors, and nothing of them in a message."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.errors import IrisTokenError
from airflow_provider_trackunit.iris.http.wire import Request, Response
from tests.fuzz.documents import VALUES, hostile
from tests.fuzz.wires import (
    JSON,
    KEY,
    NEVER_TOLD,
    PASSWORD,
    SECRET,
    TOKEN,
    USER,
    Exchange,
    run_both,
    with_threads,
)

LIFETIMES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [3600, 0, -1, 1e308, 10**30, "3600", "-5", "NaN", "inf", "1e999", True, None, "soon", [], {}]
    ),
    VALUES,
)
TOKENS = st.sampled_from(
    [TOKEN] * 20
    + ["", " ", f"{TOKEN}\r\nX-Evil: 1", f"{TOKEN}\n", "t\u00f8ken", "a b", "\x00", "x" * 100_000, "\u2028"]
)
CODES = st.one_of(
    st.sampled_from(
        ["invalid_client", "invalid_grant", "invalid_scope", "unauthorized_client", SECRET, TOKEN]
    ),
    st.text(max_size=70),
)
SCOPES = st.one_of(
    st.sampled_from(
        ["api", "asset.view api", TOKEN, f"api {TOKEN}", "api\r\nforged line", "x" * 100_000, ""]
    ),
    st.text(max_size=20),
)
GRANTED = st.fixed_dictionaries(
    {"token_type": st.just("Bearer"), "access_token": TOKENS, "expires_in": LIFETIMES, "scope": SCOPES}
)
REFUSED = st.fixed_dictionaries(
    {"error": CODES, "error_description": st.sampled_from([f"wrong {SECRET}", f"{PASSWORD}?"])},
    optional={"error_uri": st.just(f"https://auth.example.com/?secret={SECRET}")},
)
STATUSES = st.sampled_from([200] * 12 + [400, 401, 429, 500, 503, 302, 204, 201, 100, 599])
ANSWERS = st.builds(
    lambda status, body: Response(status, JSON, body), STATUSES, hostile(st.one_of(*[GRANTED] * 4, REFUSED))
)


def last_call(token: Response, **options: Any) -> tuple[Exchange, list[Request]]:
    """Return what a call comes to when the token endpoint answers so, and the requests that reached the API."""
    sent: list[Request] = []

    def api(request: Request) -> Response:
        sent.append(request)
        return Response(200, JSON, b"{}")

    return run_both(api, "/api/x", token=lambda: token, **options), sent


@given(token=ANSWERS, credentials=st.sampled_from([USER, KEY]))
def test_whatever_the_token_endpoint_says_a_call_has_its_token_or_one_of_our_errors(
    token: Response, credentials: Any
) -> None:
    exchange, sent = last_call(token, credentials=credentials, options={"max_attempts": 2})
    assert exchange.tokens <= 2
    if exchange.error is not None:
        assert not sent, "a request left without a token"
        return
    value = json.loads(token.body)["access_token"]
    assert [request.headers["Authorization"] for request in sent] == [f"Bearer {value}"] * 2
    assert value.isascii()
    assert value.isprintable()


@given(token=ANSWERS, asked_again=st.integers(1, 3))
def test_a_token_lasts_a_finite_time_and_never_asks_for_more_tokens_than_calls(
    token: Response, asked_again: int
) -> None:
    def use(client: Any) -> Any:
        for _ in range(asked_again):
            client.run("/api/x")
        return client.authenticate()

    exchange = with_threads(use, lambda _request: Response(200, JSON, b"{}"), lambda: token)
    assert exchange.tokens <= asked_again + 1
    if exchange.error is None:
        assert math.isfinite(exchange.result.expires_in_s)
        assert exchange.result.expires_in_s >= 0


@given(token=ANSWERS, status=st.sampled_from([401, 403]))
def test_the_scope_that_was_granted_is_told_on_one_line_and_without_the_token(
    token: Response, status: int
) -> None:
    """``run_both`` looks at every message; here it is one that repeats the scope."""
    exchange = run_both(lambda _request: Response(status, JSON, b"{}"), "/api/x", token=lambda: token)
    assert exchange.error is not None
    granted = with_threads(
        lambda client: client.authenticate(), lambda _: Response(204, {}, b""), lambda: token
    )
    if granted.error is None:
        assert granted.result.scope.isprintable()
        assert len(granted.result.scope) <= 2000
        assert not any(secret in granted.result.scope for secret in NEVER_TOLD)


@pytest.mark.parametrize("value", [f"{TOKEN}\r\nX-Evil: 1", "t\u00f8ken", "a b", "\x7f"])
def test_a_token_that_would_break_the_header_is_refused(value: str) -> None:
    body = json.dumps({"access_token": value, "expires_in": 3600}).encode()
    exchange, sent = last_call(Response(200, JSON, body))
    assert isinstance(exchange.error, IrisTokenError)
    assert not sent
