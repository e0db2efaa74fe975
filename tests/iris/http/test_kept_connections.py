"""On a connection that is kept, what comes behind an answer is never taken for the answer to the next request."""

from __future__ import annotations

import asyncio
import io
import socket
import ssl
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.iris.errors import IrisNoAnswerError
from airflow_provider_trackunit.iris.http.transports.blocking import BlockingTransport
from airflow_provider_trackunit.iris.http.transports.on_loop import LoopConnections, outcome_on_loop
from airflow_provider_trackunit.iris.http.wire import Request, Response
from airflow_provider_trackunit.iris.secrecy import Secret
from tests.tls import self_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_trackunit.iris.errors import IrisError

    Outcomes = list[Response | IrisError]
    Send = Callable[..., Outcomes]


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


FIRST, SECOND, OF_NOBODY = answer(b"[1]"), answer(b"[2]"), answer(b"[0]")


class Server:
    """Answers the first request with these bytes and every other with ``SECOND``.

    :param between: what it says when it is told to, after the first
    """

    def __init__(self, first: Any, between: bytes, tls: ssl.SSLContext | None) -> None:
        self._answers, self._between, self._tls = [first], between, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}/page"
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def say_more(self) -> None:
        """Return when it has arrived."""
        if self._between:
            self.connections[0].sendall(self._between)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in (self._listener, *self.connections):
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with suppress(OSError, ValueError):
            connection = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
            self.connections.append(connection)
            with connection.makefile("rb") as lines:
                for line in lines:
                    if line == b"\r\n":
                        connection.sendall(self._answers.pop() if self._answers else SECOND)


@contextmanager
def serving(first: bytes, between: bytes = b"", tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(first, between, tls)
    try:
        yield server
    finally:
        server.close()


def _no_pause() -> None:
    """Ask at once."""


def in_threads(
    request: Request, between: Callable[[], None], roots: str | None, proxy: Secret | None = None
) -> Outcomes:
    transport = BlockingTransport(time.monotonic)
    outcomes = []
    try:
        for pause in (_no_pause, between):
            pause()
            outcomes.append(transport.outcome(request, 5.0, time.monotonic() + 5, roots, proxy))
    finally:
        transport.close()
    return outcomes


def on_loop(
    request: Request, between: Callable[[], None], roots: str | None, proxy: Secret | None = None
) -> Outcomes:
    return asyncio.run(_on_loop(request, between, roots, proxy, turns=0))


def on_a_loop_that_turns(
    request: Request, between: Callable[[], None], roots: str | None, proxy: Secret | None = None
) -> Outcomes:
    """Let the loop read what comes between the requests; else it is busy until the second."""
    return asyncio.run(_on_loop(request, between, roots, proxy, turns=5))


async def _on_loop(
    request: Request,
    between: Callable[[], None],
    roots: str | None,
    proxy: Secret | None,
    turns: int,
) -> Outcomes:
    connections, outcomes = LoopConnections(roots), []
    for pause in (_no_pause, between):
        pause()
        for _ in range(turns):
            await asyncio.sleep(0)
        async with connections.lend(request) as session:
            ends_at, clock = time.monotonic() + 5, time.monotonic
            one = outcome_on_loop(session, request, left_s=5.0, ends_at=ends_at, clock=clock, proxy=proxy)
            outcomes.append(await one)
    await connections.close()
    return outcomes


async def once_on_loop(request: Request, roots: str | None) -> Response | IrisError:
    connections = LoopConnections(roots)
    async with connections.lend(request) as session:
        ends_at, clock = time.monotonic() + 5, time.monotonic
        outcome = await outcome_on_loop(
            session, request, left_s=5.0, ends_at=ends_at, clock=clock, proxy=None
        )
    await connections.close()
    return outcome


SEND = pytest.mark.parametrize("send", [in_threads, on_loop, on_a_loop_that_turns])


def bodies(outcomes: Outcomes) -> list[Any]:
    return [one.body if isinstance(one, Response) else one for one in outcomes]


def asked(url: str, method: str = "GET") -> Request:
    return Request(method, url, {}, None, method)


@SEND
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize(
    "between",
    [
        pytest.param(OF_NOBODY, id="an answer"),
        pytest.param(answer(b"", "408 Request Timeout"), id="too long idle"),
        pytest.param(OF_NOBODY[:20], id="half an answer"),
        pytest.param(b"\x00", id="no answer"),
    ],
)
def test_what_comes_while_nobody_asks_is_not_the_next_answer(
    send: Send, between: bytes, encrypted: bool, tmp_path: Path
) -> None:
    roots, tls = self_signed(tmp_path) if encrypted else (None, None)
    with serving(FIRST, between, tls) as server:
        outcomes = send(asked(server.url), server.say_more, str(roots) if roots else None)
    assert bodies(outcomes) == [b"[1]", b"[2]"]


@SEND
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("times", [1, 3000])
def test_what_comes_with_an_answer_is_not_the_next_one(
    send: Send, encrypted: bool, times: int, tmp_path: Path
) -> None:
    roots, tls = self_signed(tmp_path) if encrypted else (None, None)
    with serving(FIRST + OF_NOBODY * times, tls=tls) as server:
        outcomes = send(asked(server.url), server.say_more, str(roots) if roots else None)
    assert bodies(outcomes) == [b"[1]", b"[2]"]
    assert len(server.connections) == 2


def test_what_tls_has_unpacked_already_is_not_the_next_answer(tmp_path: Path) -> None:
    """The buffer of an answer is full, and what is left of the TLS record is not seen on the socket."""
    roots, tls = self_signed(tmp_path)
    record = FIRST.ljust(io.DEFAULT_BUFFER_SIZE, b"x") + OF_NOBODY
    with serving(record, tls=tls) as server:
        assert bodies(in_threads(asked(server.url), server.say_more, str(roots))) == [b"[1]", b"[2]"]


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
def test_what_comes_behind_a_long_answer_does_not_keep_a_loop_from_closing(
    encrypted: bool, tmp_path: Path
) -> None:
    """A body that is longer than it says, in the last answer. Longer than its buffer, aiohttp finds the rest bad twice."""
    roots, tls = self_signed(tmp_path) if encrypted else (None, None)
    with serving(answer(bytes(200_000)) + bytes(3), tls=tls) as server:
        begun = time.monotonic()
        outcome = asyncio.run(once_on_loop(asked(server.url), str(roots) if roots else None))
    assert bodies([outcome]) == [bytes(200_000)]
    # For thirty seconds asyncio would wait until the server closes TLS as well.
    assert time.monotonic() - begun < 10


class BehindAProxy(Server):
    """A proxy that is reached by TLS, and in its tunnel the server, by TLS as well. What it says at once comes at once."""

    def _serve(self, plain: socket.socket) -> None:
        assert self._tls
        with suppress(OSError), self._tls.wrap_socket(plain, server_side=True) as proxy:
            self.connections.append(proxy)
            while not proxy.recv(65536).endswith(b"\r\n\r\n"):
                pass
            proxy.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
            inner = self._tls.wrap_bio(came, goes, server_side=True)
            while True:
                try:
                    if inner.read().endswith(b"\r\n\r\n"):
                        for record in self._answers.pop() if self._answers else [SECOND]:
                            inner.write(record)
                except ssl.SSLWantReadError:
                    self._say(proxy, goes.read())
                    came.write(proxy.recv(65536))

    def _say(self, proxy: ssl.SSLSocket, what: bytes) -> None:
        proxy.sendall(what)


class DrippingBehindAProxy(BehindAProxy):
    """Sends the first bytes of what is at least so long one at a time."""

    drips_from = 0

    def _say(self, proxy: ssl.SSLSocket, what: bytes) -> None:
        drops = 80 if len(what) >= self.drips_from else 0
        for one in what[:drops]:
            super()._say(proxy, bytes([one]))
            time.sleep(0.1)
        super()._say(proxy, what[drops:])


def behind_a_proxy(send: Send, records: list[bytes], folder: Path) -> tuple[Outcomes, int]:
    """Return what comes of two requests, and on how many connections."""
    roots, tls = self_signed(folder)
    server = BehindAProxy(records, b"", tls)
    try:
        proxy = Secret(server.url.removesuffix("/page"))
        outcomes = send(asked("https://127.0.0.1:9/page"), _no_pause, str(roots), proxy)
    finally:
        server.close()
    return outcomes, len(server.connections)


@SEND
@pytest.mark.parametrize(
    "records",
    [
        pytest.param([FIRST.ljust(io.DEFAULT_BUFFER_SIZE, b"\n") + OF_NOBODY], id="in the same record"),
        pytest.param([FIRST, OF_NOBODY], id="in a record of its own"),
    ],
)
def test_what_came_through_tls_in_tls_is_not_the_next_answer(
    send: Send, records: list[bytes], tmp_path: Path
) -> None:
    """What urllib3 has taken from the connection to the proxy, and not read yet, is not seen on the socket."""
    outcomes, connections = behind_a_proxy(send, records, tmp_path)
    assert bodies(outcomes) == [b"[1]", b"[2]"]
    assert connections == 2


# Before 3.10, aiohttp gives such a connection back only in the next turn of the loop.
@pytest.mark.parametrize("send", [in_threads, on_a_loop_that_turns])
def test_a_connection_of_tls_in_tls_on_which_nothing_else_came_is_used_again(
    send: Send, tmp_path: Path
) -> None:
    outcomes, connections = behind_a_proxy(send, [FIRST], tmp_path)
    assert bodies(outcomes) == [b"[1]", b"[2]"]
    assert connections == 1


@pytest.mark.parametrize("drips_from", [1, 5000], ids=["handshake", "answer"])
def test_a_server_that_drips_through_tls_in_tls_is_given_up_in_time(drips_from: int, tmp_path: Path) -> None:
    """urllib3 reads from the connection to the proxy until a record is whole."""
    roots, tls = self_signed(tmp_path)
    server = DrippingBehindAProxy([answer(bytes(10_000))], b"", tls)
    server.drips_from = drips_from
    transport, begun = BlockingTransport(time.monotonic), time.monotonic()
    try:
        proxy = Secret(server.url.removesuffix("/page"))
        outcome = transport.outcome(asked("https://127.0.0.1:9/page"), 1.0, begun + 1, str(roots), proxy)
    finally:
        transport.close()
        server.close()
    assert isinstance(outcome, IrisNoAnswerError)
    assert outcome.sent
    assert time.monotonic() - begun < 5


@SEND
@pytest.mark.parametrize(
    "first",
    [
        pytest.param(FIRST, id="a length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\nA: b\r\n\r\n", id="chunks"
        ),
    ],
)
def test_a_connection_on_which_nothing_else_came_is_used_again(send: Send, first: bytes) -> None:
    with serving(first) as server:
        outcomes = send(asked(server.url), server.say_more, None)
    assert bodies(outcomes) == [b"[1]", b"[2]"]
    assert len(server.connections) == 1


@SEND
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_an_answer_without_a_body_ends_with_its_head_whatever_that_says(
    send: Send, status: str, method: str
) -> None:
    """RFC 9112, 6.3. Nobody waits for the chunks that it announces: a change was carried out."""
    first = f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with serving(first) as server:
        outcomes = send(asked(server.url, method), server.say_more, None)
    assert bodies(outcomes) == [b"", b"[2]"]


def test_a_first_header_that_begins_with_a_blank_is_not_left_out() -> None:
    """It may be the one that says how long the answer is. aiohttp reads it."""
    with serving(FIRST.replace(b"Content", b" Content")) as server:
        first, second = in_threads(asked(server.url), server.say_more, None)
    assert "broke off" in str(first)
    assert bodies([second]) == [b"[2]"]


def test_a_header_with_nul_is_none() -> None:
    """RFC 9110, 5.5. On the loop it is for aiohttp to say so; its old releases do not."""
    with serving(FIRST.replace(b"\r\n\r\n", b"\r\nA: \0\r\n\r\n")) as server:
        first, second = in_threads(asked(server.url), server.say_more, None)
    assert isinstance(first, IrisNoAnswerError)
    assert bodies([second]) == [b"[2]"]


def test_an_exception_of_a_signal_leaves_no_lock_of_the_spare_connections_held() -> None:
    """A lock that code in Python takes can be held when the exception comes; urllib3's own queue has one."""
    transport, outcomes = BlockingTransport(time.monotonic), []

    def entered(_frame: Any, event: str, _value: Any) -> Any:
        if event == "return":
            raise KeyboardInterrupt
        return entered

    def called(frame: Any, _event: str, _value: Any) -> Any:
        takes_lock = frame.f_code.co_name == "__enter__" and frame.f_globals["__name__"] == "threading"
        return entered if takes_lock else None

    def ask(tracer: Any) -> None:
        sys.settrace(tracer)
        with suppress(KeyboardInterrupt):
            outcomes.append(transport.outcome(request, 5.0, time.monotonic() + 5, None, None))

    with serving(FIRST) as server:
        request = asked(server.url)
        for tracer in (None, called, None):
            asking = threading.Thread(target=ask, args=(tracer,), daemon=True)
            asking.start()
            asking.join(timeout=5)
            assert not asking.is_alive()
    transport.close()
    assert isinstance(outcomes[-1], Response)
