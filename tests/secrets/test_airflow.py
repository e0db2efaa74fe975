"""A real Airflow at DEBUG: every mode fails, and its whole home is searched, logs and database included."""

from __future__ import annotations

import json
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit._compat import AIRFLOW_VERSION
from airflow_provider_trackunit.emulator import IrisEmulator
from dev.airflow_home import AirflowCommandError, AirflowHome
from tests.secrets.needles import (
    CLIENT_SECRET,
    PASSWORD,
    QUERY,
    QUERY_MIDDLE,
    found_in,
    found_under,
    lines_that_tell,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAGS = Path(__file__).parent / "dags"
WITHIN_S = 170
# "airflow dags test" of Airflow 3 logs at DEBUG what it is asked to mask; that of 3.0 also prints the arguments that
# a task was given, in messages and in tracebacks with variables of its own frames. A real supervisor leaves that out.
OF_AIRFLOW_ITSELF = re.compile(
    rf"msg=MaskSecret\(|{QUERY_MIDDLE}"
    if (3, 0) <= AIRFLOW_VERSION < (3, 1)
    else r"Sending request .*msg=MaskSecret\("
)
SIGNATURE = json.dumps({"conn_type": "generic", "password": QUERY})


def echo(iris: IrisEmulator) -> dict[str, Any]:
    """Let the API say all that it was sent."""
    iris.hostile("echo", path="/api/")
    return {}


def wrong_secret(iris: IrisEmulator) -> dict[str, Any]:
    """Let the token endpoint refuse, and say all that it was sent."""
    iris.hostile("echo", path="/token")
    return {}


PLAYS: dict[str, tuple[str, Callable[[IrisEmulator], Any]]] = {
    "echo": ("secrets_failing", echo),
    "wrong secret": ("secrets_failing", wrong_secret),
    "leaking": ("secrets_leaking", lambda _iris: None),
}


@pytest.fixture(scope="module")
def homes(migrated_home: AirflowHome) -> Iterator[dict[str, tuple[AirflowHome, str]]]:
    """Return the home of each play after its run, and what the command printed."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        plays = {name: pool.submit(played, migrated_home, name) for name in PLAYS}
        yield {name: play.result() for name, play in plays.items()}


def played(migrated: AirflowHome, name: str) -> tuple[AirflowHome, str]:
    dag_id, play = PLAYS[name]
    home = migrated.copied(migrated.path.parent / f"secrets {name}", DAGS)
    with IrisEmulator.start() as iris:
        iris.use_credentials(client_secret=CLIENT_SECRET, password=PASSWORD)
        play(iris)
        settings = {
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW_CONN_SIGNATURE": SIGNATURE,
            "SECRETS_OUTPUT": f"file://{home.path}/output",
        }
        try:
            printed = home.run(
                "dags", "test", dag_id, timeout_s=WITHIN_S, connection=iris.connection_json(), **settings
            )
        except AirflowCommandError as error:  # a run that failed is what is wanted
            printed = str(error)
        assert iris.stats()["requests"] > 0
    return home, printed


def states_in(home: AirflowHome) -> dict[str, str]:
    with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)) as database:
        return dict(database.execute("select task_id, state from task_instance").fetchall())


@pytest.mark.parametrize("name", ["echo", "wrong secret"])
def test_no_mode_that_fails_writes_a_secret_anywhere(
    homes: dict[str, tuple[AirflowHome, str]], name: str
) -> None:
    home, printed = homes[name]
    assert "secrets_failing" in printed
    assert [line for line in lines_that_tell(printed) if not OF_AIRFLOW_ITSELF.search(line)] == []
    assert found_under(home.path) == {}


@pytest.mark.parametrize(("name", "met"), [("echo", "***"), ("wrong secret", "invalid_client")])
def test_every_mode_has_run_and_written_what_it_met(
    homes: dict[str, tuple[AirflowHome, str]], name: str, met: str
) -> None:
    home, printed = homes[name]
    states = states_in(home)
    modes = {
        "operator",
        "operator_deferrable",
        "transfer",
        "transfer_deferrable",
        "sensor",
        "sensor_deferrable",
    }
    assert {task_id for task_id, state in states.items() if state == "failed"} >= modes | {"hook"}
    assert states["button"] == "success"
    assert met in printed


def test_what_leaks_is_found(homes: dict[str, tuple[AirflowHome, str]]) -> None:
    home, printed = homes["leaking"]
    found = {name for names in found_under(home.path).values() for name in names} | set(found_in(printed))
    assert found >= {"password", "client secret"}
