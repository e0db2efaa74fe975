"""A live watcher starts one run for what is new, and goes on where it was after its triggerer was killed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.system.live import AIRFLOW_VERSION, demand

if TYPE_CHECKING:
    from tests.system.live import Iris, LiveAirflow

DAG = "system_watcher"
POLLED = "/api/asset/v2/assets"
# Another poll, and what Airflow needs to make a run of an event.
QUIET_S = 18


def watched(airflow: LiveAirflow, iris: Iris) -> str:
    """Grow the fleet under a live watcher, and again while there is no triggerer."""
    demand(not airflow.runs(DAG), f"what was there already fired: {airflow.runs(DAG)}")
    _await_poll(airflow, iris)
    iris.handle.fleet(grow=3)
    first = _payloads(airflow, 1)
    demand([one["count"] for one in first] == [3], f"three new assets gave {first}")
    airflow.kill_triggerer()
    iris.handle.fleet(grow=2)
    airflow.start_triggerer()
    if AIRFLOW_VERSION >= (3, 3):
        second = _payloads(airflow, 2)
        demand([one["count"] for one in second] == [2], f"two new assets gave {second}")
        after = "two more, born while the triggerer was dead: one run more, count 2"
    else:
        _await_poll(airflow, iris)
        after = "what was new while the triggerer was dead is not noticed"
    _await_poll(airflow, iris)
    time.sleep(QUIET_S)
    runs = airflow.runs(DAG)
    demand(len(runs) == 1 + (AIRFLOW_VERSION >= (3, 3)), f"runs in the end: {runs}")
    if AIRFLOW_VERSION < (3, 3):
        # The first of the two has no reference of the ERP.
        iris.handle.fleet(grow=2)
        second = _payloads(airflow, 2)
        demand([one["count"] for one in second] == [1], f"one new asset gave {second}")
        after += " (no state store before 3.3), the next one is: one run more, count 1"
    return f"three new assets: one run, count 3; {after}"


def _await_poll(airflow: LiveAirflow, iris: Iris) -> None:
    polls = iris.polls(POLLED)
    airflow.wait_until(lambda: iris.polls(POLLED) > polls, "a poll of the watcher", 120)


def _payloads(airflow: LiveAirflow, runs: int) -> list[dict[str, Any]]:
    """Return what the newest run was told, once there are so many and they have succeeded."""
    airflow.wait_until(
        lambda: list(airflow.runs(DAG).values()) == ["success"] * runs, f"run {runs} of {DAG}", 120
    )
    payloads: list[dict[str, Any]] = airflow.result(DAG, list(airflow.runs(DAG))[-1], "told")
    return payloads
