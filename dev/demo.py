"""``make demo``: three mornings of a fleet in a local IRIS, through a real Airflow, into machine days.

Starts the emulator with a fleet that is as troublesome as a real one, runs ``example_dags/iris_machine_days.py`` with
``airflow dags test`` on SQLite for each morning, prints the last whole day and draws all of them. Nothing is left
running, however it ends.
"""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
from airflow import __version__ as airflow_version

from airflow_provider_trackunit import __version__
from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.emulator.settings import REAL_FLEET
from dev.airflow_home import ROOT, AirflowCommandError, AirflowHome, TaskRun, interrupt_once
from dev.demo_report import chosen, flags_by_column, held_against, row_of, table_of

if TYPE_CHECKING:
    from pathlib import Path

# Four of five are machines.
ASSETS = 100
DAG = "iris_machine_days"
FIRST_MORNING = dt.datetime(2026, 1, 13, 5, tzinfo=dt.UTC)
MORNINGS = 3
TIME_ZONE = "Europe/Copenhagen"
LAST_DAY = dt.date(2026, 1, 14)
# The first run reads two weeks that were before it, which takes longest.
RUN_WITHIN_S = 300
PICTURE = ROOT / "docs" / "images" / "machine-days.png"
LOG = ROOT / ".airflow" / "demo.log"


@dataclass(frozen=True)
class Morning:
    """One run of the DAG."""

    at: dt.datetime
    tasks: dict[str, TaskRun]
    requests: int
    seconds: float


def main() -> None:
    """Run the demo.

    :raises SystemExit: when the DAG failed; the log of Airflow is printed first
    """
    interrupt_once()
    home = AirflowHome(ROOT / ".airflow" / f"demo-{airflow_version}")
    output = ROOT / ".airflow" / "demo"
    try:
        _say(f"Airflow {airflow_version} on SQLite: {home.path.relative_to(ROOT)}")
        home.migrate()
        shutil.rmtree(output, ignore_errors=True)
        with IrisEmulator.start(assets=ASSETS, process=True) as iris:
            _say(f"IRIS emulator with {ASSETS} assets: {iris.url}")
            iris.settings(**REAL_FLEET)
            mornings = [_morning(home, iris, number, output) for number in range(MORNINGS)]
            _say(_report(mornings, iris, output))
    except AirflowCommandError as error:
        LOG.write_text(str(error))
        _say(f"{error}\n\nThe demo failed. What Airflow printed is above, and in {LOG.relative_to(ROOT)}.")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit("Stopped.") from None


def _morning(home: AirflowHome, iris: IrisEmulator, number: int, output: Path) -> Morning:
    """Let it be the morning, and run the DAG."""
    at = FIRST_MORNING + dt.timedelta(days=number)
    if number:
        iris.advance(dt.timedelta(days=1).total_seconds())
    else:
        iris.set_date(at.isoformat())
    moment = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    params = {"output": f"file://{output}", "database": str(_database(output)), "time_zone": TIME_ZONE}
    _say(f"airflow dags test {DAG} {moment}")
    before, begun = len(iris.requests()), time.monotonic()
    tasks = home.test_dag(DAG, iris.connection_json(), moment, RUN_WITHIN_S, params)
    return Morning(at, tasks, len(iris.requests()) - before, time.monotonic() - begun)


def _report(mornings: list[Morning], iris: IrisEmulator, output: Path) -> str:
    days = _machine_days(output)
    last = [day for day in days if day["day"] == LAST_DAY]
    right, of = held_against(iris.truth(f"{LAST_DAY}", TIME_ZONE), last)
    stats = iris.stats()
    machines = mornings[-1].tasks["fleet"].result["records"]
    _draw([day for day in days if day["day"] <= LAST_DAY])
    lines = [
        f"airflow-provider-trackunit {__version__}, {MORNINGS} mornings of a fleet of {machines} machines:",
        *table_of([_summary(morning) for morning in mornings]),
        f"{stats['requests']} requests, {stats['token_requests']} tokens, {stats['rate_limited']} refused (429).",
        "",
        f"{LAST_DAY:%A}, {LAST_DAY}, from midnight to midnight in {TIME_ZONE}:",
        *table_of([row_of(day) for day in chosen(last)]),
        f"Of {len(last)} machines those that worked most, and all with a flag. A dash is not known, and not zero.",
        "One without a PIN is seen once a morning: its hours are those since the morning before.",
        f"Of {of} with a PIN and no flag, {right} have the hours that the emulator's machines really worked.",
        "",
        f"{len(days)} machine days in all, {sum(bool(day['flags']) for day in days)} with a flag. Columns with flags:",
        *table_of(flags_by_column(days)),
        f"picture    {PICTURE.relative_to(ROOT)}",
        f"tables     {_database(output).relative_to(ROOT)}",
        "rules      docs/tables/rules.md",
        "",
        "Everything is stopped. Next: docs/machine-days.md, make ui, or the README for your own account.",
    ]
    return "\n" + "\n".join(lines)


def _machine_days(output: Path) -> list[dict[str, Any]]:
    with closing(duckdb.connect(_database(output), read_only=True)) as database:
        found = database.sql("SELECT * FROM machine_days ORDER BY asset, day").to_arrow_table()
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def _draw(days: list[dict[str, Any]]) -> None:
    # It tells of its cache of fonts when it is imported.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    from dev.demo_picture import draw

    draw(days, PICTURE)


def _summary(morning: Morning) -> dict[str, Any]:
    loaded = morning.tasks["load"].result
    read_from = morning.tasks["history"].result["period"]["from"]
    return {
        "run at (UTC)": f"{morning.at:%Y-%m-%d %H:%M}",
        "reads from": read_from[:16].replace("T", " "),
        "requests": morning.requests,
        "readings": loaded["readings"],
        "machine days": loaded["machine_days"],
        "site visits": loaded["site_visits"],
        "seconds": round(morning.seconds),
    }


def _database(output: Path) -> Path:
    return output / "machine_days.duckdb"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
