"""One virtual environment for each supported Airflow: ``python3 -m scripts.environments 3.3`` prints where it is.

The environment is made when it is missing or when ``pyproject.toml`` has changed; otherwise this takes no time.
Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".envs"

Version = tuple[int, int]


@dataclass(frozen=True)
class Airflow:
    """An Airflow that the provider is tested with.

    :param release: the newest patch release when it was tested
    :param newest_python: the newest Python it runs on; the oldest is 3.11, because of the provider itself
    :param packages_until: the day whose newest packages it is installed with. Airflow names no upper bounds, so
        an old release breaks under packages that are newer than it
    """

    release: str
    newest_python: Version
    packages_until: str | None = None


AIRFLOWS = {
    "2.11": Airflow("2.11.2", (3, 12), "2026-03-20"),
    "3.0": Airflow("3.0.6", (3, 12), "2025-09-10"),
    "3.1": Airflow("3.1.8", (3, 13), "2026-03-20"),
    "3.2": Airflow("3.2.2", (3, 14), "2026-06-10"),
    "3.3": Airflow("3.3.2", (3, 14)),
}
NEWEST = "3.3"
#: What has an environment of its own, because of the packages that it needs; the names are those of extras.
PURPOSES = {
    "bench": "the one that the benchmarks run in, with what they compare with",
    "e2e": "the one with a browser's driver, Celery and PostgreSQL",
}
OLDEST_PYTHON: Version = (3, 11)


class SetupError(Exception):
    """The environment cannot be made; the text says what is missing."""


def ensure(series: str, purpose: str = "") -> Path:
    """Return the directory of the environment for one Airflow, made if need be.

    :param purpose: one of ``PURPOSES``, for an environment of its own; empty for the one of the tests
    :raises SetupError: when there is no suitable Python, or the installation fails
    """
    airflow = AIRFLOWS[series]
    place = ENVIRONMENTS / f"airflow-{airflow.release}{purpose and '-' + purpose}"
    with _alone():
        if _stamp(place).exists() and _stamp(place).read_text() == _wanted(airflow):
            return place
        _say(f"Making {place.relative_to(ROOT)}; this takes a minute or two, once.")
        begun = time.monotonic()
        _install(airflow, place, _extras(airflow, purpose))
        _stamp(place).write_text(_wanted(airflow))
        _say(f"Done in {time.monotonic() - begun:.0f} s.")
    return place


def _extras(airflow: Airflow, purpose: str) -> str:
    if purpose:
        return f"emulator,{purpose}"
    # The code is checked against the types of the newest Airflow.
    return "test,lint" if airflow == AIRFLOWS[NEWEST] else "test"


def _install(airflow: Airflow, place: Path, extras: str) -> None:
    uv = _uv()
    python = _python_for(airflow)
    shutil.rmtree(place, ignore_errors=True)
    _run([uv, "venv", "--quiet", "--python", python, str(place)])
    until = ["--exclude-newer", airflow.packages_until] if airflow.packages_until else []
    packages = [f"apache-airflow=={airflow.release}", "--editable", f"{ROOT}[{extras}]"]
    _run([uv, "pip", "install", "--quiet", "--python", str(place / "bin" / "python"), *until, *packages])


def _uv() -> str:
    """Return the installer, which is put into an environment of its own."""
    place = ENVIRONMENTS / "uv"
    if not (place / "bin" / "uv").exists():
        shutil.rmtree(place, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(place)])
        _run([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv"])
    return str(place / "bin" / "uv")


def _python_for(airflow: Airflow) -> str:
    """Return a Python that this Airflow runs on: the running one if it will do, else the newest that is found."""
    found: list[tuple[Version, str]] = []
    for path in _pythons():
        version = _version_of(path)
        if version is None or not OLDEST_PYTHON <= version <= airflow.newest_python:
            continue
        if path == sys.executable:
            return path
        found.append((version, path))
    if not found:
        oldest, newest = (".".join(map(str, version)) for version in (OLDEST_PYTHON, airflow.newest_python))
        raise SetupError(
            f"Airflow {airflow.release} needs Python {oldest} to {newest}, and none was found: not as python3, "
            f"python{newest} or python{oldest} on the PATH, and not among the versions of pyenv. Install one, or "
            "run make with PYTHON=/path/to/python"
        )
    return max(found)[1]


def _pythons() -> Iterator[str]:
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


def _run(command: list[str]) -> None:
    # A network that inspects TLS is known to the system's certificates, not to those that uv brings.
    environment = {"UV_NATIVE_TLS": "1", "UV_PYTHON_DOWNLOADS": "never", **os.environ}
    environment.pop("VIRTUAL_ENV", None)
    result = subprocess.run(  # noqa: S603 - our own commands
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        raise SetupError(f"{' '.join(command)} failed:\n{result.stdout}")


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time make environments."""
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _stamp(place: Path) -> Path:
    return place / ".made-of"


def _wanted(airflow: Airflow) -> str:
    rules = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    # The place belongs to it: an environment does not survive a move.
    return f"{airflow}\n{rules}\n{ROOT}\n"


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
