"""OAuth 2.0 for IRIS: the two grants, the life of a token, and the keeper of the current one.

Pure: it writes the token request and reads the answer; a client sends it. There are two grants
(developer hub, pages "Access token" and "Access token v2"): the password grant of an API user, with the
client's credentials in a Basic header, and client credentials of an API key, with everything in the body.
"""

from __future__ import annotations

import base64
import copy
import math
import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote_to_bytes, urlencode, urlsplit

import msgspec

from airflow_provider_trackunit.iris.calls import read_origin
from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisRateLimitError,
    IrisServerError,
    IrisTokenError,
)
from airflow_provider_trackunit.iris.http.forks import renew_after_fork
from airflow_provider_trackunit.iris.http.reading import read_retry_after, told
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON, USER_AGENT, Request, Response
from airflow_provider_trackunit.iris.secrecy import Secret, SecretMembers, redacted

if TYPE_CHECKING:
    from collections.abc import Callable

API_USER_AUTH_URL: Final = "https://auth.trackunit.com/token"
API_KEY_AUTH_URL: Final = "https://auth.trackunit.com/token/v2"

# A token is renewed this long before it expires, so that a request never leaves with one that dies on the
# way; a tenth of the lifetime where that is shorter.
_RENEW_AHEAD_S: Final = 60.0

# A token answer is about a kilobyte.
_MAX_ANSWER_BYTES: Final = 1024 * 1024
_MAX_TOKEN_CHARS: Final = 64 * 1024

# An answer without expires_in: shorter than either documented lifetime (3600 s and 1200 s). A token that dies
# earlier still costs no more than one 401.
_UNKNOWN_LIFETIME_S: Final = 300.0

# How long credentials that were refused are not tried again: as long as threads of one task take to begin.
_REFUSED_FOR_S: Final = 5.0

# JSON can name one half of a pair; no encoding can send it, and the error of one that tries holds the whole text.
_HALF_A_CHARACTER: Final = re.compile("[\ud800-\udfff]")

_AUTH_URL_FIELD: Final = "Auth URL (extra 'auth_url')"

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


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a connection knows of its account. Its ``repr`` shows no secret.

    :param client_id: of the API user or API key
    :param client_secret: likewise
    :param username: of the API user; empty for an API key, which makes the grant client credentials
    :param password: of the API user
    :param scope: ``api`` for an API user; the granted scopes, separated by blanks, for an API key
    :param auth_url: the token endpoint; empty for the documented one of the grant
    """

    client_id: str
    client_secret: str = field(repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    scope: str = ""
    auth_url: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the field of the connection form."""
        self._refuse_what_cannot_be_sent()
        if not self.client_id:
            raise IrisConfigurationError("Client ID (extra 'client_id') is missing in the connection")
        if not self.client_secret:
            raise IrisConfigurationError("Client secret (extra 'client_secret') is missing in the connection")
        if self.username and not self.password:
            raise IrisConfigurationError(
                "API password (password) is missing in the connection; API username is set"
            )
        if self.password and not self.username:
            raise IrisConfigurationError(
                "API username (login) is missing in the connection; API password is set. For an API key leave both empty"
            )
        if self.username and ":" in self.client_id:
            raise IrisConfigurationError(
                "Client ID (extra 'client_id') cannot hold a colon: it goes into a Basic header"
            )
        if not self.username and not self.scope:
            raise IrisConfigurationError(
                "Scope (extra 'scope') is missing in the connection: an API key must ask for the scopes it was given, "
                "such as 'asset.view api.iso15143.snapshot'. (For an API user fill in API username and API password)"
            )
        self._refuse_auth_url()

    def _refuse_what_cannot_be_sent(self) -> None:
        fields = {
            "Client ID (extra 'client_id')": self.client_id,
            "Client secret (extra 'client_secret')": Secret(self.client_secret),
            "API username (login)": self.username,
            "API password (password)": Secret(self.password),
            "Scope (extra 'scope')": self.scope,
            _AUTH_URL_FIELD: Secret(self.auth_url),
        }
        for name, value in fields.items():
            if _HALF_A_CHARACTER.search(value):
                raise IrisConfigurationError(
                    f"{name} of the connection holds half a character; type it again"
                )

    def _refuse_auth_url(self) -> None:
        read_origin(self.token_url, setting=_AUTH_URL_FIELD)
        *_, query, fragment = map(Secret, urlsplit(self.token_url))
        if query or fragment:
            raise IrisConfigurationError(
                f"{_AUTH_URL_FIELD}: give the address without a query or fragment; nothing behind '?' or '#' is sent"
            )

    @property
    def basic(self) -> Secret:
        """What follows ``Basic`` in the header of the password grant."""
        pair = f"{self.client_id}:{self.client_secret}".encode()
        return Secret(base64.b64encode(pair).decode("ascii"))

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Everything that nobody may see."""
        return tuple(Secret(one) for one in (self.client_secret, self.password, self.basic) if one)

    @property
    def token_url(self) -> Secret:
        """The token endpoint that is used. Until it is looked at, there may be a password in it."""
        text = Secret(self.auth_url.strip() or (API_USER_AUTH_URL if self.username else API_KEY_AUTH_URL))
        return text if "://" in text else Secret(f"https://{text}")


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. Times are of the keeper's clock.

    :param expires_in_s: its whole lifetime, from when it was asked for
    :param sent_at: when the request for it was sent, which is before IRIS began to count
    :param scope: what was granted, as far as IRIS said
    """

    value: str = field(repr=False)
    expires_in_s: float
    sent_at: float
    scope: str = ""

    @property
    def renew_at(self) -> float:
        """From when on a new token should be asked for."""
        return self.sent_at + self.expires_in_s - min(_RENEW_AHEAD_S, self.expires_in_s / 10)


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
    origin = read_origin(url, setting=_AUTH_URL_FIELD)
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
    :raises IrisServerError: 5xx
    """
    status = response.status
    retry_after = read_retry_after(response.headers)
    if status == 429:
        raise IrisRateLimitError(
            f"{request.label}: HTTP 429, too many tokens", status=429, retry_after=retry_after
        )
    if status >= 500:
        raise IrisServerError(f"{request.label}: HTTP {status}", status=status, retry_after=retry_after)
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


def _refusal(request: Request, status: int, body: SecretMembers) -> IrisTokenError:
    code = body.get("error")
    if isinstance(code, str):
        code = request.without_secrets(code)
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


class TokenKeeper:
    """Holds the current token, or that there is none to be had. Safe to share between threads; never sends anything.

    :param clock: a monotonic clock, in seconds; it must be the one that gave ``sent_at``
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._token: Token | None = None
        self._refusal: IrisTokenError | None = None
        self._refused_at = -math.inf
        self._lock = threading.Lock()
        renew_after_fork(self)

    def renew(self) -> None:
        """Begin again in a child process, with the same token."""
        self._lock = threading.Lock()

    def usable(self) -> Token | None:
        """Return the current token, or None when it is time to ask for a new one.

        :raises IrisTokenError: when the credentials were refused a moment ago. A dozen threads that begin together must
            not each try a secret that is wrong: accounts are locked for that
        """
        with self._lock:
            token, refusal, refused_at = self._token, self._refusal, self._refused_at
        now = self._clock()
        if refusal is not None and now - refused_at < _REFUSED_FOR_S:
            # Each caller's own, because a traceback grows with every raise.
            raise copy.copy(refusal)
        return token if token is not None and now < token.renew_at else None

    def keep(self, token: Token) -> None:
        """Make this the current token."""
        with self._lock:
            self._token, self._refusal = token, None

    def keep_refusal(self, error: IrisTokenError) -> None:
        """Enter that the token endpoint refuses these credentials."""
        with self._lock:
            self._refusal, self._refused_at = error, self._clock()

    def discard(self, token: Token) -> None:
        """Drop a token that IRIS refused, unless another caller has replaced it already."""
        with self._lock:
            if self._token is token:
                self._token = None
