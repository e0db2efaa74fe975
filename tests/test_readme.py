"""What the README alone has to say: how long it is, in which order, for which versions. Its code and links: ``tests/docs``."""

from __future__ import annotations

import re

from airflow_provider_trackunit import __version__
from dev.airflow_home import ROOT
from dev.environments import AIRFLOWS
from tests.docs.texts import blocks

README = (ROOT / "README.md").read_text()


def test_it_is_read_in_a_few_minutes() -> None:
    assert len(README.splitlines()) <= 180


def test_its_one_block_of_python_is_a_dag() -> None:
    (block,) = (block for block in blocks("python") if block.text == "README.md")
    assert block.is_dag


def test_it_leads_from_what_there_is_over_a_first_run_to_the_docs() -> None:
    headings = re.findall(r"^## (.+)$", README, re.MULTILINE)
    expected = [
        "Try it",
        "Install",
        "Connect",
        "A first DAG",
        "Machine days",
        "What you can rely on",
        "Documentation",
        "Supported versions",
        "Contributing and licence",
    ]
    assert headings == expected


def test_it_says_which_version_it_is() -> None:
    assert f"version {__version__}" in README


def test_the_versions_are_those_of_the_environments() -> None:
    table = re.findall(r"^\| (\d\.\d+) \| ([\w.]+) \|", README, re.MULTILINE)
    assert table == [(series, airflow.release) for series, airflow in AIRFLOWS.items()]
