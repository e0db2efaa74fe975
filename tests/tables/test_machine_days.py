"""Each rule of machine days by an example that a person can check."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest

from airflow_provider_trackunit.tables import machine_days, readings
from airflow_provider_trackunit.tables.counters import FACTORS
from dev.environments import ROOT

from .fleets import readings_table
from .merges import reading
from .results import FLEET, SERIES, equipment, hours, of, result, utc

if TYPE_CHECKING:
    from pathlib import Path

OPERATING = "CumulativeOperatingHours"


def counted(*values: tuple[Any, ...], metric: str = OPERATING, **changed: Any) -> list[dict[str, Any]]:
    """Return readings of a counter: time without zone, value, and a unit if it is not hours."""
    return [
        reading(value, observed_at=utc(at), metric=metric, unit=unit[0] if unit else "h", **changed)
        for at, value, *unit in values
    ]


def days(rows: list[dict[str, Any]], time_zone: str = "UTC") -> dict[str, dict[str, Any]]:
    """Return the row of each day by its date."""
    table = machine_days(readings_table(rows), time_zone=time_zone)
    return {row["day"].isoformat(): row for row in table.to_pylist()}


def operating(rows: list[dict[str, Any]], time_zone: str = "UTC") -> dict[str, tuple[Any, list[str]]]:
    """Return hours and flags of each day."""
    return {
        day: (row["operating_hours"], [flag.removeprefix("operating_hours:") for flag in row["flags"]])
        for day, row in days(rows, time_zone).items()
    }


def test_a_gain_is_the_last_value_less_the_last_one_before_the_day() -> None:
    rows = counted(
        ("2026-01-14T22:00", 100.0),
        ("2026-01-15T07:00", 101.5),
        ("2026-01-15T15:00", 108.0),
        ("2026-01-16T07:00", 108.5),
    )
    assert operating(rows) == {
        "2026-01-14": (0.0, ["no_reading_before"]),
        "2026-01-15": (8.0, []),
        "2026-01-16": (0.5, []),
    }


def test_the_first_day_of_a_machine_counts_from_its_first_reading_and_says_so() -> None:
    rows = counted(("2026-01-14T07:00", 100.0), ("2026-01-14T15:00", 108.0))
    assert operating(rows) == {"2026-01-14": (8.0, ["no_reading_before"])}


def test_a_machine_does_not_go_on_from_another() -> None:
    rows = [
        *counted(("2026-01-14T07:00", 100.0), asset="ACM0"),
        *counted(("2026-01-15T07:00", 300.0), ("2026-01-15T15:00", 301.0)),
    ]
    assert operating(rows)["2026-01-15"] == (1.0, ["no_reading_before"])


def test_where_a_counter_fell_there_is_no_gain_to_be_flagged() -> None:
    rows = counted(("2026-01-14T07:00", 100.0), ("2026-01-14T15:00", 1.0))
    assert operating(rows) == {"2026-01-14": (None, ["counter_fell"])}


def test_what_was_worked_across_midnight_is_counted_once() -> None:
    rows = counted(("2026-01-14T12:00", 0.0), ("2026-01-14T23:50", 5.0), ("2026-01-15T00:10", 5.5))
    assert [hours for hours, _ in operating(rows).values()] == [0.0 + 5.0, 0.5]


def test_a_reading_at_midnight_sharp_closes_the_day_that_ends() -> None:
    rows = counted(("2026-01-14T00:00", 10.0), ("2026-01-15T00:00", 18.0))
    assert operating(rows) == {
        "2026-01-13": (0.0, ["no_reading_before"]),
        "2026-01-14": (8.0, []),
    }


def test_the_gains_of_all_days_add_up_to_what_was_counted() -> None:
    rows = counted(*((f"2026-01-{day:02d}T00:00", 7.0 * day) for day in (3, 4, 9, 10, 11)))
    assert sum(hours for hours, _ in operating(rows).values()) == 7.0 * (11 - 3)


def test_a_day_without_a_reading_has_no_row_and_the_next_one_says_that_it_spans_days() -> None:
    rows = counted(("2026-01-12T23:00", 0.0), ("2026-01-14T01:00", 3.0), ("2026-01-14T22:00", 9.0))
    assert operating(rows)["2026-01-14"] == (9.0, ["spans_days"])
    assert "2026-01-13" not in operating(rows)


@pytest.mark.parametrize(
    ("before", "flags"), [("2026-01-12T23:59:59", ["spans_days"]), ("2026-01-13T00:00:00", [])]
)
def test_a_gain_spans_days_when_the_reading_before_is_more_than_a_day_before_the_day(
    before: str, flags: list[str]
) -> None:
    assert operating(counted((before, 0.0), ("2026-01-14T12:00", 3.0)))["2026-01-14"] == (3.0, flags)


def test_a_gap_is_not_zero() -> None:
    rows = [*counted(("2026-01-14T12:00", 1.0)), *counted(("2026-01-15T12:00", 1.0), metric="FuelRemaining")]
    assert days(rows)["2026-01-15"]["operating_hours"] is None
    assert days(rows)["2026-01-15"]["readings"] == 1


def test_a_machine_that_stands_still_has_a_day_of_zero() -> None:
    rows = counted(*((f"2026-01-14T{hour:02d}:30", 7.0) for hour in range(24)), ("2026-01-15T00:30", 7.0))
    assert operating(rows)["2026-01-15"] == (0.0, [])


def test_a_counter_that_falls_makes_its_day_null_and_nothing_else() -> None:
    fell = counted(
        ("2026-01-13T12:00", 990.0),
        ("2026-01-14T08:00", 995.0),
        ("2026-01-14T12:00", 2.0),  # another device
        ("2026-01-14T18:00", 1000.0),  # above where it was, and it has fallen all the same
        ("2026-01-15T12:00", 1004.0),
    )
    idle = counted(("2026-01-13T12:00", 5.0), ("2026-01-14T18:00", 6.0), metric="CumulativeIdleHours")
    assert operating(fell) == {
        "2026-01-13": (0.0, ["no_reading_before"]),
        "2026-01-14": (None, ["counter_fell"]),
        "2026-01-15": (4.0, []),
    }
    assert days([*fell, *idle])["2026-01-14"]["idle_hours"] == 1.0


def test_a_counter_that_fell_overnight_is_of_the_day_that_shows_it() -> None:
    rows = counted(("2026-01-13T12:00", 990.0), ("2026-01-14T08:00", 1.0), ("2026-01-14T18:00", 9.0))
    assert operating(rows)["2026-01-14"] == (None, ["counter_fell"])


def test_late_readings_make_the_day_anew(tmp_path: Path) -> None:
    first = result(
        tmp_path,
        SERIES,
        [
            of("ACM1", OPERATING, hours(value, at))
            for at, value in [("2026-01-13T20:00:00Z", 1), ("2026-01-15T20:00:00Z", 9)]
        ],
        "2026-01-16T06:00:00Z",
    )
    late = result(
        tmp_path, SERIES, [of("ACM1", OPERATING, hours(5, "2026-01-14T20:00:00Z"))], "2026-01-17T06:00:00Z"
    )
    before = machine_days(readings(first)).to_pylist()
    after = machine_days(readings([first, late])).to_pylist()
    assert [row["operating_hours"] for row in before] == [0.0, 8.0]
    assert [row["operating_hours"] for row in after] == [0.0, 4.0, 4.0]
    assert before[-1]["flags"] == ["operating_hours:spans_days"]
    assert after[-1]["flags"] == []


def test_a_reading_from_the_future_is_used_nowhere_and_its_day_says_so() -> None:
    rows = [
        *counted(("2026-01-14T12:00", 1.0), ("2026-01-15T12:00", 2.0)),
        *counted(("2026-01-15T13:00", 99.0), ("2093-01-01T12:00", 99.0), flags=["future"]),
    ]
    found = days(rows)
    assert found["2026-01-15"]["operating_hours"] == 1.0
    assert found["2026-01-15"]["flags"] == ["future_reading"]
    assert found["2093-01-01"]["flags"] == ["future_reading"]
    assert [row["readings"] for row in found.values()] == [1, 1, 0]


DAYLIGHT = [
    # 23 hours in Copenhagen, from 23:00 to 22:00 UTC
    ("Europe/Copenhagen", ["2026-03-28T23:00", "2026-03-28T23:30", "2026-03-29T22:00", "2026-03-29T22:30"]),
    # 25 hours, from 22:00 to 23:00 UTC
    ("Europe/Copenhagen", ["2026-10-24T22:00", "2026-10-24T22:30", "2026-10-25T23:00", "2026-10-25T23:30"]),
    # Clocks go from midnight to one: the day begins when they do
    ("Africa/Cairo", ["2026-04-23T22:00", "2026-04-23T22:01", "2026-04-24T21:00", "2026-04-24T21:01"]),
]


@pytest.mark.parametrize(("zone", "times"), DAYLIGHT)
def test_a_day_is_that_of_the_zone_when_its_clocks_change_too(zone: str, times: list[str]) -> None:
    counts = [float(number**2) for number in range(len(times))]
    found = list(operating(counted(*zip(times, counts, strict=True)), zone).values())
    # At the beginning, within, at the end, and after it.
    assert [hours for hours, _ in found] == [0.0, counts[2] - counts[0], counts[3] - counts[2]]


def test_units_are_those_of_the_column() -> None:
    rows = [
        *counted(("2026-01-14T12:00", 0.0, "MILE"), ("2026-01-15T12:00", 10.0, "MILE"), metric="Distance"),
        *counted(("2026-01-14T12:00", 1.0, "LITRE"), ("2026-01-15T12:00", 1.0, "GALLON"), metric="FuelUsed"),
    ]
    found = days(rows)["2026-01-15"]
    assert found["distance_km"] == pytest.approx(16.09344)
    assert found["fuel_litres"] == pytest.approx(2.785411784)


@pytest.mark.parametrize("unit", ["FURLONG", None, "h"])
def test_a_unit_that_nobody_knows_is_no_value(unit: str | None) -> None:
    rows = counted(
        ("2026-01-14T12:00", 1.0, "KILOMETRE"),
        ("2026-01-15T10:00", 99.0, unit),
        ("2026-01-15T12:00", 4.0, "KILOMETRE"),
        ("2026-01-16T12:00", 5.0, unit),
        metric="Distance",
    )
    found = days(rows)
    assert (found["2026-01-15"]["distance_km"], found["2026-01-15"]["flags"]) == (
        3.0,
        ["distance_km:unknown_unit"],
    )
    assert (found["2026-01-16"]["distance_km"], found["2026-01-16"]["flags"]) == (
        None,
        ["distance_km:unknown_unit"],
    )


def test_the_first_and_last_position_of_a_day_are_not_those_of_null_island(tmp_path: Path) -> None:
    places = [
        (f"2026-01-14T{hour:02d}:00:00Z", *place)
        for hour, place in enumerate([(0, 0), (55.5, 12.5), (56, 13), (57, 14), (0.0, 0)])
    ]
    records = [
        of("ACM1", "Locations", {"datetime": at, "Latitude": latitude, "Longitude": longitude})
        for at, latitude, longitude in places
    ]
    (row,) = machine_days(readings(result(tmp_path, SERIES, records))).to_pylist()[-1:]
    found = [row[f"{end}_{axis}"] for end in ("first", "last") for axis in ("latitude", "longitude")]
    assert found == [55.5, 12.5, 57.0, 14.0]
    assert row["readings"] == 6


def test_machines_that_share_a_pin_are_flagged_on_their_days(tmp_path: Path) -> None:
    records = [
        equipment("ACM1", CumulativeOperatingHours=hours(value, "2026-01-14T12:00:00Z")) for value in (5, 900)
    ]
    records[1]["EquipmentHeader"]["SerialNumber"] = "another"
    (row,) = machine_days(readings(result(tmp_path, FLEET, records))).to_pylist()
    assert row["flags"] == ["operating_hours:no_reading_before", "shared_id"]


def test_a_gain_since_a_reading_of_a_name_that_is_shared_is_flagged_too(tmp_path: Path) -> None:
    records = [
        equipment("ACM1", CumulativeOperatingHours=hours(value, "2026-01-12T12:00:00Z")) for value in (5, 9)
    ]
    records[1]["EquipmentHeader"]["SerialNumber"] = "another"
    series = [
        of("ACM1", "CumulativeOperatingHours", hours(value, f"2026-01-{value - 2}T12:00:00Z"))
        for value in (15, 16)
    ]
    found = machine_days(readings([result(tmp_path, FLEET, records), result(tmp_path, SERIES, series)]))
    assert [(row["operating_hours"], row["flags"]) for row in found.to_pylist()[1:]] == [
        (6.0, ["shared_id"]),
        (1.0, []),
    ]


def test_a_feed_that_comes_every_twelve_hours_makes_whole_days(tmp_path: Path) -> None:
    def run(day: int, hour: int, value: float) -> dict[str, Any]:
        at = f"2026-01-{day:02d}T{hour:02d}:00:00Z"
        return result(
            tmp_path,
            FLEET,
            [equipment("VCE1", CumulativeOperatingHours=hours(value, at))],
            f"2026-01-{day:02d}T{hour:02d}:40:00Z",
        )

    runs = [run(day, hour, 8.0 * day + hour / 4) for day in (14, 15, 16) for hour in (0, 12)]
    found = [row["operating_hours"] for row in machine_days(readings(runs)).to_pylist()]
    # The midnight reading closes the day before; the last day is not over.
    assert found == [0.0, 8.0, 8.0, 3.0]


def test_no_readings_make_no_days() -> None:
    assert days([]) == {}
    assert len(machine_days(readings([]), time_zone="Europe/Copenhagen")) == 0


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_a_time_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone"):
        machine_days(readings_table([]), time_zone=name)


def test_the_order_of_the_rows_that_are_given_does_not_matter() -> None:
    rows = counted(*((f"2026-01-{day:02d}T12:00", float(day)) for day in range(1, 20)))
    assert days(rows) == days(rows[::-1])


def test_readings_in_chunks_are_those_in_one() -> None:
    rows = counted(*((f"2026-01-{day:02d}T12:00", float(day)) for day in range(1, 20)))
    table = readings_table(rows)
    chunked = type(table).from_batches(table.to_batches(max_chunksize=3))
    assert machine_days(chunked) == machine_days(table)
    assert dt.date(2026, 1, 1) in machine_days(chunked)["day"].to_pylist()


def test_readings_that_come_back_from_a_database_are_taken_as_they_are() -> None:
    table = readings_table(counted(*((f"2026-01-{day:02d}T12:00", float(day)) for day in range(1, 20))))
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'Asia/Kolkata'")
        database.register("readings", table)
        back = database.sql("SELECT flags, * EXCLUDE flags, 1 AS own FROM readings").to_arrow_table()
    assert machine_days(back) == machine_days(table)
    text = pa.large_string()
    wide = table.set_column(0, "asset", table["asset"].cast(text)).set_column(
        5, "unit", table["unit"].cast(text)
    )
    assert machine_days(wide) == machine_days(table)


def test_the_page_of_the_rules_names_every_unit_that_is_converted() -> None:
    page = (ROOT / "docs" / "tables" / "rules.md").read_text()
    units = {unit for _, unit in FACTORS}
    singular = {unit for unit in units if f"{unit}S" in units or not unit.endswith("S")}
    assert {unit for unit in singular if f"`{unit}`" not in page} == set()
