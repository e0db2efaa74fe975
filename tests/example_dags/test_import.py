"""Each example can be read by this Airflow, and by a person."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from dev.airflow_home import EXAMPLES
from tests.example_dags.files import DAG_IDS, EXAMPLE_FILES, dag_bag, imported

if TYPE_CHECKING:
    from pathlib import Path

# Calls that IRIS answers at most once in so many minutes: a retry that comes sooner is wasted.
METERED = {
    "iris_fleet_snapshot": 15,
    "iris_fleet_to_storage": 15,
    "iris_mapped_machines": 15,
    "iris_operating_hours": 15,
    "iris_machine_days": 15,
    "iris_backfill": 15,
    "iris_sensor_gate": 15,
    "iris_asset_events": 30,
    "iris_incremental_events": 30,
}


@pytest.fixture(scope="module")
def bag() -> Any:
    return dag_bag(EXAMPLES)


def test_all_examples_are_dags_without_an_import_error(bag: Any) -> None:
    assert bag.import_errors == {}
    assert sorted(bag.dags) == DAG_IDS


@pytest.mark.parametrize("file", EXAMPLE_FILES, ids=lambda file: file.stem)
def test_importing_an_example_gives_no_warning(file: Path) -> None:
    assert imported(file)[1] == []


@pytest.mark.parametrize("file", EXAMPLE_FILES, ids=lambda file: file.stem)
def test_the_docstring_tells_what_is_needed_and_what_to_change(file: Path) -> None:
    text = imported(file)[0].__doc__ or ""
    assert text.startswith("\n# ")
    assert "**What it needs**: the connection `trackunit_default`" in text
    assert "**What to change**" in text


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_run_is_never_made_up_for_and_every_task_is_retried(bag: Any, dag_id: str) -> None:
    dag = bag.dags[dag_id]
    assert dag.catchup is False
    for task in dag.tasks:
        assert task.retries >= 1
        assert task.retry_delay > timedelta(minutes=METERED.get(dag_id, 0))


@pytest.mark.parametrize("dag_id", METERED)
def test_an_example_with_a_metered_call_has_one_run_at_a_time(bag: Any, dag_id: str) -> None:
    assert bag.dags[dag_id].max_active_runs == 1


@pytest.mark.parametrize(
    ("context", "period"),
    [
        (
            {
                "data_interval_start": datetime(2026, 1, 14, 5, tzinfo=UTC),
                "data_interval_end": datetime(2026, 1, 15, 5, tzinfo=UTC),
            },
            ("2026-01-14T05:00:00Z", "2026-01-15T05:00:00Z"),
        ),
        # Airflow 3: started by an asset, or by the API without a logical date.
        ({}, ("2026-01-14T09:30:10Z", "2026-01-15T09:30:10Z")),
        (
            {"data_interval_start": None, "data_interval_end": None},
            ("2026-01-14T09:30:10Z", "2026-01-15T09:30:10Z"),
        ),
    ],
    ids=["scheduled", "no interval", "empty interval"],
)
def test_events_are_asked_for_the_data_interval_or_the_last_day(
    bag: Any, context: dict[str, Any], period: tuple[str, str]
) -> None:
    events = bag.dags["iris_asset_events"].get_task("events")
    run = SimpleNamespace(run_after=datetime(2026, 1, 15, 9, 30, 10, tzinfo=UTC))
    macros = SimpleNamespace(timedelta=timedelta)
    rendered = events.render_template(events.json, {"dag_run": run, "macros": macros, **context})
    assert (rendered["fromTime"], rendered["toTime"]) == period


@pytest.mark.parametrize(
    "context",
    [
        {"data_interval_end": datetime(2026, 1, 15, 5, tzinfo=UTC)},
        {},
        {"data_interval_end": None},
    ],
    ids=["scheduled", "no interval", "empty interval"],
)
def test_hours_are_asked_for_the_last_full_day_and_the_pin_is_left_for_later(
    bag: Any, context: dict[str, Any]
) -> None:
    hours = bag.dags["iris_operating_hours"].get_task("hours")
    run = SimpleNamespace(run_after=datetime(2026, 1, 15, 9, 30, 10, tzinfo=UTC))
    macros = SimpleNamespace(timedelta=timedelta)
    rendered = hours.render_template(hours.endpoint, {"dag_run": run, "macros": macros, **context})
    assert rendered == (
        "/public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}"
        "/CumulativeOperatingHours/2026-01-14T00:00:00Z/2026-01-15T00:00:00Z"
    )


def output_path(task: Any) -> str | None:
    """Return where a task writes; the instances of a mapped one write into folders below."""
    if hasattr(task, "partial_kwargs"):
        path: str = task.partial_kwargs["output_path"]
        return path.removesuffix("/{{ ti.map_index }}")
    return getattr(task, "output_path", None)


def test_the_pool_of_the_mapped_example_stands_beside_it(bag: Any) -> None:
    tasks = bag.dags["iris_mapped_machines"].tasks
    pools = {getattr(task, "partial_kwargs", vars(task)).get("pool") for task in tasks}
    assert pools - {"default_pool"} == set(json.loads((EXAMPLES / "pools.json").read_text()))


@pytest.mark.parametrize(
    "dag_id",
    [
        "iris_fleet_to_storage",
        "iris_mapped_machines",
        "iris_operating_hours",
        "iris_incremental_events",
        "iris_machine_days",
        "iris_site_history",
    ],
)
def test_every_run_writes_into_a_folder_of_its_own(bag: Any, dag_id: str) -> None:
    context = {"params": {"output": "s3://lake/x"}, "run_id": "manual__2026-01-15T05:00:00+00:00"}
    dag = bag.dags[dag_id]
    folders = [task.render_template(path, context) for task in dag.tasks if (path := output_path(task))]
    assert folders
    assert len(set(folders)) == len(folders)
    assert all("manual__2026-01-15T05-00-00+00-00" in folder for folder in folders)
