"""Machine days on Arrow and in DuckDB are those of the rules, whatever the fleet; PostgreSQL's are in ``make tables``."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_trackunit.tables import machine_days
from airflow_provider_trackunit.tables.merging import merge, merge_machine_days
from airflow_provider_trackunit.tables.schemas import MACHINE_DAYS

from . import reference
from .fleets import ZONES, days_table, in_duckdb, readings, readings_table

#: An example is a fleet, which takes as long as five examples of a simpler property.
EXAMPLES = settings().max_examples // 5


@settings(max_examples=EXAMPLES)
@given(zone=st.sampled_from(list(ZONES)), data=st.data())
def test_all_forms_say_what_the_rules_say(zone: str, data: st.DataObject) -> None:
    rows = data.draw(readings(zone))
    expected = reference.machine_days(rows, zone)
    table = readings_table(rows)
    on_arrow = machine_days(table, time_zone=zone)
    assert on_arrow.to_pylist() == days_table(expected).to_pylist()
    assert on_arrow.schema.equals(MACHINE_DAYS, check_metadata=True)
    assert in_duckdb(table, zone).to_pylist() == on_arrow.to_pylist()


@settings(max_examples=EXAMPLES // 2)
@given(zone=st.sampled_from(list(ZONES)), after=st.integers(-3, 3), data=st.data())
def test_the_days_since_one_are_the_same_as_among_all(zone: str, after: int, data: st.DataObject) -> None:
    table = readings_table(data.draw(readings(zone)))
    since = ZONES[zone] + dt.timedelta(days=after)
    everything = machine_days(table, time_zone=zone)
    expected = everything.filter(pc.greater_equal(everything["day"], since))
    assert in_duckdb(table, zone, since).to_pylist() == expected.to_pylist()


@settings(max_examples=EXAMPLES // 4)
@given(first=readings("UTC"), then=readings("UTC"))
def test_merged_load_by_load_the_days_are_those_of_all_readings(
    first: list[reference.Reading], then: list[reference.Reading]
) -> None:
    with duckdb.connect() as database:
        for load in (first, then):
            merge(database, "readings", readings_table(load))
            merge_machine_days(database)
        assert merge_machine_days(database) == 0
        stored = database.sql("SELECT * FROM machine_days ORDER BY asset, day").to_arrow_table()
    newest = {(one["asset"], one["metric"], one["observed_at"]): one for one in [*first, *then]}
    expected = days_table(reference.machine_days(newest.values(), "UTC"))
    assert stored.to_pylist() == expected.to_pylist()


@settings(max_examples=EXAMPLES // 4)
@given(zone=st.sampled_from(list(ZONES)), data=st.data())
def test_days_made_load_by_load_since_the_oldest_that_each_brought_are_those_of_all_readings(
    zone: str, data: st.DataObject
) -> None:
    """Whatever comes late, and whichever of its flags a reading has the next time."""
    newest: dict[tuple[Any, ...], reference.Reading] = {}
    with duckdb.connect() as database:
        for load in data.draw(st.lists(readings(zone), min_size=2, max_size=4)):
            newest |= {(one["asset"], one["metric"], one["observed_at"]): one for one in load}
            merge(database, "readings", readings_table(load))
            since = min((reference.day_of(one["observed_at"], zone) for one in load), default=None)
            merge_machine_days(database, time_zone=zone, since=since)
        stored = database.sql("SELECT * FROM machine_days ORDER BY asset, day").to_arrow_table()
    expected = days_table(reference.machine_days(newest.values(), zone))
    assert stored.to_pylist() == expected.to_pylist()
