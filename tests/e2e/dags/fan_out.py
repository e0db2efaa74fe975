"""The fleet into a shared folder, then the hours of each machine by a task of its own: with the pool, and without."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import ObjectStoragePath, dag, task

from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
HOURS = FLEET + "/Equipment/ID/{pin}/CumulativeOperatingHours/2026-01-05T00:00:00Z/2026-01-08T00:00:00Z"
FOLDER = "{{ params.output }}/{{ run_id }}"
POOL = "trackunit"


def fan_out(dag_id: str, pool: str | None) -> None:
    """Make one of the DAGs.

    :param pool: of the tasks that ask IRIS for hours
    """
    limited: dict[str, Any] = {} if pool is None else {"pool": pool}

    @dag(
        dag_id=dag_id,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        params={"output": "", "machines": 0},
        # Short for the test; against the real IRIS it is the quarter of an hour of its limit.
        default_args={"retries": 5, "retry_delay": timedelta(seconds=5)},
        max_active_tasks=64,
    )
    def build() -> None:
        fleet = IrisToObjectStorageOperator(
            task_id="fleet", endpoint=FLEET + "/1", output_path=FOLDER + "/fleet"
        )

        @task
        def machines(manifest: dict[str, Any], folder: str, count: str) -> list[dict[str, str]]:
            pins = []
            for part in manifest["parts"]:
                with (ObjectStoragePath(folder) / part["name"]).open("rb") as file, gzip.open(file) as lines:
                    pins += [json.loads(line)["EquipmentHeader"].get("PIN") for line in lines]
            unique = list(dict.fromkeys(pin for pin in pins if pin))
            return [{"pin": pin} for pin in unique[: int(count)]]

        @task
        def instances(items: list[dict[str, str]], folder: str) -> list[dict[str, Any]]:
            return [
                {"path_params": item, "output_path": f"{folder}/{number:04d}"}
                for number, item in enumerate(items)
            ]

        # What stands here is filled in once the fleet is there.
        items = machines(fleet.output, FOLDER + "/fleet", "{{ params.machines }}")  # type: ignore[arg-type]
        IrisToObjectStorageOperator.partial(task_id="hours", endpoint=HOURS, **limited).expand_kwargs(
            instances(items, FOLDER + "/hours")  # type: ignore[arg-type]
        )

    build()


def in_one_task() -> None:
    """Make the DAG that reads the same with one task, which is what the provider is made for."""

    @dag(
        dag_id="one_task",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        params={"output": "", "machines": []},
    )
    def build() -> None:
        @task
        def machines(pins: str) -> list[dict[str, str]]:
            return [{"pin": pin} for pin in json.loads(pins)]

        IrisToObjectStorageOperator(
            task_id="hours",
            endpoint=HOURS,
            path_params=machines("{{ params.machines | tojson }}"),
            output_path=FOLDER + "/hours",
            max_concurrency=16,
            pool=POOL,
        )

    build()


fan_out("fan_out", POOL)
fan_out("fan_out_without_pool", None)
in_one_task()
