"""Both clients with the other end in memory: what they ask goes to a function, and what it returns is the answer."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.iris.aio import AsyncIrisClient
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.iris.http.tokens import Credentials
from airflow_provider_trackunit.iris.http.wire import Request, Response
from tests.iris.conftest import HandClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.iris.http.transports.on_loop import LoopConnections

ORIGIN = "https://iris.example.com"
AUTH_URL = "https://auth.example.com/token"
TOKEN = "eyJ0b2tlbg.7Kq3-secret_of.9fuzz"
SECRET, PASSWORD = "hunter2-client-secret", "hunter2-password"
USER = Credentials("client", SECRET, "user", PASSWORD, auth_url=AUTH_URL)
KEY = Credentials("client", SECRET, scope="asset.view", auth_url=AUTH_URL)
JSON = {"content-type": "application/json"}
NEVER_TOLD = (TOKEN, SECRET, PASSWORD, base64.b64encode(f"client:{SECRET}".encode()).decode(), "query-secret")

Answer = "Callable[[Request], Response]"


def token_response() -> Response:
    """Return a good answer of the token endpoint."""
    return Response(200, JSON, json.dumps({"access_token": TOKEN, "expires_in": 3600}).encode())


@dataclass
class Exchange:
    """What came of one use of a client, and what it asked for, token requests left out."""

    result: Any = None
    error: IrisError | None = None
    asked: list[tuple[str, str, bytes | None]] = field(default_factory=list)
    tokens: int = 0
    slept: list[float] = field(default_factory=list)

    def outcome(self) -> tuple[Any, ...]:
        """Return what both clients must have in common."""
        error = None if self.error is None else (type(self.error), str(self.error), self.error.retry_after)
        return self.result, error, self.asked, self.tokens, self.slept


class _Other:
    """The other end of both clients."""

    def __init__(
        self, exchange: Exchange, answer: Callable[[Request], Response], token: Callable[[], Response]
    ) -> None:
        self.exchange = exchange
        self.answer = answer
        self.token = token

    def __call__(self, request: Request) -> Response:
        if request.url.startswith(AUTH_URL):
            self.exchange.tokens += 1
            assert self.exchange.tokens < 60, "tokens without an end"
            return self.token()
        self.exchange.asked.append((request.method, request.url, request.body))
        answer = self.answer(request)
        # As every server says; without it, broken JSON is an answer that broke off.
        return replace(answer, headers={"content-length": str(len(answer.body)), **answer.headers})


class WiredClient(IrisClient):
    """The client for threads."""

    other: _Other

    def _send(self, request: Request) -> Response:
        self._begin(request)
        return self.other(request)


class WiredAsyncClient(AsyncIrisClient):
    """The client for an event loop."""

    other: _Other

    async def _send(self, request: Request, connections: LoopConnections) -> Response:
        self._begin(request)
        return self.other(request)


def wired(
    answer: Callable[[Request], Response], token: Callable[[], Response] = token_response
) -> WiredClient:
    """Return a client for threads whose clock is a hand's, and which tries everything once."""
    clock = HandClock()
    client = WiredClient(USER, ORIGIN, clock=clock, sleep=clock.sleep, chance=lambda: 1.0, max_attempts=1)
    client.other = _Other(Exchange(), answer, token)
    return client


def with_threads(
    use: Callable[[WiredClient], Any],
    answer: Callable[[Request], Response],
    token: Callable[[], Response] = token_response,
    credentials: Credentials = USER,
    **options: Any,
) -> Exchange:
    """Return what comes of a use of the client for threads. Only an IrisError may come out of it."""
    exchange, clock = Exchange(), HandClock()
    client = WiredClient(
        credentials,
        ORIGIN,
        clock=clock,
        sleep=clock.sleep,
        chance=lambda: 1.0,
        **{"max_attempts": 1, "max_wait_s": 1e6, **options},
    )
    client.other = _Other(exchange, answer, token)
    try:
        exchange.result = use(client)
    except IrisError as error:
        exchange.error = checked(error)
    exchange.slept = clock.slept
    return exchange


def on_loop(
    use: Callable[[WiredAsyncClient], Any],
    answer: Callable[[Request], Response],
    token: Callable[[], Response] = token_response,
    credentials: Credentials = USER,
    **options: Any,
) -> Exchange:
    """Return what comes of a use of the client for an event loop. Only an IrisError may come out of it."""
    exchange, clock = Exchange(), HandClock()

    async def sleep(seconds: float) -> None:
        clock.sleep(seconds)

    async def play() -> Any:
        client = WiredAsyncClient(
            credentials,
            ORIGIN,
            clock=clock,
            sleep=sleep,
            chance=lambda: 1.0,
            **{"max_attempts": 1, "max_wait_s": 1e6, **options},
        )
        client.other = _Other(exchange, answer, token)
        return await use(client)

    try:
        exchange.result = asyncio.run(play())
    except IrisError as error:
        exchange.error = checked(error)
    exchange.slept = clock.slept
    return exchange


def run_both(
    answer: Callable[[Request], Response],
    endpoint: str,
    token: Callable[[], Response] = token_response,
    credentials: Credentials = USER,
    options: dict[str, Any] | None = None,
    **arguments: Any,
) -> Exchange:
    """Return what one call comes to, which has to be the same through both clients."""
    given = {"token": token, "credentials": credentials, **(options or {})}
    threads = with_threads(lambda client: client.run(endpoint, **arguments), answer, **given)
    loop = on_loop(lambda client: client.run(endpoint, **arguments), answer, **given)
    assert threads.outcome() == loop.outcome()
    return threads


def walk_both(
    answer: Callable[[], Callable[[Request], Response]],
    endpoint: str,
    options: dict[str, Any] | None = None,
    **arguments: Any,
) -> Exchange:
    """Return what a walk comes to: the records of each page that came before its end or its error.

    :param answer: makes a new other end, one for each client
    """
    pages: list[list[bytes]] = []

    def in_threads(client: WiredClient) -> None:
        for page in client.pages(endpoint, **arguments):
            pages.append([bytes(record) for record in page.raw_records])
            _ = page.number, page.announced

    threads = with_threads(in_threads, answer(), **(options or {}))
    threads.result, pages = pages, []

    async def in_loop(client: WiredAsyncClient) -> None:
        async for page in client.pages(endpoint, **arguments):
            pages.append([bytes(record) for record in page.raw_records])

    loop = on_loop(in_loop, answer(), **(options or {}))
    loop.result = pages
    if arguments.get("max_concurrency", 1) == 1:
        assert threads.outcome() == loop.outcome()
    return threads


def checked(error: IrisError) -> IrisError:
    """Return the error, whose text has to be one that can be shown, logged and stored."""
    said = str(error)
    assert not any(secret in said for secret in NEVER_TOLD), said
    assert said.isprintable(), ascii(said)
    assert len(said) < 30_000
    assert said.encode()
    if error.retry_after is not None:
        assert 0 <= error.retry_after < 10**9
    return error
