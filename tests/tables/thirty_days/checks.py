"""What came of the month, held against the emulator's books and against what its machines really did."""

from __future__ import annotations

import datetime as dt
import io
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyarrow import csv

from airflow_provider_trackunit.emulator.machines.datapoints import COLUMNS
from airflow_provider_trackunit.tables import machine_days
from airflow_provider_trackunit.tables.schemas import MACHINE_DAYS, READINGS, SITE_VISITS
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
    truths = list(_truths(month, iris))
    return [
        *_of_results(month),
        *_of_readings(month, warehouses, books),
        *_of_databases(warehouses),
        *Days(month, warehouses, books).checks(truths),
        *_of_visits(month, warehouses, truths),
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
    ("site_visits", SITE_VISITS, 'asset COLLATE "C", site COLLATE "C", entered_at'),
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


class Day(NamedTuple):
    """A local day, its ends in seconds since the epoch."""

    date: dt.date
    begin: float
    end: float

    @classmethod
    def of(cls, date: dt.date) -> Day:
        """Return the day of a date, of 23 or 25 hours too."""
        begin, end = (
            dt.datetime.combine(one, dt.time(), _ZONE).timestamp()
            for one in (date, date + dt.timedelta(days=1))
        )
        return cls(date, begin, end)


def _truths(month: Month, iris: IrisEmulator) -> Iterator[tuple[Day, list[dict[str, Any]]]]:
    """Yield the local days that have begun, with what every machine did on each; the last is not over."""
    day = Day.of(BEGIN.astimezone(_ZONE).date())
    while day.begin < month.until.timestamp():
        yield day, iris.truth(day.date.isoformat(), TIME_ZONE)
        day = Day.of(day.date + dt.timedelta(days=1))


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


class _Counter(NamedTuple):
    """A counter of a machine, as it is asked for, and the column of a machine day that it fills."""

    name: str
    datapoint: str
    column: str


class Days:
    """The machine days in DuckDB beside what the machines really did."""

    def __init__(self, month: Month, warehouses: Warehouses, books: Books) -> None:
        self._month = month
        self._books = books
        self._now = month.now.timestamp()
        rows = warehouses.duckdb.sql("SELECT * FROM machine_days").to_arrow_table().to_pylist()
        self._found = {(row["asset"], row["day"]): row for row in rows}
        self._of_snapshots = _moments_of_snapshots(warehouses.duckdb)
        self._kinds: Counter[str] = Counter()
        self._wrong: list[str] = []

    def checks(self, truths: list[tuple[Day, list[dict[str, Any]]]]) -> Iterator[Check]:
        """Compare every machine and column, of every day that is over."""
        for day, machines in truths:
            if day.end <= self._month.until.timestamp():
                self._compare(day, machines)
        for kind in sorted(self._kinds):
            yield Check(f"columns of machine days: {kind}", f"{self._kinds[kind]:,}", holds=True)
        yield Check("columns of machine days that are wrong", str(len(self._wrong)), not self._wrong)
        for wrong in self._wrong[:10]:
            yield Check("  wrong", wrong, holds=False)

    def _compare(self, day: Day, machines: list[dict[str, Any]]) -> None:
        for truth in machines:
            name = truth["pin"] or truth["serialNumber"]
            # Of machines that share a name the series is that of one.
            if name in self._month.story.skipped or not self._books.is_called(truth["assetId"], name):
                continue
            row = self._found.get((name.strip(), day.date)) or {}
            for datapoint, column in COLUMNS.items():
                expected = self._expected(truth, _Counter(name, datapoint, column), day)
                flags = {flag for flag in row.get("flags", ()) if flag.startswith(f"{column}:")}
                met = expected.is_met(row.get(column), flags)
                self._note(row, f"{name} {column}", expected.kind if met else None, expected)
            self._compare_places(row, truth, name, day)

    def _note(self, row: dict[str, Any], what: str, met: str | None, expected: Any) -> None:
        if met is not None:
            self._kinds[met] += 1
        elif "shared_id" in row.get("flags", ()):
            self._kinds["flagged: of a name that machines share"] += 1
        else:
            self._wrong.append(f"{what}: not {expected}; {row}")

    # -- what counters gained

    def _expected(self, truth: dict[str, Any], counter: _Counter, day: Day) -> _Expected:
        taken = self._taken(counter.name, counter.datapoint, day)
        if not taken:
            return _Expected("null: no reading", None)
        told = self._before(counter, day) + taken
        values = [self._shown(counter, at) for at in told]
        if any(later < earlier for earlier, later in itertools.pairwise(values)):
            flags = frozenset({f"{counter.column}:counter_fell"})
            return _Expected(f"null and flagged: {self._reason(truth, counter, told)}", None, flags)
        if told[0] > day.begin:
            flags = frozenset({f"{counter.column}:no_reading_before"})
            return _Expected("flagged: no reading before", values[-1] - values[0], flags)
        return self._gained(truth, counter, day, told)

    def _gained(self, truth: dict[str, Any], counter: _Counter, day: Day, told: list[float]) -> _Expected:
        """Return what a day with a reading before it is: the truth, but for what was worked after its last reading."""
        true = truth[counter.column]
        if told[0] >= BEGIN.timestamp() and not any(self._is_smaller(counter, at) for at in told):
            since, until = truth["unreported"][counter.column]
            gain = true + since - until
        else:
            gain = self._shown(counter, told[-1]) - self._shown(counter, told[0])
        if dt.datetime.fromtimestamp(told[0], _ZONE).date() < day.date - dt.timedelta(days=1):
            return _Expected("flagged: of several days", gain, frozenset({f"{counter.column}:spans_days"}))
        if any(self._is_smaller(counter, at) for at in (told[0], told[-1])):
            return _Expected("of the smaller of two values, which a snapshot told last", gain)
        if abs(true - gain) <= _ROUNDED:
            return _Expected("equal to the truth", gain)
        return _Expected("as far as the day's readings tell, the rest with the day beside", gain)

    def _reason(self, truth: dict[str, Any], counter: _Counter, told: list[float]) -> str:
        if counter.column in truth["fell"]:
            return "the counter fell"
        if any(self._is_smaller(counter, at) for at in told):
            return "of two values a snapshot told the smaller last"
        return "the counter fell before the first run"

    def _before(self, counter: _Counter, day: Day) -> list[float]:
        """Return when the reading before a day was taken; what was taken before the first run, a snapshot has to tell."""
        last = self._books.before(counter.name, counter.datapoint, day.begin, self._now)
        if last is None or last >= BEGIN.timestamp():
            return [] if last is None else [last]
        return [at for at in self._told_by_snapshots(counter.name, counter.datapoint) if at <= day.begin][-1:]

    def _shown(self, counter: _Counter, at: float) -> float:
        """Return what a counter showed in the reading that stands of a moment."""
        return self._books.shown(counter.name, counter.datapoint, at, twin=self._is_smaller(counter, at))

    def _is_smaller(self, counter: _Counter, at: float) -> bool:
        """Return whether the second of two readings stands, which says less.

        A snapshot has the last reading alone, and of two results the one that finished last stands.
        """
        if at not in self._told_by_snapshots(counter.name, counter.datapoint):
            return False
        samples = self._books.samples(counter.name, counter.datapoint, Window(at, at), self._now)
        return any(one.twin for one in samples)

    def _told_by_snapshots(self, name: str, datapoint: str) -> list[float]:
        return self._of_snapshots.get((name.strip(), datapoint), [])

    def _taken(self, name: str, datapoint: str, day: Day) -> list[float]:
        """Return when the readings of a day were taken, its midnight left out and the next one in.

        The first local day began before the time that is read: of what was taken until then snapshots tell the last.
        """
        window = Window(max(day.begin, BEGIN.timestamp()), day.end)
        samples = self._books.samples(name, datapoint, window, self._now)
        early = [at for at in self._told_by_snapshots(name, datapoint) if day.begin < at < window.since]
        return sorted({*early, *(one.taken for one in samples if not one.ahead and day.begin < one.taken)})

    # -- where they were

    def _compare_places(self, row: dict[str, Any], truth: dict[str, Any], name: str, day: Day) -> None:
        taken = self._located(name, day)
        for end, at in (("first", taken[:1]), ("last", taken[-1:])):
            found = (row.get(f"{end}_latitude"), row.get(f"{end}_longitude"))
            true = (truth[f"{end}_latitude"], truth[f"{end}_longitude"])
            expected = self._books.place(name, at[0])[:2] if at else (None, None)
            kind = "null: no position" if not at else "a position as the day's readings tell it"
            if expected == true:
                kind = f"the {end} position, equal to the truth at that end of the day"
            self._note(row, f"{name} {end} position", kind if found == expected else None, expected)

    def _located(self, name: str, day: Day) -> list[float]:
        window = Window(max(day.begin, BEGIN.timestamp()), day.end)
        samples = self._books.samples(name, "Locations", window, self._now)
        early = [at for at in self._told_by_snapshots(name, "Latitude") if day.begin < at < window.since]
        good = (one.taken for one in samples if not one.ahead and not one.nowhere and day.begin < one.taken)
        return sorted({*early, *good})


def _moments_of_snapshots(duckdb: Any) -> dict[tuple[str, str], list[float]]:
    """Return of each machine and metric when the readings were taken that are a snapshot's, those of the future left out."""
    rows = duckdb.execute(
        """SELECT asset, metric, list(CAST(epoch(observed_at) AS double) ORDER BY observed_at) FROM readings
        WHERE source = 'snapshot' AND NOT 'future' = ANY (flags) GROUP BY ALL"""
    ).fetchall()
    return {(asset, metric): moments for asset, metric, moments in rows}


def _of_visits(
    month: Month, warehouses: Warehouses, truths: list[tuple[Day, list[dict[str, Any]]]]
) -> Iterator[Check]:
    """Compare the visits of sites with where the machines of the feed really were."""
    true, assets = {}, set()
    for _, machines in truths:
        for machine in machines:
            assets.add(machine["assetId"])
            for visit in machine["visits"]:
                entered, left = (_moment(visit[name]) for name in ("entered_at", "left_at"))
                if entered is not None and BEGIN <= entered <= month.until:
                    true[machine["assetId"], visit["siteId"], entered] = left
    rows = warehouses.duckdb.sql("SELECT * FROM site_visits").to_arrow_table().to_pylist()
    found = {(row["asset"], row["site"], row["entered_at"]): row for row in rows if row["asset"] in assets}
    over = sum(left is not None for left in true.values())
    yield Check("visits of sites, and of these over", f"{len(true):,}, {over:,}", holds=len(true) > 0)
    for name, wrong in {
        "visits of sites lost": true.keys() - found.keys(),
        "visits of sites that nobody made": found.keys() - true.keys(),
        "visits of sites that ended otherwise": {
            key for key in true.keys() & found.keys() if not _is_visit(found[key], key[2], true[key])
        },
    }.items():
        yield Check(name, f"{len(wrong):,}", holds=not wrong)
        for key in sorted(wrong)[:5]:
            yield Check("  of", f"{key}: {true.get(key)}, {found.get(key)}", holds=False)


def _is_visit(row: dict[str, Any], entered: dt.datetime, left: dt.datetime | None) -> bool:
    seconds = None if left is None else (left - entered).total_seconds()
    return bool(row["left_at"] == left and row["seconds"] == seconds)


def _moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
