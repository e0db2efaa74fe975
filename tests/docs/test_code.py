"""Every block of Python in the docs is a DAG, a test or a program, and does what it is there for, on every Airflow."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackunit._compat import AIRFLOW_VERSION
from dev.airflow_home import ROOT
from dev.airflow_process import OneProcessHome
from tests.docs.texts import TEXTS, Block, blocks
from tests.example_dags.files import dag_bag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator
    from dev.airflow_home import AirflowHome

PYTHON = [block for block in blocks("python") if block.is_for_this_airflow]
DAGS = [block for block in PYTHON if block.is_dag]
TESTS = [block for block in PYTHON if block.is_test]
PROGRAMS = [block for block in PYTHON if not block.is_dag and not block.is_test]
MANIFEST_SAMPLE = json.loads(next(block for block in blocks("json") if block.text == "docs/transfer.md").code)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the DAGs are, and where they write."""
    return tmp_path_factory.mktemp("blocks")


@pytest.fixture(scope="module")
def dag_folder(place: Path) -> Path:
    folder = place / "dags"
    folder.mkdir()
    for number, block in enumerate(DAGS):
        text = block.told.replace("file:///tmp/trackunit", f"file://{place}/output")
        (folder / f"block_{number}.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def home(place: Path, dag_folder: Path, migrated_home: AirflowHome) -> Iterator[AirflowHome]:
    """Return an Airflow that has these DAGs."""
    with OneProcessHome(migrated_home.copied(place / "home").path, dag_folder) as home:
        yield home


def test_dags_tests_and_programs_are_found_where_they_are_known_to_be() -> None:
    assert {block.text for block in DAGS} >= {"README.md", "docs/limits.md"}
    assert {block.text for block in TESTS} == {"docs/testing.md"}
    assert {block.text for block in PROGRAMS} == {"docs/recipes/webhooks.md", "docs/reference/client.md"}


def test_every_block_with_a_dag_can_be_imported_and_defines_one_with_tasks(dag_folder: Path) -> None:
    bag = dag_bag(dag_folder)
    assert bag.import_errors == {}
    assert len(bag.dags) == len(DAGS)
    assert all(dag.tasks for dag in bag.dags.values())
    names = re.findall(r"^(\w+)\(\)$", "\n".join(block.code for block in DAGS), re.MULTILINE)
    assert sorted(bag.dags) == sorted(names)


def test_the_tests_that_are_shown_pass(tmp_path: Path, migrated_home: AirflowHome) -> None:
    home = migrated_home.copied(tmp_path / "home")
    for number, block in enumerate(TESTS):
        (tmp_path / f"test_block_{number}.py").write_text(block.told)
    result = subprocess.run(  # noqa: S603 - pytest on pages of ours
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env=home.environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert f"{sum(block.code.count('def test_') for block in TESTS)} passed" in result.stdout


@pytest.mark.parametrize("block", [one for one in PROGRAMS if "webhooks" not in one.text], ids=str)
def test_a_program_that_is_shown_runs_to_its_end(block: Block) -> None:
    exec(compile(block.told, str(block), "exec"), {"__name__": "__main__"})  # noqa: S102 - a page of ours


def test_the_first_dag_and_the_hook_example_run(home: AirflowHome, iris_emulator: IrisEmulator) -> None:
    connection = iris_emulator.connection_json()
    fleet = home.test_dag("fleet_every_morning", connection, timeout_s=180)
    assert fleet["count"].result == fleet["fleet"].result["records"] == 200
    iris_emulator.reset()
    read = home.test_dag("hook_examples", connection, timeout_s=180)
    assert read["read"].result == {"announced": 250, "read": 250}


def test_the_transfer_example_runs(place: Path, home: AirflowHome, iris_emulator: IrisEmulator) -> None:
    tasks = home.test_dag("transfer_examples", iris_emulator.connection_json(), timeout_s=180)
    (folder,) = (place / "output").glob("*/latest_of_each/..")
    manifest = tasks["assets"].result
    assert manifest["records"] == manifest["announced"] == 250
    assert set(MANIFEST_SAMPLE) == set(manifest)
    assert set(MANIFEST_SAMPLE["parts"][0]) == set(manifest["parts"][0])
    each = tasks["latest_of_each"].result
    assert each["records"] + len(each["skipped"]) == len(tasks["serial_numbers"].result)
    assert json.loads((folder / "latest_of_each" / "_manifest.json").read_bytes()) == each


def test_the_commands_of_the_first_steps_lead_to_a_run(
    tmp_path: Path, migrated_home: AirflowHome, iris_emulator: IrisEmulator
) -> None:
    # The database is there: every session makes one with this very command.
    (tmp_path / "airflow").mkdir()
    shutil.copy(migrated_home.database, tmp_path / "airflow")
    text = TEXTS["docs/getting-started.md"]
    steps = re.findall(r"^```sh\n(.*?)^```$", text[text.index("\n## 3.") :], re.MULTILINE | re.DOTALL)
    script = "\n".join(["set -eu", *steps]).replace("http://127.0.0.1:8099", iris_emulator.url)
    assert "airflow db migrate\n" in script
    # What the example writes goes where this test may write.
    example = "$AIRFLOW_HOME/dags/iris_operating_hours.py"
    moved = f"sed -i 's#/tmp/trackunit#{tmp_path}/output#' {example}\n"
    script = script.replace("airflow db migrate\n", moved).replace('"/tmp/trackunit"', f'"{tmp_path}/output"')
    places = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])  # noqa: PTH120
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    result = subprocess.run(  # noqa: S603 - a page of ours
        ["bash", "-c", script],  # noqa: S607
        cwd=ROOT,
        env={**inherited, "HOME": str(tmp_path), "PATH": places},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (shown,) = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if AIRFLOW_VERSION < (3, 0):
        # There the run is about another day, as the page says, so only the form is the same.
        form = r"^\d+ machine days\n(?:\w+ 2026-01-1\d (?:[\d.]+|unknown) \[.*\]\n){5}"
        assert re.search(form, result.stdout, re.MULTILINE), result.stdout
    else:
        assert shown in result.stdout
