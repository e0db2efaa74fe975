"""What a person reads when something is wrong: once, with the connection, and what to do about it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import traceback
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit._compat import AIRFLOW_VERSION, AirflowFailException, TaskDeferred
from airflow_provider_trackunit.operators import IrisApiOperator
from airflow_provider_trackunit.sensors import IrisSensor
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator
    from dev.airflow_home import AirflowHome

ASSETS = "/api/asset/v1/assets"
CONTEXT: Any = {"ti": SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1)}
IN_A_BUCKET: dict[str, Any] = {"task_id": "t", "endpoint": ASSETS, "output_path": "/nowhere"}

MISTAKES: dict[str, Callable[[], Any]] = {
    "condition": lambda: IrisSensor(task_id="t", endpoint=ASSETS, condition="a["),
    "size": lambda: IrisApiOperator(task_id="t", endpoint=ASSETS, query_params={"size": 5000}),
    "assetId": lambda: IrisApiOperator(task_id="t", endpoint=f"{ASSETS}/{{assetId}}"),
    "relative path": lambda: IrisToObjectStorageOperator(**{**IN_A_BUCKET, "output_path": "out/assets"}),
    "apache-airflow-providers-google": lambda: IrisToObjectStorageOperator(
        **{**IN_A_BUCKET, "output_path": "gs://bucket/assets"}
    ),
    "file_format": lambda: IrisToObjectStorageOperator(**IN_A_BUCKET, file_format="csv"),  # type: ignore[arg-type]
    "columns": lambda: IrisToObjectStorageOperator(**IN_A_BUCKET, columns={"a": ("b", "string")}),
    "on_item_error": lambda: IrisToObjectStorageOperator(**IN_A_BUCKET, on_item_error="ignore"),  # type: ignore[arg-type]
    "path_params": lambda: IrisToObjectStorageOperator(**IN_A_BUCKET, path_params=[1]),
}


def failure_of(operator: Any) -> AirflowFailException:
    with pytest.raises(AirflowFailException) as raised:
        operator.execute(CONTEXT)
    return raised.value


@pytest.mark.parametrize("said", MISTAKES)
def test_a_mistake_is_told_once_in_the_last_line_and_says_what_it_is(
    iris_connection: IrisEmulator, said: str
) -> None:
    lines = "".join(traceback.format_exception(failure_of(MISTAKES[said]()))).splitlines()
    assert said in lines[-1]
    assert [line for line in lines if line.startswith("Traceback")] == lines[:1]
    assert not [line for line in lines if "exception" in line and line.endswith(":")]


@pytest.mark.parametrize("said", [name for name in MISTAKES if name != "size"])
def test_every_error_of_configuration_names_the_connection(iris_connection: IrisEmulator, said: str) -> None:
    assert "(connection 'trackunit_default')" in str(failure_of(MISTAKES[said]()))


def deferrable() -> IrisSensor:
    return IrisSensor(task_id="t", endpoint=ASSETS, condition="nothing", timeout=3600, deferrable=True)


@contextmanager
def api_server(health: dict[str, Any]) -> Iterator[str]:
    """Serve the health of an Airflow, and yield the URL that its workers know."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/v2/monitor/health" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(health).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/execution/"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 0), reason="a worker of Airflow 2 asks the database")
@pytest.mark.parametrize(
    ("status", "warned"), [("healthy", False), ("unhealthy", True), (None, True)], ids=str
)
def test_a_task_that_is_deferred_says_when_no_triggerer_runs(
    iris_connection: IrisEmulator,
    monkeypatch: pytest.MonkeyPatch,
    said: Callable[[], str],
    status: str | None,
    warned: bool,
) -> None:
    with api_server({"triggerer": {"status": status}}) as url:
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", url)
        with pytest.raises(TaskDeferred):
            deferrable().execute(CONTEXT)
    assert ("No triggerer runs" in said()) is warned


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 0), reason="a worker of Airflow 2 asks the database")
@pytest.mark.parametrize("health", [{}, {"triggerer": None}], ids=["another answer", "an empty one"])
def test_where_airflow_does_not_say_whether_a_triggerer_runs_nothing_is_said(
    iris_connection: IrisEmulator,
    monkeypatch: pytest.MonkeyPatch,
    said: Callable[[], str],
    health: dict[str, Any],
) -> None:
    with api_server(health) as url:
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", url)
        with pytest.raises(TaskDeferred):
            deferrable().execute(CONTEXT)
    # Now nobody is there at all.
    with pytest.raises(TaskDeferred):
        deferrable().execute(CONTEXT)
    assert "triggerer, every" in (told := said())
    assert "No triggerer runs" not in told


ON_AIRFLOW_2 = """
import logging
from types import SimpleNamespace
from airflow.jobs.job import Job
from airflow.utils.session import create_session
from airflow.utils import timezone
from airflow_provider_trackunit.tasks.triggerer import warn_if_none_runs
operator = SimpleNamespace(log=SimpleNamespace(warning=print))
warn_if_none_runs(operator)
print("and now one")
with create_session() as session:
    job = Job(job_type="TriggererJob", state="running", latest_heartbeat=timezone.utcnow())
    job.job_type = "TriggererJob"
    session.add(job)
warn_if_none_runs(operator)
"""


@pytest.mark.skipif(AIRFLOW_VERSION >= (3, 0), reason="a worker of Airflow 3 asks the API server")
def test_a_worker_of_airflow_2_asks_the_database(tmp_path: Path, migrated_home: AirflowHome) -> None:
    home = migrated_home.copied(tmp_path / "home")
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", ON_AIRFLOW_2],
        env=home.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    before, _, after = done.stdout.partition("and now one")
    assert "No triggerer runs" in before
    assert "No triggerer runs" not in after
