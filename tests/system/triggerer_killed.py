"""Kill the triggerer of a real Airflow while a sensor and a transfer are deferred; both have to finish.

``AIRFLOW_3_PYTHON -m tests.system.triggerer_killed`` (any Airflow from 2.11 on; about five minutes). It starts scheduler, triggerer
and, on Airflow 3, api-server and dag-processor, on the loopback interface, and an emulator of its own. It prints
what happened, and ends with an error when a task does not succeed.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from airflow import __version__ as airflow_version

from airflow_provider_trackunit._compat import AIRFLOW_VERSION
from airflow_provider_trackunit.emulator import IrisEmulator
from scripts.airflow_home import AirflowHome
from scripts.parts import LOOPBACK, Parts, free_port
from scripts.ui import PARTS as PARTS_OF_3
from scripts.ui import healthy

DAG = "system_waits"
PARTS_OF_2 = {
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
PARTS = PARTS_OF_3 if AIRFLOW_VERSION >= (3, 0) else PARTS_OF_2

# Longer than the hook sleeps on the worker (120 s).
RETRY_AFTER_S = 130


def main() -> None:
    """Run, print, and end with 1 when a task did not succeed.

    :raises SystemExit: then
    """
    with tempfile.TemporaryDirectory(prefix="airflow-system-") as folder:
        home = AirflowHome(Path(folder) / "home", Path(__file__).parent / "dags")
        home.migrate()
        with IrisEmulator.start(process=True) as iris, Parts(home.path) as parts:
            _run(home, iris, parts)


def _run(home: AirflowHome, iris: IrisEmulator, parts: Parts) -> None:
    port = free_port()
    environment = _environment(home, port)
    _import_connection(home, iris, environment)
    for name, arguments in PARTS.items():
        parts.start(name, [sys.executable, "-m", "airflow", *arguments], environment)
    if AIRFLOW_VERSION >= (3, 0):
        parts.wait_until(lambda: healthy(port), "Airflow", 180)
    parts.wait_until(lambda: _dag_is_known(home), "the DAG", 120)
    _say("Airflow is up")
    # The second page of the transfer is refused for longer than the worker sleeps.
    iris.fault(path="/Fleet/2", kind="rate_limit", retry_after=str(RETRY_AFTER_S))
    home.run("dags", "unpause", DAG, timeout_s=120)
    home.run("dags", "trigger", DAG, timeout_s=120)

    parts.wait_until(lambda: set(_states(home).values()) == {"deferred"}, "both deferrals", 180)
    _say(f"deferred: {_states(home)}")
    # Until the triggerer has taken them up, there is nothing to lose.
    polls = _polls(iris)
    parts.wait_until(lambda: _polls(iris) > polls, "a poll from the triggerer", 120)
    _say(f"the triggerer is killed: {parts.kill('triggerer')} processes")
    time.sleep(15)
    _say(f"while it is gone: {_states(home)}")
    polls = _polls(iris)
    parts.start("triggerer", [sys.executable, "-m", "airflow", *PARTS["triggerer"]], environment)
    parts.wait_until(lambda: _polls(iris) > polls, "a poll from the new triggerer", 180)
    _say(f"the new triggerer polls: {_states(home)}")
    iris.fleet(grow=1)
    parts.wait_until(lambda: _is_over(home), "the end", 420)
    states = _states(home)
    _say(f"end: {states}; token requests {iris.stats()['token_requests']}")
    manifests = list(home.path.glob("output/**/_manifest.json"))
    _say(f"manifest: {[json.loads(one.read_text())['records'] for one in manifests]} records")
    fleet = [one["path"].rpartition("/")[2] for one in iris.requests("/Fleet/")]
    _say(f"fleet pages that were asked for: {fleet}")
    if set(states.values()) != {"success"} or len(manifests) != 1:
        for part in PARTS:
            _say(f"--- {part}\n{parts.log(part).read_text(errors='replace')[-4000:]}")
        raise SystemExit(1)


def _environment(home: AirflowHome, port: int) -> dict[str, str]:
    url = f"http://{LOOPBACK}:{port}"
    return home.environment(
        SYSTEM_OUTPUT=f"file://{home.path}/output",
        AIRFLOW__API__BASE_URL=url,
        AIRFLOW__API__HOST=LOOPBACK,
        AIRFLOW__API__PORT=str(port),
        AIRFLOW__API__WORKERS="1",
        AIRFLOW__API_AUTH__JWT_SECRET=secrets.token_hex(32),
        AIRFLOW__API__SECRET_KEY=secrets.token_hex(32),
        AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{url}/execution/",
        # SQLite allows 2.11 this one only.
        AIRFLOW__CORE__EXECUTOR="LocalExecutor" if AIRFLOW_VERSION >= (3, 0) else "SequentialExecutor",
        AIRFLOW__CORE__PARALLELISM="4",
    )


def _import_connection(home: AirflowHome, iris: IrisEmulator, environment: dict[str, str]) -> None:
    # Into the database: a connection of the environment would never go through the supervisor.
    file = home.path / "connections.json"
    file.write_text(json.dumps({"trackunit_default": json.loads(iris.connection_json())}))
    home.run("connections", "import", "--overwrite", str(file), timeout_s=120)


def _rows(home: AirflowHome, question: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)) as database:
        return database.execute(question).fetchall()


def _dag_is_known(home: AirflowHome) -> bool:
    return bool(_rows(home, f"select dag_id from serialized_dag where dag_id = '{DAG}'"))  # noqa: S608 - our own name


def _states(home: AirflowHome) -> dict[str, str]:
    rows = _rows(home, f"select task_id, state from task_instance where dag_id = '{DAG}'")  # noqa: S608 - our own name
    return {row[0]: row[1] for row in rows}


def _is_over(home: AirflowHome) -> bool:
    return all(
        state in {"success", "failed", "skipped", "upstream_failed"} for state in _states(home).values()
    )


def _polls(iris: IrisEmulator) -> int:
    return len(iris.requests("/api/asset/v1/assets"))


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} Airflow {airflow_version}: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
