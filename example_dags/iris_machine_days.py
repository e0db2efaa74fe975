"""
# Machine days: what every machine did on every day, in a database

Every morning the snapshot of the fleet, then the counters of each of its machines from where the last run stopped, and
who was on which site. They become three tables, `readings`, `machine_days` and `site_visits`, and are merged by their
keys: a run that is repeated changes nothing. A machine day has operating, idle and moving hours, distance, fuel, the first
and the last position, and flags where a number cannot be told.

**What it needs**: the connection `trackunit_default`, at Trackunit a subscription with the AEMP time series, and
`pip install 'airflow-provider-trackunit[parquet]' duckdb`. An API key needs the scopes `api.iso15143.snapshot`,
`api.iso15143.timeseries` and `site.view`.

**What to change**: `DATABASE`: the id of an Airflow connection of type `postgres`, with the package
`apache-airflow-providers-postgres`, in the place of a file of DuckDB. `TIME_ZONE`, whose days they are. `START`, where the
history begins. `OUTPUT`, one line: `s3://my-bucket/trackunit` for a bucket, with `apache-airflow-providers-amazon[s3fs]` and
the connection `aws_default`. Tasks that run on several machines need a store, and a database, that all of them see.

**Machines that are left out**: one without a PIN cannot be asked for its history; its days are made from the snapshots
alone. One that IRIS refuses is in the manifest of `history` under `skipped`, and asked again by the next run.

**The limit to know**: IRIS answers for each counter of each machine once in 15 minutes, and has 50 calls more for it in 30
days. With two days of `lookback` a run needs one or two of a usual machine. Where they are used up the task waits in the
triggerer and goes on; a retry comes after 16 minutes.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task  # type: ignore[no-redef]

from airflow_provider_trackunit.databases import open_database
from airflow_provider_trackunit.results import read_records
from airflow_provider_trackunit.transfers import Incremental, IrisToObjectStorageOperator

OUTPUT = "file:///tmp/trackunit"
DATABASE = "/tmp/trackunit/machine_days.duckdb"  # noqa: S108 - to try it; or "warehouse", an Airflow connection
TIME_ZONE = "Europe/Copenhagen"
START = "2026-01-01T00:00:00Z"
# Devices send late, and feeds of other makers come once a day.
LOOKBACK = timedelta(days=2)

# A colon in a path is too much for some readers, Spark among them.
FOLDER = "{{ params.output }}/machine_days/{{ run_id | replace(':', '-') }}"
STATE = "{{ params.output }}/machine_days/_state"

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
# Positions come from the snapshot: a history of them has a page for every few hours, and every page is a call.
COUNTERS = [
    "CumulativeOperatingHours",
    "CumulativeIdleHours",
    "CumulativeMovingHours",
    "Distance",
    "FuelUsed",
]


@dag(
    schedule="0 5 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # A second run would be refused while one is at work with the state.
    max_active_runs=1,
    params={"output": OUTPUT, "database": DATABASE, "time_zone": TIME_ZONE, "start": START},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=16)},
    doc_md=__doc__,
    tags=["trackunit", "example"],
)
def iris_machine_days() -> None:
    fleet = IrisToObjectStorageOperator(
        task_id="fleet",
        endpoint=FLEET + "/1",
        query_params={"addMetadata": "true"},
        output_path=FOLDER + "/fleet",
        file_format="parquet",
    )

    @task
    def counters(fleet: dict[str, Any]) -> list[dict[str, str]]:
        """Return what to ask for: each counter of each PIN, once where two machines have the same."""
        pins = dict.fromkeys(machine["pin"] for machine in read_records(fleet) if machine["pin"])
        return [{"pin": pin, "datapoint": counter} for pin in pins for counter in COUNTERS]

    history = IrisToObjectStorageOperator(
        task_id="history",
        # The braces are the task's own: it fills in the machine, the counter, and the ends of what it reads.
        endpoint=FLEET + "/Equipment/ID/{pin}/{datapoint}/{from}/{until}",
        path_params=counters(fleet.output),  # type: ignore[arg-type]  # the list, once the task before has run
        output_path=FOLDER + "/history",
        file_format="parquet",
        max_concurrency=16,
        on_item_error="skip",
        deferrable=True,
        incremental=Incremental(
            state=STATE + "/history.json",
            start="{{ params.start }}",
            lookback=LOOKBACK,
            per_item=True,
        ),
    )
    sites = IrisToObjectStorageOperator(
        task_id="sites",
        endpoint="/api/site/v1/sites",
        output_path=FOLDER + "/sites",
        file_format="parquet",
    )
    stays = IrisToObjectStorageOperator(
        task_id="stays",
        endpoint="/api/site/v1/sites/history",
        query_params={"fromTime": "{from}", "toTime": "{until}"},
        output_path=FOLDER + "/stays",
        file_format="parquet",
        # IRIS may rewrite the past; and a stay that began earlier would never be seen to end.
        incremental=Incremental(
            state=STATE + "/stays.json", start="{{ params.start }}", lookback=timedelta(days=30)
        ),
    )

    @task
    def load(telematics: list[Any], visits: list[Any], database: str, time_zone: str) -> dict[str, int]:
        """Merge what came, and return how many rows were new or had changed."""
        from airflow_provider_trackunit.tables import readings, site_visits
        from airflow_provider_trackunit.tables.merging import merge, merge_machine_days

        # The days that were read, and one more: in a time zone a day begins up to a day before the one in UTC.
        period = telematics[-1]["period"]  # None where no machine has a PIN
        since = period and date.fromisoformat(period["from"][:10]) - timedelta(days=1)
        with open_database(database) as connection:
            return {
                "readings": merge(connection, "readings", readings(telematics)),
                "machine_days": merge_machine_days(connection, time_zone=time_zone, since=since),
                "site_visits": merge(connection, "site_visits", site_visits(visits)),
            }

    load(
        [fleet.output, history.output],  # manifests, once the tasks have run
        [sites.output, stays.output],
        "{{ params.database }}",
        "{{ params.time_zone }}",
    )


iris_machine_days()
