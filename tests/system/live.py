"""A real Airflow, with its triggerer, and an emulator that can go away and come back; all on the loopback interface."""

from __future__ import annotations

import json
import secrets
import sqlite3
import sys
import urllib.error
import urllib.request
from contextlib import closing
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_trackunit.emulator import IrisEmulator
from dev.parts import LOOPBACK, PartFailedError, Parts, free_port
from dev.ui import PARTS as PARTS_OF_3
from dev.ui import healthy, passwords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from dev.airflow_home import AirflowHome

#: From the installed files: importing Airflow here takes seconds, and 2.11 warns of itself.
AIRFLOW = version("apache-airflow")
AIRFLOW_VERSION = tuple(int(part) for part in AIRFLOW.split(".")[:2])
HAS_REST_API_OF_3 = AIRFLOW_VERSION >= (3, 0)
PARTS_OF_2 = {
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
PARTS = PARTS_OF_3 if HAS_REST_API_OF_3 else PARTS_OF_2

#: The numbers after it all have a reference of the ERP, which the watcher goes by.
ASSETS = 252
#: Airflow 2 runs one task at a time on SQLite, each in a new interpreter.
SENSORS = 20 if HAS_REST_API_OF_3 else 6

_OVER = {"success", "failed", "skipped", "upstream_failed", "removed"}
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ScenarioError(Exception):
    """Something came out otherwise than it has to."""


class Iris:
    """An emulator in a process of its own that keeps its port; what comes back knows nothing of what was before."""

    def __init__(self) -> None:
        self._port = free_port()
        self.handle = self._started()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.handle.stop()

    def stop(self) -> None:
        """Let nobody answer."""
        self.handle.stop()

    def start_again(self) -> None:
        """Answer again, with a new state: every token is unknown."""
        self.handle = self._started()

    def polls(self, path: str) -> int:
        """Return how many answers with success there were."""
        return len([one for one in self.handle.requests(path) if one.get("status") == 200])

    def _started(self) -> IrisEmulator:
        return IrisEmulator.start(assets=ASSETS, port=self._port, process=True)


class LiveAirflow:
    """Scheduler, triggerer and, on Airflow 3, API server and DAG processor.

    :param home: migrated
    :param parts: where the processes are started
    :param log_level: of everything that Airflow logs
    """

    def __init__(self, home: AirflowHome, parts: Parts, log_level: str = "INFO") -> None:
        self.home = home
        self._parts = parts
        self._port = free_port()
        self.url = url = f"http://{LOOPBACK}:{self._port}"
        self._environment = home.environment(
            SYSTEM_ASSETS=str(ASSETS),
            SYSTEM_OUTPUT=f"file://{home.path}/output",
            SYSTEM_SENSORS=str(SENSORS),
            SECRETS_OUTPUT=f"file://{home.path}/output/secrets",
            AIRFLOW__LOGGING__LOGGING_LEVEL=log_level,
            AIRFLOW__API__BASE_URL=url,
            AIRFLOW__API__HOST=LOOPBACK,
            AIRFLOW__API__PORT=str(self._port),
            AIRFLOW__API__WORKERS="1",
            AIRFLOW__API_AUTH__JWT_SECRET=secrets.token_hex(32),
            AIRFLOW__API__SECRET_KEY=secrets.token_hex(32),
            AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{url}/execution/",
            # SQLite allows 2.11 this one only.
            AIRFLOW__CORE__EXECUTOR="LocalExecutor" if HAS_REST_API_OF_3 else "SequentialExecutor",
            AIRFLOW__CORE__PARALLELISM="4",
            AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE="True",
            # What a killed triggerer leaves behind is taken over after this time, by default 30 s.
            AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD="15",
        )

    def start(self, connection: str, dags: Iterable[str]) -> None:
        """Start everything, and wait until it is healthy and knows the DAGs."""
        # Into the database: a connection of the environment would never go through the supervisor.
        file = self.home.path / "connections.json"
        file.write_text(json.dumps({"trackunit_default": json.loads(connection)}))
        self.home.run("connections", "import", "--overwrite", str(file), timeout_s=120)
        for name in PARTS:
            self._start_part(name)
        if HAS_REST_API_OF_3:
            self.wait_until(
                lambda: healthy(self._port) and passwords(self.home).exists(), "a healthy Airflow", 180
            )
        missing = set(dags)
        self.wait_until(lambda: not missing - self._known(), "every DAG in the database", 120)

    def kill_triggerer(self) -> int:
        """End the triggerer as a lost machine does, and return of how many processes it was."""
        return self._parts.kill("triggerer")

    def start_triggerer(self) -> None:
        """Start one anew."""
        self._start_part("triggerer")

    def run(self, dag_id: str, logical_date: str | None = None, **conf: Any) -> None:
        """Unpause a DAG and start its one run: through the REST API, or the command line of Airflow 2."""
        if HAS_REST_API_OF_3:
            body = {"dag_run_id": "system", "logical_date": logical_date, "conf": conf}
            self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
            self.unpause(dag_id)
            return
        date = ["--exec-date", logical_date] if logical_date else []
        command = ["dags", "trigger", dag_id, "--run-id", "system", "--conf", json.dumps(conf), *date]
        self.home.run(*command, timeout_s=120)
        self.home.run("dags", "unpause", dag_id, timeout_s=120)

    def unpause(self, dag_id: str) -> None:
        """Let the runs of a DAG begin, through the REST API of Airflow 3."""
        self._ask("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def clear(self, dag_id: str, task_id: str) -> None:
        """Clear a task of the run, running or not, as a person does who wants it done again."""
        if HAS_REST_API_OF_3:
            body = {"dry_run": False, "dag_run_id": "system", "task_ids": [task_id], "only_failed": False}
            self._ask("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)
            return
        self.home.run("tasks", "clear", "--yes", "--task-regex", f"^{task_id}$", dag_id, timeout_s=120)

    def fail(self, dag_id: str, task_id: str) -> None:
        """Mark a running task as failed; on Airflow 2 in the place where its web interface does it."""
        if HAS_REST_API_OF_3:
            path = f"/api/v2/dags/{dag_id}/dagRuns/system/taskInstances/{task_id}"
            self._ask("PATCH", path, {"new_state": "failed"})
            return
        question = "update task_instance set state = 'failed' where dag_id = ? and task_id = ?"
        with closing(sqlite3.connect(self.home.database, timeout=30)) as database, database:
            database.execute(question, (dag_id, task_id))

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Return what a task returned, from the REST API of Airflow 3."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self._ask("GET", f"{path}?deserialize=false")["value"]

    def runs(self, dag_id: str) -> dict[str, str]:
        """Return the states of all runs of a DAG, oldest first."""
        rows = self._rows("select run_id, state from dag_run where dag_id = ? order by id", dag_id)
        return {row[0]: row[1] for row in rows}

    def states(self, dag_id: str, run_id: str = "system") -> list[str]:
        """Return the states of the tasks of a run, in the order of their names."""
        question = "select coalesce(state, 'none') from task_instance where dag_id = ? and run_id = ? order by task_id"
        return [row[0] for row in self._rows(question, dag_id, run_id)]

    def is_over(self, dag_id: str) -> bool:
        """Return whether every task of the run has ended."""
        states = self.states(dag_id)
        return bool(states) and set(states) <= _OVER

    def wait_until(self, ready: Callable[[], bool], what: str, within_s: float) -> None:
        """Wait while the parts run.

        :raises ScenarioError: when a part ends, or the time is over
        """
        try:
            self._parts.wait_until(ready, what, within_s)
        except PartFailedError as error:
            raise ScenarioError(str(error)) from None

    def logs(self, lines: int = 25) -> str:
        """Return the ends of all logs: those of the parts, and those of the tasks that did not succeed."""
        files = [self._parts.log(name) for name in PARTS]
        question = "select dag_id, run_id, task_id from task_instance where coalesce(state, '') != 'success'"
        for dag_id, run_id, task_id in set(self._rows(question)):
            pattern = f"logs/dag_id={dag_id}/run_id={run_id}/task_id={task_id}/**/*.log*"
            files += sorted(self.home.path.glob(pattern))[:2]
        texts = []
        for file in files:
            end = file.read_text(errors="replace").splitlines()[-lines:]
            texts.append(f"--- {file.relative_to(self.home.path)}\n" + "\n".join(line[:300] for line in end))
        return "\n".join(texts)

    def _start_part(self, name: str) -> None:
        self._parts.start(name, [sys.executable, "-m", "airflow", *PARTS[name]], self._environment)

    def _known(self) -> set[str]:
        return {row[0] for row in self._rows("select dag_id from serialized_dag")}

    def _rows(self, question: str, *values: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(f"file:{self.home.database}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(question, values).fetchall()

    def token(self) -> str:
        """Return a token of the API server of Airflow 3, which may do everything."""
        user, password = next(iter(json.loads(passwords(self.home).read_text()).items()))
        token: str = self._send("POST", "/auth/token", {"username": user, "password": password})[
            "access_token"
        ]
        return token

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return self._send(method, path, body, {"Authorization": f"Bearer {self.token()}"})

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self._port}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", **(headers or {})},
            method=method,
        )
        try:
            with _OPENER.open(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace")[:1000]
            raise ScenarioError(f"{method} {path}: HTTP {error.code}: {text}") from None


def demand(holds: bool, otherwise: str) -> None:
    """Check what has to be.

    :raises ScenarioError: when it is not
    """
    if not holds:
        raise ScenarioError(otherwise)
