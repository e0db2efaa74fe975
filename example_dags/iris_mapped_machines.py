"""
# A task instance for each machine, kept within the limit by a pool

The fleet goes into object storage; then the counter readings of the last full day (UTC) are read with a task instance
of its own for each machine, on any worker, each into a folder of its own.

**When to do so**: where the outputs have to be apart, or where one machine's failure must not touch another's. One
task for all machines (`iris_operating_hours`) is far quicker: an instance spends seconds on Airflow's own work and a
token, for one request.

**What it needs**: the connection `trackunit_default`, a subscription with the AEMP time series, and the pool that
stands beside this file: `airflow pools import example_dags/pools.json`, or Admin, Pools in the web interface. An API key
needs the scopes `api.iso15143.snapshot` and `api.iso15143.timeseries`. The limits of IRIS hold for
the account, and each process knows its own requests only; the pool is what makes the workers share. Give
`pool="trackunit"` to every task of yours that asks for the same data.

**What to change**: `OUTPUT`, one line, for a store that all workers see, such as `s3://my-bucket/trackunit`; the
slots of the pool, at most half as many as requests per second are allowed; `max_map_length` in Airflow's `[core]`
for more than 1024 machines. A run that is started by hand can be given another `output` and another number of
`machines`.

**The limit to know**: IRIS answers for each value of each machine once in 15 minutes, so a try comes after 16.
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
FOLDER = "{{ params.output }}/mapped_machines/{{ run_id | replace(':', '-') }}"

_UNTIL = "(data_interval_end if data_interval_end is defined and data_interval_end else dag_run.run_after)"
START = "{{ (" + _UNTIL + " - macros.timedelta(days=1)).strftime('%Y-%m-%dT00:00:00Z') }}"
END = "{{ " + _UNTIL + ".strftime('%Y-%m-%dT00:00:00Z') }}"

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
HOURS = FLEET + "/Equipment/ID/{pin}/CumulativeOperatingHours/" + START + "/" + END


@dag(
    schedule="0 5 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={"output": OUTPUT, "machines": 300},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=16)},
    doc_md=__doc__,
    tags=["trackunit", "example"],
)
def iris_mapped_machines() -> None:
    fleet = IrisToObjectStorageOperator(
        task_id="fleet", endpoint=FLEET + "/1", output_path=FOLDER + "/fleet", pool="trackunit"
    )

    @task
    def machines(manifest: dict[str, Any], most: str) -> list[dict[str, str]]:
        """Return the PINs of the first machines that have one, each once."""
        pins = [machine["EquipmentHeader"].get("PIN") for machine in read_records(manifest)]
        unique = list(dict.fromkeys(pin for pin in pins if pin))
        return [{"pin": pin} for pin in unique[: int(most)]]

    IrisToObjectStorageOperator.partial(
        task_id="hours",
        endpoint=HOURS,
        output_path=FOLDER + "/hours/{{ ti.map_index }}",
        pool="trackunit",
    ).expand(path_params=machines(fleet.output, "{{ params.machines }}"))  # type: ignore[arg-type]


iris_mapped_machines()
