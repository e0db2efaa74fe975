"""A sensor and a transfer that both give their worker slot back, and many sensors that wait together."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cached_property

try:
    from airflow.sdk import dag
except ImportError:  # Airflow 2
    from airflow.decorators import dag  # type: ignore[no-redef]

from airflow_provider_trackunit.hooks import IrisHook
from airflow_provider_trackunit.sensors import IrisSensor
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

# Not before the emulator shows an asset that it hid.
ALL_ARE_THERE = f"totalElements >= `{os.environ.get('SYSTEM_ASSETS', '0')}` && totalElements"


class ImpatientTransfer(IrisToObjectStorageOperator):
    """Sleeps at most five seconds on the worker, in the place of two minutes."""

    @cached_property
    def hook(self) -> IrisHook:
        return IrisHook(self.trackunit_conn_id, max_wait_s=5.0)


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False)
def system_waits() -> None:
    IrisSensor(
        task_id="sensor",
        endpoint="/api/asset/v1/assets",
        query_params={"size": 1},
        condition=ALL_ARE_THERE,
        poke_interval=10,
        timeout=1800,
        deferrable=True,
    )
    ImpatientTransfer(
        task_id="transfer",
        endpoint="/public/api/aemp/v2/15143/-3/Fleet",
        output_path=os.environ.get("SYSTEM_OUTPUT", "file:///tmp/never") + "/transfer",
        max_concurrency=1,
        deferrable=True,
    )


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False)
def system_reschedules() -> None:
    IrisToObjectStorageOperator(
        task_id="transfer",
        endpoint="/public/api/aemp/v2/15143/-3/Fleet",
        output_path=os.environ.get("SYSTEM_OUTPUT", "file:///tmp/never") + "/rescheduled",
        max_concurrency=1,
        max_wait_s=5,
        deferrable=False,
        # With one of them used up, the task would have failed.
        retries=0,
    )


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False)
def system_outage() -> None:
    IrisSensor.partial(
        task_id="sensor",
        endpoint="/api/asset/v1/assets",
        condition=ALL_ARE_THERE,
        poke_interval=10,
        timeout=1800,
        deferrable=True,
        # A second try would hide a failure.
        retries=0,
    ).expand(
        query_params=[{"size": number} for number in range(1, 1 + int(os.environ.get("SYSTEM_SENSORS", "1")))]
    )


system_waits()
system_reschedules()
system_outage()
