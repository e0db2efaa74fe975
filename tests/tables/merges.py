"""What every database has to do with a merge. Each test takes the fixture ``connection`` of the module that runs it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pytest

from airflow_provider_trackunit.iris.export.formats.draft import Draft
from airflow_provider_trackunit.iris.export.formats.parquet import ParquetEncoding
from airflow_provider_trackunit.iris.export.typed.declaring import columns_for
from airflow_provider_trackunit.results import read_batches
from airflow_provider_trackunit.tables.merging import MergeError, merge, merge_machine_days
from airflow_provider_trackunit.tables.schemas import MACHINE_DAYS, READINGS, SITE_VISITS

from .fleets import days_table, readings_table

if TYPE_CHECKING:
    from pathlib import Path

NOON = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)


def reading(value: float | None = 1.0, **changed: Any) -> dict[str, Any]:
    usual = {"asset": "ACM1", "metric": "CumulativeIdleHours", "observed_at": NOON, "value": value}
    return {**usual, "text": None, "unit": "h", "source": "series", "flags": [], **changed}


def day(number: int, **changed: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(MACHINE_DAYS.names)
    return {**row, "asset": "ACM1", "day": dt.date(2026, 1, number), "readings": 3, "flags": [], **changed}


def done(connection: Any, statement: str) -> None:
    """Carry a statement of the user out, in a transaction of its own."""
    connection.cursor().execute(statement)
    if hasattr(connection, "autocommit") and not connection.autocommit:
        connection.commit()


def fetched(connection: Any, query: str) -> list[tuple[Any, ...]]:
    cursor = connection.cursor()
    cursor.execute(query)
    rows = [tuple(row.values() if isinstance(row, dict) else row) for row in cursor.fetchall()]
    cursor.close()
    return rows


def test_a_merge_makes_the_table_and_a_second_one_changes_nothing(connection: Any) -> None:
    rows = days_table([day(1, idle_hours=0.1, flags=["a", "b:c"]), day(2, last_latitude=-0.0)])
    assert merge(connection, "days", rows) == 2
    assert merge(connection, "days", rows) == 0
    assert fetched(connection, "SELECT day, idle_hours, last_latitude, flags FROM days ORDER BY day") == [
        (dt.date(2026, 1, 1), 0.1, None, ["a", "b:c"]),
        (dt.date(2026, 1, 2), None, 0.0, []),
    ]


def test_a_row_of_the_same_key_takes_the_place_of_the_old_one(connection: Any) -> None:
    merge(connection, "days", days_table([day(1, idle_hours=1.0), day(2, idle_hours=2.0)]))
    assert merge(connection, "days", days_table([day(2, idle_hours=None), day(3)])) == 2
    found = fetched(connection, "SELECT day, idle_hours FROM days ORDER BY day")
    assert [(found_day.day, hours) for found_day, hours in found] == [(1, 1.0), (2, None), (3, None)]


def test_every_type_comes_back_as_it_was(connection: Any) -> None:
    rows = [
        reading(
            0.1 + 0.2, text='Gräf & "Stift",\n\\7\'', unit="", flags=["a b", 'c"d\\e', "{},", "", "NULL"]
        ),
        reading(None, asset="", text="", unit=None, observed_at=NOON.replace(microsecond=123456)),
        reading(
            1.7976931348623157e308,
            asset="\\N",
            text="\\N",
            observed_at=dt.datetime(1969, 7, 20, tzinfo=dt.UTC),
        ),
        reading(
            5e-324, asset="\\.", observed_at=dt.datetime(9998, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)
        ),
    ]
    merge(connection, "readings", readings_table(rows))
    names = ", ".join(name for name in READINGS.names if name != "observed_at")
    found = fetched(connection, f"SELECT {names} FROM readings")  # noqa: S608 - names of ours
    expected = [tuple(row[name] for name in READINGS.names if name != "observed_at") for row in rows]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    moments = fetched(
        connection, "SELECT CAST(observed_at AT TIME ZONE 'UTC' AS text) FROM readings ORDER BY observed_at"
    )
    assert [moment for (moment,) in moments] == [
        "1969-07-20 00:00:00",
        "2026-01-15 12:00:00",
        "2026-01-15 12:00:00.123456",
        "9998-12-31 23:59:59.999999",
    ]


def test_columns_of_the_user_keep_what_they_have(connection: Any) -> None:
    merge(connection, "days", days_table([day(1)]))
    done(connection, "ALTER TABLE days ADD COLUMN note text DEFAULT 'new'")
    done(connection, "UPDATE days SET note = 'checked'")
    assert merge(connection, "days", days_table([day(1, idle_hours=1.0), day(2)])) == 2
    assert fetched(connection, "SELECT note, idle_hours FROM days ORDER BY day") == [
        ("checked", 1.0),
        ("new", None),
    ]


def test_columns_may_stand_in_another_order(connection: Any) -> None:
    done(connection, "CREATE TABLE marks (note text, value bigint, id text PRIMARY KEY)")
    merge(connection, "marks", pa.table({"id": ["a"], "value": [1]}), key=["id"])
    assert fetched(connection, "SELECT id, value, note FROM marks") == [("a", 1, None)]


def test_a_schema_that_is_missing_is_made(connection: Any) -> None:
    assert merge(connection, "telematics.days", days_table([day(1)])) == 1
    assert merge(connection, "telematics.days", days_table([day(1), day(2)])) == 1
    assert fetched(connection, "SELECT count(*) FROM telematics.days") == [(2,)]


def test_a_name_is_a_name_whatever_is_in_it(connection: Any) -> None:
    odd = 'Days"; DROP TABLE days; --'
    merge(connection, "days", days_table([day(1)]))
    assert merge(connection, odd, pa.table({'i"d': ["a"], "select": [True]}), key=['i"d']) == 1
    assert fetched(connection, 'SELECT "select" FROM "Days""; DROP TABLE days; --"') == [(True,)]
    assert fetched(connection, "SELECT count(*) FROM days") == [(1,)]


def test_a_table_of_keys_alone_is_merged(connection: Any) -> None:
    assert merge(connection, "ids", pa.table({"id": ["a", "b"]}), key=["id"]) == 2
    assert merge(connection, "ids", pa.table({"id": ["b", "c"]}), key=["id"]) == 1


@pytest.mark.parametrize("schema", [READINGS, MACHINE_DAYS, SITE_VISITS])
def test_an_empty_table_makes_its_table_and_no_row(connection: Any, schema: Any) -> None:
    assert merge(connection, "empty", schema.empty_table()) == 0
    assert fetched(connection, "SELECT * FROM empty") == []


def test_more_rows_than_a_batch_arrive_whole(connection: Any) -> None:
    many = pa.table({"id": pa.array(range(120_001)), "value": [0.5] * 120_001})
    assert merge(connection, "many", many, key=["id"]) == 120_001
    assert fetched(connection, "SELECT count(*), sum(id) AS ids, sum(value) AS halves FROM many") == [
        (120_001, 120_001 * 60_000, 60_000.5)
    ]


@pytest.mark.parametrize(
    ("rows", "key", "message"),
    [
        ({"id": ["a"]}, None, "key"),
        ({"id": ["a"]}, ["name"], "key"),
        ({"id": ["a", "b", "a"]}, ["id"], "two rows have the same key"),
        ({"id": ["a", None]}, ["id"], "lacks its key"),
        ({"id": ["a"], "value": [{"b": 1}]}, ["id"], r"value \(struct"),
    ],
)
def test_rows_that_cannot_be_merged_are_refused_before_anything_is_done(
    connection: Any, rows: dict[str, Any], key: list[str] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        merge(connection, "refused", pa.table(rows), key=key)
    asked = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'refused'"
    assert fetched(connection, asked) == [(0,)]


DECLARED = {
    "id": ("id", "string"),
    "running": ("running", "boolean"),
    "count": ("count", "int64"),
    "hours": ("hours", "double"),
    "read_at": ("read_at", "timestamp"),
    "day": ("day", "date"),
    "devices": ("devices", "json"),
}
MACHINES: list[dict[str, Any]] = [
    {
        "id": 'Łódź, "A"\n',
        "running": False,
        "count": -(2**63),
        "hours": 5e-324,
        "read_at": "2026-01-15T05:58:11.123456Z",
    },
    {
        "id": "\\N",
        "running": True,
        "count": 2**63 - 1,
        "hours": 0.1,
        "day": "0001-01-01",
        "devices": [{"a": None}],
    },
    {
        "id": "",
        "hours": -1.7976931348623157e308,
        "read_at": "9998-12-31T23:59:59.999999Z",
        "day": "9999-12-31",
    },
    {"id": "left", "devices": "text", "more": {"nested": ["ä", "\\", "'"]}},
]


def test_a_typed_result_comes_out_of_the_database_as_it_was_written(connection: Any, tmp_path: Path) -> None:
    encoding = ParquetEncoding(columns_for("/", columns=DECLARED))
    raws = [msgspec.Raw(msgspec.json.encode(one)) for one in MACHINES]
    part = encoding.join(Draft().adding(encoding, raws, None).encoded(encoding).blocks)
    (tmp_path / "part-0.parquet").write_bytes(part)
    named = [{"name": "part-0.parquet", "records": len(MACHINES)}]
    manifest = {"output_path": str(tmp_path), "parts": named, "format": "parquet"}
    table = pa.Table.from_batches(read_batches(manifest))
    assert merge(connection, "lake.machines", table, key=["id"]) == len(MACHINES)
    assert merge(connection, "lake.machines", table, key=["id"]) == 0
    columns = {name: name for name in table.column_names}
    # As text in UTC: a driver makes of a moment what its session's zone is.
    columns |= {"read_at": "CAST(read_at AT TIME ZONE 'UTC' AS text)"}
    found = fetched(connection, f"SELECT {', '.join(columns.values())} FROM lake.machines")  # noqa: S608 - ours
    expected = [
        tuple(str(one.replace(tzinfo=None)) if isinstance(one, dt.datetime) else one for one in row.values())
        for row in table.to_pylist()
    ]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert {row[-1] for row in found} == {None, '{"more":{"nested":["ä","\\\\","\'"]}}'}


def test_a_merge_that_fails_leaves_everything_as_it_was(connection: Any) -> None:
    done(connection, "CREATE TABLE marks (id text PRIMARY KEY, value bigint CHECK (value < 100))")
    merge(connection, "marks", pa.table({"id": ["a"], "value": [1]}), key=["id"])
    with pytest.raises(MergeError, match=r"^marks: nothing was merged \(.*(constraint|CHECK)"):
        merge(connection, "marks", pa.table({"id": ["a", "b"], "value": [2, 100]}), key=["id"])
    assert fetched(connection, "SELECT id, value FROM marks") == [("a", 1)]
    assert merge(connection, "marks", pa.table({"id": ["a"], "value": [3]}), key=["id"]) == 1


def test_a_table_without_that_key_is_told(connection: Any) -> None:
    done(connection, "CREATE TABLE marks (id text, value bigint)")
    with pytest.raises(MergeError, match=r"(?i)unique"):
        merge(connection, "marks", pa.table({"id": ["a"], "value": [2]}), key=["id"])


def test_machine_days_are_made_where_the_readings_are(connection: Any) -> None:
    rows = [
        reading(float(number), observed_at=NOON + dt.timedelta(days=number, hours=11, minutes=1))
        for number in range(4)
    ]
    merge(connection, "telematics.readings", readings_table(rows))
    arguments: dict[str, Any] = {
        "readings": "telematics.readings",
        "machine_days": "telematics.days",
        "time_zone": "Europe/Copenhagen",
    }
    assert merge_machine_days(connection, **arguments, since=dt.date(2026, 1, 18)) == 2
    assert merge_machine_days(connection, **arguments) == 2
    assert merge_machine_days(connection, **arguments) == 0
    found = fetched(connection, "SELECT day, idle_hours, readings, flags FROM telematics.days ORDER BY day")
    assert found == [
        (dt.date(2026, 1, 16), 0.0, 1, ["idle_hours:no_reading_before"]),
        (dt.date(2026, 1, 17), 1.0, 1, []),
        (dt.date(2026, 1, 18), 1.0, 1, []),
        (dt.date(2026, 1, 19), 1.0, 1, []),
    ]


def test_days_since_one_count_from_the_last_reading_before_that_can_be_used(connection: Any) -> None:
    """Of ten days before: one that counts, and behind it one of null, one of an unknown unit and one of the future."""
    usable = reading(10.0, observed_at=NOON - dt.timedelta(days=10))
    unusable: list[dict[str, Any]] = [{"value": None}, {"unit": "FURLONG"}, {"flags": ["future"]}]
    rows = [
        reading(13.0),
        usable,
        *(
            reading(**{"value": 99.0, **one, "observed_at": NOON - dt.timedelta(days=9 - number)})
            for number, one in enumerate(unusable)
        ),
    ]
    merge(connection, "readings", readings_table(rows))
    merge_machine_days(connection, since=dt.date(2026, 1, 15))
    found = fetched(connection, "SELECT day, idle_hours, flags FROM machine_days")
    assert found == [(dt.date(2026, 1, 15), 3.0, ["idle_hours:spans_days"])]


@pytest.mark.parametrize(
    "name", ["factors", "counters", "given", "prepared", "steps", "days", "recent", "former"]
)
def test_the_readings_may_be_called_like_a_step_of_the_query(connection: Any, name: str) -> None:
    merge(connection, name, readings_table([reading(1.0)]))
    assert merge_machine_days(connection, readings=name) == 1
    assert merge_machine_days(connection, readings=name, since=dt.date(2026, 1, 15)) == 0


def test_machine_days_of_a_table_that_is_missing_are_told(connection: Any) -> None:
    with pytest.raises(MergeError, match=r"^machine_days: nothing was merged .*readings"):
        merge_machine_days(connection)
