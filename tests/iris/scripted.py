"""A server that says byte for byte what a test wants said, and notes what it was asked."""

import io
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

TOKEN = "scripted-token-value"


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


def http(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> bytes:
    """Return a whole answer; underscores in header names are dashes."""
    given = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in given.items() if value), "", ""]
    return "\r\n".join(lines).encode() + body


def token_answer(**headers: str) -> bytes:
    """Return what a token endpoint says."""
    return http(json.dumps({"access_token": TOKEN, "expires_in": 3600}).encode(), **headers)


class LoopbackServer(socketserver.ThreadingTCPServer):
    """Serves in a thread, on a free port of the loopback interface, and notes what it was asked."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, handler: type[socketserver.BaseRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.asked: list[Asked] = []
        self.port: int = self.server_address[1]
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away is a part of the play."""


class ScriptedServer(LoopbackServer):
    """Answers one request per connection, the next answer of the script each time; the last one is repeated.

    :param answers: each the bytes of an answer, or several pieces of it; empty bytes close without a word
    """

    def __init__(self, *answers: bytes | Iterable[bytes], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(_Handler)
        self.answers = list(answers)
        self.tls = tls
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        return (self.tls.wrap_socket(connection, server_side=True) if self.tls else connection), address

    def next_answer(self) -> bytes | Iterable[bytes]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def read_head(file: io.BufferedIOBase) -> tuple[str, dict[str, str]]:
    """Return the first line of a request and its headers, by their names in small letters."""
    line = file.readline().decode().strip()
    headers = {}
    while pair := file.readline().decode().strip():
        name, _, value = pair.partition(": ")
        headers[name.lower()] = value
    return line, headers


class _Handler(socketserver.StreamRequestHandler):
    server: ScriptedServer

    def handle(self) -> None:
        line, headers = read_head(self.rfile)
        body = self.rfile.read(int(headers.get("content-length", 0)))
        self.server.asked.append(Asked(line, headers, body))
        answer = self.server.next_answer()
        for piece in [answer] if isinstance(answer, bytes) else answer:
            self.wfile.write(piece)
            self.wfile.flush()
