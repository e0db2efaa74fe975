"""A proxy that notes what it is asked for and how, and passes on what goes through a tunnel unread."""

from __future__ import annotations

import select
import socket
import socketserver

from tests.iris.scripted import Asked, LoopbackServer, read_head

_CHUNK = 65536


class TunnelProxy(LoopbackServer):
    """Opens tunnels.

    :param refusal: what it answers in the place of opening one
    :param announcement: what it says before it opens one
    """

    def __init__(self, refusal: bytes = b"", announcement: bytes = b"") -> None:
        super().__init__(_Handler)
        self.refusal = refusal
        self.announcement = announcement
        self.passed_on: list[bytes] = []


class _Handler(socketserver.StreamRequestHandler):
    server: TunnelProxy

    def handle(self) -> None:
        line, headers = read_head(self.rfile)
        self.server.asked.append(Asked(line, headers, b""))
        if self.server.refusal or not line.startswith("CONNECT "):
            self.wfile.write(self.server.refusal or b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = line.split()[1].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as target:
            self.wfile.write(self.server.announcement + b"HTTP/1.1 200 Connection established\r\n\r\n")
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
