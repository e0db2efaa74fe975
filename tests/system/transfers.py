"""A running transfer is cleared, marked failed, timed out, stopped and killed; the next try asks for next to nothing again."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.results import read_manifest, read_records
from tests.system.live import ASSETS, demand

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.live import Iris, LiveAirflow

#: The size of a page tells the requests of one from those of the others; as in ``dags/system_transfers.py``.
PAGE_SIZES = {"cleared": 2, "failed": 3, "timed_out": 4, "stopped": 5, "killed": 6}

#: What the emulator takes for a page, so that a transfer takes longer than Airflow takes to tell its task something.
LATENCY_MS = 400

# Airflow, once told, takes so long to tell the task.
_PAGES_BEFORE = 12

# What of the pages may come again after a death without a word: those of checkpoint_interval_s, by two at once.
_MOST_AGAIN = 5 * 2 * 1000 // LATENCY_MS + 2


def transfers_interrupted(airflow: LiveAirflow, iris: Iris) -> str:
    """Interrupt one transfer after the other, let each come to its end, and count what was asked for twice."""
    told = []
    for name, size in PAGE_SIZES.items():
        again = _interrupted(airflow, iris, name, size)
        demand(
            again <= (_MOST_AGAIN if name == "killed" else 1), f"{name}: {again} pages were asked for again"
        )
        told.append(f"{name} {again}")
    return f"{ASSETS} records each, once; pages asked for again: {', '.join(told)}"


def _interrupted(airflow: LiveAirflow, iris: Iris, name: str, size: int) -> int:
    dag_id = f"system_transfer_{name}"
    folder = airflow.home.path / "output" / "transfers" / name
    iris.handle.settings(latency_ms=LATENCY_MS)
    airflow.run(dag_id)
    airflow.wait_until(lambda: len(_pages(iris, size)) > _PAGES_BEFORE, f"{name}: the first pages", 180)
    if name == "cleared":
        airflow.clear(dag_id, "transfer")
    elif name == "failed":
        airflow.fail(dag_id, "transfer")
        airflow.wait_until(lambda: _is_quiet(iris, size), f"{name}: the end of its requests", 60)
        airflow.clear(dag_id, "transfer")
    elif name != "timed_out":
        pid = int(folder.with_name(folder.name + ".pid").read_text())
        os.kill(pid, signal.SIGTERM if name == "stopped" else signal.SIGKILL)
    if name == "timed_out":
        airflow.wait_until((folder / "_checkpoint.json").exists, "its checkpoint", 60)
    else:
        demand(not (folder / "_manifest.json").exists(), f"{name}: it was over before anything happened")
    airflow.wait_until(lambda: _is_done(airflow, dag_id, folder), f"{name}: the end of the next try", 240)
    ids = [record["id"] for record in read_records(read_manifest(f"file://{folder}"))]
    demand(len(ids) == len(set(ids)) == ASSETS, f"{name}: {len(ids)} records, {len(set(ids))} different ones")
    return sum(count - 1 for count in Counter(_pages(iris, size)).values())


def _is_done(airflow: LiveAirflow, dag_id: str, folder: Path) -> bool:
    return airflow.states(dag_id) == ["success"] and (folder / "_manifest.json").exists()


def _pages(iris: Iris, size: int) -> list[str]:
    """Return the pages of one transfer that were answered, in their order."""
    asked: list[dict[str, Any]] = iris.handle.requests("/api/asset/v1/assets")
    queries = [str(one["query"]) for one in asked if one["status"] == 200]
    return [query for query in queries if f"size={size}&" in f"{query}&"]


def _is_quiet(iris: Iris, size: int) -> bool:
    """Return whether no request has come since the last look."""
    count = len(_pages(iris, size))
    before = _SEEN.get(size)
    _SEEN[size] = count
    return count == before


_SEEN: dict[int, int] = {}
