"""A scratch Airflow on SQLite in a directory of its own, for the demo, the web interface and the tests.

Run by an environment's Python. Every process started here is ended here, by its own process group.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "example_dags"

_CONNECTION = "AIRFLOW_CONN_TRACKUNIT_DEFAULT"
_LOOPBACK = "127.0.0.1,localhost"


class AirflowCommandError(Exception):
    """An Airflow command failed or took too long; the text holds what it printed."""


@dataclass(frozen=True)
class TaskRun:
    """One finished task.

    :param result: what it returned; None when it returned nothing
    """

    task_id: str
    state: str
    result: Any


class AirflowHome:
    """An ``AIRFLOW_HOME``: settings, commands, the runs of its DAGs.

    :param path: the directory; made if need be
    :param dags: the directory of the DAG files
    """

    def __init__(self, path: Path, dags: Path = EXAMPLES) -> None:
        self.path = path
        self.dags = dags
        self.database = path / "airflow.db"

    def environment(self, connection: str | None = None, **settings: str) -> dict[str, str]:
        """Return the environment of a process of this Airflow: nothing of the caller's own Airflow.

        :param connection: ``trackunit_default`` as JSON, where the process shall have it
        :param settings: more variables
        """
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        places = [str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)]
        return {
            **inherited,
            "AIRFLOW_HOME": str(self.path),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}",
            # A warning of Airflow 2.11 about itself.
            "AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY": "True",
            "PATH": os.pathsep.join(places),
            "NO_PROXY": _LOOPBACK,
            "no_proxy": _LOOPBACK,
            **({_CONNECTION: connection} if connection else {}),
            **settings,
        }

    def migrate(self) -> None:
        """Make the database, unless it is there: the directory of an Airflow release keeps it."""
        made = self.path / ".migrated"
        if made.exists():
            return
        self.path.mkdir(parents=True, exist_ok=True)
        self.database.unlink(missing_ok=True)
        self.run("db", "migrate", timeout_s=300)
        made.touch()

    def copied(self, path: Path, dags: Path | None = None) -> AirflowHome:
        """Return a home with a copy of the database, because SQLite has one writer at a time."""
        shutil.copytree(self.path, path)
        return AirflowHome(path, dags or self.dags)

    def run(self, *arguments: str, timeout_s: float, connection: str | None = None, **settings: str) -> str:
        """Return what an Airflow command printed.

        :raises AirflowCommandError: when it fails, or is not done after ``timeout_s`` seconds and was killed
        """
        process = subprocess.Popen(  # noqa: S603 - our own commands
            [sys.executable, "-m", "airflow", *arguments],
            env=self.environment(connection, **settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            kill_group(process)
            output, _ = process.communicate()
            text = f"airflow {' '.join(arguments)} was not done after {timeout_s:.0f} s:\n{output}"
            raise AirflowCommandError(text) from None
        except BaseException:
            kill_group(process)
            process.wait()
            raise
        if process.returncode:
            raise AirflowCommandError(
                f"airflow {' '.join(arguments)} failed with exit code {process.returncode}:\n{output}"
            )
        return output

    def test_dag(
        self,
        dag_id: str,
        connection: str,
        logical_date: str | None = None,
        timeout_s: float = 120,
        params: dict[str, Any] | None = None,
        **settings: str,
    ) -> dict[str, TaskRun]:
        """Run a DAG once with ``airflow dags test`` and return its tasks by name.

        :param params: values for the DAG's params, in the place of their defaults
        :param settings: more environment variables
        :raises AirflowCommandError: when the run or a task of it failed
        """
        if version("apache-airflow").startswith("3.0."):
            # There, "dags test" takes a task's outlet for inactive unless the database has seen its DAG before.
            self.run("dags", "reserialize", timeout_s=timeout_s, **settings)
        date = [logical_date] if logical_date else []
        conf = ["--conf", json.dumps(params)] if params else []
        command = ["dags", "test", dag_id, *date, *conf]
        output = self.run(*command, timeout_s=timeout_s, connection=connection, **settings)
        tasks = {task.task_id: task for task in self._last_run(dag_id)}
        unsuccessful = [f"{task.task_id} {task.state}" for task in tasks.values() if task.state != "success"]
        if unsuccessful or not tasks:
            raise AirflowCommandError(f"{dag_id}: {', '.join(unsuccessful) or 'no task ran'}:\n{output}")
        return tasks

    def _last_run(self, dag_id: str) -> list[TaskRun]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            xcom, of_task = (
                ("xcom_v2", "x.task_instance_id = t.id")
                if _is_3_4(database)
                else ("xcom", "x.dag_id = t.dag_id and x.run_id = t.run_id and x.task_id = t.task_id")
            )
            rows = database.execute(
                "select t.task_id, t.state, x.value from task_instance t "  # noqa: S608 - our own text
                f"left join {xcom} x on {of_task} and x.key = 'return_value' where t.dag_id = ? and t.run_id = "
                "(select run_id from dag_run where dag_id = ? order by id desc limit 1)",
                (dag_id, dag_id),
            ).fetchall()
        return [TaskRun(task_id, state, _decoded(value)) for task_id, state, value in rows]


def _is_3_4(database: sqlite3.Connection) -> bool:
    """Return whether a database is one of Airflow 3.4, which keeps results by task instance."""
    return database.execute("select 1 from sqlite_master where name = 'xcom_v2'").fetchone() is not None


def interrupt_once() -> None:
    """Let Ctrl-C, a closed terminal and SIGTERM all raise KeyboardInterrupt, and let nothing disturb the stopping."""

    def interrupt(*_: object) -> NoReturn:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        signal.signal(number, interrupt)


def kill_group(process: subprocess.Popen[str]) -> None:
    """Kill a process that was started in a session of its own, with all its children."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _decoded(value: str | bytes | None) -> Any:
    """Return an XCom as it was before it was stored: Airflow 3 encodes it twice, Airflow 2 once."""
    while isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    return value
