"""
# The whole fleet into object storage

Writes the AEMP 2.0 (ISO 15143-3) snapshot of every machine as JSON Lines into a folder of the run. A second task
reads the parts that the manifest names with [DuckDB](https://duckdb.org) and prints how many machines there are of
each brand, and their newest position.

**What it needs**: the connection `trackunit_default`, and `pip install duckdb` on the workers. An API key needs the
scope `api.iso15143.snapshot`.

**What to change**: `OUTPUT`, one line. A folder such as `/tmp` is good for a laptop; tasks that run on several
machines need a store that all of them see: `s3://my-bucket/trackunit` with the package
`apache-airflow-providers-amazon[s3fs]` and the connection `aws_default` (`s3://other@my-bucket/trackunit` takes the
connection `other`), or `gs://…`, or `abfs://…`. A run that is started by hand can be given another `output`.
Replace `summarise` with what loads your warehouse.

**What follows it**: the asset `trackunit_fleet`. A DAG with `schedule=[Asset("trackunit_fleet")]` runs when a snapshot
is complete. The event carries the counts:
`triggering_asset_events[Asset("trackunit_fleet")][0].extra` is
`{"endpoint": "…", "records": 5213, "parts": 1, "manifest": "s3://…/_manifest.json"}`. On Airflow 2.11 read `Dataset`
for `Asset`, and `triggering_dataset_events`.

**The limit to know**: IRIS answers each page once in 15 minutes. A retry goes on where the try before it stopped, and
comes after 16 minutes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

try:
    from airflow.sdk import Asset, ObjectStoragePath, dag, task
except ImportError:  # Airflow 2
    from airflow.datasets import Dataset as Asset  # type: ignore[import-not-found, no-redef]
    from airflow.decorators import dag, task  # type: ignore[no-redef]
    from airflow.io.path import ObjectStoragePath  # type: ignore[import-not-found, no-redef]

from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

OUTPUT = "file:///tmp/trackunit"
# A colon in a path is too much for some readers, Spark among them.
FOLDER = "{{ params.output }}/fleet/{{ run_id | replace(':', '-') }}"

# Every block of a machine may be missing; with the types given, it is NULL then.
PER_OEM = """
SELECT EquipmentHeader.OEMName AS oem, count(*) AS machines, max(Location.datetime) AS newest_position
FROM read_json($files, columns = {
    EquipmentHeader: 'STRUCT(OEMName VARCHAR)',
    Location: 'STRUCT("datetime" VARCHAR)'
})
GROUP BY ALL
ORDER BY machines DESC, oem
"""


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
def iris_fleet_to_storage() -> None:
    fleet = IrisToObjectStorageOperator(
        task_id="fleet",
        endpoint="/public/api/aemp/v2/15143/-3/Fleet/1",
        query_params={"addMetadata": "true"},
        output_path=FOLDER,
        outlets=[Asset("trackunit_fleet")],
    )

    @task
    def summarise(manifest: dict[str, Any]) -> dict[str, Any]:
        """Count the machines of each brand, straight from the files."""
        import duckdb

        if not manifest["parts"]:
            return {"machines": 0, "per_oem": {}, "newest_position": None}
        place = ObjectStoragePath(manifest["output_path"])
        files = [f"{place.protocol}://{place.path}/{part['name']}" for part in manifest["parts"]]
        database = duckdb.connect()
        # DuckDB then reads every store that Airflow can, with Airflow's connection.
        database.register_filesystem(place.fs)
        per_oem = database.sql(PER_OEM, params={"files": files})
        per_oem.show()
        rows = per_oem.fetchall()
        return {
            "machines": sum(count for _, count, _ in rows),
            "per_oem": {oem or "unknown": count for oem, count, _ in rows},
            "newest_position": max((newest for _, _, newest in rows if newest), default=None),
        }

    summarise(fleet.output)  # type: ignore[arg-type]  # the manifest, once the first task has run


iris_fleet_to_storage()
