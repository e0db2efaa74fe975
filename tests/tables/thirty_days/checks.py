"""What came of the month, held against the emulator's books and against what its machines really did."""

from __future__ import annotations

import datetime as dt
import io
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyarrow import csv

from airflow_provider_trackunit.emulator.machines.datapoints import COLUMNS
from airflow_provider_trackunit.tables import machine_days
from airflow_provider_trackunit.tables.schemas import MACHINE_DAYS, READINGS
from tests.tables.thirty_days.fleet import Window
from tests.tables.thirty_days.month import BEGIN, TIME_ZONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_trackunit.emulator import IrisEmulator
    from tests.tables.thirty_days.fleet import Books
    from tests.tables.thirty_days.month import Month
    from tests.tables.thirty_days.warehouses import Warehouses

#: What two values that were rounded to a hundredth differ by at most.
_ROUNDED: Final = 0.0101
_ZONE: Final = ZoneInfo(TIME_ZONE)


class Check(NamedTuple):
    """One line of the table."""

    name: str
    found: str
    holds: bool


def checks(month: Month, warehouses: Warehouses, iris: IrisEmulator, books: Books) -> list[Check]:
    """Return everything that has to hold."""
    return [
        *_of_results(month),
        *_of_readings(month, warehouses, books),
        *_of_databases(warehouses),
        *Days(month, warehouses, iris, books).checks(),
    ]


def _of_results(month: Month) -> Iterator[Check]:
    story = month.story
    yield Check("records of some machines, counted in every result", f"{story.compared:,}", not story.wrong)
    for wrong in story.wrong[:5]:
        yield Check("  wrong", wrong, holds=False)
    schemas = sum(map(len, story.schemas.values()))
    yield Check(
        "schemas of typed parts",
        f"{schemas} of {len(story.schemas)} endpoints in {story.typed_parts} parts",
        holds=schemas == len(story.schemas) > 0,
    )


def _of_readings(month: Month, warehouses: Warehouses, books: Books) -> Iterator[Check]:
    """Compare what was read with what could be read."""
    names = sorted(month.names - month.story.skipped)
    window = Window(BEGIN.timestamp(), month.until.timestamp())
    sent = books.sent(names, window, month.now.timestamp())
    duckdb = warehouses.duckdb
    duckdb.register("sent", sent)
    duckdb.execute(
        """CREATE TEMP TABLE compared AS
        SELECT sent.value AS sent, came.value AS came, came.source, came.flags, coalesce(sent.asset, came.asset) AS asset
        FROM sent FULL JOIN (
            SELECT * FROM readings WHERE metric IN (SELECT metric FROM sent)
            AND observed_at <= ? OR 'future' = ANY (flags) AND source = 'series'
        ) AS came ON came.asset = sent.asset AND came.metric = sent.metric AND came.observed_at = sent.observed_at""",
        [month.until],
    )
    asked = {
        "readings lost": "came IS NULL",
        "readings with another value": "sent <> came AND source = 'series'",
        "readings that nobody sent": "sent IS NULL AND source = 'series'",
    }
    yield Check("readings that the machines could have sent", f"{len(sent):,}", len(sent) > 0)
    for name, condition in asked.items():
        found = duckdb.execute(f"SELECT count(*) FROM compared WHERE {condition}").fetchone()[0]  # noqa: S608
        yield Check(name, f"{found:,}", found == 0)
        if found:
            of = f"SELECT DISTINCT asset FROM compared WHERE {condition} LIMIT 5"  # noqa: S608
            yield Check("  of", str(duckdb.execute(of).fetchall()), holds=False)
    twice = duckdb.execute(
        "SELECT count(*) - count(DISTINCT (asset, metric, observed_at)) FROM readings"
    ).fetchone()[0]
    yield Check("readings twice", f"{twice:,}", twice == 0)


def _of_databases(warehouses: Warehouses) -> Iterator[Check]:
    """Compare the databases with each other, and the days with those that Arrow makes of the readings."""
    found = {
        name: warehouses.duckdb.execute(f"SELECT {', '.join(schema.names)} FROM {name} ORDER BY {key}")  # noqa: S608
        .to_arrow_table()
        .cast(schema)
        for name, schema, key in _TABLES
    }
    made = machine_days(found["readings"], time_zone=TIME_ZONE)
    yield Check(
        "machine days in DuckDB and on Arrow",
        f"{len(made):,}",
        holds=found["machine_days"].to_pylist() == made.to_pylist(),
    )
    if warehouses.postgresql is None:
        return
    for name, schema, key in _TABLES:
        there = _from_postgresql(warehouses.postgresql, name, schema, key)
        same = there.equals(_as_copied(found[name]))
        yield Check(f"{name} in DuckDB and in PostgreSQL", f"{len(there):,}", holds=same)


_TABLES: Final = (
    ("readings", READINGS, 'asset COLLATE "C", metric COLLATE "C", observed_at'),
    ("machine_days", MACHINE_DAYS, 'asset COLLATE "C", day'),
)


def _from_postgresql(connection: Any, name: str, schema: Any, key: str) -> Any:
    columns = [_copied_column(field) for field in schema]
    query = f"COPY (SELECT {', '.join(columns)} FROM {name} ORDER BY {key}) TO STDOUT WITH (FORMAT csv)"  # noqa: S608
    written = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for data in copy:
            written.write(data)
    written.seek(0)
    types = {field.name: _copied_type(field) for field in schema}
    return csv.read_csv(
        written,
        read_options=csv.ReadOptions(column_names=schema.names),
        convert_options=csv.ConvertOptions(
            column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )


def _copied_column(field: Any) -> str:
    if pa.types.is_list(field.type):
        return f"array_to_string({field.name}, ' ')"
    return (
        f"CAST(extract(epoch FROM {field.name}) * 1e6 AS bigint)"
        if pa.types.is_timestamp(field.type)
        else field.name
    )


def _copied_type(field: Any) -> Any:
    return (
        pa.int64()
        if pa.types.is_timestamp(field.type)
        else pa.string()
        if pa.types.is_list(field.type)
        else field.type
    )


def _as_copied(table: Any) -> Any:
    import pyarrow.compute as pc

    columns = [
        pc.binary_join(table[field.name], " ")
        if pa.types.is_list(field.type)
        else table[field.name].cast(_copied_type(field))
        for field in table.schema
    ]
    return pa.table(columns, names=table.schema.names).combine_chunks()


class _Day(NamedTuple):
    """A local day, its ends in seconds since the epoch."""

    date: dt.date
    begin: float
    end: float

    @classmethod
    def of(cls, date: dt.date) -> _Day:
        """Return the day of a date, of 23 or 25 hours too."""
        begin, end = (
            dt.datetime.combine(one, dt.time(), _ZONE).timestamp()
            for one in (date, date + dt.timedelta(days=1))
        )
        return cls(date, begin, end)


class _Expected(NamedTuple):
    """What a column of a machine day has to be.

    :param kind: how it is counted
    :param value: the gain that the readings tell; None for null
    :param flags: which flags of the column it has
    """

    kind: str
    value: float | None
    flags: frozenset[str] = frozenset()

    def is_met(self, value: float | None, flags: set[str]) -> bool:
        """Return whether a column is that."""
        if value is None or self.value is None:
            return value is self.value and flags == self.flags
        return abs(value - self.value) <= 2 * _ROUNDED and flags == self.flags


class Days:
    """The machine days in DuckDB beside what the machines really did."""

    def __init__(self, month: Month, warehouses: Warehouses, iris: IrisEmulator, books: Books) -> None:
        self._month = month
        self._iris = iris
        self._books = books
        self._now = month.now.timestamp()
        rows = warehouses.duckdb.execute("SELECT * FROM machine_days").to_arrow_table().to_pylist()
        self._found = {(row["asset"], row["day"]): row for row in rows}
        self._kinds: Counter[str] = Counter()
        self._wrong: list[str] = []

    def checks(self) -> Iterator[Check]:
        """Compare every machine, day and column."""
        day = _Day.of(BEGIN.astimezone(_ZONE).date())
        while day.end <= self._month.until.timestamp():
            self._compare(day)
            day = _Day.of(day.date + dt.timedelta(days=1))
        for kind in sorted(self._kinds):
            yield Check(f"columns of machine days: {kind}", f"{self._kinds[kind]:,}", holds=True)
        yield Check("columns of machine days that are wrong", str(len(self._wrong)), not self._wrong)
        for wrong in self._wrong[:10]:
            yield Check("  wrong", wrong, holds=False)

    def _compare(self, day: _Day) -> None:
        for truth in self._iris.truth(day.date.isoformat(), TIME_ZONE):
            name = truth["pin"] or truth["serialNumber"]
            # Of machines that share a name the series is that of one.
            if name in self._month.story.skipped or not self._books.is_called(truth["assetId"], name):
                continue
            row = self._found.get((name.strip(), day.date)) or {}
            for datapoint, column in COLUMNS.items():
                self._compare_column(row, column, self._expected(truth, datapoint, column, day), name)

    def _compare_column(self, row: dict[str, Any], column: str, expected: list[_Expected], name: str) -> None:
        flags = {flag for flag in row.get("flags", ()) if flag.startswith(f"{column}:")}
        value = row.get(column)
        met = next((one for one in expected if one.is_met(value, flags)), None)
        if met is not None:
            self._kinds[met.kind] += 1
        elif "shared_id" in row.get("flags", ()):
            self._kinds["flagged: of a name that machines share"] += 1
        else:
            self._wrong.append(f"{name} {column}: {value} {flags}, not {expected}; {row}")

    def _expected(self, truth: dict[str, Any], datapoint: str, column: str, day: _Day) -> list[_Expected]:
        """Return what a column can be; more than one where a snapshot of before the first run can have told more."""
        name = truth["pin"] or truth["serialNumber"]
        if not self._taken(name, datapoint, day):
            return [_Expected("null: no reading", None)]
        if column in truth["fell"]:
            return [
                _Expected("null and flagged: the counter fell", None, frozenset({f"{column}:counter_fell"}))
            ]
        if truth["unreported"][column] is None:
            return [self._first(name, datapoint, column, day)]
        since, until = truth["unreported"][column]
        told = self._told(name, datapoint, column, day, (truth[column], truth[column] + since - until))
        before = self._books.before(name, datapoint, day.begin, self._now)
        return [told] if before >= BEGIN.timestamp() else [told, self._first(name, datapoint, column, day)]

    def _told(
        self, name: str, datapoint: str, column: str, day: _Day, gains: tuple[float, float]
    ) -> _Expected:
        """Return what a day with a reading before it is: the truth, but for what was worked after its last reading."""
        truth, told = gains
        before = self._books.before(name, datapoint, day.begin, self._now)
        if dt.datetime.fromtimestamp(before, _ZONE).date() < day.date - dt.timedelta(days=1):
            return _Expected("flagged: of several days", told, frozenset({f"{column}:spans_days"}))
        if abs(truth - told) <= _ROUNDED:
            return _Expected("equal to the truth", told)
        return _Expected("as far as the day's readings tell, the rest with the day beside", told)

    def _first(self, name: str, datapoint: str, column: str, day: _Day) -> _Expected:
        """Return what a day without a reading before it is."""
        taken = self._taken(name, datapoint, day)
        gain = self._books.gain(name, column, taken[0], taken[-1])
        return _Expected("flagged: no reading before", gain, frozenset({f"{column}:no_reading_before"}))

    def _taken(self, name: str, datapoint: str, day: _Day) -> list[float]:
        """Return when the readings of a day were taken, its midnight left out and the next one in.

        The first local day began before the time that is read: what was taken until then is not asked for.
        """
        window = Window(max(day.begin, BEGIN.timestamp()), day.end)
        samples = self._books.samples(name, datapoint, window, self._now)
        return [one.taken for one in samples if not one.ahead and day.begin < one.taken]
