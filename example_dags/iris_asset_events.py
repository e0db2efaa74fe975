"""
# Asset events of the day before

Every morning, the events of the last day: faults, alerts, inspections, damage reports. The period goes into the
body of the request, as the data interval of the run.

**What it needs**: the connection `trackunit_default`. An API key needs the scope `account.event.view`.

**What to change**: the schedule, and the filters in `json` (`assetIds`, `groupIds`, `siteIds`, `type`, `criticality`,
`status`): as it stands, events of the criticality `NONE` are left out. The intervals join without
a gap as long as the DAG is not paused; to catch up after a pause, set `catchup=True` and keep `max_active_runs=1`.
Whether IRIS counts an event at the very border to both days is not documented: drop duplicates by `id` when you load.

**The limit to know**: IRIS answers two calls in 30 minutes, and every page of 1,000 events is a call. So a run should
find at most 2,000 events; with more, shorten the interval. A retry comes after 31 minutes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import dag
except ImportError:  # Airflow 2
    from airflow.decorators import dag  # type: ignore[no-redef]

from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_trackunit.operators import IrisApiOperator

# A run on Airflow 3 can have no data interval: one that an asset started, or one started without a logical date.
# Such a run takes the 24 hours before it.
FROM_TIME = (
    "{{ (data_interval_start if data_interval_start is defined and data_interval_start"
    " else dag_run.run_after - macros.timedelta(days=1)).strftime('%Y-%m-%dT%H:%M:%SZ') }}"
)
TO_TIME = (
    "{{ (data_interval_end if data_interval_end is defined and data_interval_end"
    " else dag_run.run_after).strftime('%Y-%m-%dT%H:%M:%SZ') }}"
)


@dag(
    # Not a cron text: on Airflow 3 that gives intervals of no length.
    schedule=CronDataIntervalTimetable("0 5 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=31)},
    doc_md=__doc__,
    tags=["trackunit", "example"],
)
def iris_asset_events() -> None:
    IrisApiOperator(
        task_id="events",
        endpoint="/public/api/eventlog/v3/asset-event/log",
        method="POST",
        json={"fromTime": FROM_TIME, "toTime": TO_TIME, "criticality": ["CRITICAL", "LOW"]},
    )


iris_asset_events()
