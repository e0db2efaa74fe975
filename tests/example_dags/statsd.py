"""A StatsD server: whatever is sent to its port, line by line."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Listen = Callable[[], AbstractContextManager[list[str]]]

_LARGEST_DATAGRAM = 65_535
_METRIC = re.compile(
    r"airflow\.trackunit\.(?P<name>\w+)(?P<tags>(?:,[^:]+)?):(?P<value>[-+\d.]+)\|(?P<kind>\w+)"
)


def counted(lines: list[str]) -> list[tuple[str, dict[str, str], float]]:
    """Return our metrics among what came, in the format of InfluxDB: name, tags and value."""
    found = [one for line in lines if (one := _METRIC.fullmatch(line))]
    assert len(found) == len([line for line in lines if "trackunit." in line])
    return [
        (
            one["name"],
            dict(tag.split("=") for tag in one["tags"].split(",") if tag),
            float(one["value"]),
        )
        for one in found
    ]


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
