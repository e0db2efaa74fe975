"""Each example, unchanged, by ``airflow dags test`` against the emulator, gives the right data with the fewest calls."""

from __future__ import annotations

import gzip
import itertools
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from airflow_provider_trackunit._compat import AIRFLOW_VERSION
from tests.example_dags.conftest import EXAMPLES, MAPPED
from tests.example_dags.files import DAG_IDS
from tests.example_dags.machine_days import *  # noqa: F403 - the tests of one example
from tests.example_dags.statsd import counted

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator
    from tests.example_dags.conftest import Runs

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
# Tasks that ask IRIS for nothing.
WITHOUT_REQUESTS = {
    "summarise",
    "machines of iris_operating_hours",
    "machines of iris_backfill",
    "machines of iris_mapped_machines",
    "counters",
    "load",
    "periods",
    "report",
}
# Task instances beyond one for each task; 35 days are two periods of 14 days and the rest.
MORE_INSTANCES = {"iris_mapped_machines": MAPPED - 1, "iris_backfill": 2}


def records_in(folder: Path, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the records of a result, after checking that the folder holds what the manifest names and no more."""
    assert json.loads((folder / "_manifest.json").read_bytes()) == manifest
    names = [part["name"] for part in manifest["parts"]]
    assert {file.name for file in folder.iterdir()} == {"_manifest.json", *names}
    lines = [line for name in names for line in gzip.decompress((folder / name).read_bytes()).splitlines()]
    assert len(lines) == manifest["records"]
    return [json.loads(line) for line in lines]


def test_every_example_is_run() -> None:
    assert sorted(EXAMPLES) == DAG_IDS


@pytest.mark.parametrize("dag_id", EXAMPLES)
def test_every_task_asks_for_one_token_and_nothing_is_refused(example_runs: Runs, dag_id: str) -> None:
    run = example_runs[dag_id]
    callers = len([one for one in run.tasks if not {one, f"{one} of {dag_id}"} & WITHOUT_REQUESTS])
    assert run.stats["tokens"] == {"v1 password": callers + MORE_INSTANCES.get(dag_id, 0)}
    assert set(run.stats["statuses"]) == {"200"}


def test_what_was_asked_arrives_where_airflow_sends_its_metrics(example_runs: Runs) -> None:
    run = example_runs["iris_single_call"]
    path = "/api/asset/v2/assets"
    assert ("requests", {"endpoint": path, "status": "200"}, 1.0) in counted(run.metrics)


def test_what_a_transfer_wrote_and_how_far_it_has_come_arrives_too(example_runs: Runs) -> None:
    run = example_runs["iris_incremental_events"]
    log = "/public/api/eventlog/v3/asset-event/log"
    manifest = run.result("events")
    task = {"endpoint": log, "dag_id": "iris_incremental_events", "task_id": "events"}
    metrics = counted(run.metrics)
    assert ("records", task, float(manifest["records"])) in metrics
    assert ("bytes", task, float(sum(part["bytes"] for part in manifest["parts"]))) in metrics
    # Two calls in half an hour, of which one was made.
    assert ("calls_left", {"endpoint": log}, 1.0) in metrics
    (behind_s,) = (value for name, tags, value in metrics if (name, tags) == ("lag", task))
    ended = datetime.fromisoformat(manifest["period"]["until"])
    assert behind_s == pytest.approx((datetime.now(UTC) - ended).total_seconds(), abs=600)


def test_the_single_call_is_one_request_and_keeps_three_members(example_runs: Runs) -> None:
    run = example_runs["iris_single_call"]
    assets = run.result("first_assets")
    assert len(assets) == 50
    assert all(set(asset) == {"id", "name", "serialNumber"} for asset in assets)
    assert len(run.asked("/assets")) == 1


def test_the_gate_opens_and_hands_the_serial_number_on(example_runs: Runs) -> None:
    run = example_runs["iris_sensor_gate"]
    serial = run.result("machine_is_there")
    equipment = run.result("latest_values")["equipment"]
    assert [machine["EquipmentHeader"]["SerialNumber"] for machine in equipment] == [serial]
    assert [request["path"] for request in run.asked("/Fleet/")] == [f"{FLEET}/Equipment/ID/{serial}"]


def test_the_snapshot_is_the_whole_fleet_each_page_once(example_runs: Runs) -> None:
    run = example_runs["iris_fleet_snapshot"]
    machines = run.result("machines")
    assert len({machine["metadata"]["assetId"] for machine in machines}) == len(machines) == 200
    assert [request["path"] for request in run.asked("/Fleet/")] == [f"{FLEET}/1", f"{FLEET}/2"]
    summary = run.result("summarise")
    assert summary["machines"] == 200
    assert summary["with_position"] == sum("Location" in machine for machine in machines)
    assert summary["first"] == machines[0]


def test_the_events_are_those_of_the_data_interval(example_runs: Runs) -> None:
    run = example_runs["iris_asset_events"]
    events = run.result("events")
    assert events
    # The emulator has an event every ten minutes; the filter lets those with a criticality through.
    assert all("2026-01-13T05:00:00Z" <= event["eventTime"] <= "2026-01-14T05:00:00Z" for event in events)
    assert {event["criticality"] for event in events} == {"CRITICAL", "LOW"}
    assert len({event["id"] for event in events}) == len(events)
    assert len(run.asked("/asset-event/log")) == 1


def test_the_query_walks_all_assets_a_hundred_a_page(example_runs: Runs) -> None:
    run = example_runs["iris_graphql"]
    assets = run.result("assets")
    assert len({asset["assetId"] for asset in assets}) == len(assets) == 250
    assert len(run.asked("/api/graphql/")) == 3


def test_the_fleet_lands_in_the_folder_of_the_run_and_duckdb_reads_it(example_runs: Runs) -> None:
    run = example_runs["iris_fleet_to_storage"]
    manifest = run.result("fleet")
    (folder,) = (run.output / "fleet").iterdir()
    machines = records_in(folder, manifest)
    assert ":" not in folder.name
    assert len({machine["metadata"]["assetId"] for machine in machines}) == len(machines) == 200
    assert manifest["announced"] is None
    assert manifest["requests"] == len(run.asked("/Fleet/")) == 2
    assert run.result("summarise") == {
        "machines": 200,
        "per_oem": Counter(machine["EquipmentHeader"]["OEMName"] for machine in machines),
        "newest_position": max(one["Location"]["datetime"] for one in machines if "Location" in one),
    }


def test_the_hours_are_those_of_yesterday_for_every_machine_with_a_pin_once(example_runs: Runs) -> None:
    run = example_runs["iris_operating_hours"]
    (folder,) = (run.output / "operating_hours").iterdir()
    fleet = records_in(folder / "fleet", run.result("fleet"))
    pins = {machine["EquipmentHeader"]["PIN"] for machine in fleet if "PIN" in machine["EquipmentHeader"]}
    assert 0 < len(pins) < len(fleet) == 200
    assert sorted(item["pin"] for item in run.result("machines")) == sorted(pins)
    readings = records_in(folder / "hours", run.result("hours"))
    assert {reading["_request"]["pin"] for reading in readings} <= pins
    asked = run.asked("/CumulativeOperatingHours/")
    assert len({request["path"] for request in asked}) == len(asked) == len(pins)
    (period,) = {tuple(request["path"].split("/")[-3:-1]) for request in asked}
    # A date on the command line is the end of the period on Airflow 3; on Airflow 2 the last interval before it counts.
    assert period == (
        ("2026-01-14T00:00:00Z", "2026-01-15T00:00:00Z")
        if AIRFLOW_VERSION >= (3, 0)
        else ("2026-01-13T00:00:00Z", "2026-01-14T00:00:00Z")
    )
    assert all(period[0] <= reading["datetime"] <= period[1] for reading in readings)
    assert all(isinstance(reading["Hour"], float | int) for reading in readings)
    assert run.result("report") == {"machines": len(pins), "skipped": 0, "readings": len(readings)}


def test_a_back_fill_asks_for_every_machine_once_in_every_period(example_runs: Runs) -> None:
    run = example_runs["iris_backfill"]
    (folder,) = (run.output / "backfill").iterdir()
    pins = [item["pin"] for item in run.result("machines")]
    asked = run.asked("/CumulativeOperatingHours/")
    assert len({request["path"] for request in asked}) == len(asked) == 3 * len(pins) > 300
    periods = {tuple(request["path"].split("/")[-3:-1]) for request in asked}
    days = [date(2026, 1, 15) - timedelta(days=back) for back in (0, 14, 28, 35)]
    assert periods == {
        (f"{start}T00:00:00Z", f"{stop}T00:00:00Z") for stop, start in itertools.pairwise(days)
    }
    readings = []
    for start, stop in periods:
        place = folder / start[:10]
        found = records_in(place, json.loads((place / "_manifest.json").read_bytes()))
        assert all(start <= reading["datetime"] <= stop for reading in found)
        readings += found
    assert {reading["_request"]["pin"] for reading in readings} == set(pins)
    assert run.result("report") == {"periods": 3, "readings": len(readings), "skipped": 0}


def test_the_stays_are_those_of_the_last_week(example_runs: Runs) -> None:
    run = example_runs["iris_site_history"]
    (folder,) = (run.output / "site_history").iterdir()
    stays = records_in(folder, run.result("stays"))
    (request,) = run.asked("/sites/history")
    query = parse_qs(request["query"])
    since, until = query["fromTime"][0], query["toTime"][0]
    assert datetime.fromisoformat(until) - datetime.fromisoformat(since) == timedelta(days=7)
    assert all(since <= stay["enteredAt"] <= until for stay in stays)
    assert run.result("report") == {
        "stays": len(stays),
        "sites": len({stay["siteId"] for stay in stays}),
        "still_there": sum(stay["leftAt"] is None for stay in stays),
    }
    assert len(stays) > 300


def test_each_mapped_instance_reads_one_machine_into_a_folder_of_its_own(example_runs: Runs) -> None:
    run = example_runs["iris_mapped_machines"]
    (folder,) = (run.output / "mapped_machines").iterdir()
    assert len(records_in(folder / "fleet", run.result("fleet"))) == 200
    asked = [request["path"] for request in run.asked("/CumulativeOperatingHours/")]
    manifests = [
        json.loads((folder / "hours" / str(number) / "_manifest.json").read_bytes())
        for number in range(MAPPED)
    ]
    assert len(set(asked)) == len(asked) == MAPPED
    assert all(path.startswith(f"{FLEET}/Equipment/ID/") for path in asked)
    assert len(list((folder / "hours").iterdir())) == MAPPED
    for number, manifest in enumerate(manifests):
        assert len(records_in(folder / "hours" / str(number), manifest)) == manifest["records"] > 0


def test_the_next_run_begins_an_hour_before_the_end_of_the_last_one(
    example_runs: Runs, iris_emulator: IrisEmulator
) -> None:
    former = example_runs["iris_incremental_events"]
    read_until = former.result("events")["period"]["until"]
    newest = datetime.fromisoformat(former.result("events")["period"]["newest"])
    params = {"output": f"file://{former.output}"}
    connection = iris_emulator.connection_json()
    tasks = former.home.test_dag("iris_incremental_events", connection, "2026-01-15T05:05", 180, params)
    (first,), (second,) = (
        [json.loads(request["body"]) for request in requests]
        for requests in (former.asked("/asset-event/log"), iris_emulator.requests("/asset-event/log"))
    )
    # The first run had nothing to go on from.
    assert first == {"fromTime": "2026-01-14T00:00:00Z", "toTime": read_until}
    assert timedelta(0) <= datetime.fromisoformat(read_until) - newest < timedelta(minutes=10)
    begin = datetime.fromisoformat(read_until) - timedelta(hours=1)
    assert datetime.fromisoformat(second["fromTime"]) == begin
    # The emulator has an event every ten minutes; there is no gap between the runs.
    stored = [
        json.loads(line)["eventTime"]
        for part in (former.output / "events").rglob("part-*")
        for line in gzip.decompress(part.read_bytes()).splitlines()
    ]
    moments = [datetime.fromisoformat(text) for text in sorted(set(stored))]
    assert {later - earlier for earlier, later in itertools.pairwise(moments)} == {timedelta(minutes=10)}
    assert len(stored) == former.result("events")["records"] + tasks["events"].result["records"]
    assert moments[-1] - newest > timedelta(hours=4)
