"""The matrix has a row for everything that the package says it supports."""

from __future__ import annotations

import tomllib

from dev.airflow_home import ROOT
from dev.environments import AIRFLOWS, NEWEST
from dev.matrix import LOWEST, PYTHONS, rows

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_pythons_are_those_of_the_classifiers() -> None:
    prefix = "Programming Language :: Python :: 3."
    named = [one.removeprefix(prefix) for one in PROJECT["classifiers"] if one.startswith(prefix)]
    assert [(3, int(minor)) for minor in named] == list(PYTHONS)
    assert PROJECT["requires-python"] == ">={}.{}".format(*PYTHONS[0])


def test_the_lowest_row_is_the_oldest_airflow_that_may_be_installed() -> None:
    assert f"apache-airflow>={LOWEST.release.removesuffix('.0')}" in PROJECT["dependencies"]
    (lowest,) = (row for row in rows(set(PYTHONS)) if row.lowest)
    assert (lowest.airflow, lowest.python) == (LOWEST, PYTHONS[0])


def test_every_airflow_runs_on_the_newest_python_it_can_and_the_newest_on_all() -> None:
    chosen = [(row.series, row.python) for row in rows(set(PYTHONS)) if not row.lowest]
    assert {series for series, _ in chosen} == set(AIRFLOWS)
    assert [python for series, python in chosen if series == NEWEST] == list(PYTHONS)
    for series, python in chosen:
        assert series == NEWEST or python == min(PYTHONS[-1], AIRFLOWS[series].newest_python)


def test_an_older_python_stands_in_for_one_that_is_not_there_except_on_the_newest_airflow() -> None:
    chosen = [(row.series, row.python) for row in rows({(3, 11)}) if not row.lowest]
    assert {python for series, python in chosen if series != NEWEST} == {(3, 11)}
    assert [python for series, python in chosen if series == NEWEST] == list(PYTHONS)
