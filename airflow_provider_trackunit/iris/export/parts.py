"""Records become the bytes of a part: JSON Lines, compressed or not, without decoding a record.

A part is finished in memory and handed over as one piece, so that it can be written in one call. Pure.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_provider_trackunit.iris.errors import IrisConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Compressing costs more than everything else a transfer does; level 1 of zlib takes about a third of the CPU of its
# default, and the files grow by about a fifth.
_GZIP_LEVEL: Final = 1
_GZIP_CONTAINER: Final = 31  # zlib's window bits for a gzip header and trailer, without file name and time


class PartBuffer:
    """The part that is being filled.

    :param compression: ``"gzip"`` or None
    """

    def __init__(self, compression: str | None) -> None:
        if compression not in {"gzip", None}:
            raise IrisConfigurationError(f"compression: {compression!r} is not known; give 'gzip' or None")
        self.records = 0
        self.raw_bytes = 0
        self._data = io.BytesIO()
        self._gzip = _new_gzip() if compression else None

    def add(self, records: Sequence[msgspec.Raw], request: bytes | None = None) -> None:
        """Append records, one a line.

        :param request: the item they belong to, as :func:`request_member` gives it
        """
        if not records:
            return
        lines = records if request is None else [_with_request(record, request) for record in records]
        block = b"\n".join(lines) + b"\n"
        self.records += len(records)
        self.raw_bytes += len(block)
        self._data.write(block if self._gzip is None else self._gzip.compress(block))

    def finish(self) -> bytes:
        """Return the whole part; the buffer is used up."""
        if self._gzip is not None:
            self._data.write(self._gzip.flush())
        return self._data.getvalue()


def _new_gzip() -> Any:
    """Return a compressor that writes one gzip member.

    isal does the same work as zlib in about a quarter of the time and writes no larger files; it is there on every
    platform that it has a build for.
    """
    try:
        from isal import isal_zlib as library
    except ImportError:
        import zlib as library  # type: ignore[no-redef]
    return library.compressobj(_GZIP_LEVEL, library.DEFLATED, _GZIP_CONTAINER)


def request_member(path_params: Mapping[str, Any]) -> bytes:
    """Return the first member of every record of an item: ``{"_request":{...}``, without the closing brace."""
    return b'{"_request":' + msgspec.json.encode(path_params)


def _with_request(record: msgspec.Raw, request: bytes) -> bytes:
    text = bytes(record)
    if not text.startswith(b"{"):
        return request + b',"value":' + text + b"}"  # a list of ids, say, has no members to join
    rest = text[1:].lstrip()
    return request + (rest if rest.startswith(b"}") else b"," + rest)
