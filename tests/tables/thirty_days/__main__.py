"""``make thirty-days``: a month of 300 machines in half an hour, and everything that real fleets and workers do.

An emulator whose fleet does what real ones do (``REAL_FLEET``); two runs a day through the operator, one in Parquet, one
in JSON Lines; processes that die at any operation on the store, or between two merges; runs that fail for good and are
cleared later, sound ones that are cleared too; machines that come and go; two weeks that are lost in the middle and
back-filled; a PostgreSQL that ends sessions while it is merged into. In the end every reading is held against the
emulator's books, and every day of every machine against what it really did.

A seed draws the data and what goes wrong. The end is 1 when a line of the table does not hold.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.airflow_home import AirflowHome, interrupt_once
from dev.parts import LOOPBACK, Parts, free_port
from tests.tables.thirty_days.calendar import Calendar

if TYPE_CHECKING:
    from tests.tables.thirty_days.checks import Check

# Eight of ten assets are machines of the feed.
_ASSETS_PER_MACHINE = 10 / 8
# In fewer, nothing is there yet in the middle that could be lost and back-filled.
_FEWEST_DAYS = 3


def main() -> None:
    """Let the month pass, and print what came of it.

    :raises SystemExit: with 1 when something does not hold
    """
    parser = argparse.ArgumentParser(prog="python -m tests.tables.thirty_days", description=__doc__)
    parser.add_argument("--machines", type=int, default=300)
    parser.add_argument("--days", type=int, default=30, help="three or more")
    parser.add_argument("--seed", type=int, default=None, help="of a former run; without it, a new one")
    parser.add_argument("--without-postgresql", action="store_true", help="DuckDB alone")
    options = parser.parse_args()
    if options.days < _FEWEST_DAYS:
        parser.error(f"--days: {_FEWEST_DAYS} or more")
    interrupt_once()  # so that it ends what it started, however it is ended
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="thirty-days-") as scratch:
        found = _month(options, seed, Path(scratch))
    width = max(len(one.name) for one in found)
    for one in found:
        print(f"{'' if one.holds else 'BROKEN  '}{one.name.ljust(width)}  {one.found}")
    broken = sum(not one.holds for one in found)
    _say(
        f"seed {seed}: {f'{broken} BROKEN' if broken else 'all hold'} after {time.monotonic() - begun:.0f} s"
    )
    if broken:
        raise SystemExit(1)


def _month(options: argparse.Namespace, seed: int, folder: Path) -> list[Check]:
    os.environ.update(AirflowHome(folder / "home").environment(AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR"))
    calendar = Calendar(time.time())
    calendar.install()
    # From here on, because they take the clock that they find.
    from airflow_provider_trackunit.emulator import IrisEmulator
    from airflow_provider_trackunit.emulator.handle import CONNECTION_ENV
    from tests.tables.stores import attach_bucket
    from tests.tables.thirty_days.checks import checks
    from tests.tables.thirty_days.fleet import Books
    from tests.tables.thirty_days.lake import Lake
    from tests.tables.thirty_days.month import SWITCHES, TIME_ZONE, Month
    from tests.tables.thirty_days.warehouses import Warehouses

    assets = round(options.machines * _ASSETS_PER_MACHINE)
    lake = Lake(folder / "lake")
    attach_bucket("lake", lake)
    with ExitStack() as stack:
        reached = None if options.without_postgresql else _postgresql(folder, stack)
        iris = stack.enter_context(IrisEmulator.start(assets=assets, seed=seed, process=True))
        iris.settings(**SWITCHES)
        os.environ[CONNECTION_ENV] = iris.connection_json()
        warehouses = stack.enter_context(Warehouses(folder / "days.duckdb", reached, TIME_ZONE))
        books = Books(seed, assets, SWITCHES)
        _say(f"{options.machines} machines, {options.days} days, seed {seed}")
        month = Month(
            iris,
            calendar,
            lake,
            warehouses,
            books,
            days=options.days,
            machines=options.machines,
            chance=random.Random(seed),
            tell=_say,
        )
        month.pass_by()
        _say(_told(month, warehouses))
        return checks(month, warehouses, iris, books)


def _postgresql(folder: Path, stack: ExitStack) -> str:
    """Start a PostgreSQL and return how to reach it."""
    import psycopg

    from tests.e2e.services import READY_WITHIN_S, start_postgres

    folder.chmod(0o711)  # PostgreSQL has an account of its own, which finds its data in here
    parts = stack.enter_context(Parts(folder))
    port, password = free_port(), secrets.token_urlsafe(16)
    start_postgres(folder / "postgresql", port, password, parts)
    reached = f"host={LOOPBACK} port={port} user=airflow password={password} dbname=postgres"

    def answers() -> bool:
        try:
            psycopg.connect(reached).close()
        except psycopg.OperationalError:
            return False
        return True

    parts.wait_until(answers, "PostgreSQL", READY_WITHIN_S)
    return reached


def _told(month: Any, warehouses: Any) -> str:
    story = month.story
    kills = ", ".join(f"{place} {count}" for place, count in sorted(story.kills.items()))
    return (
        f"{story.tries} tries of {len(month.runs)} runs and their repetitions, {story.kills.total()} killed ({kills}); "
        f"{story.loads_killed} loads killed, {warehouses.went_away} merges lost their database; "
        f"{len(story.skipped)} machines refused; {story.rows:,} readings loaded"
    )


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


if __name__ == "__main__":
    main()
