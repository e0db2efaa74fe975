"""What the failures of an HTTP library mean, and how much of an answer is read. Pure.

Every library has exceptions of its own. A client says which :class:`Trouble` they are; what that means, and what
to tell a person, is decided here once.
"""

from __future__ import annotations

import ssl
import zlib
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisError,
    IrisNoAnswerError,
    IrisUnexpectedResponseError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_trackunit.iris.http.wire import Request

#: A server that is there accepts a connection at once; the whole timeout is for the answer.
CONNECT_TIMEOUT_S: Final = 10.0

#: More connections than any sensible max_concurrency, so that no thread throws its connection away; for an event
#: loop the most that are open at once.
MAX_CONNECTIONS: Final = 64


# The parts of OpenSSL that read a file of certificates.
_LIBRARIES_OF_FILES: Final = frozenset({"X509", "PEM", "ASN1"})

_GZIP_CONTAINER: Final = 31  # zlib's window bits for gzip
_PIECE_BYTES: Final = 256 * 1024


class Trouble(Enum):
    """The ways in which no answer comes."""

    UNTRUSTED = auto()
    NO_TLS = auto()
    NO_ROOTS = auto()
    UNUSABLE_PROXY = auto()
    PROXY = auto()
    UNREACHABLE = auto()
    SLOW_CONNECT = auto()
    SLOW_ANSWER = auto()
    BROKEN = auto()
    #: The two that happen after the head of the answer came.
    SLOW_BODY = auto()
    CUT_BODY = auto()


_IF_TLS_FAILS: Final = "The server is overloaded or restarts, or it speaks no TLS: if it stays so, check the URL in the connection"
_OF_THIS_MACHINE: Final = {
    Trouble.NO_ROOTS: "the file of trusted certificates cannot be read. Check CA bundle (extra 'ca_bundle') of the "
    "connection, or REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE of the environment",
    Trouble.UNUSABLE_PROXY: "the environment names a proxy that cannot be used. Check HTTPS_PROXY and ALL_PROXY: "
    "http://host:port, or https://host:port",
}


def failure(request: Request, trouble: Trouble) -> IrisError:
    """Return the error. The library's own text is left out: it can hold the whole URL."""
    origin = "/".join(request.url.split("/", 3)[:3])
    if trouble is Trouble.UNTRUSTED:
        return IrisConfigurationError(
            f"{request.label}: the TLS certificate of {origin} is not trusted here. On a network that inspects TLS, "
            "set CA bundle (extra 'ca_bundle') of the connection to the PEM file of its root"
        )
    if trouble in _OF_THIS_MACHINE:
        return IrisConfigurationError(f"{request.label}: {_OF_THIS_MACHINE[trouble]}")
    what, sent = {
        Trouble.PROXY: ("the proxy named by the environment did not connect", False),
        Trouble.UNREACHABLE: (
            f"no connection to {origin}. Check the URL in the connection, and the network",
            False,
        ),
        Trouble.SLOW_CONNECT: (f"{origin} did not accept a connection in time", False),
        Trouble.NO_TLS: (f"no TLS connection to {origin}. {_IF_TLS_FAILS}", True),
        Trouble.SLOW_ANSWER: (f"{origin} did not answer in time", True),
        Trouble.BROKEN: (f"the connection to {origin} broke off", True),
        Trouble.SLOW_BODY: ("the answer was not complete in time", True),
        Trouble.CUT_BODY: ("the answer broke off", True),
    }[trouble]
    return IrisNoAnswerError(f"{request.label}: {what}", sent=sent)


def trouble_with_tls(error: BaseException) -> Trouble:
    """Return what an error of TLS means: only a certificate that is not trusted is one that a person has to mend.

    An alert of the server, an end in the middle of the handshake or an answer without TLS comes from servers that
    are overloaded or restart. HTTP libraries wrap the error of ``ssl`` several deep, each in its own way.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble.UNTRUSTED
    if getattr(error, "library", None) in _LIBRARIES_OF_FILES:
        return Trouble.NO_ROOTS
    inner = (error.__cause__, getattr(error, "reason", None), *error.args)
    found = (trouble_with_tls(one) for one in inner if isinstance(one, Exception))
    return next((one for one in found if one is not Trouble.NO_TLS), Trouble.NO_TLS)


class Body:
    """The body of one answer while it arrives, decompressed here and not by the HTTP libraries.

    Some of their releases unpack whatever a server says is packed, as often as it says so, and all at once: a
    kilobyte can become all of the memory.

    The body of an error is there for its text alone: where it cannot be read it is empty, and the status tells all.

    :param coding: the ``Content-Encoding`` of the answer
    :param ends_at: when it has to be complete, by ``clock``
    :raises IrisUnexpectedResponseError: when a success is packed in a way that nobody asked for
    """

    def __init__(
        self, request: Request, status: int, coding: str, ends_at: float, clock: Callable[[], float]
    ) -> None:
        self._request = request
        self._status = status
        self._ends_at = ends_at
        self._clock = clock
        self._chunks: list[bytes] = []
        self._size = 0
        coding = coding.strip().lower()
        known = coding in {"", "identity", "gzip", "x-gzip"}
        self._of_error = not 200 <= status < 300
        self._left_out = self._of_error and not known
        if not known and not self._of_error:
            raise IrisUnexpectedResponseError(
                f"{request.label}: the answer is compressed in a way that was not asked for. A proxy on the way may "
                "be changing answers",
                status=status,
            )
        self._gzip = _new_gunzip() if "gzip" in coding else None
        self._begun = False

    def take(self, chunk: bytes) -> None:
        """Keep what arrived.

        :raises IrisUnexpectedResponseError: when it is more than any page
        :raises IrisNoAnswerError: when a dripping server has used up the time, or what came cannot be unpacked
        """
        if not self._left_out:
            self._take(chunk)
        if self._clock() > self._ends_at:
            raise failure(self._request, Trouble.SLOW_BODY)

    def _take(self, chunk: bytes) -> None:
        try:
            for piece in (chunk,) if self._gzip is None else self._unpacked(chunk):
                self._keep(piece)
        except IrisError:
            if not self._of_error:
                raise
            self._left_out = True

    def whole(self) -> bytes:
        """Return all of it.

        :raises IrisNoAnswerError: when it was packed and its end is missing
        """
        complete = not self._begun or self._gzip is None or self._gzip.eof
        if not complete and not self._of_error:
            raise failure(self._request, Trouble.CUT_BODY)
        return b"".join(self._chunks) if complete and not self._left_out else b""

    def _keep(self, piece: bytes) -> None:
        self._chunks.append(piece)
        self._size += len(piece)
        if self._size > self._request.max_body_bytes:
            raise IrisUnexpectedResponseError(
                f"{self._request.label}: the answer is larger than {self._request.max_body_bytes // 2**20} MiB; it was "
                "not read further. A page can be asked for with fewer records; anything else does not come from IRIS: "
                "check host and Auth URL of the connection",
                status=self._status,
            )

    def _unpacked(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what a chunk holds, in pieces that are not large however well it was packed."""
        full = False
        while chunk or full:
            if self._gzip is None or self._gzip.eof:
                self._gzip = _new_gunzip()  # one file after the other is one file
            self._begun = True
            try:
                piece = self._gzip.decompress(chunk, _PIECE_BYTES)
            except zlib.error:
                piece = None
            if piece is None:
                raise failure(self._request, Trouble.CUT_BODY)
            yield piece
            chunk = self._gzip.unused_data if self._gzip.eof else self._gzip.unconsumed_tail
            full = len(piece) == _PIECE_BYTES and not self._gzip.eof  # there may be more inside


def _new_gunzip() -> Any:
    return zlib.decompressobj(_GZIP_CONTAINER)


def readable(ca_bundle: str) -> str:
    """Return the path of the CA bundle, which has to exist on this machine."""
    try:
        found = Path(ca_bundle).is_file()
    except OSError:  # a name longer than any file can have
        found = False
    if not found:
        shown = "".join(char if char.isprintable() else "?" for char in ca_bundle[:200])
        raise IrisConfigurationError(
            f"CA bundle (extra 'ca_bundle'): there is no file {shown} on this machine"
        )
    return ca_bundle
