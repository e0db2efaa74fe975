"""Records taken apart into columns, so that nothing of a record is lost: what no column takes stays in the rest.

Many records are taken apart together, a member at a time, because a column can be read much faster than its
values one by one. A value that does not fit is null in its column and stays in the rest. A member that is null is as
good as none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from airflow_provider_trackunit.iris.export.typed.declaring import REST, spellings_of, steps_of
from airflow_provider_trackunit.iris.export.typed.values import (
    read_each,
    read_lists,
    read_objects,
    reader_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_trackunit.iris.catalogue.columns.column import Column
    from airflow_provider_trackunit.iris.export.typed.paths import Step
    from airflow_provider_trackunit.iris.export.typed.values import Raw


class Misfit(NamedTuple):
    """A value that did not fit: the column and the record by their places, and the JSON type."""

    column: int
    record: int
    kind: str


class Taken(NamedTuple):
    """Some records as columns.

    :param values: of each column, one a record; None for a column without any
    """

    records: int
    values: tuple[list[Any] | None, ...]
    misfits: tuple[Misfit, ...]

    def column(self, number: int) -> Iterable[Any]:
        """Return the values of a column."""
        values = self.values[number]
        return repeat(None, self.records) if values is None else values


# What is left of an object, undecoded but for the objects in it that a column looks into.
_Members = dict["Step", Any]
# Each record is held in an object of its own, so that it is taken like any member.
_RECORD: Final = ""
# Where something goes back to, and what.
_Left = tuple[_Members, Any]


class _Found(NamedTuple):
    """A member of one name, wherever it was found: in which record, in which holder, and undecoded."""

    rows: Sequence[int]
    holders: Sequence[_Members]
    raws: Sequence[Raw]


@dataclass(slots=True)
class _Place:
    """A place in a record that a column takes, or that has such places in it.

    :param spellings: what its member may be called
    :param columns: all that are filled from here
    """

    spellings: tuple[Step, ...]
    columns: list[int] = field(default_factory=list)
    below: dict[Step, _Place] = field(default_factory=dict)


class Taker:
    """Takes records apart.

    :param columns: as :func:`~airflow_provider_trackunit.iris.export.typed.declaring.columns_for` gives them
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._record = _Place((_RECORD,))
        for number, column in enumerate(columns):
            if column is not REST:
                self._plant(column, number)

    def take(self, records: Sequence[bytes]) -> Taken:
        """Return records as columns."""
        page = _Page(self._columns, len(records))
        holders: list[_Members] = [{_RECORD: record} for record in records]
        page.take(self._record, range(len(records)), holders)
        page.keep_rest(holders)
        return Taken(len(records), tuple(page.values), tuple(page.misfits))

    def _plant(self, column: Column, number: int) -> None:
        place = self._record
        place.columns.append(number)
        for step in steps_of(column):
            spellings = spellings_of(step, any_case=column.any_case)
            place = place.below.setdefault(min(spellings), _Place(spellings))
            place.columns.append(number)


class _Page:
    """Records on their way into columns."""

    def __init__(self, columns: Sequence[Column], records: int) -> None:
        self._columns = columns
        self._records = records
        self.values: list[list[Any] | None] = [None] * len(columns)
        self.misfits: list[Misfit] = []

    def take(self, place: _Place, rows: Sequence[int], holders: Sequence[_Members]) -> None:
        """Take a member out of the holders that have it; what is not used of it goes back.

        :param rows: which record each holder is, or is a part of
        """
        for name in place.spellings:
            raws: Sequence[Any] = [holder.pop(name, None) for holder in holders]
            if all(raws):
                found = _Found(rows, holders, raws)
            else:
                having = [one for one in zip(rows, holders, raws, strict=True) if one[2] is not None]
                if not having:
                    continue
                found = _Found(*zip(*having, strict=True))
            for holder, left in self._enter(place, found) if place.below else self._fill(place, found):
                holder[name] = left

    def _fill(self, place: _Place, found: _Found) -> list[_Left]:
        """Put values into their column and return what it did not take."""
        number = place.columns[0]
        values, misfits = read_each(reader_of(self._columns[number]), found.raws)
        left = self._misfits(place, found, misfits)
        filled = self.values[number]
        if filled is None and len(values) == self._records:
            self.values[number] = values
            return left
        filled = filled or [None] * self._records
        for row, holder, raw, value in zip(*found, values, strict=True):
            if filled[row] is None:
                filled[row] = value
            elif value is not None:  # a second spelling of the same member finds its place taken
                left.append((holder, raw))
        self.values[number] = filled
        return left

    def _enter(self, place: _Place, found: _Found) -> list[_Left]:
        """Go into objects or lists and return what is left of them.

        A list stays whole when not every element was taken, or one is null: without those before it, an element would
        have lost its place.
        """
        in_list = isinstance(next(iter(place.below)), int)
        inner, misfits = read_each(read_lists if in_list else read_objects, found.raws)
        left = self._misfits(place, found, misfits)
        left += [
            (holder, raw)
            for holder, raw, one in zip(found.holders, found.raws, inner, strict=True)
            if one is not None and not one
        ]
        inside = [(row, one) for row, one in zip(found.rows, inner, strict=True) if one]
        if inside:
            self._take_below(place, *zip(*inside, strict=True))
        left += [
            (holder, raw if in_list else one)
            for holder, raw, one in zip(found.holders, found.raws, inner, strict=True)
            if one or (in_list and one is not None and b"null" in bytes(raw))
        ]
        return left

    def _take_below(self, place: _Place, rows: Sequence[int], holders: Sequence[_Members]) -> None:
        present = set().union(*holders)
        for below in place.below.values():
            if not present.isdisjoint(below.spellings):
                self.take(below, rows, holders)

    def _misfits(self, place: _Place, found: _Found, places: Sequence[int]) -> list[_Left]:
        """Note values that do not fit, for every column that they would have filled, and return them."""
        self.misfits += [
            Misfit(number, found.rows[at], kind_of(found.raws[at]))
            for at in places
            for number in place.columns
        ]
        return [(found.holders[at], found.raws[at]) for at in places]

    def keep_rest(self, holders: Sequence[_Members]) -> None:
        """Put what is left of each record into the column for it."""
        self.values[self._columns.index(REST)] = [
            _json_text(holder[_RECORD]) if holder else None for holder in holders
        ]


def _json_text(left: Any) -> str:
    return (left if isinstance(left, bytes) else msgspec.json.encode(left)).decode()


def kind_of(raw: Raw) -> str:
    """Return the JSON type of a value, for messages that must not repeat it."""
    kinds = {b'"': "string", b"{": "object", b"[": "list", b"t": "boolean", b"f": "boolean", b"n": "null"}
    return kinds.get(bytes(raw)[:1], "number")
