"""Sends requests by the library ``aiohttp``, for the client for an event loop.

The only module that imports aiohttp: that costs a quarter of a second, so import this one late, and not on a running loop.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
import ssl
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import aiohttp
import certifi
from urllib3.util.wait import wait_for_read
from yarl import URL

from airflow_provider_trackunit.iris.calls import is_plain
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.iris.http.transports.body import Body
from airflow_provider_trackunit.iris.http.transports.proxies import trusted_roots
from airflow_provider_trackunit.iris.http.transports.trouble import (
    CONNECT_TIMEOUT_S,
    LONGEST_LINE_BYTES,
    MAX_CONNECTIONS,
    Trouble,
    closed_meanwhile,
    failure,
    trouble_with_tls,
)
from airflow_provider_trackunit.iris.http.wire import Response
from airflow_provider_trackunit.iris.secrecy import SecretMembers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from aiohttp.client_proto import ResponseHandler

    from airflow_provider_trackunit.iris.http.wire import Request
    from airflow_provider_trackunit.iris.secrecy import Secret

log = logging.getLogger(__name__)

_T = TypeVar("_T")

# All of them are in the request already, or not wanted.
_ADDED_BY_AIOHTTP: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

# Whether the request that is under way was given a connection.
_is_connected: Final[ContextVar[bool]] = ContextVar("iris_request_is_connected", default=False)

# Before aiohttp 3.10 a connection that takes too long is the more general error.
_SLOW_CONNECT: Final = getattr(aiohttp, "ConnectionTimeoutError", aiohttp.ServerTimeoutError)


class LoopConnections:
    """The connections of one client on one event loop. Nothing of it is bound to a loop before its first use there.

    :param ca_bundle: path of a PEM file to trust instead of the usual roots
    """

    def __init__(self, ca_bundle: str | None) -> None:
        self.is_closed = False
        self._ca_bundle = ca_bundle
        self._session: aiohttp.ClientSession | None = None
        self._roots: ssl.SSLContext | None = None
        self._reading_roots = asyncio.Lock()
        # Not left to aiohttp's pool: there the wait for a connection would count as time without an answer.
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self._under_way: dict[asyncio.Timeout, asyncio.Future[None]] = {}

    async def close(self) -> None:
        """Close the connections for good, and end what is under way until then."""
        self.is_closed = True
        session, self._session = self._session, None
        here = asyncio.get_running_loop()
        under_way = {end: over for end, over in self._under_way.items() if over.get_loop() is here}
        for end in under_way:
            end.reschedule(here.time())
        try:
            if under_way:
                # Before the session: once that is closed, aiohttp no longer closes what is half connected.
                await asyncio.wait(under_way.values())
        finally:
            if session is not None:
                await session.close()

    async def until_closed(self, doing: Callable[[], Awaitable[_T]], what: str, *, sent: bool) -> _T:
        """Do something that ends when the connections are closed.

        aiohttp alone would end what waits for a head, but neither what connects nor what reads a body.

        :param what: how the error names it
        :param sent: whether something may have left when it is ended
        :raises IrisNoAnswerError: when the connections are closed
        """
        if self.is_closed:
            raise closed_meanwhile(what, sent=False)
        try:
            async with asyncio.timeout(None) as end:
                over = self._under_way[end] = asyncio.get_running_loop().create_future()
                try:
                    return await doing()
                finally:
                    del self._under_way[end]
                    over.set_result(None)
        except TimeoutError:
            if not end.expired():
                raise
        # Here, where nothing of the library is its context.
        raise closed_meanwhile(what, sent=sent)

    @asynccontextmanager
    async def lend(self, request: Request) -> AsyncIterator[Lent]:
        """Lend the session for one request, once there is a connection for it.

        :raises IrisNoAnswerError: when the connections are closed
        :raises IrisConfigurationError: when there is no file of trusted certificates
        """
        roots = None if is_plain(request.url) else await self._trusted_roots(request)
        async with self._free:
            if self.is_closed:
                raise closed_meanwhile(request.label, sent=False)
            if self._session is None or self._session.closed:
                self._session = _new_session()
            yield Lent(self._session, roots)

    async def _trusted_roots(self, request: Request) -> ssl.SSLContext:
        async with self._reading_roots:
            if self._roots is None:
                # That takes tens of milliseconds, in which the loop would stand still.
                self._roots = await asyncio.to_thread(_read_roots, self._ca_bundle)
            if self._roots is None:
                raise failure(request, Trouble.NO_ROOTS)
            return self._roots


class Lent(NamedTuple):
    """What one request is sent by.

    :param roots: what checks certificates; None where plain http needs none
    """

    session: aiohttp.ClientSession
    roots: ssl.SSLContext | None


async def outcome_on_loop(
    lent: Lent,
    request: Request,
    *,
    left_s: float,
    ends_at: float,
    clock: Callable[[], float],
    proxy: Secret | None,
) -> Response | IrisError:
    """Return the answer to one request, complete, or why there is none.

    Nothing is raised from where the library is at work: tracebacks can show the variables of their frames, and
    here these are headers and half a token.

    :param left_s: seconds that it may take, which end at ``ends_at`` by the clock
    """
    through = _as_aiohttp_takes_it(proxy)
    trouble_of = _trouble_before_answer
    _is_connected.set(False)
    try:
        # Not by the timeout of aiohttp: before 3.10.11 that leaves a cancellation behind in the task, and an asyncio.timeout
        # of the caller then no longer knows its own.
        async with (
            asyncio.timeout(left_s),
            lent.session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=dict(request.headers),
                data=request.body,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_TIMEOUT_S, left_s)),
                allow_redirects=False,
                ssl=lent.roots or True,
                **through,
            ) as answer,
        ):
            trouble_of = _trouble_in_body
            headers = {name.lower(): ", ".join(answer.headers.getall(name)) for name in answer.headers}
            if not _is_framed(answer.status, headers):
                return failure(request, Trouble.BROKEN)
            body = Body(request, answer.status, headers.get("content-encoding", ""), ends_at, clock)
            async for chunk in answer.content.iter_any():
                body.take(chunk)
            return Response(status=answer.status, headers=headers, body=body.whole())
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        log.debug("%s: %s", request.label, type(error).__name__)
        trouble = trouble_of(error)
        # With a proxy, nobody connects to the origin itself.
        return failure(request, Trouble.PROXY if through and trouble is Trouble.UNREACHABLE else trouble)
    except IrisError as error:
        return error.with_traceback(None)
    except BaseException as error:
        # Whoever is cancelled is so somewhere in the library, and a TimeoutError of the caller has that as its cause.
        error.__traceback__ = error.__context__ = None
        raise


def _is_framed(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether it is an answer, and plain how long its body is; the rest of the head aiohttp has checked.

    The client for threads holds the same against an answer: one that changes the protocol, which nobody asked for, and a
    coding of the transfer that nobody asked for either.
    """
    return status >= 200 and headers.get("transfer-encoding", "").lower() in {"", "chunked", "identity"}


def _as_aiohttp_takes_it(proxy: Secret | None) -> SecretMembers:
    named = URL(proxy) if proxy else None
    if named is None:
        return SecretMembers()
    login = f"{named.user}:{named.password or ''}".encode()
    basic = {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"} if named.user else {}
    return SecretMembers(proxy=named.with_user(None), proxy_headers=basic)


def _read_roots(ca_bundle: str | None) -> ssl.SSLContext | None:
    """Return what checks certificates, None when there is no file of trusted ones."""
    try:
        return ssl.create_default_context(cafile=trusted_roots(ca_bundle) or certifi.where())
    except OSError:
        return None


class _Connector(aiohttp.TCPConnector):
    """Gives no connection a second time on which something came in between that nobody asked for.

    aiohttp would take it for the answer to the next request: servers say 408 to a connection that is idle for long.

    Nor does it give one request a second connection. aiohttp sends a GET or a DELETE again by itself when a kept connection
    breaks; that a metered URL was asked twice has to be our decision. Its own switch for that is none in 3.10.
    """

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._used: WeakKeyDictionary[ResponseHandler, Any] = WeakKeyDictionary()

    async def connect(self, *arguments: Any, **named: Any) -> aiohttp.connector.Connection:
        """Return a connection, new or used before.

        :raises aiohttp.ClientConnectionError: when the request was given one before
        """
        if _is_connected.get():
            raise aiohttp.ClientConnectionError("a request is sent once")
        while True:
            connection = await super().connect(*arguments, **named)
            used = connection.protocol
            if used not in self._used or _is_quiet(connection):
                break
            connection.close()
        if used is not None and connection.transport is not None:
            self._used[used] = connection.transport.get_extra_info("socket")
        _is_connected.set(True)
        return connection

    async def close(self, **named: Any) -> None:
        """Close all connections, without a wait for the other side, which may have stopped to answer.

        Those first that aiohttp has begun to close for what came behind an answer. It keeps some, and may have closed them
        twice: a transport of TLS then fails at whatever it is asked, and aiohttp asks each.
        """
        for used, its_socket in list(self._used.items()):
            # Those of uvloop cannot be asked for that, and say so by a TypeError.
            with suppress(OSError, TypeError):
                its_socket.shutdown(socket.SHUT_RDWR)
            if used.transport is not None and used.transport.is_closing():
                used.close()
        await super().close(**named)


def _is_quiet(connection: aiohttp.connector.Connection) -> bool:
    """Return whether nothing came on it, not even what the event loop has not read yet."""
    if connection.protocol is None or connection.protocol.should_close or connection.transport is None:
        return False
    return not wait_for_read(connection.transport.get_extra_info("socket"), timeout=0)


def _new_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=_Connector(limit=0),
        # The API has no cookies; a jar would be state that travels from one answer into the next request.
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_ADDED_BY_AIOHTTP,
        # With it aiohttp reads ~/.netrc for every request, and refuses those that have an Authorization header.
        trust_env=False,
        auto_decompress=False,
        max_line_size=LONGEST_LINE_BYTES,
        max_field_size=LONGEST_LINE_BYTES,
    )


def _trouble_before_answer(error: Exception) -> Trouble:
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return trouble_with_tls(error)
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return Trouble.PROXY
    if isinstance(error, _SLOW_CONNECT):
        return Trouble.SLOW_CONNECT
    if isinstance(error, TimeoutError):
        return Trouble.SLOW_ANSWER
    return Trouble.UNREACHABLE if isinstance(error, aiohttp.ClientConnectorError) else Trouble.BROKEN


def _trouble_in_body(error: Exception) -> Trouble:
    return Trouble.SLOW_BODY if isinstance(error, TimeoutError) else Trouble.CUT_BODY
