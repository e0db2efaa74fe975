"""What a person looks at in the web interface afterwards: a task that brought a collection, and one that could not."""

from __future__ import annotations

from datetime import UTC, datetime

try:
    from airflow.sdk import dag
except ImportError:  # Airflow 2
    from airflow.decorators import dag  # type: ignore[no-redef]

from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

ASSETS = "/api/asset/v1/assets"


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), params={"output": ""})
def e2e_pages() -> None:
    IrisToObjectStorageOperator(task_id="brought", endpoint=ASSETS, output_path="{{ params.output }}")
    IrisToObjectStorageOperator(task_id="mistaken", endpoint=ASSETS, output_path="out/assets")


e2e_pages()
