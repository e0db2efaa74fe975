"""What the README alone has to say: in which order, for which versions. Its code and links: ``tests/docs``."""

from __future__ import annotations

import re

from dev.airflow_home import ROOT
from dev.environments import AIRFLOWS
from tests.docs.texts import blocks

README = (ROOT / "README.md").read_text()


def test_every_block_of_python_is_a_dag_or_a_test() -> None:
    python = [block for block in blocks("python") if block.text == "README.md"]
    assert len([block for block in python if block.is_dag]) == 6
    assert len([block for block in python if block.is_test]) == 1
    assert len(python) == 7


def test_it_leads_from_what_there_is_over_a_first_run_to_the_reference() -> None:
    headings = re.findall(r"^## (.+)$", README, re.MULTILINE)
    expected = [
        "Try it",
        "Docs",
        "Install",
        "Create the API user in Trackunit Manager",
        "Fill in the connection",
        "A first DAG",
        "Reference by example",
        "Test your own DAGs with the emulator",
        "Errors, and what to do",
        "Limits of the API, and what the provider does about them",
        "Supported versions",
        "License",
    ]
    assert headings == expected


def test_the_versions_are_those_of_the_environments() -> None:
    table = re.findall(r"^\| (\d\.\d+) \| ([\w.]+) \|", README, re.MULTILINE)
    assert table == [(series, airflow.release) for series, airflow in AIRFLOWS.items()]


def test_every_page_of_the_docs_that_explains_something_is_linked() -> None:
    linked = set(re.findall(r"\]\(docs/([\w/-]+)\.md", README))
    pages = {
        file.relative_to(ROOT / "docs").with_suffix("").as_posix() for file in (ROOT / "docs").rglob("*.md")
    }
    assert {page for page in pages if not page.startswith("reference/")} - linked == {
        "changelog",
        "index",
        "releasing",
    }
