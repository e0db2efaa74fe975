"""Every example DAG succeeds with ``[operators] default_deferrable`` on, and the sensor of the gate really defers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from dev.airflow_home import EXAMPLES
from tests.system.live import AIRFLOW_VERSION, HAS_REST_API_OF_3, demand
from tests.system.webhooks import DAG as WEBHOOK_DAG
from tests.system.webhooks import write_dag

if TYPE_CHECKING:
    from tests.system.live import Iris, LiveAirflow

OURS = Path(__file__).parent / "dags"
SECRETS = Path(__file__).parents[1] / "secrets" / "dags"
GATE = "iris_sensor_gate"
EXAMPLE_DAGS = sorted(
    file.stem for file in EXAMPLES.glob("iris_*.py") if HAS_REST_API_OF_3 or file.stem != "iris_event_driven"
)
OUR_DAGS = [
    "system_waits",
    "system_reschedules",
    *(["system_async"] if AIRFLOW_VERSION >= (3, 2) else []),
    "system_outage",
    "secrets_failing",
    *(f"system_transfer_{name}" for name in ("cleared", "failed", "timed_out", "stopped", "killed")),
    *(["system_watcher", WEBHOOK_DAG] if HAS_REST_API_OF_3 else []),
]
WITH_OUTPUT = {
    "iris_backfill": {"days": 35},
    "iris_fleet_to_storage": {},
    "iris_incremental_events": {},
    "iris_mapped_machines": {"machines": 4},
    "iris_operating_hours": {},
    "iris_site_history": {},
}
# The emulator's data end here.
LOGICAL_DATE = "2026-01-15T05:00:00+00:00"


def gather_dags(folder: Path) -> None:
    """Copy our DAGs and the examples into one folder.

    The copies have no daily schedule: it would start a second run when they are unpaused, before ours. And the gate
    does not wait five minutes between two looks. Nothing else is changed.
    """
    folder.mkdir(parents=True)
    for file in [*OURS.glob("*.py"), *SECRETS.glob("*.py")]:
        shutil.copy(file, folder)
    if HAS_REST_API_OF_3:
        write_dag(folder)
    for file in EXAMPLES.glob("iris_*.py"):
        text, daily = file.read_text(), 'schedule="[^"]+"'
        if file.stem == GATE:
            demand("poke_interval=300," in text, f"{GATE} looks in other intervals than it did")
            demand(re.search(daily, text) is not None, f"{GATE} has another schedule than it had")
        text = re.sub(daily, "schedule=None", text).replace("poke_interval=300,", "poke_interval=10,")
        (folder / file.name).write_text(text)


def examples_run(airflow: LiveAirflow, iris: Iris) -> str:
    """Start all of them, and wait for the last."""
    # The first look of the gate finds nothing; no other request has this query.
    iris.handle.fault(path="/api/asset/v2/assets?size=100", status=404)
    # Two runs and a watcher share what IRIS allows an account.
    iris.handle.settings(event_calls_per_30_min=10)
    for dag_id in EXAMPLE_DAGS:
        given = WITH_OUTPUT.get(dag_id)
        conf = {} if given is None else {"output": f"file://{airflow.home.path}/output", **given}
        airflow.run(dag_id, LOGICAL_DATE, **conf)
    deferred: set[str] = set()

    def over() -> bool:
        deferred.update(dag_id for dag_id in EXAMPLE_DAGS if "deferred" in airflow.states(dag_id))
        return all(airflow.runs(dag_id).get("system") in {"success", "failed"} for dag_id in EXAMPLE_DAGS)

    airflow.wait_until(over, "the end of all examples", 180 if HAS_REST_API_OF_3 else 420)
    unsuccessful = {
        dag_id: airflow.states(dag_id)
        for dag_id in EXAMPLE_DAGS
        if airflow.runs(dag_id).get("system") != "success"
    }
    demand(not unsuccessful, f"without success: {unsuccessful}")
    demand(GATE in deferred, "the gate never deferred")
    return (
        f"{len(EXAMPLE_DAGS)} succeeded ({', '.join(EXAMPLE_DAGS)}); "
        f"deferred meanwhile: {', '.join(sorted(deferred))}"
    )
