"""A sensor and a transfer that both give their worker slot back."""

from __future__ import annotations

import os
from datetime import UTC, datetime

try:
    from airflow.sdk import dag
except ImportError:  # Airflow 2
    from airflow.decorators import dag  # type: ignore[no-redef]

from airflow_provider_trackunit.sensors import IrisSensor
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False)
def system_waits() -> None:
    IrisSensor(
        task_id="sensor",
        endpoint="/api/asset/v1/assets",
        query_params={"size": 1},
        condition="totalElements > `250` && totalElements",
        poke_interval=10,
        timeout=1800,
        deferrable=True,
    )
    IrisToObjectStorageOperator(
        task_id="transfer",
        endpoint="/public/api/aemp/v2/15143/-3/Fleet",
        output_path=os.environ.get("SYSTEM_OUTPUT", "file:///tmp/never")
        + "/{{ run_id | replace(':', '-') }}",
        max_concurrency=1,
        deferrable=True,
    )


system_waits()
