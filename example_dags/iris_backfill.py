"""
# Back-fill: the operating hours of the last year, within the limits

Started by hand, once. The fleet gives the list of machines; the year is cut into periods of 14 days, the longest that
IRIS answers in one call; and for each period a mapped task asks for all machines, one period after the other. Each period
lands in a folder of its own, and each reading carries the machine it belongs to:
`{"_request": {"pin": "…"}, "Hour": 1234.5, "datetime": "…"}`.

**What it needs**: the connection `trackunit_default`, and at Trackunit a subscription with the AEMP time series. How far
back the data go depends on it too. An API key needs the scopes `api.iso15143.snapshot` and `api.iso15143.timeseries`.

**What to change**: `OUTPUT`, one line: `s3://my-bucket/trackunit` for a bucket, with the package
`apache-airflow-providers-amazon[s3fs]` and the connection `aws_default`. `DATAPOINT`, for another value, such as
`FuelUsed` or `Distance`. How many `days` is asked for when you start it. A reading at the border of two periods may come
with both: drop duplicates by PIN and `datetime` when you load.

**The limit to know**: IRIS answers for one value of one machine once in 15 minutes, whatever the dates, and has 50 extra
calls for it, each of which comes back after 30 days. So machines cost nothing and periods do: 364 days are 26 calls,
one of them free and 25 extra, and a second back-fill of the same value within the month finds few of them left. More than
51 periods are refused here. Values with more than 100 readings in 14 days take further calls for their further pages.
When the extra calls are used up, a task keeps what it has, waits a quarter of an hour in the triggerer, and goes on.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

try:
    from airflow.sdk import Param, dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task  # type: ignore[no-redef]
    from airflow.models.param import Param  # type: ignore[import-not-found, no-redef]

from airflow_provider_trackunit.results import read_records
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

OUTPUT = "file:///tmp/trackunit"
# A colon in a path is too much for some readers, Spark among them.
FOLDER = "{{ params.output }}/backfill/{{ run_id | replace(':', '-') }}"

DATAPOINT = "CumulativeOperatingHours"
LONGEST_PERIOD_DAYS = 14
# One call that is free, and 50 extra ones.
MOST_PERIODS = 51

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
# The midnight before the run. A run on Airflow 3 can have no data interval.
UNTIL = (
    "{{ (data_interval_end if data_interval_end is defined and data_interval_end else dag_run.run_after)"
    ".strftime('%Y-%m-%d') }}"
)


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={
        "output": OUTPUT,
        "days": Param(364, type="integer", minimum=1, maximum=MOST_PERIODS * LONGEST_PERIOD_DAYS),
    },
    default_args={"retries": 3, "retry_delay": timedelta(minutes=16)},
    doc_md=__doc__,
    tags=["trackunit", "example"],
)
def iris_backfill() -> None:
    fleet = IrisToObjectStorageOperator(task_id="fleet", endpoint=FLEET + "/1", output_path=FOLDER + "/fleet")

    @task
    def machines(manifest: dict[str, Any]) -> list[dict[str, str]]:
        """Return the PIN of every machine that has one, each once: two machines can have the same."""
        pins = [machine["EquipmentHeader"].get("PIN") for machine in read_records(manifest)]
        return [{"pin": pin} for pin in dict.fromkeys(pins) if pin]

    @task
    def periods(days: str, until: str, folder: str) -> list[dict[str, str]]:
        """Return what differs from period to period: where to read, and where to write. The newest comes first."""
        end = datetime.fromisoformat(until)
        begin = end - timedelta(days=int(days))
        found = []
        while end > begin:
            start = max(begin, end - timedelta(days=LONGEST_PERIOD_DAYS))
            period = f"{start:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}"
            found.append(
                {
                    "endpoint": f"{FLEET}/Equipment/ID/{{pin}}/{DATAPOINT}/{period}",
                    "output_path": f"{folder}/{start:%Y-%m-%d}",
                }
            )
            end = start
        return found

    readings = IrisToObjectStorageOperator.partial(
        task_id="readings",
        path_params=machines(fleet.output),  # type: ignore[arg-type]  # once the task before has run
        max_concurrency=16,
        on_item_error="skip",
        deferrable=True,
        max_active_tis_per_dag=1,
    ).expand_kwargs(periods("{{ params.days }}", UNTIL, FOLDER))

    @task
    def report(manifests: list[dict[str, Any]]) -> dict[str, int]:
        """Sum up."""
        return {
            "periods": len(manifests),
            "readings": sum(manifest["records"] for manifest in manifests),
            "skipped": sum(manifest["skipped_count"] for manifest in manifests),
        }

    report(readings.output)  # type: ignore[arg-type]


iris_backfill()
