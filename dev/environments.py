"""One virtual environment for each supported Airflow: ``python3 -m dev.environments 3.3`` prints where it is.

The environment is made when it is missing or when ``pyproject.toml`` has changed; otherwise this takes no time.
Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".envs"
_NAME = "airflow_provider_trackunit"


def _package() -> Path:
    """Return the folder of the package: of this tree or, in one without it, where a wheel is tested, the installed one."""
    if (ROOT / _NAME).is_dir():
        return ROOT / _NAME
    found = importlib.util.find_spec(_NAME)
    return ROOT / _NAME if found is None or found.origin is None else Path(found.origin).parent


PACKAGE = _package()

Version = tuple[int, int]

#: How the tests are run, by the Python of an environment. A file of tests stays in one process: some share a run of
#: Airflow.
PYTEST = ["-m", "pytest", "--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile"]


@dataclass(frozen=True)
class Airflow:
    """An Airflow that the provider is tested with.

    :param release: the newest patch release when it was tested
    :param newest_python: the newest Python it runs on; the oldest is 3.11, because of the provider itself
    :param packages_until: the day whose newest packages it is installed with. Airflow names no upper bounds, so
        an old release breaks under packages that are newer than it
    :param task_sdk: the pre-release of Airflow's task SDK that goes with a pre-release of Airflow; None for a release
    """

    release: str
    newest_python: Version
    packages_until: str | None = None
    task_sdk: str | None = None

    def packages_of_its_time(self) -> list[str]:
        """Return the arguments that install what its users had; of what no Airflow asks for, the newest."""
        if self.packages_until is None:
            return []
        newest = [f"--exclude-newer-package={package}=false" for package in _OF_NO_AIRFLOW]
        return ["--exclude-newer", self.packages_until, *newest]

    def requirements(self) -> list[str]:
        """Return the packages of Airflow itself. A pre-release of each is named: of nothing else may there be one."""
        named = [f"apache-airflow=={self.release}"]
        if self.task_sdk:
            named += [f"apache-airflow-core=={self.release}", f"apache-airflow-task-sdk=={self.task_sdk}"]
        return named


AIRFLOWS = {
    "2.11": Airflow("2.11.2", (3, 12), "2026-03-20"),
    "3.0": Airflow("3.0.6", (3, 12), "2025-09-10"),
    "3.1": Airflow("3.1.8", (3, 13), "2026-03-20"),
    "3.2": Airflow("3.2.2", (3, 14), "2026-06-10"),
    "3.3": Airflow("3.3.2", (3, 14)),
    "3.4": Airflow("3.4.0b2", (3, 14), task_sdk="1.4.0b2"),
}
#: The newest release, which the code is checked against the types of; what is newer is a pre-release.
NEWEST = "3.3"
#: What has an environment of its own, because of the packages that it needs; the names are those of extras.
PURPOSES = {
    "bench": "the one that the benchmarks run in, with what they compare with",
    "docs": "the one that the site of the docs is built in",
    "e2e": "the one with a browser's driver, Celery and PostgreSQL",
    "mutants": "the one that changes the client and asks whether a test notices",
}
OLDEST_PYTHON: Version = (3, 11)
# The merges need one that is newer than some of these Airflows.
_OF_NO_AIRFLOW = ("duckdb",)


class SetupError(Exception):
    """The environment cannot be made; the text says what is missing."""


def ensure(series: str, purpose: str = "") -> Path:
    """Return the directory of the environment for one Airflow, made if need be.

    :param purpose: one of ``PURPOSES``, for an environment of its own; empty for the one of the tests
    :raises SetupError: when there is no suitable Python, or the installation fails
    """
    airflow = AIRFLOWS[series]
    place = ENVIRONMENTS / f"airflow-{airflow.release}{purpose and f'-{purpose}'}"
    packages = [
        *airflow.requirements(),
        "--editable",
        f"{ROOT}[{_extras(airflow, purpose)}]",
    ]
    # The place belongs to it: an editable installation does not survive a move.
    made_of = f"{airflow}\n{rules()}\n{ROOT}\n"
    return make(place, lambda: _python_for(airflow), made_of, *airflow.packages_of_its_time(), *packages)


def make(place: Path, python: Callable[[], str], made_of: str, *packages: str) -> Path:
    """Return an environment's directory, made if need be.

    :param python: asked for the interpreter when it is made
    :param made_of: what it depends on; another text than last time and it is made anew
    :param packages: what is installed, and how, in the words of ``pip install``
    :raises SetupError: when the installation fails
    """
    with _alone():
        if _stamp(place).exists() and _stamp(place).read_text() == made_of:
            return place
        _say(f"Making {place.relative_to(ROOT)}; this takes a minute or two, once.")
        begun = time.monotonic()
        shutil.rmtree(place, ignore_errors=True)
        run([uv(), "venv", "--quiet", "--python", python(), str(place)])
        # Compiled once, here: where Python may not write beside its modules, every start of Airflow would do it again.
        install = [uv(), "pip", "install", "--quiet", "--compile-bytecode"]
        run([*install, "--python", str(place / "bin" / "python"), *packages])
        _stamp(place).write_text(made_of)
        _say(f"Done in {time.monotonic() - begun:.0f} s.")
    return place


def rules() -> str:
    """Return what every environment depends on: what ``pyproject.toml`` asks for, and our own version."""
    return f"{hashlib.sha256((ROOT / 'pyproject.toml').read_bytes()).hexdigest()} {version()}"


def version() -> str:
    """Return the provider's version, from the one place where it is written."""
    text = (PACKAGE / "__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None:
        raise SetupError("airflow_provider_trackunit/__init__.py has no line __version__ = ...")
    return found[1]


def _extras(airflow: Airflow, purpose: str) -> str:
    if purpose:
        return f"emulator,{purpose}"
    # The code is checked against the types of the newest Airflow.
    return "test,lint" if airflow == AIRFLOWS[NEWEST] else "test"


def uv() -> str:
    """Return the installer, which is put into an environment of its own."""
    place = ENVIRONMENTS / "uv"
    if not (place / "bin" / "uv").exists():
        shutil.rmtree(place, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(place)])
        run([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv"])
    return str(place / "bin" / "uv")


def pythons() -> dict[Version, str]:
    """Return the interpreters that are found, one for each version, and the running one for its own."""
    found: dict[Version, str] = {}
    for path in _paths_of_pythons():
        number = _version_of(path)
        if number is not None:
            found.setdefault(number, path)
    return found


def _python_for(airflow: Airflow) -> str:
    """Return a Python that this Airflow runs on: the running one if it will do, else the newest that is found."""
    found = {
        number: path for number, path in pythons().items() if OLDEST_PYTHON <= number <= airflow.newest_python
    }
    if not found:
        oldest, newest = (".".join(map(str, number)) for number in (OLDEST_PYTHON, airflow.newest_python))
        raise SetupError(
            f"Airflow {airflow.release} needs Python {oldest} to {newest}, and none was found: not as python3, "
            f"python{newest} or python{oldest} on the PATH, and not among the versions of pyenv. Install one, or "
            "run make with PYTHON=/path/to/python"
        )
    return found.get(sys.version_info[:2]) or found[max(found)]


def _paths_of_pythons() -> Iterator[str]:
    yield sys.executable
    for minor in range(14, OLDEST_PYTHON[1] - 1, -1):
        path = shutil.which(f"python3.{minor}")
        if path:
            yield path
    for root in _pyenv_roots():
        yield from sorted(str(path) for path in root.glob("versions/3.*/bin/python3"))


def _pyenv_roots() -> list[Path]:
    shims = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep)]
    roots = [part.parent for part in shims if part.name == "shims"]
    roots += [Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")]
    return roots


def _version_of(python: str) -> Version | None:
    """Return the version of an interpreter, or None where it does not start, as an idle pyenv shim does not."""
    command = [python, "-c", "import sys; print(*sys.version_info[:2])"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - an interpreter
    if result.returncode:
        return None
    major, minor = result.stdout.split()
    return int(major), int(minor)


def run(command: list[str], **variables: str) -> str:
    """Return what a command of ours printed.

    :param variables: environment variables that it gets as well
    :raises SetupError: when it fails, with what it printed
    """
    # A network that inspects TLS is known to the system's certificates, not to those that uv brings.
    environment = {"UV_NATIVE_TLS": "1", "UV_PYTHON_DOWNLOADS": "never", **os.environ, **variables}
    environment.pop("VIRTUAL_ENV", None)
    result = subprocess.run(  # noqa: S603 - our own commands
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        raise SetupError(f"{' '.join(command)} failed:\n{result.stdout}")
    return result.stdout


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time make environments."""
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _stamp(place: Path) -> Path:
    return place / ".made-of"


def _say(text: str) -> None:
    # Standard output is for the answer alone.
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Print the environment's directory."""
    parser = argparse.ArgumentParser(description="Make the environment of one Airflow and print where it is.")
    parser.add_argument("airflow", choices=AIRFLOWS, nargs="?", default=NEWEST)
    for purpose, text in PURPOSES.items():
        parser.add_argument(f"--{purpose}", dest="purpose", action="store_const", const=purpose, help=text)
    options = parser.parse_args()
    try:
        print(ensure(options.airflow, options.purpose or ""))
    except SetupError as error:
        raise SystemExit(f"{error}") from None


if __name__ == "__main__":
    main()
