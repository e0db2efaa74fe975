"""What is said of the mutants adds up, and no pure module of the client is passed over."""

from __future__ import annotations

import tomllib
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest

import airflow_provider_trackunit
from dev.airflow_home import ROOT
from dev.mutants import percent, statuses, table

RESULTS = """
    airflow_provider_trackunit.iris.pages.guard.x__key__mutmut_1: killed
    airflow_provider_trackunit.iris.pages.guard.x\u01c1Guard\u01c1check__mutmut_2: timeout
    airflow_provider_trackunit.iris.pages.guard.x\u01c1Guard\u01c1check__mutmut_3: survived
    airflow_provider_trackunit.iris.http.wire.x_decode__mutmut_1: no tests
"""


def test_the_ends_of_mutants_are_counted_for_each_module() -> None:
    found = statuses(RESULTS)
    assert found == {
        "guard": Counter(killed=1, timeout=1, survived=1),
        "wire": Counter({"no tests": 1}),
    }
    lines = [line.split() for line in table(found)]
    assert lines[1] == ["guard", "3", "1", "1", "1", "0", "66.7", "%"]
    assert lines[-1] == ["all", "4", "1", "1", "1", "1", "50.0", "%"]


@pytest.mark.parametrize("end", ["survived", "no tests", "suspicious", "segfault", "not checked"])
def test_only_a_test_that_fails_or_never_ends_has_noticed_a_mutant(end: str) -> None:
    assert percent(Counter({end: 1, "killed": 1})) == 50.0


def test_every_module_of_the_client_is_mutated_unless_it_sends_stores_or_reads_the_environment() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    package = Path(airflow_provider_trackunit.__file__).parent
    modules = {str(one.relative_to(package.parent)) for one in (package / "iris").rglob("*.py")}
    left_out = {one for one in modules if any(fnmatch(one, pattern) for pattern in settings["do_not_mutate"])}
    assert {one.rpartition("/")[2] for one in left_out} == {
        "__init__.py",
        "aio.py",
        "client.py",
        "deadline.py",
        "export.py",
        "proxies.py",
    }
    assert all(fnmatch(one, settings["only_mutate"][0]) for one in modules)
