"""Records as JSON Lines, as they were received: compressed, or as they are. Pure."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.export.formats.draft import Form

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow_provider_trackunit.iris.export.formats.draft import Encoding

# Compressing costs more than everything else a transfer does; level 1 of zlib takes about a third of the CPU of its
# default, and the files grow by about a fifth.
_GZIP_LEVEL: Final = 1

# Eight windows of the compression: what is lost at the seams of the blocks is below a hundredth.
_BLOCK_BYTES: Final = 256 * 1024

# RFC 1952, 2.3: no name, no time, unknown operating system.
_GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# RFC 1951, 3.2.6: an empty last block.
_DEFLATE_END: Final = b"\x03\x00"


@dataclass(frozen=True, slots=True)
class _Deflated:
    data: bytes
    crc: int
    raw_bytes: int
    bad_values: Mapping[str, int] = field(default_factory=dict)
    filled: frozenset[str] = frozenset()


class _Untyped:
    """A format without columns."""

    def judge(self, filled: Collection[str], records: int) -> None:
        """Find nothing wrong."""


class GzipLines(_Untyped):
    """JSON Lines as one gzip member. Each block is compressed by itself and ends on a byte, so that they can be joined."""

    form = Form("jsonl", "gzip", ".jsonl.gz", _BLOCK_BYTES)

    def encode(self, lines: bytes, before: _Deflated | None) -> _Deflated:
        """Return the lines compressed, with the checksum of all lines so far."""
        library = _zlib()
        compressor = library.compressobj(_GZIP_LEVEL, library.DEFLATED, -library.MAX_WBITS)
        data = compressor.compress(lines) + compressor.flush(library.Z_FULL_FLUSH)
        crc, size = (before.crc, before.raw_bytes) if before else (0, 0)
        return _Deflated(data, library.crc32(lines, crc), size + len(lines))

    def join(self, blocks: Sequence[_Deflated]) -> bytes:
        """Return the whole gzip file."""
        crc, size = (blocks[-1].crc, blocks[-1].raw_bytes) if blocks else (0, 0)
        trailer = struct.pack("<LL", crc, size & 0xFFFFFFFF)
        return b"".join((_GZIP_HEADER, *(block.data for block in blocks), _DEFLATE_END, trailer))


@dataclass(frozen=True, slots=True)
class _Plain:
    data: bytes
    bad_values: Mapping[str, int] = field(default_factory=dict)
    filled: frozenset[str] = frozenset()


class PlainLines(_Untyped):
    """JSON Lines as they are."""

    form = Form("jsonl", None, ".jsonl", _BLOCK_BYTES)

    def encode(self, lines: bytes, before: object) -> _Plain:
        """Return the lines as they are."""
        return _Plain(lines)

    def join(self, blocks: Sequence[_Plain]) -> bytes:
        """Return the lines of all blocks."""
        return b"".join(block.data for block in blocks)


def lines_encoding(compression: str | None) -> Encoding:
    """Return how JSON Lines are written.

    :raises IrisConfigurationError: when the compression is not known
    """
    if compression not in {"gzip", None}:
        raise IrisConfigurationError(f"compression: {compression!r} is not known; give 'gzip' or None")
    return GzipLines() if compression else PlainLines()


def _zlib() -> Any:
    """Return what compresses.

    isal does the same work as zlib in about a quarter of the time and writes no larger files; it is there on every
    platform that it has a build for.
    """
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib
