"""The code of the README does what the README says, on every Airflow; what the docs name exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import airflow_provider_trackunit
from airflow_provider_trackunit._compat import AIRFLOW_VERSION
from scripts.airflow_home import ROOT
from scripts.environments import AIRFLOWS
from tests.example_dags.files import dag_bag

if TYPE_CHECKING:
    from airflow_provider_trackunit.emulator import IrisEmulator
    from scripts.airflow_home import AirflowHome

README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
DAGS = [block for block in PYTHON if "@dag" in block]
TESTS = [block for block in PYTHON if "def test_" in block]
MANIFEST_SAMPLE = json.loads(re.findall(r"```json\n(.*?)```", README, re.DOTALL)[0])
DOCS = {file.name: file.read_text() for file in sorted((ROOT / "docs").glob("*.md"))}
TEXTS = {"README.md": README, **{f"docs/{name}": text for name, text in DOCS.items()}}


def as_told(block: str) -> str:
    """Return a block as its own comment says to write it on Airflow 2."""
    if AIRFLOW_VERSION >= (3, 0):
        return block
    return re.sub(r"^from airflow\.sdk .*# Airflow 2\.11: (.*)$", r"\1", block, flags=re.MULTILINE)


@pytest.fixture
def dag_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    for number, block in enumerate(DAGS):
        if "# Airflow 3 only" in block and AIRFLOW_VERSION < (3, 0):
            continue
        text = as_told(block).replace("file:///tmp/trackunit", f"file://{tmp_path}/output")
        (folder / f"readme_{number}.py").write_text(text)
    return folder


def test_every_block_of_python_is_a_dag_or_a_test() -> None:
    assert len(DAGS) == 6
    assert len(TESTS) == 1
    assert len(PYTHON) == 7


def test_every_dag_can_be_imported(dag_folder: Path) -> None:
    bag = dag_bag(dag_folder)
    assert bag.import_errors == {}
    assert sorted(bag.dags) == [
        "fleet_every_morning",
        "hook_examples",
        "operator_examples",
        "sensor_examples",
        "transfer_examples",
        *(["waiting_examples"] if AIRFLOW_VERSION >= (3, 0) else []),
    ]


def test_the_first_dag_and_the_hook_example_run(
    dag_folder: Path, tmp_path: Path, migrated_home: AirflowHome, iris_emulator: IrisEmulator
) -> None:
    home = migrated_home.copied(tmp_path / "home", dag_folder)
    connection = iris_emulator.connection_json()
    fleet = home.test_dag("fleet_every_morning", connection, timeout_s=180)
    assert fleet["count"].result == len(fleet["fleet"].result) == 200
    iris_emulator.reset()
    read = home.test_dag("hook_examples", connection, timeout_s=180)
    assert read["read"].result == {"announced": 250, "read": 250}


def test_the_transfer_example_runs(
    dag_folder: Path, tmp_path: Path, migrated_home: AirflowHome, iris_emulator: IrisEmulator
) -> None:
    home = migrated_home.copied(tmp_path / "home", dag_folder)
    tasks = home.test_dag("transfer_examples", iris_emulator.connection_json(), timeout_s=180)
    (folder,) = (tmp_path / "output").iterdir()
    manifest = tasks["assets"].result
    assert manifest["records"] == manifest["announced"] == 250
    assert set(MANIFEST_SAMPLE) == set(manifest)
    assert set(MANIFEST_SAMPLE["parts"][0]) == set(manifest["parts"][0])
    each = tasks["latest_of_each"].result
    assert each["records"] + len(each["skipped"]) == len(tasks["serial_numbers"].result)
    assert json.loads((folder / "latest_of_each" / "_manifest.json").read_bytes()) == each


def test_the_tests_of_the_readme_pass(tmp_path: Path) -> None:
    file = tmp_path / "test_fleet.py"
    file.write_text(TESTS[0])
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    result = subprocess.run(  # noqa: S603 - pytest on the README
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert result.returncode == 0, result.stdout
    assert "3 passed" in result.stdout


@pytest.mark.parametrize(
    "target", sorted(set(re.findall(r"(?:^|`)make ([a-z][a-z0-9-]*)", README, re.MULTILINE)))
)
def test_every_make_command_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("text", TEXTS)
def test_every_linked_file_exists(text: str) -> None:
    folder = (ROOT / text).parent
    for path in re.findall(r"\]\(((?!https?:)[^)#]+)\)", TEXTS[text]):
        assert (folder / path).exists(), path


def test_every_test_that_the_docs_name_exists() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in set(re.findall(r"`(test_\w+)`", "\n".join(DOCS.values()))):
        assert f"def {name}(" in tests, name


def test_the_versions_are_those_of_the_environments() -> None:
    table = re.findall(r"^\| (\d\.\d+) \| ([\d.]+) \|", README, re.MULTILINE)
    assert table == [(series, airflow.release) for series, airflow in AIRFLOWS.items()]


def test_no_line_names_what_does_not_exist_yet() -> None:
    package = "\n".join(
        path.read_text() for path in Path(airflow_provider_trackunit.__file__).parent.rglob("*.py")
    )
    for name in set(re.findall(r"`(Iris\w+)", README)):
        assert re.search(rf"^class {name}\b", package, re.MULTILINE), name
