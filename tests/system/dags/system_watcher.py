"""A DAG that a live watcher starts; it returns what the events told. Airflow 3 only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

try:
    from airflow.sdk import Asset, AssetWatcher, dag, task
except ImportError:  # Airflow 2 has no watchers
    dag = None  # type: ignore[assignment]

if dag is not None:
    from airflow_provider_trackunit.triggers import IrisEventTrigger

    grown = AssetWatcher(
        name="system_fleet_grew",
        trigger=IrisEventTrigger(
            endpoint="/api/asset/v2/assets",
            query_params={"size": 500},
            # The id of an asset does not grow; the number of the ERP does.
            watermark="externalReference",
            poll_interval_s=10,
        ),
    )

    @dag(
        schedule=[Asset("system_fleet", watchers=[grown])],
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        # Airflow 3.3 watches for DAGs that are not paused.
        is_paused_upon_creation=False,
    )
    def system_watcher() -> None:
        @task
        def told(**context: Any) -> list[dict[str, Any]]:
            """Return the payload of every event that started this run."""
            events = context["triggering_asset_events"][Asset("system_fleet")]
            return [event.extra["payload"] for event in events]

        told()

    system_watcher()
