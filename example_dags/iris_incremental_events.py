"""
# Asset events, from where the last run stopped

Every hour, the events since the newest one that is stored. How far it has come is kept in the Airflow variable
`trackunit_events_read_until`, and it is set only when the events are stored: a run that fails, or a DAG that was paused
for a week, leaves no gap. Each run begins an hour before the newest event, because devices send late; so an event
can be stored twice, and has the same `id` both times.

**What it needs**: the connection `trackunit_default`. An API key needs the scope `account.event.view`.

**What to change**: `OUTPUT`, one line: `s3://my-bucket/trackunit` for a bucket, with the package
`apache-airflow-providers-amazon[s3fs]` and the connection `aws_default`. `OVERLAP`, if your events come later than that.
The filters in `json` (`assetIds`, `groupIds`, `siteIds`, `type`, `criticality`, `status`). To read a period again, set the
variable back to its beginning.

**The limit to know**: IRIS answers two calls in 30 minutes, and every page of 1,000 events is a call. So a run should
find at most 2,000 events; after a long pause it fails after those, waits, and goes on. A retry comes after 31 minutes
and brings 2,000 more: with three of them, a run reads 8,000. For more, raise `retries`, or set `deferrable=True`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

try:
    from airflow.sdk import Variable, dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task  # type: ignore[no-redef]
    from airflow.models import Variable

from airflow_provider_trackunit.results import read_records
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

OUTPUT = "file:///tmp/trackunit"
# A colon in a path is too much for some readers, Spark among them.
FOLDER = "{{ params.output }}/events/{{ run_id | replace(':', '-') }}"

READ_UNTIL = "trackunit_events_read_until"
OVERLAP = timedelta(hours=1)

# A run on Airflow 3 can have no data interval: one that an asset started, or one started without a logical date.
_NOW = "(data_interval_end if data_interval_end is defined and data_interval_end else dag_run.run_after)"
_A_DAY_AGO = "(" + _NOW + " - macros.timedelta(days=1)).strftime('%Y-%m-%dT%H:%M:%SZ')"
FROM_TIME = "{{ var.value.get('" + READ_UNTIL + "', '') or " + _A_DAY_AGO + " }}"
TO_TIME = "{{ " + _NOW + ".strftime('%Y-%m-%dT%H:%M:%SZ') }}"


@dag(
    schedule="5 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Two runs at once would begin at the same event.
    max_active_runs=1,
    params={"output": OUTPUT},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=31)},
    doc_md=__doc__,
    tags=["trackunit", "example"],
)
def iris_incremental_events() -> None:
    events = IrisToObjectStorageOperator(
        task_id="events",
        endpoint="/public/api/eventlog/v3/asset-event/log",
        method="POST",
        json={"fromTime": FROM_TIME, "toTime": TO_TIME},
        output_path=FOLDER,
    )

    @task
    def remember(manifest: dict[str, Any]) -> dict[str, Any]:
        """Set the variable to where the next run begins."""
        times = [datetime.fromisoformat(event["eventTime"]) for event in read_records(manifest)]
        if times:
            Variable.set(READ_UNTIL, (max(times) - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ"))
        return {"events": len(times), "newest": max(times).isoformat() if times else None}

    remember(events.output)  # type: ignore[arg-type]  # the manifest, once the first task has run


iris_incremental_events()
