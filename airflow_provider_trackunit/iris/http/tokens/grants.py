"""The two grants of IRIS: the request for a token, and what its answer says. Pure; a client sends it.

There is the password grant of an API user, with the client's credentials in a Basic header, and client credentials of
an API key, with everything in the body (developer hub, pages "Access token" and "Access token v2").
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote_to_bytes, urlencode, urlsplit

import msgspec

from airflow_provider_trackunit.iris.calls import read_origin
from airflow_provider_trackunit.iris.errors import IrisRateLimitError, IrisServerError, IrisTokenError
from airflow_provider_trackunit.iris.http.answers.judging import check_end, is_json
from airflow_provider_trackunit.iris.http.answers.reading import read_retry_after, told
from airflow_provider_trackunit.iris.http.tokens.credentials import AUTH_URL_FIELD
from airflow_provider_trackunit.iris.http.tokens.keeper import Token
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON, USER_AGENT, Request
from airflow_provider_trackunit.iris.secrecy import Secret, SecretMembers, redacted

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.http.tokens.credentials import Credentials
    from airflow_provider_trackunit.iris.http.wire import Response

# A token answer is about a kilobyte.
_MAX_ANSWER_BYTES: Final = 1024 * 1024
_MAX_TOKEN_CHARS: Final = 64 * 1024

# Below 500, and yet nothing is wrong with the request: it came too slowly, or too early. An idle connection can end with the
# first of them.
_PASSING: Final = frozenset({408, 425})

# What RFC 6749 (4.1.2.1) lets an authorization server say in the place of 500 and 503. Some say it here, with 400.
_FAILURES: Final = frozenset({"server_error", "temporarily_unavailable"})

# An answer without expires_in: shorter than either documented lifetime (3600 s and 1200 s). A token that dies
# earlier still costs no more than one 401.
_UNKNOWN_LIFETIME_S: Final = 300.0

_ADVICE: Final = {
    "invalid_client": "Check Client ID and Client secret of the connection",
    "invalid_grant": "Check API username and API password of the connection; a new password is shown only once, "
    "when the API user is created (Manager, Administration, API Access)",
    "invalid_scope": "Check Scope of the connection: an API key gives only the scopes it was created with",
    "unauthorized_client": "This client may not use this grant: an API user needs API username and password, "
    "an API key has neither",
    "unsupported_grant_type": "Check Auth URL: …/token is for API users, …/token/v2 for API keys",
    "invalid_request": "Check that all credentials of the connection are filled in",
}


def token_request(credentials: Credentials) -> Request:
    """Return the request for a new token.

    Refresh tokens are not used: repeating the grant is equally documented, needs no state, and the API key has
    no refresh token at all.
    """
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": USER_AGENT,
    }
    if credentials.username:
        headers["Authorization"] = f"Basic {credentials.basic}"
        form = {
            "grant_type": "password",
            "username": credentials.username,
            "password": credentials.password,
            "scope": credentials.scope or "api",
        }
    else:
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
            "scope": credentials.scope,
        }
    url = credentials.token_url
    origin = read_origin(url, setting=AUTH_URL_FIELD)
    path = quote(unquote_to_bytes(urlsplit(url).path), safe="/:@!$&'()*+,;=") or "/"
    return Request(
        method="POST",
        url=f"{origin}{path}",
        headers=headers,
        body=urlencode(form).encode("ascii"),
        label=f"token endpoint {origin}{path}",
        secrets=credentials.secrets,
        max_body_bytes=_MAX_ANSWER_BYTES,
    )


def read_token(request: Request, response: Response, sent_at: float, *, scope: str = "") -> Token:
    """Return the token of an answer of the token endpoint.

    The answer's own text is never repeated: it may echo what was submitted.

    :param sent_at: when the request was sent, by the keeper's clock
    :param scope: what was asked for, granted unless the answer says otherwise (RFC 6749, 5.1)
    :raises IrisTokenError: when the grant was refused, or something that is no token endpoint answered
    :raises IrisRateLimitError: 429
    :raises IrisServerError: 5xx, 408 and 425, and what the endpoint itself calls a failure of its own
    :raises IrisNoAnswerError: when a token was to come, and the answer broke off
    """
    status = response.status
    retry_after = read_retry_after(response.headers)
    if status == 429:
        raise IrisRateLimitError(
            f"{request.label}: HTTP 429, too many tokens", status=429, retry_after=retry_after
        )
    if status >= 500 or status in _PASSING:
        raise IrisServerError(f"{request.label}: HTTP {status}", status=status, retry_after=retry_after)
    if status == 200 and (is_json(response) or not response.body):
        check_end(request, response)
    body = _read_object(response)
    value = _secret_text(body.get("access_token"))
    if status != 200 or not value:
        raise _refusal(request, status, body)
    if len(value) > _MAX_TOKEN_CHARS or not value.isascii() or not value.isprintable() or " " in value:
        raise IrisTokenError(
            f"{request.label}: the token is too long, or has characters that a header cannot hold",
            status=status,
        )
    granted = body.get("scope")
    return Token(
        value=value,
        expires_in_s=_lifetime_s(body.get("expires_in")),
        sent_at=sent_at,
        scope=_scope(request, value, granted) if isinstance(granted, str) else scope,
    )


def _scope(request: Request, token: str, granted: str) -> str:
    """Return the scope that was granted as messages can repeat it."""
    return told(request, redacted(granted, (token,))) or ""


def _read_object(response: Response) -> SecretMembers:
    try:
        return SecretMembers(msgspec.json.decode(response.body, type=dict[str, Any]))
    except BROKEN_JSON:
        return SecretMembers()


def _secret_text(value: Any) -> Secret:
    return Secret(value if isinstance(value, str) else "")


def _refusal(request: Request, status: int, body: SecretMembers) -> IrisTokenError | IrisServerError:
    code = body.get("error")
    if isinstance(code, str):
        code = request.without_secrets(code)
    if isinstance(code, str) and code in _FAILURES:
        return IrisServerError(f"{request.label}: HTTP {status} {code}", code=code, status=status)
    if isinstance(code, str) and code in _ADVICE:
        return IrisTokenError(
            f"{request.label}: HTTP {status} {code}. {_ADVICE[code]}.", code=code, status=status
        )
    if isinstance(code, str) and code.replace("_", "").isalpha() and len(code) <= 64:
        return IrisTokenError(f"{request.label}: HTTP {status} {code}", code=code, status=status)
    return IrisTokenError(
        f"{request.label}: HTTP {status}, not the answer of an OAuth 2.0 token endpoint. "
        "Check Auth URL (extra 'auth_url') of the connection.",
        status=status,
    )


def _lifetime_s(value: Any) -> float:
    """Return ``expires_in``, which some servers send as text; a careful guess where it says nothing."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return _UNKNOWN_LIFETIME_S
    return max(seconds, 0.0) if math.isfinite(seconds) else _UNKNOWN_LIFETIME_S
