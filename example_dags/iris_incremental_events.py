"""
# Asset events, from where the last run stopped

Every hour, the events since the end of the last run that succeeded. How far that is stands in a small file, `STATE`, and
it moves only when the events are stored: a run that fails, or a DAG that was paused for a week, leaves no gap. Each run
begins an hour earlier than that (`lookback`), because devices send late; so an event can be stored twice, and has the
same `id` both times.

**What it needs**: the connection `trackunit_default`. An API key needs the scope `account.event.view`.

**What to change**: `OUTPUT`, one line: `s3://my-bucket/trackunit` for a bucket, with the package
`apache-airflow-providers-amazon[s3fs]` and the connection `aws_default`. `START`, where the first run begins. `lookback`,
if your events come later than an hour. The filters in `json` (`assetIds`, `groupIds`, `siteIds`, `type`, `criticality`,
`status`). To read a period again:
`python -m airflow_provider_trackunit.state set file:///tmp/trackunit/events/_state.json --until 2026-01-14`.

**The limit to know**: IRIS answers two calls in 30 minutes, and every page of 1,000 events is a call. So a run should
find at most 2,000 events; after a long pause it fails after those, waits, and goes on. A retry comes after 31 minutes
and brings 2,000 more: with three of them, a run reads 8,000. For more, raise `retries`, or set `deferrable=True`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import dag
except ImportError:  # Airflow 2
    from airflow.decorators import dag  # type: ignore[no-redef]

from airflow_provider_trackunit.transfers import Incremental, IrisToObjectStorageOperator

OUTPUT = "file:///tmp/trackunit"
# A colon in a path is too much for some readers, Spark among them.
FOLDER = "{{ params.output }}/events/{{ run_id | replace(':', '-') }}"
STATE = "{{ params.output }}/events/_state.json"
START = "2026-01-14T00:00:00Z"


@dag(
    schedule="5 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # A second run would be refused while one is at work with the state.
    max_active_runs=1,
    params={"output": OUTPUT},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=31)},
    doc_md=__doc__,
    tags=["trackunit", "example"],
)
def iris_incremental_events() -> None:
    IrisToObjectStorageOperator(
        task_id="events",
        endpoint="/public/api/eventlog/v3/asset-event/log",
        method="POST",
        # One kind of braces is the task's own: it fills in the ends of what it reads.
        json={"fromTime": "{from}", "toTime": "{until}"},
        output_path=FOLDER,
        incremental=Incremental(field="eventTime", state=STATE, start=START, lookback=timedelta(hours=1)),
    )


iris_incremental_events()
