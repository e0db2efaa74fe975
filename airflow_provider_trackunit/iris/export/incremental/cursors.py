r"""The state file: how far each item of a request has been read. Pure.

::

    {"version": 1,
    "endpoint": "GET /public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}/Distance/{from}/{until}",
    "request": "5d3c…", "run": {"dag_id": "hours", …}, "until": null,
    "items": {
    "{\"pin\":\"A1\"}": "2026-01-15T00:00:00Z",
    "{\"pin\":\"A2\"}": "2026-01-14T00:00:00Z"},
    "checksum": "77b0…"}

A cursor says that everything from the item's beginning up to it has been read. So it moves only to the end of what
begins at it or before it, and only forward: whatever order runs end in, and whichever of them is cleared and runs
again, no cursor ever passes over what nobody has read. An update that gets lost makes a later run read again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_provider_trackunit.iris.errors import IrisCheckpointError, IrisConfigurationError
from airflow_provider_trackunit.iris.export.manifest import Run, utc_text
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_trackunit.iris.export.incremental.windows import Span

# Raised whenever the meaning of a state changes: one of another version is never half understood.
_VERSION: Final = 1

#: The key of the one cursor of a request without items of its own.
ALL: Final = ""


class Cursors(msgspec.Struct, frozen=True, kw_only=True):
    """How far a request has been read.

    :param endpoint: the request as people know it
    :param request: what tells it from every other; empty for "whichever comes next"
    :param run: the last one that moved a cursor
    :param until: the cursor, where there is one for everything
    :param items: the cursors of the items, by the JSON of their path parameters; None where there is one for everything
    :param checksum: of everything else, so that a file that was cut off or edited never decides what is missing
    """

    version: int = _VERSION
    endpoint: str
    request: str
    run: Run = Run()
    until: str | None = None
    items: dict[str, str] | None = None
    checksum: str = ""

    def cursor_s(self, key: str) -> int | None:
        """Return a cursor in seconds since the epoch; None for what was never read."""
        text = self.until if self.items is None else self.items.get(key)
        return None if text is None else epoch_s(text)

    def advanced(self, read: Mapping[str, Span], start_s: int, run: Run) -> Cursors:
        """Return the state after a run has read so much of each item.

        :param start_s: where the request begins: nothing before it is ever asked for
        """
        moved = {
            key: utc_text(span.end_s)
            for key, span in read.items()
            if _leads_on(self.cursor_s(key), span, start_s)
        }
        if not moved:
            return self
        if self.items is None:
            return msgspec.structs.replace(self, until=moved[ALL], run=run)
        return msgspec.structs.replace(self, items={**self.items, **moved}, run=run)

    def set_back(self, until_s: int, key: str | None) -> Cursors:
        """Return the state with one cursor, or with all, no later than a moment.

        :param key: of an item; None for all
        :raises IrisConfigurationError: when there is no such item
        """
        if self.items is None:
            if key is not None:
                raise IrisConfigurationError("This state has one cursor for everything, and no items")
            return msgspec.structs.replace(self, until=_earlier(self.until, until_s))
        if key is not None and key not in self.items:
            raise IrisConfigurationError(f"There is no item {key} in this state")
        items = {
            name: (_earlier(text, until_s) or text) if key in {None, name} else text
            for name, text in self.items.items()
        }
        return msgspec.structs.replace(self, items=items)


def _leads_on(cursor_s: int | None, span: Span, start_s: int) -> bool:
    """Return whether a span moves a cursor: it reaches beyond it, and leaves no gap."""
    if span.end_s <= span.begin_s:
        return False
    known_s = start_s if cursor_s is None else cursor_s
    return span.begin_s <= max(known_s, start_s) and (cursor_s is None or span.end_s > cursor_s)


def _earlier(text: str | None, until_s: int) -> str | None:
    return None if text is None else utc_text(min(epoch_s(text), until_s))


def key_of(item: Mapping[str, Any]) -> str:
    """Return what names an item in a state: its path parameters as JSON, sorted by name."""
    return msgspec.json.encode(item, order="deterministic").decode()


def epoch_s(text: str) -> int:
    """Return an ISO 8601 moment in whole seconds since the epoch, without a zone in UTC.

    :raises ValueError: when it is none
    """
    moment = dt.datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp())


class _Version(msgspec.Struct):
    version: int


def write_cursors(cursors: Cursors) -> bytes:
    """Return a state as it is stored: JSON with an item a line."""
    members = [
        f'"{name}": {_lines(value) if name == "items" and value else msgspec.json.encode(value).decode()}'
        for name, value in msgspec.structs.asdict(
            msgspec.structs.replace(cursors, checksum=_checksum(cursors))
        ).items()
    ]
    return ("{" + ",\n".join(members) + "}\n").encode()


def _lines(items: Mapping[str, str]) -> str:
    text = msgspec.json.encode
    return (
        "{\n"
        + ",\n".join(f"{text(key).decode()}: {text(items[key]).decode()}" for key in sorted(items))
        + "}"
    )


def _checksum(cursors: Cursors) -> str:
    bare = msgspec.structs.replace(cursors, checksum="")
    return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()


def read_cursors(data: bytes, place: str) -> Cursors:
    """Return a stored state.

    :param place: where it is, for messages
    :raises IrisCheckpointError: when it is cut off, damaged, or of another version; nothing is changed then
    """
    try:
        version = msgspec.json.decode(data, type=_Version).version
        if version != _VERSION:
            raise IrisCheckpointError(
                f"{place} is of version {version}, and this package knows version {_VERSION}. Use the package that "
                "wrote it, or a newer one"
            )
        cursors = msgspec.json.decode(data, type=Cursors)
        if cursors.checksum != _checksum(cursors):
            raise IrisCheckpointError(
                f"{place} was changed by hand or damaged: its checksum is another. {_REMEDY}"
            )
        for key in (ALL, *(cursors.items or ())):
            cursors.cursor_s(key)
    except (*BROKEN_JSON, ValueError) as error:
        raise IrisCheckpointError(f"{place} cannot be read as a state ({error}). {_REMEDY}") from None
    return cursors


_REMEDY: Final = "Put an earlier version of the file back, or delete it: then the next run begins at 'start' and reads everything again"
