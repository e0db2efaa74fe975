"""Incremental transfers as Airflow runs them: templates, the end of a run, deferrals, and the state in a real store."""

from __future__ import annotations

import datetime as dt
import json
import runpy
import sys
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit import state
from airflow_provider_trackunit._compat import AirflowFailException, TaskDeferred, run_times
from airflow_provider_trackunit.iris.errors import (
    IrisCheckpointError,
    IrisConfigurationError,
    IrisRateLimitError,
)
from airflow_provider_trackunit.iris.http.pacing import forget_limits
from airflow_provider_trackunit.results import read_records
from airflow_provider_trackunit.transfers import Incremental, IrisToObjectStorageOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator

EVENTS = "/public/api/eventlog/v3/asset-event/log"
SERIES = "/public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}/CumulativeOperatingHours/{from}/{until}"


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2026-01-{text}").replace(tzinfo=dt.UTC)


def context(until: str, begins: str | None = None, run_id: str | None = None) -> Any:
    """Return what Airflow gives a task of a run with a data interval."""
    run = SimpleNamespace(
        data_interval_start=at(begins or until), data_interval_end=at(until), start_date=at("30")
    )
    instance = SimpleNamespace(dag_id="dag", task_id="pull", run_id=run_id or f"run {until}", map_index=-1)
    return {"ti": instance, "dag_run": run}


def half_an_hour_passes(iris: IrisEmulator) -> None:
    """Let the limit of events be over, there and here."""
    iris.advance(1800)
    forget_limits()


def events(folder: Path, name: str, **options: Any) -> IrisToObjectStorageOperator:
    incremental = {
        "state": f"file://{folder}/_state.json",
        "start": "2026-01-01T00:00:00Z",
        "field": "eventTime",
    }
    return IrisToObjectStorageOperator(
        task_id="pull",
        endpoint=EVENTS,
        method="POST",
        json={"fromTime": "{from}", "toTime": "{until}"},
        output_path=f"file://{folder}/{name}",
        incremental=Incremental(**{**incremental, **options.pop("incremental", {})}),
        **options,
    )


@pytest.fixture
def iris(iris_connection: IrisEmulator) -> IrisEmulator:
    """Return the emulator with an event every four hours."""
    iris_connection.settings(event_step_s=14_400)
    return iris_connection


def test_two_runs_read_everything_once_but_the_lookback(iris: IrisEmulator, tmp_path: Path) -> None:
    first = events(tmp_path, "first").execute(context("03"))
    half_an_hour_passes(iris)
    second = events(tmp_path, "second").execute(context("05"))
    assert first["period"]["newest"] == "2026-01-03T00:00:00Z"
    assert (second["period"]["from"], second["period"]["until"]) == (
        "2026-01-02T23:00:00Z",
        "2026-01-05T00:00:00Z",
    )
    times = [event["eventTime"] for one in (first, second) for event in read_records(one)]
    # One lies on the seam, and comes with the lookback.
    assert len(times) - len(set(times)) == 1
    assert len(set(times)) == 25
    assert state.show(f"file://{tmp_path}/_state.json")["until"] == "2026-01-05T00:00:00Z"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_state.json", "first", "second"]


def test_templates_are_rendered_in_a_copy(tmp_path: Path) -> None:
    task = events(
        tmp_path,
        "out",
        incremental={"state": "file:///{{ place }}.json", "start": "{{ since }}", "step": None},
    )
    mine = task.incremental
    given: Any = {"place": "lake", "since": "2026-02-01T00:00:00Z"}
    rendered = task.render_template(mine, given)
    assert (rendered.state, rendered.start) == ("file:///lake.json", "2026-02-01T00:00:00Z")
    assert (rendered.lookback, rendered.step) == (timedelta(hours=1), None)
    assert mine is not None
    assert mine.state == "file:///{{ place }}.json"


@pytest.mark.parametrize(
    ("incremental", "said"),
    [
        ({"start": "yesterday"}, "start: 'yesterday' is no moment"),
        ({"state": "_state.json"}, "state: '_state.json' names no file"),
        ({"state": "lake/_state.json"}, "state: .* relative path"),
        ({"field": "a["}, "field: not a JMESPath"),
        ({"per_item": True}, "per_item"),
    ],
)
def test_what_cannot_be_is_refused_before_any_request(
    iris: IrisEmulator, tmp_path: Path, incremental: dict[str, Any], said: str
) -> None:
    with pytest.raises(AirflowFailException, match=said):
        events(tmp_path, "out", incremental=incremental).execute(context("03"))
    assert iris.requests("/asset-event") == []


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ({"data_interval_start": 1, "data_interval_end": 2, "start_date": 3, "run_after": 4}, (1, 2)),
        (
            {"data_interval_start": None, "data_interval_end": None, "start_date": 3, "run_after": 4},
            (None, 3),
        ),
        ({"start_date": None, "run_after": 4}, (None, 4)),
        ({}, (None, None)),
    ],
    ids=["an interval", "started by an asset", "not started yet", "nothing known"],
)
def test_a_run_ends_with_its_interval_or_when_it_started(
    run: dict[str, Any], expected: tuple[Any, Any]
) -> None:
    assert run_times({"dag_run": SimpleNamespace(**run)}) == expected


def test_a_second_run_fails_for_good_and_the_first_is_undisturbed(iris: IrisEmulator, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/_state.json"
    events(tmp_path, "zero").execute(context("02"))
    iris.fault(path="/asset-event", kind="rate_limit")
    with pytest.raises(TaskDeferred):
        events(tmp_path, "first", deferrable=True).execute(context("03"))
    asked = len(iris.requests("/asset-event"))
    with pytest.raises(AirflowFailException, match=r"'run 03' of dag\.pull is at work with the state"):
        events(tmp_path, "second").execute(context("05"))
    assert len(iris.requests("/asset-event")) == asked
    with pytest.raises(IrisCheckpointError, match="is at work"):
        state.set_back(url, "2026-01-01")
    half_an_hour_passes(iris)
    events(tmp_path, "first").execute(context("03"))
    assert state.show(url)["until"] == "2026-01-03T00:00:00Z"
    assert not list(tmp_path.glob("*.claim-*"))


def test_a_task_that_fails_lets_the_next_run_in(iris: IrisEmulator, tmp_path: Path) -> None:
    iris.fault(path="/asset-event", kind="rate_limit")
    with pytest.raises(IrisRateLimitError):
        events(tmp_path, "first").execute(context("03"))
    assert not list(tmp_path.glob("*.claim-*"))
    half_an_hour_passes(iris)
    events(tmp_path, "second").execute(context("05"))


def test_every_machine_of_a_series_has_its_cursor(iris: IrisEmulator, tmp_path: Path) -> None:
    fleet = IrisToObjectStorageOperator(
        task_id="fleet",
        endpoint="/public/api/aemp/v2/15143/-3/Fleet",
        output_path=f"file://{tmp_path}/fleet",
    ).execute(context("05"))
    found = (machine["EquipmentHeader"].get("PIN") for machine in read_records(fleet))
    items = [{"pin": pin} for pin in list(dict.fromkeys(filter(None, found)))[:20]]
    hours = IrisToObjectStorageOperator(
        task_id="hours",
        endpoint=SERIES,
        path_params=[*items, {"pin": "nobody"}],
        output_path=f"file://{tmp_path}/hours",
        on_item_error="skip",
        max_concurrency=8,
        incremental=Incremental(
            state=f"file://{tmp_path}/_state.json", start="2025-12-01T00:00:00Z", per_item=True
        ),
    )
    manifest = hours.execute(context("05"))
    assert manifest["period"]["from"] == "2025-12-01T00:00:00Z"
    assert manifest["skipped_count"] == 1
    assert (tmp_path / "hours" / manifest["windows_file"]).exists()
    kept = state.show(f"file://{tmp_path}/_state.json")["items"]
    assert {json.loads(key)["pin"] for key in kept} == {item["pin"] for item in items}
    assert set(kept.values()) == {"2026-01-05T00:00:00Z"}
    assert manifest["requests"] == 20 * 3 + 1


# -- looking at a state and setting it back


def test_a_state_that_is_set_back_is_read_again_from_there(iris: IrisEmulator, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/_state.json"
    events(tmp_path, "first").execute(context("09"))
    assert state.set_back(url, "2026-01-04")["until"] == "2026-01-04T00:00:00Z"
    half_an_hour_passes(iris)
    second = events(tmp_path, "second").execute(context("10"))
    assert second["period"]["from"] == "2026-01-03T23:00:00Z"
    assert state.set_back(url, "2026-02-01")["until"] == "2026-01-10T00:00:00Z"
    with pytest.raises(IrisConfigurationError, match="until: 'soon' is no moment"):
        state.set_back(url, "soon")


def test_a_state_goes_over_to_another_request_only_when_a_person_says_so(
    iris: IrisEmulator, tmp_path: Path
) -> None:
    events(tmp_path, "first").execute(context("03"))
    other = {"fromTime": "{from}", "toTime": "{until}", "criticality": ["CRITICAL"]}
    task = events(tmp_path, "second")
    task.json = other
    with pytest.raises(AirflowFailException, match="state adopt"):
        task.execute(context("05"))
    state.adopt(f"file://{tmp_path}/_state.json")
    half_an_hour_passes(iris)
    task = events(tmp_path, "second")
    task.json = other
    assert task.execute(context("05"))["period"]["from"] == "2026-01-02T23:00:00Z"


def test_the_command_shows_sets_back_and_says_what_is_wrong(
    iris: IrisEmulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"file://{tmp_path}/_state.json"
    assert state.main(["show", url]) == 1
    assert "there is no such file" in capsys.readouterr().err
    events(tmp_path, "first").execute(context("03"))
    assert state.main(["show", url]) == 0
    assert "until:    2026-01-03T00:00:00Z" in capsys.readouterr().out
    assert state.main(["set", url, "--until", "2026-01-02T00:00:00Z"]) == 0
    assert "until:    2026-01-02T00:00:00Z" in capsys.readouterr().out
    assert state.main(["set", url, "--until", "2026-01-02", "--item", '{"pin": "A"}']) == 1
    assert "one cursor for everything" in capsys.readouterr().err
    assert state.main(["set", url, "--until", "2026-01-02", "--item", "A"]) == 1
    assert "--item" in capsys.readouterr().err
    assert state.main(["adopt", url]) == 0
    assert "the next one takes it over" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.claim-*"))


def test_the_command_runs_by_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["state", "show", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(state.__file__, run_name="__main__")
    assert ended.value.code == 0
    assert "python -m airflow_provider_trackunit.state show" in capsys.readouterr().out
