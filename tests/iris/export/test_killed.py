"""A transfer whose process is really killed, at moments nobody chose."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from .conftest import ASSETS
from .stores import result_of

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator

EXPORT = """
import json, sys
from fsspec.implementations.local import LocalFileSystem
from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.export.export import export_pages
from airflow_provider_trackunit.iris.export.manifest import Run
from airflow_provider_trackunit.iris.export.request import ExportRequest
from airflow_provider_trackunit.iris.http.tokens import Credentials
from airflow_provider_trackunit.storage import FolderStore

wanted = json.loads(sys.argv[1])
client = IrisClient(Credentials(**wanted["credentials"]), wanted["url"])
call = make_call(wanted["url"], wanted["endpoint"], query_params={"size": 20})
request = ExportRequest(
    wanted["endpoint"], wanted["folder"], [call], run=Run("dag", "task", "run"), part_bytes=40_000, max_concurrency=2
)
print("begins", flush=True)
export_pages(client, request, FolderStore(LocalFileSystem(), wanted["folder"], wanted["folder"]))
"""


def begin(iris: IrisEmulator, folder: Path) -> subprocess.Popen[bytes]:
    """Return a process that has just begun to export."""
    wanted = {
        "credentials": {
            "client_id": iris.client_id,
            "client_secret": iris.client_secret,
            "username": iris.username,
            "password": iris.password,
            "auth_url": iris.auth_url,
        },
        "url": iris.url,
        "endpoint": ASSETS,
        "folder": str(folder),
    }
    child = subprocess.Popen(  # noqa: S603 (our own interpreter and text)
        [sys.executable, "-c", EXPORT, json.dumps(wanted)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"begins\n"
    child.stdout.close()
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
        try:
            child.wait(timeout=chance.uniform(0.0, 0.2))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            kills += 1
        if child.wait() == 0:
            assert len(set(records_of(folder))) == 1000
        if kills == 20:
            break
    assert kills == 20
    assert begin(iris, folder).wait(timeout=30) == 0
    ids = records_of(folder)
    assert len(set(ids)) == len(ids) == 1000
