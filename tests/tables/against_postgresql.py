"""The same on a real PostgreSQL: ``make tables``.

Not collected with the other tests, by its name, because it starts a server of its own: Debian's, on the loopback
interface, with data that are thrown away.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg2
import psycopg2.extras
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from airflow_provider_trackunit.databases import open_database
from airflow_provider_trackunit.emulator import REAL_FLEET, IrisEmulator
from airflow_provider_trackunit.tables import machine_days
from airflow_provider_trackunit.tables.merging import MergeError, merge, merge_machine_days
from airflow_provider_trackunit.tables.schemas import MACHINE_DAYS, READINGS
from airflow_provider_trackunit.tables.sql import machine_days_query
from dev.demo_report import held_against
from dev.parts import LOOPBACK, Parts, free_port
from tests.e2e.services import READY_WITHIN_S, start_postgres

from . import reference
from .fleets import ZONES, days_table, in_duckdb, readings, readings_table
from .merges import *  # noqa: F403 - the tests that both databases pass
from .merges import NOON, day, done, fetched, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.airflow_home import AirflowHome


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Start PostgreSQL and return how to reach it."""
    with running_postgresql() as reached:
        yield reached


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Run a PostgreSQL with new data, and yield how to reach it."""
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder, Parts(Path(folder)) as parts:
        Path(folder).chmod(0o711)  # PostgreSQL has an account of its own, which finds its data in here
        port, password = free_port(), secrets.token_urlsafe(16)
        start_postgres(Path(folder) / "data", port, password, parts)
        reached = f"host={LOOPBACK} port={port} user=airflow password={password}"
        parts.wait_until(lambda: _answers(reached), "PostgreSQL", READY_WITHIN_S)
        yield reached


def _answers(reached: str) -> bool:
    try:
        psycopg.connect(f"{reached} dbname=postgres").close()
    except psycopg.OperationalError:
        return False
    return True


def _wait_until_locked(reached: str, connection: Any) -> None:
    """Wait until a session waits for what another one holds."""
    deadline_s = time.monotonic() + READY_WITHIN_S
    waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
    with psycopg.connect(reached, autocommit=True) as watcher:
        while watcher.execute(waits, (connection.info.backend_pid,)).fetchone() != (True,):
            assert time.monotonic() < deadline_s


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """Return how to reach an empty database."""
    with psycopg.connect(f"{server} dbname=postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty TEMPLATE template0")
        yield f"{server} dbname=empty"
        connection.execute("DROP DATABASE empty WITH (FORCE)")


def _psycopg2_autocommit(reached: str) -> Any:
    connection = psycopg2.connect(reached, cursor_factory=psycopg2.extras.RealDictCursor)
    connection.autocommit = True
    return connection


DRIVERS: dict[str, Callable[[str], Any]] = {
    "psycopg2": psycopg2.connect,
    "psycopg2, autocommit, rows as mappings": _psycopg2_autocommit,
    "psycopg": psycopg.connect,
    "psycopg, autocommit, rows as mappings": lambda reached: psycopg.connect(
        reached, autocommit=True, row_factory=dict_row
    ),
}


@pytest.fixture(params=DRIVERS)
def connection(request: pytest.FixtureRequest, database: str) -> Iterator[Any]:
    with closing(DRIVERS[request.param](database)) as connection:
        yield connection


@pytest.fixture(scope="module")
def lasting(server: str) -> Iterator[Any]:
    """Return one connection for many examples."""
    with closing(psycopg.connect(f"{server} dbname=postgres", autocommit=True)) as connection:
        yield connection


def days_in(connection: Any, query: str) -> list[dict[str, Any]]:
    rows = connection.execute(query).fetchall()
    found = [dict(zip(MACHINE_DAYS.names, row, strict=True)) for row in rows]
    ordered = sorted(found, key=lambda row: (row["asset"], row["day"]))
    made: list[dict[str, Any]] = days_table(ordered).to_pylist()
    return made


def load(connection: Any, table: Any) -> None:
    connection.execute("DROP TABLE IF EXISTS readings")
    merge(connection, "readings", table)


@given(zone=st.sampled_from(list(ZONES)), data=st.data())
def test_all_three_forms_say_what_the_rules_say(lasting: Any, zone: str, data: st.DataObject) -> None:
    rows = data.draw(readings(zone))
    table = readings_table(rows)
    load(lasting, table)
    expected = days_table(reference.machine_days(rows, zone)).to_pylist()
    assert days_in(lasting, machine_days_query("readings", time_zone=zone)) == expected
    assert machine_days(table, time_zone=zone).to_pylist() == expected
    assert in_duckdb(table, zone).to_pylist() == expected


@given(zone=st.sampled_from(list(ZONES)), after=st.integers(-3, 3), data=st.data())
def test_the_days_since_one_are_the_same_as_among_all(
    lasting: Any, zone: str, after: int, data: st.DataObject
) -> None:
    table = readings_table(data.draw(readings(zone)))
    load(lasting, table)
    since = ZONES[zone] + dt.timedelta(days=after)
    everything = machine_days(table, time_zone=zone)
    expected = everything.filter(pc.greater_equal(everything["day"], since)).to_pylist()
    assert days_in(lasting, machine_days_query("readings", time_zone=zone, since=since)) == expected


def test_the_language_of_the_database_does_not_change_the_order_of_flags(server: str) -> None:
    with psycopg.connect(f"{server} dbname=postgres", autocommit=True) as first:
        first.execute(
            "CREATE DATABASE in_words TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US-u-ka-shifted'"
        )
    rows = [
        reading(float(value), metric=metric, unit=unit)
        for value, (metric, unit) in enumerate(
            [("CumulativeIdleHours", "h"), ("Distance", "FURLONG"), ("FuelUsed", "LITRE")]
        )
    ]
    rows.append(reading(1.0, metric="X", observed_at=rows[0]["observed_at"], flags=["future", "shared_id"]))
    table = readings_table(rows)
    with closing(psycopg.connect(f"{server} dbname=in_words", autocommit=True)) as connection:
        merge(connection, "readings", table)
        assert days_in(connection, machine_days_query("readings")) == machine_days(table).to_pylist()


def test_the_time_zone_of_the_session_does_not_matter(connection: Any) -> None:
    done(connection, "SET TimeZone = 'Asia/Kolkata'")
    done(connection, "SET DateStyle = 'German'")
    table = readings_table([reading(1.0)])
    merge(connection, "readings", table)
    done(connection, "SET TimeZone = 'America/New_York'")
    assert merge(connection, "readings", table) == 0
    merge_machine_days(connection)
    assert merge(connection, "machine_days", machine_days(table)) == 0


def test_any_text_arrives_whatever_the_encoding_of_the_client(connection: Any) -> None:
    done(connection, "SET client_encoding = 'LATIN1'")
    merge(connection, "readings", readings_table([reading(1.0, asset="Łódź ⚙")]))
    assert fetched(connection, "SELECT octet_length(asset) FROM readings") == [(len("Łódź ⚙".encode()),)]


def test_a_repeated_merge_writes_no_row_anew(connection: Any) -> None:
    rows = days_table([day(1, flags=["a"]), day(2)])
    merge(connection, "days", rows)
    before = fetched(connection, "SELECT xmin::text, ctid::text FROM days ORDER BY day")
    merge(connection, "days", rows)
    assert fetched(connection, "SELECT xmin::text, ctid::text FROM days ORDER BY day") == before


def test_who_may_write_into_a_table_but_make_none_can_merge(connection: Any, database: str) -> None:
    merge(connection, "telematics.days", days_table([day(1)]))
    done(connection, "DROP ROLE IF EXISTS loader")
    done(connection, "CREATE ROLE loader LOGIN PASSWORD 'loader'")
    done(connection, "GRANT USAGE ON SCHEMA telematics TO loader")
    done(connection, "GRANT SELECT, INSERT, UPDATE ON telematics.days TO loader")
    reached = " ".join(part for part in database.split() if not part.startswith(("user=", "password=")))
    with closing(psycopg.connect(f"{reached} user=loader password=loader")) as loader:
        assert merge(loader, "telematics.days", days_table([day(1), day(2)])) == 1
    done(connection, "DROP OWNED BY loader")


DIES = """
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$
"""


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        (
            "TRIGGER dies BEFORE INSERT ON days FOR EACH ROW WHEN (NEW.day > '2026-01-02')",
            "nothing was merged",
        ),
        (
            "CONSTRAINT TRIGGER dies AFTER INSERT ON days DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
            "not known",
        ),
    ],
)
def test_a_database_that_goes_away_in_the_middle_leaves_nothing_half_done(
    connection: Any, database: str, trigger: str, message: str
) -> None:
    merge(connection, "days", days_table([day(1)]))
    done(connection, DIES)
    done(connection, f"CREATE {trigger} EXECUTE FUNCTION die()")
    rows = days_table([day(1, idle_hours=1.0), day(2), day(3)])
    with pytest.raises(MergeError, match=rf"^days: .*{message}"):
        merge(connection, "days", rows)
    with psycopg.connect(database) as another:
        assert fetched(another, "SELECT day, idle_hours FROM days") == [(dt.date(2026, 1, 1), None)]
        another.execute("DROP TRIGGER dies ON days")
    with closing(psycopg.connect(database)) as another:
        assert merge(another, "days", rows) == 3


def test_a_database_that_crashes_in_the_middle_has_lost_nothing_and_the_next_merge_is_right() -> None:
    """Its process is killed while it writes the rows, which ends every session; PostgreSQL then starts anew by itself."""
    rows = days_table([day(1, idle_hours=1.0), day(2), day(3)])
    with running_postgresql() as server:
        reached = f"{server} dbname=postgres"
        with closing(psycopg.connect(reached)) as connection:
            merge(connection, "days", days_table([day(1)]))
        with (
            closing(psycopg.connect(reached)) as connection,
            ThreadPoolExecutor(1) as thread,
            closing(psycopg.connect(reached)) as holder,
        ):
            # The merge waits for this row, so that it is known to be in the middle.
            holder.execute("SELECT * FROM days FOR UPDATE")
            merging = thread.submit(merge, connection, "days", rows)
            _wait_until_locked(reached, connection)
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            with pytest.raises(MergeError, match=r"^days: nothing was merged"):
                merging.result()
        deadline_s = time.monotonic() + READY_WITHIN_S
        while not _answers(server):
            assert time.monotonic() < deadline_s
        with closing(psycopg.connect(reached)) as connection:
            assert fetched(connection, "SELECT day, idle_hours FROM days") == [(dt.date(2026, 1, 1), None)]
            assert merge(connection, "days", rows) == 3


def test_merges_at_once_wait_for_each_other(database: str) -> None:
    rows = [day(number) for number in range(1, 29)]

    def merge_some(number: int) -> int:
        with closing(psycopg.connect(database)) as connection:
            return sum(
                merge(connection, "days", days_table([row | {"idle_hours": number + 0.0} for row in order]))
                for order in (rows, rows[::-1])
            )

    with closing(psycopg.connect(database)) as connection:
        merge(connection, "days", days_table(rows))
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(merge_some, range(8)))
        assert fetched(connection, "SELECT count(DISTINCT idle_hours), count(*) FROM days") == [(1, 28)]


def test_days_that_are_made_at_once_never_lack_the_readings_that_came_last(database: str) -> None:
    """The first to begin is held up at an old day, while readings come and their days are made."""
    first = reading(1.0, asset="A", observed_at=NOON - dt.timedelta(days=3))
    second = reading(1.0, asset="B")
    later = reading(5.0, asset="B", observed_at=NOON + dt.timedelta(hours=1))
    with closing(psycopg.connect(database)) as one, closing(psycopg.connect(database)) as two:
        merge(one, "readings", readings_table([first, second]))
        merge_machine_days(one)
        done(one, "UPDATE machine_days SET readings = 0")  # so that both days are written anew
        with ThreadPoolExecutor(2) as threads, closing(psycopg.connect(database)) as holder:
            holder.execute("SELECT * FROM machine_days WHERE asset = 'A' FOR UPDATE")
            held_up = threads.submit(merge_machine_days, one)
            _wait_until_locked(database, one)
            merge(two, "readings", readings_table([later]))
            overtaking = threads.submit(merge_machine_days, two, since=NOON.date())
            _wait_until_locked(database, two)
            holder.rollback()
            held_up.result()
            overtaking.result()
        found = fetched(two, "SELECT asset, idle_hours FROM machine_days ORDER BY asset")
        assert found == [("A", 0.0), ("B", 4.0)]


def test_what_was_begun_on_the_connection_goes_with_the_merge(connection: Any) -> None:
    done(connection, "CREATE TABLE own (id text)")
    connection.cursor().execute("INSERT INTO own VALUES ('mine')")
    merge(connection, "marks", pa.table({"id": ["a"]}), key=["id"])
    assert fetched(connection, "SELECT id FROM own") == [("mine",)]
    connection.rollback()
    assert fetched(connection, "SELECT id FROM own") == [("mine",)]


def as_airflow_writes_it(database: str) -> str:
    """Return how to reach a database as the URI of an Airflow connection."""
    told = conninfo_to_dict(database)
    return f"postgresql://{told['user']}:{told['password']}@{told['host']}:{told['port']}/{told['dbname']}"


def test_a_connection_of_airflow_is_merged_into_by_its_id(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", as_airflow_writes_it(database))
    rows = pa.table({"asset": ["ACM1", "ACM2"], "hours": [1.5, None]})
    for changed in (2, 0):
        with open_database("warehouse") as connection:
            assert merge(connection, "telematics.hours", rows, key=["asset"]) == changed
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT * FROM telematics.hours ORDER BY asset").fetchall() == [
            ("ACM1", 1.5),
            ("ACM2", None),
        ]


def test_the_example_brings_two_mornings_into_postgresql_by_one_parameter(
    database: str, migrated_home: AirflowHome, tmp_path: Path
) -> None:
    """Through a real Airflow, of a fleet that is as troublesome as a real one, and held against what it really did."""
    home = migrated_home.copied(tmp_path / "home")
    zone, last = "Europe/Copenhagen", dt.date(2026, 1, 14)
    params = {"output": f"file://{tmp_path / 'output'}", "database": "warehouse", "time_zone": zone}
    with IrisEmulator.start(assets=40, process=True) as iris:
        iris.settings(**REAL_FLEET)
        iris.set_date("2026-01-14T05:00:00Z")
        loads: list[dict[str, int]] = []
        for morning in ("2026-01-14T05:00:00Z", "2026-01-15T05:00:00Z"):
            if loads:
                iris.advance(86_400)
            warehouse = {"AIRFLOW_CONN_WAREHOUSE": as_airflow_writes_it(database)}
            given = params | {"start": "2026-01-08T00:00:00Z"}
            tasks = home.test_dag(
                "iris_machine_days", iris.connection_json(), morning, 300, given, **warehouse
            )
            loads.append(tasks["load"].result)
        truth = iris.truth(f"{last}", zone)
    assert all(changed for load in loads for changed in load.values())
    with closing(psycopg.connect(database)) as connection:
        rows = [dict(zip(READINGS.names, row, strict=True)) for row in fetched(connection, "TABLE readings")]
        found = days_in(connection, "TABLE machine_days")
        (visits,) = fetched(connection, "SELECT count(*), count(site_name), count(seconds) FROM site_visits")
    assert found == machine_days(readings_table(rows), time_zone=zone).to_pylist()
    assert visits[0] == visits[1] > visits[2] > 0
    right, of = held_against(truth, [one for one in found if one["day"] == last])
    assert right == of > 10
