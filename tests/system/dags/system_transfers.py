"""Transfers that something happens to while they run: one DAG, with one task, for each of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

try:
    from airflow.sdk import dag
except ImportError:  # Airflow 2
    from airflow.decorators import dag  # type: ignore[no-redef]

from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

OUTPUT = os.environ.get("SYSTEM_OUTPUT", "file:///tmp/never") + "/transfers"

#: The size of a page tells the requests of one from those of the others.
PAGE_SIZES = {"cleared": 2, "failed": 3, "timed_out": 4, "stopped": 5, "killed": 6}


class TransferWithItsPid(IrisToObjectStorageOperator):
    """Writes down in which process it runs."""

    def execute(self, context: Any) -> dict[str, Any]:
        file = Path(str(self.output_path).removeprefix("file://") + ".pid")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(os.getpid()))
        return super().execute(context)


def transfer_that_is(name: str, size: int) -> None:
    @dag(
        dag_id=f"system_transfer_{name}",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
    )
    def system_transfer() -> None:
        TransferWithItsPid(
            task_id="transfer",
            endpoint="/api/asset/v1/assets",
            query_params={"size": size},
            output_path=f"{OUTPUT}/{name}",
            max_concurrency=2,
            checkpoint_interval_s=5,
            retries=2,
            retry_delay=timedelta(seconds=1),
            # The first try takes longer; three of them do not.
            execution_timeout=timedelta(seconds=6) if name == "timed_out" else None,
            deferrable=False,
        )

    system_transfer()


for _name, _size in PAGE_SIZES.items():
    transfer_that_is(_name, _size)
