"""
# React to new asset events, without a schedule

Airflow 3 only. A watcher in the triggerer asks IRIS for asset events; when new ones came, it updates the asset
`trackunit_asset_events`, and Airflow starts this DAG, which reads the events of exactly that period.

**What it needs**: the connection `trackunit_default`, and a running triggerer. An API key needs the scope
`account.event.view`.

**What to change**: the filters in `REQUEST` (`assetIds`, `type`, `criticality`, `status`): as it stands, events of the
criticality `NONE` are left out. `watermark` names the member of a record that only grows; an event that reaches IRIS
later than one with a newer `timeOn` is not noticed, so let a daily run read the day again if every event counts.

**The limit to know**: IRIS answers two calls in 30 minutes for all who use the same API user. The watcher takes one
of them, the DAG the other. So updates that came while a run was busy are one run: it reads from the first of them to the
last.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow_provider_trackunit.operators import IrisApiOperator

try:
    from airflow.sdk import Asset, AssetWatcher, dag
except ImportError:  # Airflow 2 has no watchers, and no DAG is defined
    dag = None  # type: ignore[assignment]

try:
    from airflow.sdk import AssetTriggeredTimetable  # type: ignore[attr-defined]
except ImportError:  # before Airflow 3.4, updates that wait are always one run
    AssetTriggeredTimetable = None

ENDPOINT = "/public/api/eventlog/v3/asset-event/log"
REQUEST = {"criticality": ["CRITICAL", "LOW"]}

# The watcher says where the new events begin and end. A run that a person started takes the last hour.
FROM_TIME = (
    "{% for events in triggering_asset_events.values() %}{{ events[0].extra.payload.records_from }}{% else %}"
    "{{ (dag_run.run_after - macros.timedelta(hours=1)).strftime('%Y-%m-%dT%H:%M:%SZ') }}{% endfor %}"
)
TO_TIME = (
    "{% for events in triggering_asset_events.values() %}{{ events[-1].extra.payload.watermark }}{% else %}"
    "{{ dag_run.run_after.strftime('%Y-%m-%dT%H:%M:%SZ') }}{% endfor %}"
)


def iris_event_driven() -> None:
    """Define the task."""
    IrisApiOperator(
        task_id="events",
        endpoint=ENDPOINT,
        method="POST",
        json={**REQUEST, "fromTime": FROM_TIME, "toTime": TO_TIME},
    )


if dag is not None:
    from airflow_provider_trackunit.triggers import IrisEventTrigger

    new_events = AssetWatcher(
        name="iris_asset_events",
        trigger=IrisEventTrigger(
            endpoint=ENDPOINT,
            method="POST",
            # From the newest event that was seen until now.
            json={**REQUEST, "fromTime": "{watermark}", "toTime": "{now}"},
            watermark="timeOn",
            poll_interval_s=1800,
        ),
    )
    asset = Asset("trackunit_asset_events", watchers=[new_events])
    dag(
        # Airflow 3.4 starts a run for each update unless it is told otherwise, and each run is a call.
        schedule=AssetTriggeredTimetable(asset, batch_asset_events=True)
        if AssetTriggeredTimetable
        else [asset],
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 1, "retry_delay": timedelta(minutes=31)},
        doc_md=__doc__,
        tags=["trackunit", "example"],
    )(iris_event_driven)()
