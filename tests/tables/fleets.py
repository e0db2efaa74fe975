"""Fleets as they could be: readings at the edges of days, clocks that change, counters that fall, units nobody knows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import strategies as st

from airflow_provider_trackunit.tables.schemas import MACHINE_DAYS, READINGS
from airflow_provider_trackunit.tables.sql import machine_days_query

from .reference import COLUMNS, Reading, begin

#: Zones and a day near which their clocks change: by an hour or half of one, at midnight or to it, not at all.
ZONES = {
    "UTC": dt.date(2025, 12, 31),
    "Europe/Copenhagen": dt.date(2026, 3, 29),
    "America/New_York": dt.date(2026, 11, 1),
    "Africa/Cairo": dt.date(2026, 4, 24),
    "America/Havana": dt.date(2025, 11, 2),
    "Australia/Lord_Howe": dt.date(2026, 4, 5),
    "Asia/Kolkata": dt.date(2026, 2, 28),
    "Pacific/Kiritimati": dt.date(2026, 1, 1),
    "Pacific/Pago_Pago": dt.date(2024, 2, 29),
}

#: For tests that merge, or ask for the days since one: an Airflow with packages of its time may have an older one.
needs_newer_duckdb = pytest.mark.skipif(
    tuple(map(int, duckdb.__version__.split(".")[:2])) < (1, 4), reason="DuckDB before 1.4 is refused"
)

_US = dt.timedelta(microseconds=1)
# From a day's beginning: just before, sharp, just after, and times in between.
_OFFSETS = st.one_of(
    st.sampled_from([-_US, 0 * _US, _US]),
    st.integers(0, 25 * 60).map(lambda minutes: dt.timedelta(minutes=minutes)),
)
_VALUES = st.one_of(
    st.none(),
    st.integers(0, 5).map(float),
    st.floats(0, 1e6, allow_nan=False).map(lambda value: round(value, 2)),
)
_UNITS = {metric: [*factors, "FURLONG", None] for metric, factors in COLUMNS.values()}


@st.composite
def readings(draw: st.DrawFn, zone: str) -> list[Reading]:
    """Return the readings of a fleet: a few machines over a week, one for each key."""
    wanted = draw(st.lists(_reading(zone), max_size=30))
    pairs = draw(st.lists(_position(zone), max_size=6))
    found = {}
    for one in [*wanted, *(half for pair in pairs for half in pair)]:
        found[one["asset"], one["metric"], one["observed_at"]] = one
    return list(found.values())


@st.composite
def _reading(draw: st.DrawFn, zone: str) -> Reading:
    metric = draw(st.sampled_from([*_UNITS, "CumulativeOperatingHours", "FuelRemaining"]))
    # Mostly the unit of the column.
    unit = draw(st.sampled_from([*_UNITS.get(metric, ["%"])[:1] * 6, *_UNITS.get(metric, ["%"])]))
    return draw(_row(zone, metric, unit, draw(_VALUES)))


@st.composite
def _position(draw: st.DrawFn, zone: str) -> tuple[Reading, Reading]:
    latitude, longitude = draw(st.floats(-90, 90)), draw(st.floats(-180, 180))
    one: Reading = draw(_row(zone, "Latitude", "degree", latitude))
    return one, one | {"metric": "Longitude", "value": longitude}


@st.composite
def _row(draw: st.DrawFn, zone: str, metric: str, unit: str | None, value: float | None) -> Reading:
    day = ZONES[zone] + dt.timedelta(days=draw(st.integers(-3, 3)))
    return {
        "asset": draw(st.sampled_from(["ACM1", "Gräf & Stift 7", "'"])),
        "metric": metric,
        "observed_at": begin(day, zone) + draw(_OFFSETS),
        "value": value,
        "text": None,
        "unit": unit,
        "source": draw(st.sampled_from(["snapshot", "series"])),
        "flags": sorted(draw(st.sets(st.sampled_from(["future", "shared_id", "conflict"]), max_size=2)))
        if draw(st.integers(0, 5)) == 0
        else [],
    }


def readings_table(rows: list[Reading]) -> Any:
    """Return readings as :func:`~airflow_provider_trackunit.tables.readings` does."""
    return pa.Table.from_pylist(rows, schema=READINGS)


def days_table(rows: list[dict[str, Any]]) -> Any:
    """Return machine days as a table, to compare with."""
    return pa.Table.from_pylist(rows, schema=MACHINE_DAYS)


def in_duckdb(readings: Any, zone: str, since: dt.date | None = None) -> Any:
    """Return the machine days that DuckDB makes."""
    with duckdb.connect() as database:
        database.register("given", readings)
        query = machine_days_query("given", time_zone=zone, since=since)
        return database.sql(f"{query} ORDER BY asset, day").to_arrow_table().cast(MACHINE_DAYS)
