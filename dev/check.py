"""``make test``: format, lint and types on the newest Airflow, and all tests on the one of this environment."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from airflow import __version__ as airflow_version

from dev.environments import AIRFLOWS, NEWEST, PYTEST, ROOT

#: Least share of the branches and lines of the API client that the tests go through, in percent.
IRIS_COVERAGE = 95

_BIN = Path(sys.executable).parent
_RUFF = str(_BIN / "ruff")

STATIC = {
    "format": [_RUFF, "format", "--check", "."],
    "lint": [_RUFF, "check", "."],
    "types": [sys.executable, "-m", "mypy"],
}
# Advisories appear without a change of ours, so the tests do not fail because of them; "make lint" does.
AUDIT = {"audit": [sys.executable, "-m", "dev.audit"]}
# In the order of the folders: those that run Airflow come early, and nobody waits for them at the end.
_PYTEST = [sys.executable, *PYTEST, "--no-loadscope-reorder"]
TESTS = {"tests": _PYTEST}
#: Whose branches and lines are counted. To count takes time, and the others add nothing to it.
_OF_IRIS = ["tests/iris"]
TESTS_WITH_COVERAGE = {
    "tests of iris": [
        *_PYTEST,
        *_OF_IRIS,
        "--cov=airflow_provider_trackunit",
        "--cov-branch",
        "--cov-report=",
    ],
    "other tests": [*_PYTEST, *(f"--ignore={folder}" for folder in _OF_IRIS)],
    f"coverage of iris at least {IRIS_COVERAGE} %": [
        sys.executable,
        "-m",
        "coverage",
        "report",
        "--include=airflow_provider_trackunit/iris/*",
        f"--fail-under={IRIS_COVERAGE}",
    ],
}

#: What needs no server and no Airflow: the pure rooms of the client, and the house itself.
QUICK = {
    "quick tests": [
        *_PYTEST,
        "tests/test_imports.py",
        "tests/iris/catalogue",
        "tests/iris/pages",
        "tests/iris/watch",
        "tests/iris/test_calls.py",
        "tests/iris/test_errors.py",
        "tests/iris/test_secrecy.py",
        "tests/iris/export/test_manifest.py",
        "tests/iris/export/formats/test_draft.py",
    ]
}


def main() -> None:
    """Run all steps, so that one run shows everything that is wrong, and sum them up.

    :raises SystemExit: with 1 when a step failed
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["static", "tests", "quick"])
    only = parser.parse_args().only
    newest = airflow_version == AIRFLOWS[NEWEST].release
    steps: dict[str, list[str]] = {}
    # The types of the newest Airflow are the ones that the code is checked against.
    if only != "tests" and newest:
        steps |= STATIC
    if only == "static" and newest:
        steps |= AUDIT
    if only == "quick":
        steps |= QUICK
    elif only != "static":
        steps |= TESTS_WITH_COVERAGE if newest else TESTS
    # Leftovers of a killed run must not be counted.
    for leftover in ROOT.glob(".coverage*"):
        leftover.unlink()
    failed = [name for name, command in steps.items() if not _succeeds(name, command)]
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}")


def _succeeds(name: str, command: list[str]) -> bool:
    print(f"== {name} (Airflow {airflow_version})", flush=True)
    begun = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603 - our own commands
    seconds = time.monotonic() - begun
    print(f"== {name}: {'FAILED' if code else 'good'} after {seconds:.0f} s\n", flush=True)
    return code == 0


if __name__ == "__main__":
    main()
