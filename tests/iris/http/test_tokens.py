"""The two grants, the life of a token, and what a refusal tells the person who configured the connection."""

import base64
import json
from typing import Any

import pytest

from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisError,
    IrisRateLimitError,
    IrisResponseError,
    IrisServerError,
    IrisTokenError,
)
from airflow_provider_trackunit.iris.http.tokens import (
    Credentials,
    Token,
    TokenKeeper,
    read_token,
    token_request,
)
from airflow_provider_trackunit.iris.http.wire import USER_AGENT, Response
from tests.iris.conftest import HandClock

API_USER = Credentials("client", "s3cret/ü", username="api user@example.com", password="p&ss=wörd+")
API_KEY = Credentials("key", "key s3cret", scope="asset.view api.iso15143.snapshot")
FORM = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Content-Type": "application/x-www-form-urlencoded",
    "User-Agent": USER_AGENT,
}


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, headers or {"content-type": "application/json"}, encoded)


def granted(**members: Any) -> Token:
    return read_token(token_request(API_USER), answer({"access_token": "t", **members}), 100.0, scope="asked")


def refused(response: Response, credentials: Credentials = API_USER) -> IrisError:
    with pytest.raises(IrisError) as caught:
        read_token(token_request(credentials), response, 0.0)
    return caught.value


def test_an_api_user_asks_with_a_basic_header_and_a_form() -> None:
    request = token_request(API_USER)
    basic = base64.b64encode("client:s3cret/ü".encode()).decode()
    assert (request.method, request.url) == ("POST", "https://auth.trackunit.com/token")
    assert request.headers == {**FORM, "Authorization": f"Basic {basic}"}
    assert (
        request.body
        == b"grant_type=password&username=api+user%40example.com&password=p%26ss%3Dw%C3%B6rd%2B&scope=api"
    )


def test_an_api_key_asks_with_everything_in_the_form() -> None:
    request = token_request(API_KEY)
    assert (request.method, request.url) == ("POST", "https://auth.trackunit.com/token/v2")
    assert request.headers == FORM
    assert request.body == (
        b"grant_type=client_credentials&client_id=key&client_secret=key+s3cret"
        b"&scope=asset.view+api.iso15143.snapshot"
    )


def test_an_api_user_may_ask_for_another_scope() -> None:
    request = token_request(Credentials("c", "s", "u", "p", scope="api offline_access"))
    assert b"scope=api+offline_access" in (request.body or b"")


@pytest.mark.parametrize(
    ("auth_url", "sent"),
    [
        ("https://auth.example.com/oauth/token", "https://auth.example.com/oauth/token"),
        ("auth.example.com/token", "https://auth.example.com/token"),
        (" https://auth.example.com ", "https://auth.example.com/"),
        ("http://127.0.0.1:8000/token", "http://127.0.0.1:8000/token"),
    ],
)
def test_the_token_endpoint_can_be_another(auth_url: str, sent: str) -> None:
    assert token_request(Credentials("c", "s", "u", "p", auth_url=auth_url)).url == sent


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        pytest.param({"client_id": ""}, "Client ID", id="no client id"),
        pytest.param({"client_secret": ""}, "Client secret", id="no client secret"),
        pytest.param({"password": ""}, "API password", id="a user without a password"),
        pytest.param({"username": ""}, "API username", id="a password without a user"),
        pytest.param({"client_id": "a:b"}, "colon", id="a client id that Basic cannot carry"),
        pytest.param({"username": "", "password": ""}, "Scope", id="an API key without a scope"),
        pytest.param({"auth_url": "http://auth.example.com/token"}, "Auth URL", id="credentials in clear"),
        pytest.param({"auth_url": "https://u:hunter2@auth.example.com"}, "Auth URL", id="a URL with a user"),
    ],
)
def test_credentials_that_cannot_work_name_the_field_of_the_form(fields: dict[str, str], named: str) -> None:
    good = {"client_id": "c", "client_secret": "hunter2", "username": "u", "password": "hunter2"}
    with pytest.raises(IrisConfigurationError, match=named) as caught:
        Credentials(**(good | fields))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("client_id", "Client ID"),
        ("client_secret", "Client secret"),
        ("username", "API username"),
        ("password", "API password"),
        ("scope", "Scope"),
        ("auth_url", "Auth URL"),
    ],
)
def test_a_field_that_no_encoding_can_send_is_refused_by_its_name(field: str, named: str) -> None:
    good = {"client_id": "c", "client_secret": "s", "username": "u", "password": "p"}
    with pytest.raises(IrisConfigurationError, match=rf"^{named} \(.*half a character") as caught:
        Credentials(**(good | {field: "hunter2\udcff"}))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("rest", ["?tenant=hunter2", "#hunter2"])
def test_an_auth_url_with_something_that_would_not_be_sent_is_refused(rest: str) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^Auth URL .* without a query or fragment") as caught:
        Credentials("c", "s", "u", "p", auth_url=f"https://auth.example.com/token{rest}")
    assert "hunter2" not in str(caught.value)


def test_no_repr_shows_a_secret() -> None:
    shown = f"{API_USER!r} {API_KEY!r} {token_request(API_USER)!r} {token_request(API_KEY)!r} {granted()!r}"
    basic = base64.b64encode("client:s3cret/ü".encode()).decode()
    for secret in ("s3cret", "wörd", "api user", basic, "'t'"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        pytest.param(3600, 3600.0, id="a number"),
        pytest.param("1200", 1200.0, id="text"),
        pytest.param(1200.5, 1200.5, id="a float"),
        pytest.param(None, 300.0, id="missing"),
        pytest.param("soon", 300.0, id="garbage"),
        pytest.param({}, 300.0, id="an object"),
        pytest.param("nan", 300.0, id="nan"),
        pytest.param("inf", 300.0, id="endless"),
        pytest.param(10**400, 300.0, id="beyond all numbers"),
        pytest.param(-5, 0.0, id="negative"),
        pytest.param(0, 0.0, id="zero"),
    ],
)
def test_the_lifetime_is_counted_from_when_the_request_was_sent(expires_in: Any, seconds: float) -> None:
    token = granted(expires_in=expires_in)
    assert (token.value, token.expires_in_s, token.sent_at) == ("t", seconds, 100.0)


def test_the_scope_is_the_granted_one_else_the_one_asked_for() -> None:
    assert granted(scope="api").scope == "api"
    assert granted().scope == "asked"
    assert granted(scope=["api"]).scope == "asked"


@pytest.mark.parametrize(
    ("expires_in_s", "usable_s"), [(3600, 3540), (1200, 1140), (600, 540), (300, 270), (10, 9)]
)
def test_a_token_is_renewed_a_minute_ahead_or_a_tenth_of_a_short_life(
    expires_in_s: float, usable_s: float
) -> None:
    clock = HandClock(50.0)
    keeper = TokenKeeper(clock)
    token = Token("t", expires_in_s, sent_at=50.0)
    keeper.keep(token)
    clock.now = 50.0 + usable_s - 0.01
    assert keeper.usable() is token
    clock.now = 50.0 + usable_s
    assert keeper.usable() is None


def test_a_token_without_a_life_is_never_usable_twice() -> None:
    keeper = TokenKeeper(HandClock(50.0))
    keeper.keep(Token("t", 0.0, sent_at=50.0))
    assert keeper.usable() is None


def test_a_refused_token_is_dropped_only_while_it_is_the_current_one() -> None:
    keeper = TokenKeeper(HandClock())
    assert keeper.usable() is None
    old, new = Token("same", 3600, sent_at=0.0), Token("same", 3600, sent_at=0.0)
    keeper.keep(old)
    keeper.keep(new)
    keeper.discard(old)
    assert keeper.usable() is new
    keeper.discard(new)
    assert keeper.usable() is None


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("invalid_client", "Client ID and Client secret"),
        ("invalid_grant", "API username and API password"),
        ("invalid_scope", "Scope"),
        ("unauthorized_client", "API user"),
        ("unsupported_grant_type", "Auth URL"),
        ("invalid_request", "credentials"),
    ],
)
def test_a_refusal_names_the_field_to_look_at(status: int, code: str, named: str) -> None:
    error = refused(answer({"error": code, "error_description": "you sent hunter2"}, status))
    assert isinstance(error, IrisTokenError)
    assert (error.code, error.status, error.transient) == (code, status, False)
    assert str(error).startswith(f"token endpoint https://auth.trackunit.com/token: HTTP {status} {code}.")
    assert named in str(error)
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        pytest.param("slow_down", "slow_down", id="a code that nobody knows"),
        pytest.param("hunter2", None, id="something with a digit"),
        pytest.param("bad user name", None, id="a sentence"),
        pytest.param("a" * 64, "a" * 64, id="just not too long"),
        pytest.param("a" * 65, None, id="too long"),
        pytest.param("", None, id="empty"),
        pytest.param(7, None, id="a number"),
    ],
)
def test_an_unknown_code_is_repeated_only_when_it_looks_like_one(code: Any, kept: str | None) -> None:
    error = refused(answer({"error": code}, 400))
    assert isinstance(error, IrisTokenError)
    assert (error.code, error.status) == (kept, 400)
    assert str(error).endswith(f"HTTP 400 {code}") is (kept is not None)


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(answer(b"<html>hunter2</html>", 200, {"content-type": "text/html"}), id="a web page"),
        pytest.param(answer(b"<html>hunter2</html>", 404, {"content-type": "text/html"}), id="a 404 page"),
        pytest.param(answer(b"", 302, {"location": "https://hunter2.example"}), id="a redirect"),
        pytest.param(answer(b"", 200, {"content-length": "0"}), id="nothing"),
        pytest.param(answer([], 200), id="a list"),
        pytest.param(answer({"access_token": ""}, 200), id="an empty token"),
        pytest.param(answer({"access_token": 7}, 200), id="a token that is a number"),
        pytest.param(answer({"access_token": "hunter2"}, 400), id="a token with an error status"),
        pytest.param(answer({"token": "hunter2"}, 200), id="a token of another name"),
        pytest.param(
            answer(
                b'{"access_token": "hunter2"',
                200,
                {"content-type": "application/json", "content-length": "26"},
            ),
            id="half an answer, by its own length whole",
        ),
    ],
)
def test_what_is_no_token_endpoint_points_to_the_auth_url_and_is_not_repeated(response: Response) -> None:
    error = refused(response)
    assert isinstance(error, IrisTokenError)
    assert error.status == response.status
    assert "Auth URL (extra 'auth_url')" in str(error)
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a b", "ü", "a\x00"])
def test_a_token_that_would_break_the_header_is_refused(value: str) -> None:
    error = refused(answer({"access_token": value}))
    assert isinstance(error, IrisTokenError)
    assert value not in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (408, IrisServerError),
        (425, IrisServerError),
        (429, IrisRateLimitError),
        (500, IrisServerError),
        (503, IrisServerError),
    ],
)
def test_a_busy_token_endpoint_is_worth_another_try(status: int, kind: type[IrisError]) -> None:
    error = refused(answer({"error": "hunter2"}, status, {"retry-after": "7"}))
    assert isinstance(error, IrisResponseError)
    assert (type(error), error.status, error.transient, error.retry_after) == (kind, status, True, 7.0)
    assert "hunter2" not in str(error)
