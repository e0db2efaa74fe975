"""Tells where an answer begins and where it ends, for the client for threads.

``http.client`` reads what it can, and takes that for all of it. Here a line that the end of the connection cuts off is none,
of the head or of what frames the body; nor is a head of which it reads only a part, that leaves open how long the body is, or
that only announces another. And what comes behind an answer is not the next one.
"""

from __future__ import annotations

import email.errors
import http.client
import io
import queue
from typing import TYPE_CHECKING, Any, Final

import requests.adapters
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from airflow_provider_trackunit.iris.http.transports.deadline import BytesInTime, TlsToProxy, ends_at, limit
from airflow_provider_trackunit.iris.http.transports.trouble import LONGEST_LINE_BYTES

if TYPE_CHECKING:
    import socket

_LEFT_OUT: Final = (
    email.errors.MissingHeaderBodySeparatorDefect,
    email.errors.FirstHeaderLineIsContinuationDefect,
)

# Those of 2**64: no body is longer. At more than 4300 of them Python says that it is no number, and http.client then
# takes whatever comes.
_MOST_DIGITS: Final = 20


class WholeAnswers(requests.adapters.HTTPAdapter):
    """Sends as requests does, and gives no answer but a whole one, in the time that :func:`~.deadline.answer_within` says."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Make the pools of connections."""
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
        """Return the pools of connections to a proxy."""
        pools = super().proxy_manager_for(*arguments, **named)
        pools.pool_classes_by_scheme = _POOLS
        return pools

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return the answer with its status and its headers.

        Nobody asks it for cookies, nor for the encoding of its text: requests looks for that in every answer, and some of its
        releases fail at a ``charset`` without a value.
        """
        answer = requests.Response()
        answer.status_code, answer.raw, answer.request = resp.status, resp, req
        answer.headers = CaseInsensitiveDict(resp.headers)
        return answer


class _Reader(io.BufferedReader):
    """What an answer is read from."""

    raw: BytesInTime

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return a line of the head, or of what frames the body.

        :raises http.client.RemoteDisconnected: when the connection ended within it. http.client takes what came for all of
            it: half a head for a whole one, and the first zero of ``00a0``, the size of a chunk, for the end of the body
        :raises http.client.HTTPException: when there is a break within it, which http.client takes for the end of it only
            later, or a NUL; no header can have either (RFC 9110, 5.5)
        """
        line = super().readline(size)
        if not line.endswith(b"\n") and (size is None or size < 0 or len(line) < size):
            raise http.client.RemoteDisconnected("the answer ended within a line")
        if b"\r" in line.removesuffix(b"\n").removesuffix(b"\r") or b"\0" in line:
            raise http.client.HTTPException("a line with a character that it cannot have")
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        """Return so many bytes of a body.

        :raises http.client.HTTPException: when it is less than none, as http.client understands a chunk of ``-1``
        """
        if size is None or size < 0:
            raise http.client.HTTPException("a chunk of less than nothing")
        return super().read(size)

    def close(self) -> None:
        """Let the connection go, for good where something came behind the answer: the next one would begin with it."""
        if not self.closed:
            self.raw.end()
            if self.peek(1) or self.raw.holds_more():
                self.raw.hang_up()
        super().close()


class _Opened:
    """What an answer is read from, in the shape that ``http.client`` asks for."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._bytes = BytesInTime(sock, until)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the file, which is read as bytes."""
        return _Reader(self._bytes)


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: Any, *arguments: Any, **named: Any) -> None:
        until = ends_at()
        # Of a socket http.client wants no more than the file.
        read_from: Any = sock if until is None else _Opened(sock, until)
        super().__init__(read_from, *arguments, **named)

    def _read_status(self) -> tuple[str, int, str]:
        """Return the first line of a head, behind those that only announce it.

        Of these http.client knows 100. It takes 102 and 103 for the answer, and the answer that follows for that to the next
        request on the same connection; and any of them for the refusal of a proxy.
        """
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return version, status, reason
            while self.fp.readline(LONGEST_LINE_BYTES) not in {b"\r\n", b"\n", b""}:
                pass

    def begin(self) -> None:
        """Read the head.

        :raises http.client.HTTPException: when it is not a head that says where the body ends, or that there is none
        """
        super().begin()
        if not _is_whole(self.headers) or not _is_framed(self.headers):
            raise http.client.HTTPException("a head that cannot be read")
        if self.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
            raise http.client.HTTPException("another protocol, which nobody asked for")
        if self.length == 0:
            # 204 and 304 have no body (RFC 9112, 6.3); http.client would wait for the chunks that some servers announce.
            self.chunked = False


def _is_whole(head: http.client.HTTPMessage) -> bool:
    """Return whether all lines were read.

    At one that is no header the parser stops, and leaves out those behind it; and a first one that begins with a blank.
    """
    return not any(isinstance(one, _LEFT_OUT) for one in head.defects)


def _is_framed(head: http.client.HTTPMessage) -> bool:
    """Return whether it is plain how long the body is.

    Where http.client cannot read that, it takes whatever comes before the end of the connection.
    """
    lengths = {length.strip() for length in head.get_all("Content-Length", [])}
    codings = [coding.lower() for coding in head.get_all("Transfer-Encoding", [])]
    return (
        len(lengths) <= 1
        and all(length.isascii() and length.isdigit() and len(length) <= _MOST_DIGITS for length in lengths)
        and codings in ([], ["chunked"], ["identity"])
    )


class _PlainConnection(HTTPConnection):
    response_class = _Answer

    def send(self, data: Any) -> None:
        """Send, for as long as is left of the time for the answer; urllib3 would for as long as it may connect."""
        until = ends_at()
        if self.sock is not None and until is not None:
            limit(self.sock, until)
        super().send(data)


class _TlsConnection(_PlainConnection, HTTPSConnection):
    """Over TLS all is the same."""

    def _connect_tls_proxy(self, *arguments: Any, **named: Any) -> Any:
        return TlsToProxy(super()._connect_tls_proxy(*arguments, **named))


class _Spare:
    """The connections of a pool that nobody uses; the last one that came back goes first.

    The queue of urllib3's own has a lock. An exception of a signal's handler can leave it held, and a handler that asks for
    something itself can wait for it for ever: it may have come while its own thread held it.
    """

    def __init__(self, maxsize: int) -> None:
        self._kept: list[Any] = []
        self._maxsize = maxsize

    def qsize(self) -> int:
        """Return how many there are."""
        return len(self._kept)

    def put(self, one: Any, **_named: Any) -> None:
        """Keep a connection.

        :raises queue.Full: when there are enough
        """
        if len(self._kept) >= self._maxsize:
            raise queue.Full
        self._kept.append(one)

    def get(self, **_named: Any) -> Any:
        """Give a connection away.

        :raises queue.Empty: when there is none
        """
        try:
            return self._kept.pop()
        except IndexError:
            raise queue.Empty from None


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection
    QueueCls: Any = _Spare


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
    QueueCls: Any = _Spare


_POOLS: Final = {"http": _PlainPool, "https": _TlsPool}
