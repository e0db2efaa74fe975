"""Whether a triggerer runs: a task that is deferred waits for one, however long that takes, and nothing else says so."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit._compat import AIRFLOW_VERSION

if TYPE_CHECKING:
    from airflow_provider_trackunit._compat import BaseOperator

# It is asked on the way into a wait of half a minute or more. Whoever does not answer by then does not say.
_ANSWER_WITHIN_S: Final = 2.0


def warn_if_none_runs(operator: BaseOperator) -> None:
    """Say in the log of a task that is about to be deferred that Airflow knows of no living triggerer.

    Nothing is said where Airflow does not tell: where its API server cannot be reached from here, or in ``dag.test()``,
    which brings its own.
    """
    if _none_runs():
        operator.log.warning(
            "No triggerer runs. This task is deferred, and goes on only once somebody starts one: airflow triggerer"
        )


def _none_runs() -> bool:
    try:
        return _none_in_health() if AIRFLOW_VERSION >= (3, 0) else _none_in_database()
    except Exception:  # noqa: BLE001 - whatever keeps it from knowing, the task is deferred all the same
        return False


def _none_in_health() -> bool:
    """Ask the API server, whose health is for everybody to see."""
    from airflow.configuration import conf

    server = conf.get("core", "execution_api_server_url", fallback=None) or conf.get("api", "base_url")
    url = f"{server.rstrip('/').removesuffix('/execution')}/api/v2/monitor/health"
    with urllib.request.urlopen(url, timeout=_ANSWER_WITHIN_S) as response:  # noqa: S310 - Airflow's own API server
        health: dict[str, Any] = json.load(response)
    return bool(health["triggerer"]["status"] != "healthy")


def _none_in_database() -> bool:
    """Ask the database, which a worker of Airflow 2 can reach."""
    from airflow.jobs.job import most_recent_job

    job = most_recent_job("TriggererJob")
    return job is None or not job.is_alive()
