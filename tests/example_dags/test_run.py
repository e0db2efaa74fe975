"""Each example, unchanged, by ``airflow dags test`` against the emulator, gives the right data with the fewest calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.example_dags.conftest import EXAMPLES
from tests.example_dags.files import EXAMPLE_FILES

if TYPE_CHECKING:
    from tests.example_dags.conftest import Runs

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"


def test_every_example_is_run() -> None:
    assert sorted(EXAMPLES) == [file.stem for file in EXAMPLE_FILES]


@pytest.mark.parametrize("dag_id", EXAMPLES)
def test_every_task_asks_for_one_token_and_nothing_is_refused(example_runs: Runs, dag_id: str) -> None:
    run = example_runs[dag_id]
    callers = len(run.tasks) - ("summarise" in run.tasks)
    assert run.stats["tokens"] == {"v1 password": callers}
    assert set(run.stats["statuses"]) == {"200"}


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
