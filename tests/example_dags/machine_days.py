"""The example of machine days: what stands in its database, and what the docs ask of it.

Imported by ``test_run.py``, so that it shares the one Airflow in which all examples are run.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.databases import open_database
from airflow_provider_trackunit.tables import readings, site_visits
from airflow_provider_trackunit.tables.merging import merge, merge_machine_days
from tests.docs.texts import Block, blocks

if TYPE_CHECKING:
    from airflow_provider_trackunit.emulator import IrisEmulator
    from tests.example_dags.conftest import Outcome, Runs

# A whole day on every Airflow: a date on the command line is the end of the run, or that of the interval before it.
DAY = dt.date(2026, 1, 13)
TIME_ZONE = "Europe/Copenhagen"
QUERIES = [block for block in blocks("sql") if block.text in {"docs/machine-days.md", "docs/tables/costs.md"}]


@pytest.fixture
def run(example_runs: Runs) -> Outcome:
    return example_runs["iris_machine_days"]


def asked_of(run: Outcome, query: str) -> list[dict[str, Any]]:
    with open_database(f"{run.output}/machine_days.duckdb") as connection:
        rows: list[dict[str, Any]] = connection.sql(query).to_arrow_table().to_pylist()
        return rows


def test_every_counter_of_every_machine_with_a_pin_is_asked_for_once(run: Outcome) -> None:
    pins = {item["pin"] for item in run.result("counters")}
    asked = [request["path"] for request in run.asked("/Equipment/ID/")]
    assert len(set(asked)) == len(asked) == 5 * len(pins)
    assert 0 < len(pins) < run.result("fleet")["records"] == 200


def test_the_days_are_what_the_machines_really_did(run: Outcome, iris_emulator: IrisEmulator) -> None:
    rows = asked_of(run, "SELECT * FROM machine_days WHERE operating_hours IS NOT NULL AND flags = []")
    days = {row["asset"]: row["operating_hours"] for row in rows if row["day"] == DAY}
    machines = [one for one in iris_emulator.truth(f"{DAY}", TIME_ZONE) if (one["pin"] or "").strip() in days]
    assert len(days) >= len(machines) > 150
    for machine in machines:
        before, after = machine["unreported"]["operating_hours"]
        expected = machine["operating_hours"] + before - after
        # Hours are reported to a hundredth.
        assert days[machine["pin"].strip()] == pytest.approx(expected, abs=0.011)


def test_a_machine_without_a_pin_has_the_days_of_its_snapshots(run: Outcome) -> None:
    pins = {item["pin"].strip() for item in run.result("counters")}
    others = {row["asset"] for row in asked_of(run, "SELECT DISTINCT asset FROM machine_days")} - pins
    assert others


def test_to_merge_the_results_of_a_run_again_changes_nothing(run: Outcome) -> None:
    results = [[run.result(name) for name in names] for names in (("fleet", "history"), ("sites", "stays"))]
    assert all(run.result("load").values())
    with open_database(f"{run.output}/machine_days.duckdb") as connection:
        assert merge(connection, "readings", readings(results[0])) == 0
        assert merge(connection, "site_visits", site_visits(results[1])) == 0
        # All days, although the run made those since the one before its first.
        assert merge_machine_days(connection, time_zone=TIME_ZONE) == 0


def test_visits_are_on_sites_with_names_and_have_begun(run: Outcome) -> None:
    visits = asked_of(run, "SELECT * FROM site_visits")
    assert len(visits) == run.result("load")["site_visits"]
    assert all(visit["site_name"] for visit in visits)
    assert min(visit["entered_at"] for visit in visits) >= dt.datetime(2026, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize("block", QUERIES, ids=str)
def test_a_query_that_is_shown_has_an_answer(run: Outcome, block: Block) -> None:
    assert asked_of(run, block.code.replace("/tmp/trackunit", str(run.output)))  # noqa: S108 - where the page says
