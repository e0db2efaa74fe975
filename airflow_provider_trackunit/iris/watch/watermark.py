"""How far a watcher has come in a collection that grows, and which records are new to it. Pure.

A watermark is the newest value of one member (the newest ``timeOn``). Records that share it can still arrive
later, so those that were seen at it are remembered, by a short digest of their ``id``: all of them in memory, and in
what is stored as many as there is room for, else how many they are and a sum of them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_provider_trackunit.iris.calls import utc_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from airflow_provider_trackunit.iris.pages.page import Page
    from airflow_provider_trackunit.iris.watch.conditions import Condition

# So many digests are stored one by one; it keeps the stored state below 20 KB. Airflow warns from 64 KB on.
_MOST_AT_IT: Final = 1000

_DIGEST_CHARS: Final = 16

# A whole number written as text. What is longer is none, and Python refuses to read what is very much longer.
_MOST_DIGITS: Final = 100

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Mark:
    """One record: the value it is ordered by, and a digest that tells it from others."""

    value: Value
    digest: str


class Crowd(msgspec.Struct, frozen=True):
    """Records that share a watermark and are too many to be stored one by one: how many, and the sum of their digests."""

    count: int
    sum: str

    @classmethod
    def of(cls, digests: Collection[str]) -> Crowd:
        """Return what tells these records from any others, in whatever order they come."""
        total = sum(int(digest, 16) for digest in digests) % 16**_DIGEST_CHARS
        return cls(len(digests), f"{total:x}")


class Seen(msgspec.Struct, frozen=True):
    """How far a watcher has come: the newest value, and the records seen at it.

    :param at_it: their digests
    :param crowd: in the place of these, when they were read from where only so much is stored
    """

    value: Value
    at_it: frozenset[str] = frozenset()
    crowd: Crowd | None = None

    def knowing(self, marks: Iterable[Mark]) -> Seen:
        """Return the same with the digests of a crowd, taken from the first look at the records since it was read.

        Where there are more than were seen, or others, it cannot be told which: as many count as seen as were.
        """
        if self.crowd is None:
            return self
        here = frozenset(mark.digest for mark in marks if _order(mark.value) == _order(self.value))
        if len(here) < self.crowd.count or Crowd.of(here) == self.crowd:
            return Seen(self.value, here)
        return Seen(self.value, frozenset(sorted(here)[: min(self.crowd.count, len(here) - 1)]))

    def is_behind(self, value: Value) -> bool:
        """Return whether a value is beyond this one."""
        return _order(self.value) < _order(value)

    def is_new(self, mark: Mark) -> bool:
        """Return whether a record is beyond this."""
        if _order(mark.value) == _order(self.value):
            return mark.digest not in self.at_it
        return self.is_behind(mark.value)


#: Where a watcher stands that looked and found nothing: everything is beyond an empty text.
NOTHING_YET: Final = Seen("")


def oldest(several: Iterable[Seen]) -> Seen | None:
    """Return the one that has come least far."""
    return min(several, key=lambda seen: _order(seen.value), default=None)


def read_marks(page: Page, expression: Condition) -> list[Mark]:
    """Return the marks of a page. A record without a usable value has no place in the order and is left out."""
    marks = []
    for raw, record in zip(page.raw_records, page.records, strict=True):
        value = expression.value(record)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and _has_a_place(value):
            marks.append(Mark(value, _digest(record, bytes(raw))))
    return marks


def newest(values: Iterable[Value]) -> Value | None:
    """Return the greatest of some values, None of none."""
    return max(values, key=_order, default=None)


def advance(seen: Seen | None, marks: Sequence[Mark]) -> tuple[int, Seen]:
    """Return how many records are new, and how far the watcher has come with them.

    :param seen: None before the first look
    """
    known = None if seen is None else seen.knowing(marks)
    new = [mark for mark in marks if known is None or known.is_new(mark)]
    if not new:
        return 0, NOTHING_YET if seen is None else seen
    # One record can be there twice, with a newer value as well: it changed while it was read.
    value = max((mark.value for mark in new), key=_order)
    at_it = frozenset(mark.digest for mark in new if _order(mark.value) == _order(value))
    if known is not None and _order(value) == _order(known.value):
        at_it |= known.at_it
    return len({mark.digest for mark in new}), Seen(value, at_it)


def stored(seen: Seen) -> dict[str, Any]:
    """Return what to store of it: plain JSON that stays small; :func:`read_seen` is the other direction."""
    if seen.crowd is None and len(seen.at_it) <= _MOST_AT_IT:
        return {"value": seen.value, "at_it": sorted(seen.at_it)}
    return {"value": seen.value, "crowd": msgspec.to_builtins(seen.crowd or Crowd.of(seen.at_it))}


def read_seen(found: Any) -> Seen | None:
    """Return what was stored, None when it is nothing or cannot be read."""
    try:
        seen = msgspec.convert(found, Seen)
    except msgspec.ValidationError:
        return None
    return seen if _has_a_place(seen.value) else None


def fill_window(value: Any, watermark: Value, now: dt.datetime) -> Any:
    """Return a query or body with ``{watermark}`` and ``{now}`` replaced in its texts.

    A watermark that is a time is filled in a second earlier and without a fraction: what is asked for twice is
    recognised, what falls between two ways to round is lost.
    """
    if isinstance(value, dict):
        return {name: fill_window(one, watermark, now) for name, one in value.items()}
    if isinstance(value, list):
        return [fill_window(one, watermark, now) for one in value]
    if not isinstance(value, str):
        return value
    return value.replace("{watermark}", _begin(watermark)).replace("{now}", utc_text(now))


def _begin(watermark: Value) -> str:
    moment = _moment(watermark)
    try:
        return str(watermark) if moment is None else utc_text(moment - dt.timedelta(seconds=1))
    except OverflowError:
        # At the end of the calendar, where there is no second earlier and no time in UTC.
        return str(watermark)


def has_window(value: Any) -> bool:
    """Return whether a query or body names ``{watermark}``."""
    if isinstance(value, dict | list):
        return any(has_window(one) for one in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and "{watermark}" in value


def _order(value: Value) -> tuple[int, float, str]:
    """Return what orders values: times by the moment they name and numbers by their size, however they are written.

    Any other text is before all of them: a single "unknown" among times must not stand beyond everything that comes.
    """
    if isinstance(value, str) and _is_number(value):
        value = int(value)
    if not isinstance(value, str):
        # As it is: a whole number can be too long for a float, or differ only in its last digit.
        return (1, value, "")
    moment = _moment(value)
    return (0, 0.0, value) if moment is None else (2, moment.timestamp(), "")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def _has_a_place(value: Value) -> bool:
    """Return whether something can be newer than this: nothing is newer than infinity, or than what is no number.

    JMESPath makes them of text (``to_number``), and a watcher that came so far would stand still.
    """
    return not isinstance(value, float) or math.isfinite(value)


def _moment(value: Value) -> dt.datetime | None:
    if not isinstance(value, str) or _is_number(value):
        # Eight digits are a day as well, but of the numbers that are counted up only some are.
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _digest(record: Any, raw: bytes) -> str:
    own = record.get("id") if isinstance(record, dict) else None
    return hashlib.sha256(str(own).encode() if isinstance(own, str | int) and own != "" else raw).hexdigest()[
        :_DIGEST_CHARS
    ]
