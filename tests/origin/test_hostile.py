"""A server that means harm gets no token to another place, no file beside the output, no endless loop.

What it does to memory is measured in test_memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit._compat import AirflowException, AirflowFailException, AirflowSensorTimeout
from airflow_provider_trackunit.hooks import IrisHook
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.iris.http.pacing import forget_limits
from airflow_provider_trackunit.operators import IrisApiOperator
from airflow_provider_trackunit.sensors import IrisSensor
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator
from airflow_provider_trackunit.triggers import IrisEventTrigger, Timing, new_records
from airflow_provider_trackunit.triggers.timing import IrisWait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator
    from tests.iris.scripted import ScriptedServer

    Run = Callable[[Path, dict[str, Any]], Any]

ASSETS = "/api/asset/v1/assets"
OPERATORS = "/public/api/operator/operators"
FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
UNKNOWN = "/api/nobody/knows/this"
# More than any of the guards lets through, and far less than for ever.
MOST_REQUESTS = 150
MOST_SECONDS = 20.0
# Where an answer has to come, even on a machine that is busy with other things.
PATIENT_S = 10.0
NAMES = re.compile(r"part-00000-[0-9a-f]{16}\.jsonl\.gz|_manifest\.json|_checkpoint\.json")

CONTEXT: Any = {"ti": SimpleNamespace(dag_id="dag", task_id="pull", run_id="run", map_index=-1)}
_JSON: dict[str, Any] = {"query": "query($after: String) { assets(after: $after) { edges { node { id } } } }"}
COLLECTIONS: dict[str, dict[str, Any]] = {
    "numbered": {"endpoint": ASSETS},
    "cursor": {"endpoint": OPERATORS},
    "links": {"endpoint": FLEET},
    "relay": {"endpoint": "/api/graphql/", "method": "POST", "json": _JSON},
    "unknown": {"endpoint": UNKNOWN},
}


@pytest.fixture
def iris(iris_connection: IrisEmulator, elsewhere: ScriptedServer) -> Iterator[IrisEmulator]:
    """Return an emulator that leads elsewhere; it must have been asked neither too often nor for too long."""
    iris_connection.settings(foreign_host=elsewhere.url, limits_on=False)
    begun = time.monotonic()
    yield iris_connection
    assert iris_connection.stats()["requests"] <= MOST_REQUESTS
    assert time.monotonic() - begun < MOST_SECONDS


def impatient(task: Any, timeout_s: float = 0.4) -> Any:
    """Let a task give up soon: a tricked request is not better for being asked four times."""
    task.__dict__["hook"] = IrisHook(timeout_s=timeout_s, max_attempts=1, max_wait_s=0.1)
    return task


def read_all(tmp_path: Path, collection: dict[str, Any], **patience: float) -> Any:
    task = IrisApiOperator(task_id="read", max_records=100, **collection)
    return impatient(task, **patience).execute(CONTEXT)


def transfer_all(tmp_path: Path, collection: dict[str, Any], **patience: float) -> Any:
    task = IrisToObjectStorageOperator(task_id="pull", output_path=f"file://{tmp_path}/out", **collection)
    return impatient(task, **patience).execute(CONTEXT)


def look(tmp_path: Path, collection: dict[str, Any]) -> Any:
    task = IrisSensor(task_id="look", poke_interval=0.05, timeout=0.1, condition="`false`", **collection)
    return impatient(task).execute(CONTEXT)


MODES = [read_all, transfer_all, look]
# A walk that brings new records for ever has no end that a client could see. The operator has max_records; a
# transfer ends with its execution_timeout.
WITHOUT_END = {
    (transfer_all, "moving_cursor", "cursor"),
    (transfer_all, "moving_cursor", "unknown"),
}
TRICKS = [
    "redirect",
    "foreign_links",
    "moving_cursor",
    "repeated_pages",
    "absurd_counts",
    "climbing_names",
    "slow_body",
    "year_long_wait",
    "never_authorized",
    "echo",
]


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("mode", MODES)
def test_every_trick_ends_soon_here_and_within_the_output(
    iris: IrisEmulator, tmp_path: Path, mode: Run, trick: str
) -> None:
    iris.hostile(trick)
    for style, collection in COLLECTIONS.items():
        if (mode, trick, style) in WITHOUT_END:
            continue
        # Anything but an error of ours, or Airflow's, fails the test.
        with contextlib.suppress(IrisError, AirflowException, AirflowFailException, AirflowSensorTimeout):
            mode(tmp_path, collection)
    files = {file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file()}
    assert {str(file.parent) for file in files} <= {"out"}
    assert [file for file in files if not NAMES.fullmatch(file.name)] == []


@pytest.mark.parametrize(
    "trick", ["redirect", "echo", "never_authorized", "year_long_wait", "slow_body", "huge_token"]
)
@pytest.mark.parametrize("mode", MODES)
def test_a_tricky_token_endpoint_ends_the_task_soon(
    iris: IrisEmulator, tmp_path: Path, mode: Run, trick: str
) -> None:
    iris.hostile(trick, path="/token")
    with pytest.raises((IrisError, AirflowException)) as caught:
        mode(tmp_path, COLLECTIONS["numbered"])
    assert len(str(caught.value)) < 5000


def test_names_that_climb_are_nothing_but_records(iris: IrisEmulator, tmp_path: Path) -> None:
    iris.hostile("climbing_names")
    manifest = transfer_all(tmp_path, COLLECTIONS["numbered"], timeout_s=PATIENT_S)
    (part,) = manifest["parts"]
    assert re.fullmatch(r"part-00000-[0-9a-f]{16}\.jsonl\.gz", part["name"])
    lines = gzip.decompress((tmp_path / "out" / part["name"]).read_bytes()).splitlines()
    assert "../../../etc/passwd" in [json.loads(line)["id"] for line in lines]


@pytest.mark.parametrize("item", ["../../../etc/passwd", "/etc/passwd", "..", "a/../../b"])
def test_a_value_of_a_path_names_no_file(iris: IrisEmulator, tmp_path: Path, item: str) -> None:
    iris.hostile("climbing_names")
    collection: dict[str, Any] = {"endpoint": f"{ASSETS}/{{item}}", "path_params": [{"item": item}]}
    with contextlib.suppress(AirflowFailException):
        transfer_all(tmp_path, collection, timeout_s=PATIENT_S)
    files = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert [file for file in files if not re.fullmatch(f"out/(?:{NAMES.pattern})", file)] == []


def test_an_endless_walk_of_new_records_ends_with_max_records(iris: IrisEmulator, tmp_path: Path) -> None:
    iris.hostile("moving_cursor")
    with pytest.raises(AirflowFailException, match="max_records"):
        read_all(tmp_path, COLLECTIONS["unknown"], timeout_s=PATIENT_S)


def test_a_poll_of_a_watcher_that_has_no_end_is_given_up_for_five_minutes(
    iris_connection: IrisEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    class EnoughError(Exception):
        pass

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        raise EnoughError

    monkeypatch.setattr(new_records, "_MOST_RECORDS", 50)
    monkeypatch.setattr(IrisWait, "timing", Timing(sleep=sleep))
    iris_connection.settings(limits_on=False)
    iris_connection.hostile("moving_cursor")

    async def watch() -> None:
        async for event in IrisEventTrigger(endpoint=UNKNOWN, watermark="timeOn", start_from=0).run():
            told.append(event.payload["error"])  # noqa: PERF401 (what came before the end is wanted)

    told: list[str] = []
    with pytest.raises(EnoughError):
        asyncio.run(watch())
    assert (told, slept) == (["IrisPaginationError"], [300.0])
    assert iris_connection.stats()["requests"] < 60


def test_nobody_waits_a_year(iris: IrisEmulator, tmp_path: Path) -> None:
    iris.hostile("year_long_wait")
    for deferrable in (False, True):
        forget_limits()
        task = IrisToObjectStorageOperator(
            task_id="pull", endpoint=ASSETS, output_path=f"file://{tmp_path}/out", deferrable=deferrable
        )
        with pytest.raises(IrisError, match="429"):
            task.execute(CONTEXT)
