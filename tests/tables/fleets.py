"""Fleets as they could be: readings at the edges of days, clocks that change, counters that fall, units nobody knows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pyarrow as pa
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

_US = dt.timedelta(microseconds=1)
# From a day's beginning: just before, sharp, just after, and times in between.
_OFFSETS = st.one_of(
    st.sampled_from([-_US, 0 * _US, _US]),
    st.integers(0, 25 * 60).map(lambda minutes: dt.timedelta(minutes=minutes)),
)
_VALUES = st.one_of(
    st.none(),
    st.integers(0, 5).map(float),
    st.integers(0, 10**8).map(lambda hundredths: hundredths / 100),
)
_FLAGS = st.sampled_from([[], [], [], [], ["future"], ["shared_id"], ["conflict"], ["future", "shared_id"]])
_UNITS = {metric: [*factors, "FURLONG", None] for metric, factors in COLUMNS.values()}


_ASSETS = ["ACM1", "Gräf & Stift 7", "'"]
_METRICS = [*_UNITS, "FuelRemaining"]


@st.composite
def readings(draw: st.DrawFn, zone: str) -> list[Reading]:
    """Return the readings of a fleet over a week, one for each key.

    Few machines and metrics, so that many readings meet: what goes wrong between two of them is what is looked for.
    """
    assets = draw(st.lists(st.sampled_from(_ASSETS), min_size=1, max_size=2, unique=True))
    metrics = draw(st.lists(st.sampled_from(_METRICS), min_size=1, max_size=2, unique=True))
    size = draw(st.sampled_from([1, 4, 24]))
    wanted = draw(st.lists(_reading(zone, assets, metrics), min_size=size // 2, max_size=size))
    pairs = draw(st.lists(_position(zone, assets), max_size=4))
    found = {}
    for one in [*wanted, *(half for pair in pairs for half in pair)]:
        found[one["asset"], one["metric"], one["observed_at"]] = one
    return list(found.values())


@st.composite
def _reading(draw: st.DrawFn, zone: str, assets: list[str], metrics: list[str]) -> Reading:
    metric = draw(st.sampled_from(metrics))
    # Mostly the unit of the column.
    unit = draw(st.sampled_from([*_UNITS.get(metric, ["%"])[:1] * 6, *_UNITS.get(metric, ["%"])]))
    return draw(_row(zone, assets, {"metric": metric, "unit": unit, "value": draw(_VALUES)}))


@st.composite
def _position(draw: st.DrawFn, zone: str, assets: list[str]) -> tuple[Reading, Reading]:
    latitude, longitude = draw(st.floats(-90, 90)), draw(st.floats(-180, 180))
    said = {"metric": "Latitude", "unit": "degree", "value": latitude}
    one: Reading = draw(_row(zone, assets, said))
    return one, one | {"metric": "Longitude", "value": longitude}


@st.composite
def _row(draw: st.DrawFn, zone: str, assets: list[str], said: dict[str, Any]) -> Reading:
    day = ZONES[zone] + dt.timedelta(days=draw(st.integers(-3, 3)))
    return {
        "asset": draw(st.sampled_from(assets)),
        **said,
        "observed_at": begin(day, zone) + draw(_OFFSETS),
        "text": None,
        "source": draw(st.sampled_from(["snapshot", "series"])),
        "flags": draw(_FLAGS),
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
        found = database.sql(f"SELECT * FROM ({query}) AS made ORDER BY asset, day")  # noqa: S608 - a query of ours
        return found.to_arrow_table().cast(MACHINE_DAYS)
