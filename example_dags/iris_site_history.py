"""
# Which machine was on which site

Every morning, the stays of the last seven days: for each the site, the asset, when it came and when it left. IRIS
renews this history once an hour and may still change the past, so every run reads the whole week again, and what it
brings replaces what you have.

**What it needs**: the connection `trackunit_default`. An API key needs the scope `site.view`.

**What to change**: `OUTPUT`, one line: `s3://my-bucket/trackunit` for a bucket, with the package
`apache-airflow-providers-amazon[s3fs]` and the connection `aws_default`. `DAYS`, for how far back each run looks. Replace
`report` with what loads your warehouse: the key of a stay is `assetId`, `siteId` and `enteredAt`, and the newest run is
right. `leftAt` is null while the asset is still there.

**The limit to know**: IRIS publishes no number for this API. A retry goes on where the try before it stopped.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task  # type: ignore[no-redef]

from airflow_provider_trackunit.results import read_records
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

OUTPUT = "file:///tmp/trackunit"
# A colon in a path is too much for some readers, Spark among them.
FOLDER = "{{ params.output }}/site_history/{{ run_id | replace(':', '-') }}"

DAYS = 7
# A run on Airflow 3 can have no data interval: one that an asset started, or one started without a logical date.
_NOW = "(data_interval_end if data_interval_end is defined and data_interval_end else dag_run.run_after)"
FROM_TIME = "{{ (" + _NOW + " - macros.timedelta(days=" + str(DAYS) + ")).strftime('%Y-%m-%dT%H:%M:%SZ') }}"
TO_TIME = "{{ " + _NOW + ".strftime('%Y-%m-%dT%H:%M:%SZ') }}"


@dag(
    schedule="15 5 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={"output": OUTPUT},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["trackunit", "example"],
)
def iris_site_history() -> None:
    stays = IrisToObjectStorageOperator(
        task_id="stays",
        endpoint="/api/site/v1/sites/history",
        query_params={"fromTime": FROM_TIME, "toTime": TO_TIME},
        output_path=FOLDER,
    )

    @task
    def report(manifest: dict[str, Any]) -> dict[str, int]:
        """Count. A stay that comes on two pages, because the history changed meanwhile, counts once."""
        found: dict[tuple[str, str, str], dict[str, Any]] = {}
        for stay in read_records(manifest):
            found[stay["assetId"], stay["siteId"], stay["enteredAt"]] = stay
        return {
            "stays": len(found),
            "sites": len({stay["siteId"] for stay in found.values()}),
            "still_there": sum(stay["leftAt"] is None for stay in found.values()),
        }

    report(stays.output)  # type: ignore[arg-type]  # the manifest, once the first task has run


iris_site_history()
