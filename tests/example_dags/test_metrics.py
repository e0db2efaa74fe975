"""All that is counted, at a real StatsD listener, of one run that meets a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.emulator import IrisEmulator
from dev.airflow_home import EXAMPLES as EXAMPLE_DAGS
from dev.airflow_process import OneProcessHome
from tests.example_dags.conftest import RUN_WITHIN_S, sent_to
from tests.example_dags.statsd import counted, statsd

if TYPE_CHECKING:
    from pathlib import Path

    from dev.airflow_home import AirflowHome

DAG = "iris_incremental_events"
LOG = "/public/api/eventlog/v3/asset-event/log"
RETRY_AFTER_S = 2


def test_a_run_that_meets_a_limit_says_what_it_was_refused_how_long_it_waited_and_what_it_brought(
    migrated_home: AirflowHome, tmp_path: Path
) -> None:
    home = migrated_home.copied(tmp_path / "home")
    params = {"output": f"file://{tmp_path}/output"}
    with (
        OneProcessHome(home.path, EXAMPLE_DAGS) as one,
        statsd() as (port, listen),
        IrisEmulator.start() as iris,
        listen() as lines,
    ):
        iris.fault(path=LOG, kind="rate_limit", retry_after=str(RETRY_AFTER_S))
        tasks = one.test_dag(DAG, iris.connection_json(), "2026-01-15", RUN_WITHIN_S, params, **sent_to(port))
    manifest: dict[str, Any] = tasks["events"].result
    metrics = [(name, tags, value) for name, tags, value in counted(lines) if tags["endpoint"] == LOG]
    by_name: dict[str, list[float]] = {}
    for name, _, value in metrics:
        by_name.setdefault(name, []).append(value)
    statuses = [tags["status"] for name, tags, _ in metrics if name == "requests"]
    assert statuses == ["429", "200"]
    assert by_name["refusals"] == [1]
    # In milliseconds, as StatsD has its timings.
    assert sum(by_name["waited"]) >= RETRY_AFTER_S * 1000
    assert by_name["records"] == [manifest["records"]]
    assert manifest["records"] > 0
    assert by_name["bytes"] == [sum(part["bytes"] for part in manifest["parts"])]
    assert by_name["lag"] == [pytest.approx(by_name["lag"][0])]
    assert by_name["lag"][0] > 0
    assert by_name["calls_left"]
