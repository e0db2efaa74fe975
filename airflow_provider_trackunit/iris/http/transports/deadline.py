"""Ends an answer in time, its head included, for the client for threads.

A timeout of a socket is one for each read, so a server that drips header lines, or says ``100 Continue`` again and
again, is never too slow for it. Here each read may take no longer than what is left for the whole answer.
"""

from __future__ import annotations

import io
import socket
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
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


def ends_at() -> float | None:
    """Return when an answer that begins now has to be whole, by the monotonic clock; None where nobody said."""
    return _ends_at.get()


def limit(sock: Any, until: float) -> None:
    """Let the next thing that is done with a socket take no longer than until then.

    :raises TimeoutError: when the time is over
    """
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the time for this answer is over")
    sock.settimeout(left_s)


class TlsToProxy:
    """A connection to a proxy by TLS, from which TLS inside of it reads as often as it must for one thing.

    So its timeout would be one for each of these reads, and a server that drips a handshake or a record never too slow.
    """

    def __init__(self, sock: Any) -> None:
        self.__dict__["_socket"] = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._socket, name, value)

    def recv(self, size: int) -> bytes:
        """Return what is there, or wait for it.

        :raises TimeoutError: when the time is over
        """
        until = ends_at()
        if until is not None:
            limit(self._socket, until)
        received: bytes = self._socket.recv(size)
        return received


class BytesInTime(io.RawIOBase):
    """A socket's bytes, each read with the time that is left."""

    def __init__(self, sock: socket.socket, ends_at: float) -> None:
        self._socket = sock
        self._bytes = sock.makefile("rb", buffering=0)
        self._ends_at = ends_at
        self._is_over = False

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what is there, or wait for it; nothing more once the answer is over.

        :raises TimeoutError: when the time is over
        """
        if self._is_over:
            return None
        limit(self._socket, self._ends_at)
        return self._bytes.readinto(buffer)

    def end(self) -> None:
        """Read nothing more."""
        self._is_over = True

    def holds_more(self) -> bool:
        """Return whether TLS has unpacked more than was read, or only fetched it: no look at the socket would tell."""
        # TLS inside of TLS, to a proxy, fetches whatever is there; TLS alone never more than it unpacks.
        fetched = getattr(self._socket, "incoming", None)
        tls = getattr(self._socket, "sslobj", self._socket)
        return getattr(tls, "pending", int)() > 0 or (fetched is not None and fetched.pending > 0)

    def hang_up(self) -> None:
        """Let the next request see that the connection has ended."""
        with suppress(OSError):
            # TLS inside of TLS, to a proxy, is no socket but has one.
            getattr(self._socket, "socket", self._socket).shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let the connection go."""
        self._bytes.close()
        super().close()
