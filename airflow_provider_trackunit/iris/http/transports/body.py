"""How much of an answer is read, and how it is unpacked. Pure."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.iris.errors import IrisError, IrisUnexpectedResponseError
from airflow_provider_trackunit.iris.http.transports.trouble import Trouble, failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_trackunit.iris.http.wire import Request

_GZIP_CONTAINER: Final = 31  # zlib's window bits for gzip
_PIECE_BYTES: Final = 256 * 1024


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
        # Not a list of pieces: of two bytes each, as chunks can be, they take twenty times the memory.
        self._kept = io.BytesIO()
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
        return self._kept.getvalue() if complete and not self._left_out else b""

    def _keep(self, piece: bytes) -> None:
        self._kept.write(piece)
        if self._kept.tell() > self._request.max_body_bytes:
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
