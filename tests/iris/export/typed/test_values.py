"""A JSON value becomes exactly the value of its column, or it does not fit; nothing is converted in silence."""

from __future__ import annotations

import datetime as dt
import json
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.catalogue.columns.column import TYPES, Column
from airflow_provider_trackunit.iris.export.typed.values import read_each, reader_of

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.catalogue.columns.column import Type

MISFIT = object()


def read(kind: Type, *texts: str) -> list[Any]:
    """Return the values, those that do not fit as MISFIT."""
    values, misfits = read_each(
        reader_of(Column("c", "c", kind)), [msgspec.Raw(text.encode()) for text in texts]
    )
    assert len(values) == len(texts)
    assert all(values[at] is None for at in misfits)
    return [MISFIT if at in misfits else value for at, value in enumerate(values)]


def moment(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize("kind", TYPES)
def test_null_is_null_in_every_type(kind: Type) -> None:
    assert read(kind, "null") == [None]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("string", '"a\\u00e4"', "aä"),
        ("string", '""', ""),
        ("string", "1", MISFIT),
        ("string", "true", MISFIT),
        ("string", '{"a":1}', MISFIT),
        ("string", '"\\ud800"', MISFIT),
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("boolean", "0", MISFIT),
        ("boolean", "1", MISFIT),
        ("boolean", '"true"', MISFIT),
        ("int64", "0", 0),
        ("int64", "-0", 0),
        ("int64", "12.0", 12),
        ("int64", "12.000", 12),
        ("int64", "9223372036854775807", 2**63 - 1),
        ("int64", "-9223372036854775808", -(2**63)),
        ("int64", "9223372036854775808", MISFIT),
        ("int64", "9007199254740993", 2**53 + 1),
        ("int64", "1.5", MISFIT),
        ("int64", "1.50", MISFIT),
        ("int64", "1e3", MISFIT),
        ("int64", "true", MISFIT),
        ("int64", '"7"', MISFIT),
        ("int64", '"7.0"', MISFIT),
        ("double", "648.95", 648.95),
        ("double", "0", 0.0),
        ("double", "-0.0", -0.0),
        ("double", "1e300", 1e300),
        ("double", "1e400", MISFIT),
        ("double", "9007199254740992", 2.0**53),
        ("double", "9007199254740993", MISFIT),
        ("double", "-9007199254740993", MISFIT),
        ("double", "9007199254740994", 2.0**53 + 2),
        ("double", "true", MISFIT),
        ("double", '"1.5"', MISFIT),
        ("double", '"NaN"', MISFIT),
        ("timestamp", '"2026-01-15T05:58:11Z"', moment(2026, 1, 15, 5, 58, 11)),
        ("timestamp", '"2026-01-15T05:58:11.5Z"', moment(2026, 1, 15, 5, 58, 11, 500_000)),
        ("timestamp", '"2026-01-15T05:58:11.879147Z"', moment(2026, 1, 15, 5, 58, 11, 879_147)),
        ("timestamp", '"2026-01-15T23:59:59.9999999Z"', moment(2026, 1, 15, 23, 59, 59, 999_999)),
        ("timestamp", '"1969-12-31T23:59:59.999999999Z"', moment(1969, 12, 31, 23, 59, 59, 999_999)),
        ("timestamp", '"2026-01-15T05:58:11.123456789+02:00"', moment(2026, 1, 15, 3, 58, 11, 123_456)),
        ("timestamp", '"2026-01-15T05:58:11-0330"', moment(2026, 1, 15, 9, 28, 11)),
        ("timestamp", '"2026-01-15T05:58:11"', MISFIT),
        ("timestamp", '"2026-01-15"', MISFIT),
        ("timestamp", '"2026-02-30T00:00:00Z"', MISFIT),
        ("timestamp", '"2026-01-15T24:00:00Z"', MISFIT),
        ("timestamp", '"2016-12-31T23:59:60Z"', MISFIT),
        ("timestamp", '"0001-01-01T00:00:00+05:00"', MISFIT),
        ("timestamp", '"9999-12-31T23:59:59-05:00"', MISFIT),
        ("timestamp", '"9999-12-31T23:59:59+05:00"', moment(9999, 12, 31, 18, 59, 59)),
        ("timestamp", "1768456691", MISFIT),
        ("timestamp", '""', MISFIT),
        ("date", '"2026-01-15"', dt.date(2026, 1, 15)),
        ("date", '"2026-02-29"', MISFIT),
        ("date", '"2026-01-15T00:00:00Z"', MISFIT),
        ("date", "20260115", MISFIT),
        ("json", '{"a": 1.10, "b":[12345678901234567890]}', '{"a": 1.10, "b":[12345678901234567890]}'),
        ("json", '"null"', '"null"'),
        ("json", "1e400", "1e400"),
    ],
)
def test_a_value_is_kept_exactly_or_does_not_fit(kind: Type, text: str, expected: Any) -> None:
    (found,) = read(kind, text)
    assert found == expected
    assert type(found) is type(expected) or expected is MISFIT
    if isinstance(found, float):
        assert math.copysign(1, found) == math.copysign(1, expected)


@pytest.mark.parametrize("place", [0, 1, 498, 999])
def test_one_value_that_does_not_fit_leaves_its_neighbours_alone(place: int) -> None:
    texts = [str(number) for number in range(1000)]
    texts[place] = '"x"'
    assert read("int64", *texts) == [MISFIT if at == place else at for at in range(1000)]


def test_a_column_of_nothing_but_misfits_is_all_null() -> None:
    assert read("double", *['"1"'] * 100) == [MISFIT] * 100


numbers = st.one_of(
    st.integers(min_value=-(2**70), max_value=2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.builds(
        "{}{}{}".format,
        st.integers(min_value=-(10**20), max_value=10**20),
        st.sampled_from(["", ".0", ".000", ".5", ".10", ".00000000000000000001", ".99999999999999999999"]),
        st.sampled_from(["", "e0", "E+5", "e-7", "e30", "e308", "e-400"]),
    ),
)
scalars = st.one_of(numbers, st.booleans().map(json.dumps), st.text(max_size=8).map(json.dumps))


@given(st.lists(numbers, max_size=6))
def test_a_whole_number_is_that_number_or_does_not_fit(texts: list[str]) -> None:
    for text, value in zip(texts, read("int64", *texts), strict=True):
        assert value is MISFIT or (type(value) is int and value == Fraction(text))
        if text.lstrip("-").isdigit() and -(2**63) <= int(text) < 2**63:
            assert value == int(text)


@given(st.lists(numbers, max_size=6))
def test_a_double_is_the_nearest_to_what_was_sent_and_exact_for_whole_numbers(texts: list[str]) -> None:
    for text, value in zip(texts, read("double", *texts), strict=True):
        is_whole = text.lstrip("-").isdigit()
        if is_whole:
            assert (value is MISFIT) == (Fraction(float(text)) != Fraction(text))
        else:
            assert (value is MISFIT) == math.isinf(float(text))
        assert value is MISFIT or value == float(text)


@given(st.lists(scalars, max_size=6), st.sampled_from(["string", "boolean", "date", "timestamp"]))
def test_no_type_takes_the_values_of_another(texts: list[str], kind: Type) -> None:
    python = {"string": str, "boolean": bool, "date": dt.date, "timestamp": dt.datetime}[kind]
    for text, value in zip(texts, read(kind, *texts), strict=True):
        decoded = json.loads(text)
        assert value is MISFIT or type(value) is python
        if kind in {"string", "boolean"}:
            assert (value is MISFIT) == (type(decoded) is not python)
        else:
            assert value is MISFIT or isinstance(decoded, str)


@given(
    st.datetimes(min_value=dt.datetime(2, 1, 1), max_value=dt.datetime(9998, 12, 31)),  # noqa: DTZ001 - the text says where
    st.integers(min_value=0, max_value=12),
    st.text("0123456789", min_size=12, max_size=12),
    st.integers(min_value=-23 * 60, max_value=23 * 60),
)
def test_a_time_is_cut_to_microseconds_and_moved_to_utc(
    local: dt.datetime, digits: int, fraction: str, offset_min: int
) -> None:
    fraction = fraction[:digits]
    sign, (hours, minutes) = "-" if offset_min < 0 else "+", divmod(abs(offset_min), 60)
    text = f"{local:%H:%M:%S}{'.' if digits else ''}{fraction}{sign}{hours:02d}:{minutes:02d}"
    (value,) = read("timestamp", f'"{local.year:04d}-{local:%m-%d}T{text}"')
    expected = local.replace(microsecond=int(fraction[:6].ljust(6, "0")), tzinfo=dt.UTC)
    assert value.astimezone(dt.UTC) == expected - dt.timedelta(minutes=offset_min)
