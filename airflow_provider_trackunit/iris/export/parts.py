"""Records become the bytes of a part. Nothing here is ever changed: adding to a draft gives a new one.

A draft gathers records as lines of JSON, undecoded, and encodes them a block at a time; a part is its blocks, joined.
So a draft of any moment can be finished, whatever was tried on it since. Pure.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from airflow_provider_trackunit.iris.errors import IrisConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_trackunit.iris.export.manifest import Column

# Compressing costs more than everything else a transfer does; level 1 of zlib takes about a third of the CPU of its
# default, and the files grow by about a fifth.
_GZIP_LEVEL: Final = 1

# Eight windows of the compression: what is lost at the seams of the blocks is below a hundredth.
_BLOCK_BYTES: Final = 256 * 1024

# RFC 1952, 2.3: no name, no time, unknown operating system.
_GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# RFC 1951, 3.2.6: an empty last block.
_DEFLATE_END: Final = b"\x03\x00"


class Block(Protocol):
    """Some of the lines of a part, encoded."""

    @property
    def bad_values(self) -> Mapping[str, int]:
        """How many values of a column did not fit and became null."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """What a file format is, as the manifest says it.

    :param suffix: of the files
    :param block_bytes: so many bytes of lines are gathered before they are encoded
    :param columns: of a typed format, None for JSON Lines
    :param meaning: what else a part of this format depends on, for the fingerprint of the request
    """

    format: str
    compression: str | None
    suffix: str
    block_bytes: int
    columns: tuple[Column, ...] | None = None
    meaning: str = ""


class Encoding(Protocol):
    """A file format: how lines become blocks, and blocks a file. It has no state."""

    @property
    def form(self) -> Form:
        """What the manifest says of it."""
        ...

    def encode(self, lines: bytes, before: Any) -> Any:
        """Return the block of these lines.

        :param before: the block before it in the part, None for the first
        """
        ...

    def join(self, blocks: Sequence[Any]) -> bytes:
        """Return the file of these blocks; without any, a file without records."""
        ...


@dataclass(frozen=True, slots=True)
class Draft:
    """The part that is being filled.

    :param lines: what is not encoded yet
    :param raw_bytes: the size of all lines
    """

    blocks: tuple[Any, ...] = ()
    lines: tuple[bytes, ...] = ()
    line_bytes: int = 0
    records: int = 0
    raw_bytes: int = 0

    def adding(
        self, encoding: Encoding, records: Sequence[msgspec.Raw], request: bytes | None = None
    ) -> Draft:
        """Return the draft with more records, one a line.

        :param request: the item they belong to, as :func:`request_member` gives it
        """
        if not records:
            return self
        lines = records if request is None else [_with_request(record, request) for record in records]
        text = b"\n".join(lines) + b"\n"
        grown = Draft(
            blocks=self.blocks,
            lines=(*self.lines, text),
            line_bytes=self.line_bytes + len(text),
            records=self.records + len(records),
            raw_bytes=self.raw_bytes + len(text),
        )
        return grown.encoded(encoding) if grown.line_bytes >= encoding.form.block_bytes else grown

    def encoded(self, encoding: Encoding) -> Draft:
        """Return the draft with all of its lines encoded."""
        if not self.lines:
            return self
        block = encoding.encode(b"".join(self.lines), self.blocks[-1] if self.blocks else None)
        return Draft((*self.blocks, block), records=self.records, raw_bytes=self.raw_bytes)

    def bad_values(self) -> dict[str, int]:
        """Return how many values of each column did not fit, in what is encoded."""
        found: dict[str, int] = {}
        for block in self.blocks:
            add_counts(found, block.bad_values)
        return found


def add_counts(counts: dict[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Add counts to others by their names, and return those."""
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count
    return counts


@dataclass(frozen=True, slots=True)
class _Deflated:
    data: bytes
    crc: int
    raw_bytes: int
    bad_values: Mapping[str, int] = field(default_factory=dict)


class GzipLines:
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


class PlainLines:
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


def request_member(path_params: Mapping[str, Any]) -> bytes:
    """Return the first member of every record of an item: ``{"_request":{...}``, without the closing brace."""
    return b'{"_request":' + msgspec.json.encode(path_params)


def _with_request(record: msgspec.Raw, request: bytes) -> bytes:
    text = bytes(record)
    if not text.startswith(b"{"):
        return request + b',"value":' + text + b"}"  # a list of ids, say, has no members to join
    rest = text[1:].lstrip()
    return request + (rest if rest.startswith(b"}") else b"," + rest)
