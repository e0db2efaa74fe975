"""A transfer as the only business of a process, which somebody else kills."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

ENDPOINT = "/api/asset/v1/assets"
#: Small pages and parts, so that a result of 250 assets is many writes.
PAGE_SIZE = 10
PART_BYTES = 20_000


def write(environment: dict[str, str], output_path: str, conn_id: str | None, run_id: str) -> None:
    """Run the transfer of one run, with an environment that names the connections."""
    os.environ.update(environment)
    operator = IrisToObjectStorageOperator(
        task_id="pull",
        endpoint=ENDPOINT,
        query_params={"size": PAGE_SIZE},
        output_path=output_path,
        output_conn_id=conn_id,
        part_bytes=PART_BYTES,
        checkpoint_interval_s=0.05,
    )
    context: Any = {"ti": SimpleNamespace(dag_id="dag", task_id="pull", run_id=run_id, map_index=-1)}
    operator.execute(context)
