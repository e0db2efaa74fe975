"""
# Wait for something in Trackunit IRIS, then pull

Waits until the account holds a machine with a serial number, then reads that machine's latest values. An account
that is just being set up has none; on any other the gate opens at the first look.

**What it needs**: the connection `trackunit_default`. An API key needs the scopes `asset.view` and
`api.iso15143.snapshot`.

**What to change**: `endpoint` and `condition`, for what you wait for. The condition is a
[JMESPath](https://jmespath.org) expression over the answer; the wait ends when its value is true, and the value is
the result of the task. Without a condition the wait ends when the answer holds at least one record, and an answer
of 404 means "not yet": with an asset's own path, the sensor waits until that asset exists.

**The limit to know**: IRIS answers for one machine once in 15 minutes, so a retry comes after that time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import dag
except ImportError:  # Airflow 2
    from airflow.decorators import dag  # type: ignore[no-redef]

from airflow_provider_trackunit.operators import IrisApiOperator
from airflow_provider_trackunit.sensors import IrisSensor


@dag(
    schedule="0 5 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=16)},
    doc_md=__doc__,
    tags=["trackunit", "example"],
)
def iris_sensor_gate() -> None:
    machine_is_there = IrisSensor(
        task_id="machine_is_there",
        endpoint="/api/asset/v2/assets",
        query_params={"size": 100},
        condition="content[?assetType == 'MACHINE' && serialNumber != ''] | [0].serialNumber",
        poke_interval=300,
        timeout=timedelta(hours=6).total_seconds(),
        # Between two looks the worker slot is free.
        mode="reschedule",
    )
    latest_values = IrisApiOperator(
        task_id="latest_values",
        endpoint="/public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}",
        path_params={"pin": "{{ ti.xcom_pull(task_ids='machine_is_there') }}"},
    )
    machine_is_there >> latest_values


iris_sensor_gate()
