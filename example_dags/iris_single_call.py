"""
# One call to Trackunit IRIS

Reads one page of assets, ordered by name, and keeps three members of each. Start here to see whether the
connection works.

**What it needs**: the connection `trackunit_default`. An API key needs the scope `asset.view`.

**What to change**: `endpoint` and `query_params` for another call; `pick` for what you want to keep. With
`paginate=False` the task makes exactly one request and hands over the decoded body. Leave the argument out, and
the task reads every page and hands over the list of all records.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

try:
    from airflow.sdk import dag
except ImportError:  # Airflow 2
    from airflow.decorators import dag  # type: ignore[no-redef]

from airflow_provider_trackunit.operators import IrisApiOperator


def pick(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Keep what the next task needs. A task's result is stored in Airflow's database, so less is better."""
    return [{member: asset[member] for member in ("id", "name", "serialNumber")} for asset in body["content"]]


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    doc_md=__doc__,
    tags=["trackunit", "example"],
)
def iris_single_call() -> None:
    IrisApiOperator(
        task_id="first_assets",
        endpoint="/api/asset/v2/assets",
        query_params={"size": 50, "sort": "name"},
        paginate=False,
        response_filter=pick,
    )


iris_single_call()
