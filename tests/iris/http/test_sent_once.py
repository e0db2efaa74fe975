"""A request goes out once: the libraries must not send it again by themselves, because it would count twice."""

from __future__ import annotations

import asyncio
import socket
import socketserver
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackunit.iris.errors import IrisNoAnswerError
from airflow_provider_trackunit.iris.http.transports import blocking
from airflow_provider_trackunit.iris.http.transports import on_loop as on_loop_transport
from airflow_provider_trackunit.iris.http.transports.blocking import BlockingTransport
from airflow_provider_trackunit.iris.http.transports.on_loop import LoopConnections, outcome_on_loop
from airflow_provider_trackunit.iris.http.wire import Request, Response
from airflow_provider_trackunit.iris.secrecy import Secret
from tests.iris.scripted import LoopbackServer
from tests.origin.proxy import TunnelProxy
from tests.tls import self_signed

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_trackunit.iris.errors import IrisError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
ANSWERS = {
    "the connection ends": b"",
    "the answer breaks off": OK[:20],
    "too slow for the server": b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
    "another connection": b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n",
    "later": b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
    "elsewhere": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
    "a password": b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm="a", nonce="b"\r\nContent-Length: 0\r\n\r\n',
}


@contextmanager
def counting_server(second: bytes, first: bytes = OK) -> Iterator[tuple[str, list[str]]]:
    """Serve on a kept connection: first well, then with this answer and an end. Yield the URL and the methods that came."""
    came: list[str] = []

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            for answer in (first, second):
                head = list(iter(lines.readline, b"\r\n")) if lines.peek(1) else []
                if not head:
                    return
                came.append(head[0].split()[0].decode())
                connection.sendall(answer)

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/page", came
        server.shutdown(socket.SHUT_RDWR)


class Idle(LoopbackServer):
    """Speaks TLS, and takes nothing of a request."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(_Holding)
        self._tls = tls
        self.over = threading.Event()

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        return self._tls.wrap_socket(connection, server_side=True), address


class _Holding(socketserver.BaseRequestHandler):
    server: Idle

    def handle(self) -> None:
        self.server.over.wait(10)


def in_threads(request: Request) -> list[Response | IrisError]:
    transport = BlockingTransport(time.monotonic)
    try:
        return [transport.outcome(request, 5.0, time.monotonic() + 5, None, None) for _ in range(2)]
    finally:
        transport.close()


def on_loop(request: Request) -> list[Response | IrisError]:
    async def ask() -> list[Response | IrisError]:
        connections, outcomes = LoopConnections(None), []
        for _ in range(2):
            async with connections.lend(request) as session:
                ends_at, clock = time.monotonic() + 5, time.monotonic
                one = outcome_on_loop(session, request, left_s=5.0, ends_at=ends_at, clock=clock, proxy=None)
                outcomes.append(await one)
        await connections.close()
        return outcomes

    return asyncio.run(ask())


@pytest.mark.parametrize("send", [in_threads, on_loop])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("second", ANSWERS)
def test_on_a_kept_connection_a_request_is_sent_once_whatever_comes_of_it(
    send: Callable[[Request], list[Response | IrisError]], method: str, second: str
) -> None:
    with counting_server(ANSWERS[second]) as (url, came):
        first, _ = send(Request(method, url, {}, None, method))
    assert isinstance(first, Response)
    assert came == [method, method]


@pytest.mark.parametrize("send", [in_threads, on_loop])
@pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_what_announces_an_answer_is_none_and_the_next_request_gets_its_own(
    send: Callable[[Request], list[Response | IrisError]], status: str
) -> None:
    announced = f"HTTP/1.1 {status}\r\nLink: </style.css>\r\n\r\n".encode()
    with counting_server(announced * 2 + OK.replace(b"{}", b"[]"), first=announced + OK) as (url, came):
        outcomes = send(Request("GET", url, {}, None, "GET"))
    assert [isinstance(one, Response) and (one.status, one.body) for one in outcomes] == [
        (200, b"{}"),
        (200, b"[]"),
    ]
    assert came == ["GET", "GET"]


@pytest.mark.parametrize("send", [in_threads, on_loop])
def test_sending_may_take_as_long_as_the_answer_and_not_only_as_long_as_connecting(
    send: Callable[[Request], list[Response | IrisError]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than fits in between, to a server that is busy."""
    for module in (blocking, on_loop_transport):
        monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", 0.2)
    body, taken = bytes(16 * 2**20), []

    class Busy(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline():
                list(iter(self.rfile.readline, b"\r\n"))
                threading.Event().wait(0.4)
                taken.append(len(self.rfile.read(len(body))))
                self.wfile.write(OK)

    with LoopbackServer(Busy) as server:
        outcomes = send(Request("POST", f"http://127.0.0.1:{server.port}/page", {}, body, "POST"))
    assert [isinstance(one, Response) and one.status for one in outcomes] == [200, 200]
    assert taken == [len(body)] * 2


def test_what_leaves_no_further_through_a_tunnel_may_have_arrived(tmp_path: Path) -> None:
    """urllib3 1.26 says of it that the proxy could not be reached."""
    roots, tls = self_signed(tmp_path)
    with TunnelProxy() as proxy, Idle(tls) as server:
        request = Request("POST", f"https://127.0.0.1:{server.port}/page", {}, bytes(16 * 2**20), "POST")
        transport, named = BlockingTransport(time.monotonic), Secret(f"http://127.0.0.1:{proxy.port}")
        outcome = transport.outcome(request, 1.0, time.monotonic() + 1, str(roots), named)
        transport.close()
        server.over.set()
    assert isinstance(outcome, IrisNoAnswerError)
    assert outcome.sent
