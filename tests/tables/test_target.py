"""``make tables`` finds what it is for."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

from dev.airflow_home import ROOT


def test_make_tables_runs_the_tests_of_the_folder_and_those_against_postgresql() -> None:
    """A file that is named beside its folder is left out by pytest 9, without a word."""
    recipe = re.search(r"^tables:.*\n\t@\$\(READY\) (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    command = [sys.executable, *shlex.split(recipe[1]), "--collect-only", "-q"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True).stdout  # noqa: S603 - our own
    for name in ("against_postgresql.py::", "test_three_forms.py::"):
        assert f"tests/tables/{name}" in found
