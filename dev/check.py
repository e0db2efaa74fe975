"""``make test``: format, lint and types on the newest Airflow, and all tests on the one of this environment."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from airflow import __version__ as airflow_version

from dev.environments import AIRFLOWS, NEWEST, PYTEST, ROOT

#: Least share of the branches and lines of the API client that the tests go through, in percent.
IRIS_COVERAGE = 95

#: Commands by what they are called, in their order.
Steps = dict[str, list[str]]

_SAYING = threading.Lock()
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
#: Whose branches and lines are counted, where ``COVERAGE`` is set: it makes these tests take half as long again, so a test
#: run that somebody waits for does without. The other tests would add nothing to it.
_OF_IRIS = ["tests/iris"]
#: One worker more than there are cores: these tests wait for servers, and for tasks of Airflow. Four at the most.
_WORKERS = min(4, (os.cpu_count() or 1) + 1)
OTHER_TESTS = {
    "other tests": [*_PYTEST, f"--numprocesses={_WORKERS}", *(f"--ignore={folder}" for folder in _OF_IRIS)]
}
TESTS_OF_IRIS = {"tests of iris": [*_PYTEST, *_OF_IRIS]}
COVERAGE = {
    "tests of iris": [
        *TESTS_OF_IRIS["tests of iris"],
        "--cov=airflow_provider_trackunit/iris",
        "--cov-branch",
        "--cov-report=",
    ],
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
    """Run all steps, several at a time, so that one run shows everything that is wrong, and sum them up.

    :raises SystemExit: with 1 when a step failed
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["static", "tests", "quick"])
    only = parser.parse_args().only
    for leftover in ROOT.glob(".coverage*"):
        leftover.unlink()  # of a killed run; it must not be counted
    failed = [name for name, good in _run_side_by_side(_lanes(only)) if not good]
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}")


def _lanes(only: str | None) -> list[Steps]:
    """Return what can run side by side: lanes of steps, each of which begins when the one before it has ended."""
    newest = airflow_version == AIRFLOWS[NEWEST].release
    # The types of the newest Airflow are the ones that the code is checked against.
    static = STATIC if newest else {}
    if only == "static":
        return [static | AUDIT if newest else {}]
    if only == "quick":
        return [static, QUICK]
    counted = newest and os.environ.get("COVERAGE")
    tests = [OTHER_TESTS, COVERAGE if counted else TESTS_OF_IRIS]
    return tests if only == "tests" else [*tests, static]


def _run_side_by_side(lanes: list[Steps]) -> list[tuple[str, bool]]:
    """Return the name of every step, and whether it succeeded."""
    with ThreadPoolExecutor(len(lanes)) as pool:
        return [done for lane in pool.map(_run_lane, lanes) for done in lane]


def _run_lane(steps: Steps) -> list[tuple[str, bool]]:
    return [(name, _succeeds(name, command)) for name, command in steps.items()]


def _succeeds(name: str, command: list[str]) -> bool:
    """Return whether a step succeeded, and print what it printed, in one piece."""
    _say(f"== {name} (Airflow {airflow_version}) begins\n")
    begun = time.monotonic()
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    seconds = time.monotonic() - begun
    verdict = "FAILED" if done.returncode else "good"
    _say(f"{done.stdout}== {name}: {verdict} after {seconds:.0f} s\n\n")
    return done.returncode == 0


def _say(text: str) -> None:
    with _SAYING:
        sys.stdout.write(text)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
