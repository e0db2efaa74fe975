"""
# Operating hours of every machine, for yesterday

Three steps: the fleet goes into object storage; its machines become a list of PINs; and for each of them the counter
readings of the last full day (UTC) go into one folder, in one task and with one token. Every reading carries the
machine it belongs to: `{"_request": {"pin": "…"}, "Hour": 1234.5, "datetime": "…"}`. A last task says how it went.

**What it needs**: the connection `trackunit_default`, and at Trackunit a subscription with the AEMP time series. An
API key needs the scopes `api.iso15143.snapshot` and `api.iso15143.timeseries`.

**What to change**: `OUTPUT`, one line: `s3://my-bucket/trackunit` for a bucket, with the package
`apache-airflow-providers-amazon[s3fs]` and the connection `aws_default`. Tasks that run on several machines need a
store that all of them see. A run that is started by hand can be given another `output`. For another value, replace
`CumulativeOperatingHours` in `HOURS`, for example by `FuelUsed` or `Distance`; for a longer period, raise `DAYS`, up
to the 14 days that IRIS allows for one call. Devices send late, and a reading at midnight may come with both days:
read a few days each time, and drop duplicates by PIN and `datetime` when you load.

**Machines that are left out**: one without a PIN cannot be asked for; the task `machines` logs how many there are. One
that IRIS answers with 403 or 404 is in the manifest of `hours` under `skipped`. When that is all of them, the run
fails: it means that the subscription or the scope is missing, and not that nobody worked.

**The limit to know**: IRIS answers for each value of each machine once in 15 minutes, whatever the dates. A retry
goes on where the try before it stopped, asks for no machine twice, and comes after 16 minutes.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task  # type: ignore[no-redef]

from airflow_provider_trackunit.results import read_records
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

log = logging.getLogger(__name__)

OUTPUT = "file:///tmp/trackunit"
# A colon in a path is too much for some readers, Spark among them.
FOLDER = "{{ params.output }}/operating_hours/{{ run_id | replace(':', '-') }}"

DAYS = 1
# The midnight before the run. A run on Airflow 3 can have no data interval: one that an asset started, or one
# started without a logical date.
_UNTIL = "(data_interval_end if data_interval_end is defined and data_interval_end else dag_run.run_after)"
START = "{{ (" + _UNTIL + " - macros.timedelta(days=" + str(DAYS) + ")).strftime('%Y-%m-%dT00:00:00Z') }}"
END = "{{ " + _UNTIL + ".strftime('%Y-%m-%dT00:00:00Z') }}"

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
# Two kinds of braces: Airflow fills in the two of START and END before the task runs, the task fills in {pin}.
HOURS = FLEET + "/Equipment/ID/{pin}/CumulativeOperatingHours/" + START + "/" + END


@dag(
    schedule="0 5 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={"output": OUTPUT},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=16)},
    doc_md=__doc__,
    tags=["trackunit", "example"],
)
def iris_operating_hours() -> None:
    fleet = IrisToObjectStorageOperator(task_id="fleet", endpoint=FLEET + "/1", output_path=FOLDER + "/fleet")

    @task
    def machines(manifest: dict[str, Any]) -> list[dict[str, str]]:
        """Return the PIN of every machine that has one, each once: two machines can have the same."""
        pins = [machine["EquipmentHeader"].get("PIN") for machine in read_records(manifest)]
        without = sum(not pin for pin in pins)
        log.info("%d machines, %d of them without a PIN and therefore left out", len(pins), without)
        return [{"pin": pin} for pin in dict.fromkeys(pins) if pin]

    items = machines(fleet.output)  # type: ignore[arg-type]  # once the first task has run
    hours = IrisToObjectStorageOperator(
        task_id="hours",
        endpoint=HOURS,
        path_params=items,  # the list, once the task before has run
        output_path=FOLDER + "/hours",
        max_concurrency=16,
        on_item_error="skip",
    )

    @task
    def report(manifest: dict[str, Any], asked: list[dict[str, str]]) -> dict[str, int]:
        """Sum up."""
        return {"machines": len(asked), "skipped": manifest["skipped_count"], "readings": manifest["records"]}

    report(hours.output, items)  # type: ignore[arg-type]


iris_operating_hours()
