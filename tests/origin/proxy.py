"""A proxy that notes what it is asked for and how, and passes on what goes through a tunnel unread."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from typing import Self

from tests.iris.scripted import Asked

_CHUNK = 65536


class TunnelProxy(socketserver.ThreadingTCPServer):
    """Opens tunnels.

    :param refusal: what it answers in the place of opening one
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, refusal: bytes = b"") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusal = refusal
        self.asked: list[Asked] = []
        self.passed_on: list[bytes] = []
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


class _Handler(socketserver.StreamRequestHandler):
    server: TunnelProxy

    def handle(self) -> None:
        line = self.rfile.readline().decode().strip()
        headers = {}
        while pair := self.rfile.readline().decode().strip():
            name, _, value = pair.partition(": ")
            headers[name.lower()] = value
        self.server.asked.append(Asked(line, headers, b""))
        if self.server.refusal or not line.startswith("CONNECT "):
            self.wfile.write(self.server.refusal or b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = line.split()[1].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as target:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._tunnel(target)

    def _tunnel(self, target: socket.socket) -> None:
        ends = {self.connection: target, target: self.connection}
        while True:
            for end in select.select(list(ends), [], [], 5)[0]:
                data = end.recv(_CHUNK)
                if not data:
                    return
                if end is self.connection:
                    self.server.passed_on.append(data)
                ends[end].sendall(data)
