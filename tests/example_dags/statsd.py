"""A StatsD server: whatever is sent to its port, line by line."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST_DATAGRAM = 65_535


@contextmanager
def statsd() -> Iterator[tuple[int, list[str]]]:
    """Listen on a port of the loopback interface; yield it, and the lines that came, which grow."""
    lines: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]

        def listen() -> None:
            while data := server.recv(_LARGEST_DATAGRAM):
                lines.extend(data.decode().splitlines())

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield port, lines
        finally:
            # An empty datagram is the end; what was sent before it is read before it.
            server.sendto(b"", ("127.0.0.1", port))
            thread.join()
