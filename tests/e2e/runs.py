"""What a person sees of a run: the links beside a task, and in the log what came or what went wrong."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.catalogue.hub import page_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.airflow_home import AirflowHome
    from dev.parts import Parts
    from tests.e2e.run_pages import RunPages

DAGS: Final = Path(__file__).parent / "dags" / "pages"
DAG: Final = "e2e_pages"
RUN: Final = "seen"
ENDPOINT: Final = "/api/asset/v1/assets"
# Airflow 2 starts a new interpreter for each task.
_OVER_WITHIN_S: Final = 240


def seen(pages: RunPages, home: AirflowHome, parts: Parts, expect: Callable[[object, str], None]) -> None:
    """Run the DAG, and look at its two tasks.

    :param expect: refuses what does not hold, with the words that it is given
    """
    output = (home.path / "output").as_uri()
    home.run("dags", "unpause", DAG, timeout_s=120)
    home.run("dags", "trigger", DAG, "--run-id", RUN, "--conf", json.dumps({"output": output}), timeout_s=120)
    parts.wait_until(lambda: set(_states(home)) <= {"success", "failed"}, "the run", _OVER_WITHIN_S)
    expect(_states(home) == ["success", "failed"], f"brought, mistaken: {_states(home)}")
    for task_id in ("brought", "mistaken"):
        links = pages.links(DAG, RUN, task_id)
        # A folder of this machine has no console to show it: no button, or one that cannot be pressed.
        expect(links == {"Trackunit developer hub": page_of(ENDPOINT)}, f"the links of {task_id}: {links}")
    pages.open_log(DAG, RUN, "brought", f"{ENDPOINT}: 250 records in 1 part")
    pages.open_log(DAG, RUN, "mistaken", "output_path: 'out/assets' is a relative path")


def _states(home: AirflowHome) -> list[str]:
    question = "select coalesce(state, 'none') from task_instance where dag_id = ? order by task_id"
    with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True, timeout=30)) as database:
        return [row[0] for row in database.execute(question, (DAG,))]
