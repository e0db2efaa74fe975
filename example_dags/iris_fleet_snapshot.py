"""
# The whole fleet, once a day

Reads the AEMP 2.0 (ISO 15143-3) snapshot: the latest position, hours, fuel and more of every machine, 100 machines
a page, all pages. A second task counts what came.

**What it needs**: the connection `trackunit_default`. An API key needs the scope `api.iso15143.snapshot`.

**What to change**: replace `summarise` with what you do with the machines. `addMetadata` brings the asset id to each
machine, which is how you join it with the other APIs; keep the query as it is from run to run, because for IRIS
another query is another URL with a limit of its own. More than 10,000 machines do not fit into the result of a
task: the first task then fails and says so.

**The limit to know**: IRIS answers each page once in 15 minutes, beyond that from a small pool of extra calls. So
there is one run at a time, and a retry comes after 16 minutes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task  # type: ignore[no-redef]

from airflow_provider_trackunit.operators import IrisApiOperator


@dag(
    schedule="0 5 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=16)},
    doc_md=__doc__,
    tags=["trackunit", "example"],
)
def iris_fleet_snapshot() -> None:
    machines = IrisApiOperator(
        task_id="machines",
        endpoint="/public/api/aemp/v2/15143/-3/Fleet/1",
        query_params={"addMetadata": "true"},
    )

    @task
    def summarise(fleet: list[dict[str, Any]]) -> dict[str, Any]:
        """Count. Every block of a machine may be missing, and a missing one is not zero."""
        hours = [
            machine["CumulativeOperatingHours"]["Hour"]
            for machine in fleet
            if "CumulativeOperatingHours" in machine
        ]
        return {
            "machines": len(fleet),
            "with_position": sum("Location" in machine for machine in fleet),
            "with_hours": len(hours),
            "operating_hours": round(sum(hours), 1),
            "first": fleet[0] if fleet else None,
        }

    summarise(machines.output)  # type: ignore[arg-type]  # the records, once the first task has run


iris_fleet_snapshot()
