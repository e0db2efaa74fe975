"""Ends an answer in time, its head included, for the client for threads.

A timeout of a socket is one for each read, so a server that drips header lines, or says ``100 Continue`` again and
again, is never too slow for it. Here each read may take no longer than what is left for the whole answer. And a head that
the end of the connection cuts off is no head, nor is one that only announces another.
"""

from __future__ import annotations

import http.client
import io
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_ends_at: Final[ContextVar[float | None]] = ContextVar("iris_answer_ends_at", default=None)


@contextmanager
def answer_within(left_s: float) -> Iterator[None]:
    """Let every answer that begins in this thread meanwhile be whole in so many seconds, or a ``TimeoutError``."""
    token = _ends_at.set(time.monotonic() + left_s)
    try:
        yield
    finally:
        _ends_at.reset(token)


class InTimeAdapter(requests.adapters.HTTPAdapter):
    """Sends as requests does, and reads answers as :func:`answer_within` says."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Make the pools of connections."""
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
        """Return the pools of connections to a proxy."""
        pools = super().proxy_manager_for(*arguments, **named)
        pools.pool_classes_by_scheme = _POOLS
        return pools


class _InTime(io.RawIOBase):
    """A socket's bytes, each read with the time that is left."""

    def __init__(self, sock: socket.socket, ends_at: float) -> None:
        self.is_at_end = False
        self._socket = sock
        self._bytes = sock.makefile("rb", buffering=0)
        self._ends_at = ends_at

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what is there, or wait for it.

        :raises TimeoutError: when the time is over
        """
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the time for this answer is over")
        self._socket.settimeout(left_s)
        count = self._bytes.readinto(buffer)
        self.is_at_end = count == 0
        return count

    def close(self) -> None:
        """Let the connection go."""
        self._bytes.close()
        super().close()


class _Opened:
    """What an answer is read from, in the shape that ``http.client`` asks for."""

    def __init__(self, sock: socket.socket, ends_at: float) -> None:
        self._bytes = _InTime(sock, ends_at)

    @property
    def is_at_end(self) -> bool:
        """Whether the connection has ended."""
        return self._bytes.is_at_end

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the file, which is read as bytes."""
        return io.BufferedReader(self._bytes)


def _announces(status: int) -> bool:
    """Return whether the answer is still to come: after 101 it would not be one of HTTP."""
    return 100 <= status < 200 and status != http.HTTPStatus.SWITCHING_PROTOCOLS


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: Any, *arguments: Any, **named: Any) -> None:
        ends_at = _ends_at.get()
        self._opened = None if ends_at is None else _Opened(sock, ends_at)
        # Of a socket http.client wants no more than the file.
        read_from: Any = self._opened or sock
        super().__init__(read_from, *arguments, **named)

    def begin(self) -> None:
        """Read the head, and those that only announce it.

        Of these http.client knows 100. It takes 102 and 103 for the answer, and the answer that follows for that to the next
        request on the same connection.

        :raises http.client.RemoteDisconnected: also when the connection ended within it, where http.client takes what came
            for all of it: an answer without a length, and so without a body
        """
        while True:
            super().begin()
            # The last line of a whole head is read without a look at what follows it.
            if self._opened is not None and self._opened.is_at_end:
                raise http.client.RemoteDisconnected("the answer ended within its head")
            if not _announces(self.status):
                return
            none_read: Any = None
            self.headers = none_read  # or it would not read another one


class _PlainConnection(HTTPConnection):
    response_class = _Answer


class _TlsConnection(HTTPSConnection):
    response_class = _Answer


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS: Final = {"http": _PlainPool, "https": _TlsPool}
