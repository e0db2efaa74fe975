"""The client for threads: sends, sleeps and locks, on top of the pure modules that decide everything.

One client has one HTTP session and one token. It can be shared between threads. What it sends, when it
retries and how it pages is decided in ``wire``, ``answers``, ``waiting``, ``endpoints`` and ``paging``.
"""

from __future__ import annotations

import http.cookiejar
import itertools
import random
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import requests
import requests.adapters
import urllib3

from airflow_provider_trackunit.iris.answers import check
from airflow_provider_trackunit.iris.calls import BASE_URL, Call, make_call, read_base_url
from airflow_provider_trackunit.iris.endpoints import Endpoint, find
from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisError,
    IrisNoAnswerError,
    IrisRateLimitError,
    IrisUnexpectedResponseError,
)
from airflow_provider_trackunit.iris.tokens import Credentials, Token, TokenKeeper, read_token, token_request
from airflow_provider_trackunit.iris.waiting import Pacer, RetryRules
from airflow_provider_trackunit.iris.wire import MAX_BODY_BYTES, Request, Response, build_request, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_trackunit.iris.paging import Cursor, Page
from airflow_provider_trackunit.iris.fetching import fetch_pages
from airflow_provider_trackunit.iris.frontier import Errand, Frontier
from airflow_provider_trackunit.iris.results import Open, Position

# A server that is there accepts a connection at once; the whole timeout is for the answer.
_CONNECT_TIMEOUT_S: Final = 10.0
_CHUNK_BYTES: Final = 64 * 1024

# More connections than any sensible max_concurrency, so that no thread throws its connection away.
_POOL_CONNECTIONS: Final = 64


class IrisClient:
    """Calls IRIS: authenticated, paced, retried and paged.

    :param credentials: of the API user or API key
    :param base_url: origin of the API
    :param ca_bundle: path of a PEM file to trust instead of the usual roots
    :param timeout_s: longest time for one answer, from sending to its last byte
    :param max_attempts: how often one request is sent at the most, the first time included
    :param max_wait_s: a wait longer than this, for a limit or a retry, is not slept but raised
    :param budget_s: longest time for everything this client does; None for no end
    :param clock: monotonic clock, :param sleep: how to wait, :param chance: jitter from 0 to 1; for tests
    :raises IrisConfigurationError: when an argument is unusable
    """

    def __init__(
        self,
        credentials: Credentials,
        base_url: str = BASE_URL,
        *,
        ca_bundle: str | None = None,
        timeout_s: float = 60.0,
        max_attempts: int = 4,
        max_wait_s: float = 120.0,
        budget_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.origin = read_base_url(base_url)
        self.credentials = credentials
        self.token_requests = 0
        self.requests = 0
        self._verify: str | bool = _readable(ca_bundle) if ca_bundle else True
        self._timeout_s = timeout_s
        self._max_attempts = max_attempts
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._ends_at = None if budget_s is None else clock() + budget_s
        self._pacer = Pacer(clock)
        self._tokens = TokenKeeper(clock)
        self._renewal = threading.Lock()
        self._counting = threading.Lock()
        self._session = _new_session()

    def __enter__(self) -> IrisClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The client can be used again; it then opens new ones."""
        self._session.close()

    def run(
        self,
        endpoint: str,
        *,
        method: str = "GET",
        path_params: Mapping[str, Any] | None = None,
        query_params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the decoded JSON of one answer; None when it has no body (204).

        :raises IrisError: as the tree in ``errors`` says
        """
        call = make_call(
            self.origin,
            endpoint,
            method=method,
            path_params=path_params,
            query_params=query_params,
            json=json,
            headers=headers,
        )
        return decode(build_request(call), self._answer(call, find(call)))

    def pages(
        self,
        endpoint: str,
        *,
        method: str = "GET",
        path_params: Mapping[str, Any] | None = None,
        query_params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, Any] | None = None,
        cursor: Cursor | None = None,
        max_concurrency: int = 1,
    ) -> Iterator[Page]:
        """Return every page of an endpoint, in order, each with the cursor of the one that follows it.

        :param cursor: where to begin, as a former page's ``next`` said; None for the beginning
        :param max_concurrency: how many pages may be on the way at once, where the number of pages is known
        :raises IrisConfigurationError: at once, when an argument is unusable; other errors when their page is due
        """
        call = make_call(
            self.origin,
            endpoint,
            method=method,
            path_params=path_params,
            query_params=query_params,
            json=json,
            headers=headers,
        )
        find(call).paging.start(
            call
        )  # says now, not at the first page, that the caller's page number is none
        begin = None if cursor is None else Position(next_item=1, open=[Open(0, dict(cursor))])
        pages = fetch_pages(self._fetch, Frontier([call], begin), max(1, max_concurrency))
        return (page for _, page in pages)

    def records(self, endpoint: str, **arguments: Any) -> Iterator[Any]:
        """Return every record of an endpoint, decoded; the arguments are those of :meth:`pages`."""
        return itertools.chain.from_iterable(page.records for page in self.pages(endpoint, **arguments))

    def authenticate(self) -> Token:
        """Return the current token, or a new one, asked for as often as the retry rules allow.

        Every call gets its token by itself; this is for whoever wants to know that the credentials work, or what
        they were granted, before the first call.

        :raises IrisTokenError: when the token endpoint refuses
        """
        rules = self._rules(self._max_attempts, safe=True)
        return rules.retrying(self._sleep)(self._token)

    def _token(self) -> Token:
        """Return the current token, or a new one; one request for it however many threads ask."""
        token = self._tokens.usable()
        if token is not None:
            return token
        with self._renewal:
            token = self._tokens.usable()
            if token is None:
                token = self._renew()
                self._tokens.keep(token)
            return token

    def _renew(self) -> Token:
        request = token_request(self.credentials)
        sent_at = self._clock()
        try:
            response = self._send(request)
            with self._counting:
                self.token_requests += 1
            return read_token(request, response, sent_at, scope=self.credentials.scope)
        except IrisError as error:
            # The request that needed the token never left, so it may be repeated whatever it does.
            error.sent = False
            raise

    def _fetch(self, errand: Errand) -> Page:
        return self.fetch_page(errand.call, errand.row, errand.cursor)

    def fetch_page(self, call: Call, row: Endpoint, cursor: Cursor) -> Page:
        """Return the one page that a cursor names."""
        call = row.paging.apply(call, cursor)
        return row.paging.read(call, cursor, self._answer(call, row).body)

    def _answer(self, call: Call, row: Endpoint) -> Response:
        """Return an answer that holds what was asked for, after as many attempts as the rules allow."""
        request = build_request(call)
        rules = self._rules(row.attempts(self._max_attempts), safe=row.is_safe(call.method))
        return rules.retrying(self._sleep)(self._attempt, call, row, request)

    def _rules(self, max_attempts: int, *, safe: bool) -> RetryRules:
        return RetryRules(max_attempts, self._max_wait_s, safe=safe, chance=self._chance)

    def _attempt(self, call: Call, row: Endpoint, request: Request) -> Response:
        token, sent, response = self._send_with_token(call, row, request)
        if response.status == 401:
            self._tokens.discard(token)
            token, sent, response = self._send_with_token(call, row, request)
        try:
            check(sent, response, scope=token.scope, now_epoch_s=time.time())
        except IrisRateLimitError as error:
            self._heed(error, call, row)
            raise
        return response

    def _send_with_token(
        self, call: Call, row: Endpoint, request: Request
    ) -> tuple[Token, Request, Response]:
        self._wait_turn(call, row, request)
        token = self._token()
        request = request.with_token(token.value)
        return token, request, self._send(request)

    def _wait_turn(self, call: Call, row: Endpoint, request: Request) -> None:
        wait_s = self._pacer.reserve(row.paced(call), self._max_wait_s)
        if wait_s > self._max_wait_s:
            raise IrisRateLimitError(
                f"{request.label}: the documented limit is used up for {wait_s:.0f} s, longer than max_wait_s "
                f"({self._max_wait_s:.0f} s) allows to sleep. Nothing was sent",
                retry_after=wait_s,
            )
        if wait_s > 0:
            self._sleep(wait_s)

    def _heed(self, error: IrisRateLimitError, call: Call, row: Endpoint) -> None:
        """Take from a refusal how long to keep away."""
        metered_s = row.wait_after_refusal_s()
        if error.retry_after is None:
            error.retry_after = metered_s
        elif metered_s is None:
            self._pacer.hold(row.paced(call), min(error.retry_after, self._max_wait_s))

    def _send(self, request: Request) -> Response:
        """Return the answer to one request, complete; every way not to get one is an IrisNoAnswerError."""
        now = self._clock()
        ends_at = (
            now + self._timeout_s if self._ends_at is None else min(self._ends_at, now + self._timeout_s)
        )
        left_s = ends_at - now
        if left_s <= 0:
            raise IrisNoAnswerError(f"{request.label}: the time for this client is used up", sent=False)
        with self._counting:
            self.requests += 1
        try:
            with self._session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.body,
                timeout=(min(_CONNECT_TIMEOUT_S, left_s), left_s),
                allow_redirects=False,
                stream=True,
                verify=self._verify,
            ) as answer:
                return Response(
                    status=answer.status_code,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    body=self._read_body(request, answer, ends_at),
                )
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _no_answer(request, error) from None

    def _read_body(self, request: Request, answer: requests.Response, ends_at: float) -> bytes:
        chunks, size = [], 0
        for chunk in _chunks(answer):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise IrisUnexpectedResponseError(
                    f"{request.label}: the answer is larger than {MAX_BODY_BYTES // 2**20} MiB; it was not read further. "
                    "Ask for smaller pages",
                    status=answer.status_code,
                )
            if self._clock() > ends_at:
                raise IrisNoAnswerError(f"{request.label}: the answer was not complete in time")
        _refuse_short(request, answer)
        return b"".join(chunks)


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    """Yield the body as it arrives, not in full chunks, so that the clock is looked at while a server drips."""
    read1 = getattr(answer.raw, "read1", None)
    if read1 is None:  # urllib3 before 2.1
        yield from answer.iter_content(_CHUNK_BYTES)
        return
    while chunk := read1(_CHUNK_BYTES, decode_content=True):
        yield chunk


def _refuse_short(request: Request, answer: requests.Response) -> None:
    """Notice a body that broke off, which urllib3 1.x passes on as if it were whole."""
    promised = answer.headers.get("Content-Length", "")
    if request.method != "HEAD" and promised.isdigit() and answer.raw.tell() < int(promised):
        raise IrisNoAnswerError(f"{request.label}: the answer broke off")


class _OurHeadersOnly(requests.auth.AuthBase):
    """Keeps requests from putting a ``~/.netrc`` entry in the place of our Authorization header."""

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request as it is."""
        return prepared


def _new_session() -> requests.Session:
    session = requests.Session()
    session.headers.clear()
    session.auth = _OurHeadersOnly()
    # The API has no cookies; a jar would be state that travels from one answer into the next request.
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=_POOL_CONNECTIONS)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _readable(ca_bundle: str) -> str:
    if not Path(ca_bundle).is_file():
        raise IrisConfigurationError(
            f"CA bundle (extra 'ca_bundle'): there is no file {ca_bundle} on this machine"
        )
    return ca_bundle


def _no_answer(request: Request, error: Exception) -> IrisError:
    """Return what a failure of the transport means. Its own text is left out: it can hold the whole URL."""
    origin = "/".join(request.url.split("/", 3)[:3])
    if isinstance(error, requests.exceptions.SSLError):
        return IrisConfigurationError(
            f"{request.label}: the TLS certificate of {origin} is not trusted here. On a network that inspects TLS, "
            "set CA bundle (extra 'ca_bundle') of the connection to the PEM file of its root"
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return IrisNoAnswerError(
            f"{request.label}: the proxy named by the environment did not connect", sent=False
        )
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return IrisNoAnswerError(f"{request.label}: {origin} did not accept a connection in time", sent=False)
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
        return IrisNoAnswerError(f"{request.label}: {origin} did not answer in time")
    if _never_connected(error):
        return IrisNoAnswerError(
            f"{request.label}: no connection to {origin}. Check the URL in the connection, and the network",
            sent=False,
        )
    return IrisNoAnswerError(
        f"{request.label}: the connection to {origin} broke off ({type(error).__name__})"
    )


def _never_connected(error: Exception) -> bool:
    """Return whether the request cannot have left: urllib3 reports a failed connection inside a MaxRetryError."""
    cause = error.args[0] if error.args else None
    return isinstance(cause, urllib3.exceptions.MaxRetryError) and isinstance(
        cause.reason, urllib3.exceptions.NewConnectionError
    )
