"""A StatsD server: whatever is sent to its port, line by line."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Listen = Callable[[], AbstractContextManager[list[str]]]

_LARGEST_DATAGRAM = 65_535


@contextmanager
def statsd() -> Iterator[tuple[int, Listen]]:
    """Take a port of the loopback interface; yield it, and what listens to it for a while."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        yield server.getsockname()[1], lambda: _lines(server)


@contextmanager
def _lines(server: socket.socket) -> Iterator[list[str]]:
    """Yield the lines that come, which grow until the end."""
    lines: list[str] = []

    def listen() -> None:
        while data := server.recv(_LARGEST_DATAGRAM):
            lines.extend(data.decode().splitlines())

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield lines
    finally:
        # An empty datagram is the end; what was sent before it is read before it.
        server.sendto(b"", server.getsockname())
        thread.join()
