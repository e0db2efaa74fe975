"""A transfer whose process is really killed, at moments nobody chose."""

from __future__ import annotations

import multiprocessing
import random
from typing import TYPE_CHECKING

from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped,unused-ignore]

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.export.export import Export
from airflow_provider_trackunit.iris.export.manifest import Run
from airflow_provider_trackunit.iris.export.request import ExportRequest
from airflow_provider_trackunit.storage import FolderStore

from .conftest import ASSETS, credentials_of
from .stores import result_of

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess
    from multiprocessing.synchronize import Event
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator
    from airflow_provider_trackunit.iris.http.tokens import Credentials

# A process that has loaded everything, and from which each that is to be killed is forked.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


def export(credentials: Credentials, url: str, folder: str, begins: Event) -> None:
    """Bring all assets into a folder, in small parts."""
    client = IrisClient(credentials, url)
    call = make_call(url, ASSETS, query_params={"size": 20})
    request = ExportRequest(
        ASSETS, folder, [call], run=Run("dag", "task", "run"), part_bytes=40_000, max_concurrency=2
    )
    begins.set()
    Export(client, request, FolderStore(LocalFileSystem(), folder, folder)).run()


def begin(iris: IrisEmulator, folder: Path) -> ForkServerProcess:
    """Return a process that has just begun to export."""
    begins = PROCESSES.Event()
    child = PROCESSES.Process(target=export, args=(credentials_of(iris), iris.url, str(folder), begins))
    child.start()
    assert begins.wait(30)
    return child


def records_of(folder: Path) -> list[str]:
    """Return the ids of all records, once the folder holds a result and nothing else."""
    return [
        record["id"] for record in result_of({file.name: file.read_bytes() for file in folder.iterdir()})[1]
    ]


def test_killed_at_twenty_random_moments_the_result_has_every_record_once(
    iris: IrisEmulator, tmp_path: Path
) -> None:
    iris.settings(latency_ms=5)
    folder = tmp_path / "out"
    chance = random.Random(20)  # noqa: S311 (moments, not secrets)
    kills = 0
    for _ in range(200):
        child = begin(iris, folder)
        child.join(chance.uniform(0.0, 0.2))
        if child.is_alive():
            child.kill()
            kills += 1
        child.join()
        if child.exitcode == 0:
            assert len(set(records_of(folder))) == 1000
        if kills == 20:
            break
    assert kills == 20
    last = begin(iris, folder)
    last.join(30)
    assert last.exitcode == 0
    ids = records_of(folder)
    assert len(set(ids)) == len(ids) == 1000
