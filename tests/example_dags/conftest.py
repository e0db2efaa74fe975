"""Runs the examples once for all tests of this folder, in one Airflow, each with an emulator of its own."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.emulator import IrisEmulator
from dev.airflow_home import EXAMPLES as EXAMPLE_DAGS
from dev.airflow_process import OneProcessHome
from tests.example_dags.files import DAG_IDS
from tests.example_dags.statsd import statsd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.airflow_home import AirflowHome, TaskRun
    from tests.example_dags.statsd import Listen

# Airflow 2.11 does not survive SIGTERM in every state, so the command is killed when it takes longer.
RUN_WITHIN_S = 180
EXAMPLES = (
    "iris_machine_days",
    "iris_backfill",
    "iris_mapped_machines",
    "iris_operating_hours",
    "iris_incremental_events",
    "iris_site_history",
    "iris_fleet_to_storage",
    "iris_fleet_snapshot",
    "iris_asset_events",
    "iris_graphql",
    "iris_sensor_gate",
    "iris_single_call",
    *(["iris_event_driven"] if "iris_event_driven" in DAG_IDS else []),
)
MAPPED = 4
# "dags test" starts one instance within the second in which the one before used up its limit, which no scheduler does,
# and each knows only its own requests. An answer that takes as long as this keeps 16 at a time below 500 per second.
LATENCY_MS = 40
# What a person would give who starts the run: those that write files get a place of their own.
WITH_OUTPUT: dict[str, dict[str, Any]] = {
    "iris_backfill": {"days": 35},
    "iris_operating_hours": {},
    "iris_fleet_to_storage": {},
    "iris_incremental_events": {},
    "iris_machine_days": {"database": "OUTPUT/machine_days.duckdb", "start": "2026-01-12T00:00:00Z"},
    "iris_mapped_machines": {"machines": MAPPED},
    "iris_site_history": {},
}


@dataclass(frozen=True)
class Outcome:
    """What a run of a DAG left behind: its Airflow, its tasks, its files, what the emulator was asked, and what was counted."""

    home: AirflowHome
    tasks: dict[str, TaskRun]
    output: Path
    stats: dict[str, Any]
    requests: list[dict[str, Any]]
    metrics: list[str]

    def result(self, task_id: str) -> Any:
        return self.tasks[task_id].result

    def asked(self, path: str) -> list[dict[str, Any]]:
        return [request for request in self.requests if path in request["path"]]


@dataclass(frozen=True)
class Runs:
    """The runs, under way or done."""

    futures: dict[str, Future[Outcome]]

    def __getitem__(self, dag_id: str) -> Outcome:
        """Wait for a run; a failed one raises with the log of Airflow."""
        return self.futures[dag_id].result()


@pytest.fixture(scope="session")
def example_runs(migrated_home: AirflowHome) -> Iterator[Runs]:
    path = migrated_home.copied(migrated_home.path.parent / "examples").path
    # One port for all of them: Airflow reads it once.
    with (
        OneProcessHome(path, EXAMPLE_DAGS) as home,
        statsd() as (port, listen),
        ThreadPoolExecutor(1) as pool,
    ):
        yield Runs({dag_id: pool.submit(_run, home, dag_id, port, listen) for dag_id in EXAMPLES})


def _run(home: AirflowHome, dag_id: str, port: int, listen: Listen) -> Outcome:
    output = home.path / "output" / dag_id
    params = _params(dag_id, output) if dag_id in WITH_OUTPUT else None
    with IrisEmulator.start() as iris, listen() as metrics:
        iris.settings(latency_ms=LATENCY_MS)
        connection = iris.connection_json()
        tasks = home.test_dag(dag_id, connection, "2026-01-15", RUN_WITHIN_S, params, **sent_to(port))
        return Outcome(home, tasks, output, iris.stats(), iris.requests(), metrics)


def sent_to(port: int) -> dict[str, str]:
    """Return what makes Airflow send its metrics to a listener of StatsD, in the format in which StatsD has tags."""
    return {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
    }


def _params(dag_id: str, output: Path) -> dict[str, Any]:
    given = {
        name: value.replace("OUTPUT", str(output)) if isinstance(value, str) else value
        for name, value in WITH_OUTPUT[dag_id].items()
    }
    return {"output": f"file://{output}", **given}
