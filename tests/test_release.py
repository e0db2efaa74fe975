"""The workflows of a public host run what is run here, and nothing is released with something missing."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest

from airflow_provider_trackunit import __version__
from dev.airflow_home import ROOT
from dev.environments import AIRFLOWS
from dev.release_check import missing

yaml: Any = import_module("yaml")  # Airflow brings it, without types
WORKFLOWS = {
    file.stem: yaml.safe_load(file.read_text()) for file in (ROOT / ".github" / "workflows").glob("*.yml")
}


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_a_change_is_checked_by_what_is_run_here_and_the_matrix_has_every_airflow() -> None:
    jobs = WORKFLOWS["checks"]["jobs"]
    assert commands(jobs["change"]) == [".ci/run"]
    assert jobs["matrix"]["strategy"]["matrix"]["airflow"] == ["lowest", *AIRFLOWS]
    assert commands(jobs["matrix"]) == ['python3 -m dev.matrix "$ROW"']


def test_a_tag_is_released_only_after_every_check_and_with_attestations() -> None:
    build, publish = WORKFLOWS["release"]["jobs"].values()
    assert commands(build) == [
        'python3 -m dev.release_check --tag "$GITHUB_REF_NAME"',
        ".ci/run",
        "make wheel",
    ]
    assert publish["needs"] == "build"
    assert publish["steps"][-1]["with"]["attestations"] is True


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_read_the_code_and_only_the_publishing_proves_who_it_is(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    granted = {job: one.get("permissions") for job, one in WORKFLOWS[name]["jobs"].items()}
    assert {job: one for job, one in granted.items() if one} == (
        {"publish": {"id-token": "write"}} if name == "release" else {}
    )


def test_a_tag_of_another_version_is_named() -> None:
    said = list(missing("v9.9.9"))
    assert f"the tag is v9.9.9, and airflow_provider_trackunit/__init__.py says {__version__}" in said


def test_the_files_that_name_the_version_name_this_one() -> None:
    assert [
        one for one in missing(f"v{__version__}") if "does not say" in one or one.startswith("the tag")
    ] == []


def test_the_citation_can_be_read() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert re.fullmatch(r"1\.\d\.\d", citation["cff-version"])
    assert {one["title"].partition(",")[0] for one in citation["references"]} == {
        "Trackunit Developer Hub",
        "ISO 15143-3",
    }
