"""Records become the bytes of a part, whatever its format. Nothing here is ever changed: adding to a draft gives a new one.

A draft gathers records as lines of JSON, undecoded, and encodes them a block at a time; a part is its blocks, joined.
So a draft of any moment can be finished, whatever was tried on it since. Pure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow_provider_trackunit.iris.export.manifest import Column


class Block(Protocol):
    """Some of the lines of a part, encoded."""

    @property
    def bad_values(self) -> Mapping[str, int]:
        """How many values of a column did not fit and became null."""
        ...

    @property
    def filled(self) -> frozenset[str]:
        """The columns that something in it was taken for, null or not."""
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

    def encode(self, lines: bytes, before: Any) -> Block:
        """Return the block of these lines.

        :param before: the block before it in the part, None for the first
        """
        ...

    def join(self, blocks: Sequence[Any]) -> bytes:
        """Return the file of these blocks; without any, a file without records."""
        ...

    def judge(self, filled: Collection[str], records: int) -> None:
        """Say what is wrong with the columns of a whole result.

        :param filled: those that something was found for
        :raises IrisUnexpectedResponseError: when the caller wants to fail for it
        """
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

    def bad_values(self) -> Counter[str]:
        """Return how many values of each column did not fit, in what is encoded."""
        found: Counter[str] = Counter()
        for block in self.blocks:
            found.update(block.bad_values)
        return found

    def filled(self) -> frozenset[str]:
        """Return the columns that something was found for, in what is encoded."""
        return frozenset().union(*(block.filled for block in self.blocks))


def request_member(path_params: Mapping[str, Any]) -> bytes:
    """Return the first member of every record of an item: ``{"_request":{...}``, without the closing brace."""
    return b'{"_request":' + msgspec.json.encode(path_params)


def _with_request(record: msgspec.Raw, request: bytes) -> bytes:
    text = bytes(record)
    if not text.startswith(b"{"):
        return request + b',"value":' + text + b"}"  # a list of ids, say, has no members to join
    rest = text[1:].lstrip()
    return request + (rest if rest.startswith(b"}") else b"," + rest)
