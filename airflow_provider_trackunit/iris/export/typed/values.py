"""JSON values as the values of a column, exactly or not at all: nothing is rounded, converted or guessed in silence.

A whole column is read at once; only when something in it does not fit is it split, until that value stands alone.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_trackunit.iris.catalogue.columns.column import Column, Type

    # A value as it was received.
    Raw = msgspec.Raw | bytes
    Read = Callable[[Sequence[Raw]], list[Any]]

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]

_STRINGS: Final = msgspec.json.Decoder(list[str | None])
_BOOLEANS: Final = msgspec.json.Decoder(list[bool | None])
_INTEGERS: Final = msgspec.json.Decoder(list[_Int64 | None])
_DOUBLES: Final = msgspec.json.Decoder(list[float | None])
_MOMENTS: Final = msgspec.json.Decoder(list[_Moment | None])
_DATES: Final = msgspec.json.Decoder(list[dt.date | None])
_OBJECTS: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw] | None])
_LISTS: Final = msgspec.json.Decoder(list[list[msgspec.Raw] | None])

# 12.0 is a whole number, in the sense of JSON Schema as well; 12.5 is none.
_NO_FRACTION: Final = re.compile(rb"\.0+(?=[,\]])")
# From here on a double does not hold every whole number.
_INEXACT_FROM: Final = 2**53
# A column keeps microseconds; msgspec would round what is finer, and a second before midnight is not the next day.
_FINER_THAN_MICROSECONDS: Final = re.compile(rb"(\.\d{6})\d+")
# Years in which an offset can lead out of the calendar.
_EDGE_OF_CALENDAR: Final = re.compile(rb'"(0001|9999)-')


def read_each(read: Read, raws: Sequence[Raw]) -> tuple[list[Any], list[int]]:
    """Return the values, None for null and for one that does not fit, and the places of those that do not."""
    try:
        return read(raws), []
    except (*BROKEN_JSON, OverflowError):
        if len(raws) == 1:
            return [None], [0]
        middle = len(raws) // 2
        (before, misfits), (behind, more) = read_each(read, raws[:middle]), read_each(read, raws[middle:])
        return before + behind, [*misfits, *(middle + place for place in more)]


def _array(raws: Sequence[Raw]) -> bytes:
    return b"[" + b",".join(raws) + b"]"


def _integers(raws: Sequence[Raw]) -> list[Any]:
    text = _array(raws)
    return _INTEGERS.decode(_NO_FRACTION.sub(b"", text) if b"." in text else text)


def _doubles(raws: Sequence[Raw]) -> list[Any]:
    """Read numbers as the nearest double, and whole numbers only where a double is exactly that number."""
    values = _DOUBLES.decode(_array(raws))
    for raw, value in zip(raws, values, strict=True):
        if value is not None and not -_INEXACT_FROM < value < _INEXACT_FROM:
            text = bytes(raw)
            if text.lstrip(b"-").isdigit() and int(text) != int(value):
                raise OverflowError
    return values


def _moments(raws: Sequence[Raw]) -> list[Any]:
    """Read times with an offset from UTC; a time without one could be any moment of a day."""
    text = _array(raws)
    values = _MOMENTS.decode(_FINER_THAN_MICROSECONDS.sub(rb"\1", text) if b"." in text else text)
    if _EDGE_OF_CALENDAR.search(text):
        return [None if value is None else value.astimezone(dt.UTC) for value in values]
    return values


def _texts(raws: Sequence[Raw]) -> list[Any]:
    return [None if raw == b"null" else raw.decode() for raw in map(bytes, raws)]


def _strings_or_scalars(raws: Sequence[Raw]) -> list[Any]:
    """Read text, and a number or a boolean as the text that it is written as."""
    return _STRINGS.decode(_array([raw if raw[:1] in b'"n{[' else b'"%b"' % raw for raw in map(bytes, raws)]))


_READERS: Final[dict[Type, Read]] = {
    "string": lambda raws: _STRINGS.decode(_array(raws)),
    "boolean": lambda raws: _BOOLEANS.decode(_array(raws)),
    "int64": _integers,
    "double": _doubles,
    "timestamp": _moments,
    "date": lambda raws: _DATES.decode(_array(raws)),
    "json": _texts,
}


def reader_of(column: Column) -> Read:
    """Return how the values of a column are read."""
    return _strings_or_scalars if column.any_text else _READERS[column.type]


def read_objects(raws: Sequence[Raw]) -> list[Any]:
    """Return the members of objects, undecoded."""
    return _OBJECTS.decode(_array(raws))


def read_lists(raws: Sequence[Raw]) -> list[Any]:
    """Return the elements of lists by their places, undecoded."""
    return [None if one is None else dict(enumerate(one)) for one in _LISTS.decode(_array(raws))]
