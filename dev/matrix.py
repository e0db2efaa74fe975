"""``make matrix``: all tests on every supported Airflow and Python, and on the lowest versions that are allowed.

What is tested is the wheel: built once, installed into an environment for each row, with the tests run from a copy of
the tree that has no source package in it. The table goes to the terminal and into ``docs/compatibility.md``.
Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dev.airflow_home import interrupt_once
from dev.environments import (
    AIRFLOWS,
    ENVIRONMENTS,
    NEWEST,
    PACKAGE,
    PYTEST,
    ROOT,
    Airflow,
    SetupError,
    Version,
    make,
    pythons,
    rules,
    run,
    uv,
)
from dev.wheel import DISTRIBUTION, build, snapshot

MATRIX = ENVIRONMENTS / "matrix"
PAGE = ROOT / "docs" / "compatibility.md"
BEGIN, END = "<!-- matrix:begin -->", "<!-- matrix:end -->"

#: Those that the classifiers of ``pyproject.toml`` name.
PYTHONS: tuple[Version, ...] = ((3, 11), (3, 12), (3, 13))
#: The oldest Airflow that is allowed, with the newest packages of its release day: what its constraint file names.
LOWEST = Airflow("2.11.0", (3, 12), "2025-05-25")

SUITE_WITHIN_S = 1800
STOPPED_WITHIN_S = 30
_LOG_LINES = 40


@dataclass(frozen=True)
class Row:
    """One environment.

    :param series: the name to choose it by
    :param lowest: whether our own dependencies are as old as ``pyproject.toml`` allows
    """

    series: str
    airflow: Airflow
    python: Version
    lowest: bool = False

    @property
    def name(self) -> str:
        """The Airflow, as the table has it."""
        return f"{self.airflow.release}, lowest" if self.lowest else self.airflow.release

    @property
    def place(self) -> Path:
        """The directory of the environment."""
        return MATRIX / f"airflow-{self.name.replace(', ', '-')}-python-{_dotted(self.python)}"


@dataclass(frozen=True)
class Result:
    """What the suite said. One that did not get to its end counts as one failure."""

    passed: int
    skipped: int
    failed: int
    seconds: float


def rows(found: set[Version]) -> list[Row]:
    """Return the rows: each Airflow on the newest Python it runs on, the newest Airflow on all, the oldest lowest."""
    table = [Row("lowest", LOWEST, PYTHONS[0], lowest=True)]
    for series, airflow in AIRFLOWS.items():
        fitting = [python for python in PYTHONS if python <= airflow.newest_python]
        newest = max((python for python in fitting if python in found), default=fitting[-1])
        chosen = fitting if series == NEWEST else [newest]
        table += [Row(series, airflow, python) for python in chosen]
    return table


def main() -> None:
    """Run the rows and show the table.

    :raises SystemExit: with 1 when a row failed or none could be run
    """
    parser = argparse.ArgumentParser(description="Run all tests on every supported Airflow and Python.")
    parser.add_argument(
        "only", nargs="*", help="rows by their Airflow (3.1, lowest); the page is left as it is"
    )
    only = parser.parse_args().only
    interrupt_once()
    interpreters = pythons()
    chosen = [row for row in rows(set(interpreters)) if not only or row.series in only]
    results: dict[Row, Result | None] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
            tree = snapshot(Path(folder) / "tree")
            wheel = build(tree, Path(folder) / "dist")
            for row in chosen:
                python = interpreters.get(row.python)
                results[row] = None if python is None else _result(row, python, tree, wheel)
    except SetupError as error:
        raise SystemExit(f"{error}") from None
    except KeyboardInterrupt:
        raise SystemExit("Stopped.") from None
    table = _markdown(results)
    print(f"\n{table}")
    if not only:
        _write(table)
    if any(result.failed for result in results.values() if result) or not any(results.values()):
        raise SystemExit("The matrix failed.")


def _result(row: Row, python: str, tree: Path, wheel: Path) -> Result:
    _say(f"== Airflow {row.name}, Python {_dotted(row.python)}")
    interpreter = _environment(row, python, tree, wheel) / "bin" / "python"
    place = Path(tempfile.mkdtemp(prefix="suite-", dir=tree.parent))
    try:
        shutil.copytree(tree, place, dirs_exist_ok=True)
        shutil.rmtree(place / PACKAGE.name)
        _refuse_source(row, interpreter, place)
        return _suite(row, interpreter, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _environment(row: Row, python: str, tree: Path, wheel: Path) -> Path:
    """Return the row's environment, kept from run to run, with this very wheel in it."""
    pins = ["--constraint", str(_lowest(row, python, tree))] if row.lowest else []
    airflow = [*row.airflow.packages_of_its_time(), *row.airflow.requirements()]
    ours = f"{DISTRIBUTION}[test] @ {wheel.as_uri()}"
    place = make(row.place, lambda: python, f"{row}\n{python}\n{rules()}\n", *airflow, *pins, ours)
    into = ["--python", str(place / "bin" / "python")]
    run([uv(), "pip", "install", "--quiet", *into, "--no-deps", "--reinstall", str(wheel)])
    return place


def _lowest(row: Row, python: str, tree: Path) -> Path:
    """Return a file with what ``pip`` may install where each of our dependencies is as old as we allow.

    The tools that only our tests need stay out of it.
    """
    file = tree.parent / "lowest.txt"
    oldest = tree.parent / "oldest.txt"
    oldest.write_text("\n".join(row.airflow.requirements()))
    quietly = ["--quiet", "--no-header", "--no-annotate", "--output-file", str(file)]
    when = ["--python", python, *row.airflow.packages_of_its_time(), "--constraint", str(oldest)]
    what = ["--resolution", "lowest-direct", "--extra", "emulator", str(tree / "pyproject.toml")]
    run([uv(), "pip", "compile", *quietly, *when, *what])
    return file


def _refuse_source(row: Row, interpreter: Path, place: Path) -> None:
    command = [str(interpreter), "-c", f"import {PACKAGE.name} as package; print(package.__file__)"]
    found = subprocess.check_output(command, cwd=place, env=_variables(), text=True).strip()  # noqa: S603 - our own
    if not Path(found).is_relative_to(row.place):
        raise SetupError(f"The tests would import {found} and not the wheel in {row.place}")


def _suite(row: Row, interpreter: Path, place: Path) -> Result:
    report, log = (row.place.with_name(f"{row.place.name}.{kind}") for kind in ("xml", "log"))
    report.unlink(missing_ok=True)
    begun = time.monotonic()
    with log.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603 - our own tests
            [str(interpreter), *PYTEST, "-q", "-p", "no:cacheprovider", f"--junitxml={report}"],
            cwd=place,
            env=_variables(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            child.wait(SUITE_WITHIN_S)
        except subprocess.TimeoutExpired:
            _say(f"Not done after {SUITE_WITHIN_S} s")
        finally:
            _end(child)
    result = _counted(report, time.monotonic() - begun)
    if result.failed:
        _say("\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:]))
    _say(f"{result.passed} passed, {result.skipped} skipped, {result.failed} failed: {log.relative_to(ROOT)}")
    return result


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the tests, if they run, in the way that lets them end what they have started; or else by force."""
    with suppress(subprocess.TimeoutExpired):
        child.send_signal(signal.SIGINT)
        child.wait(STOPPED_WITHIN_S)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _counted(report: Path, seconds: float) -> Result:
    if not report.exists():
        return Result(0, 0, 1, seconds)
    suites = list(ET.parse(report).iter("testsuite"))  # noqa: S314 - our own report
    tests, skipped, failures, errors = (
        sum(int(suite.get(name, 0)) for suite in suites)
        for name in ("tests", "skipped", "failures", "errors")
    )
    failed = failures + errors
    return Result(tests - skipped - failed, skipped, failed, seconds)


def _variables() -> dict[str, str]:
    """Return the environment of the tests: nothing in it leads to a source package or to another Airflow."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTHON"))}


def _markdown(results: dict[Row, Result | None]) -> str:
    lines = ["| Airflow | Python | Passed | Skipped | Failed | Seconds |", "|---|---|---:|---:|---:|---:|"]
    for row, result in results.items():
        head = f"| {row.name} | {_dotted(row.python)} |"
        if result is None:
            lines.append(f"{head} not run: there was no such Python | | | |")
        else:
            lines.append(
                f"{head} {result.passed} | {result.skipped} | {result.failed} | {result.seconds:.0f} |"
            )
    return "\n".join(lines) + "\n"


def _write(table: str) -> None:
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table}{END}{after}")


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
