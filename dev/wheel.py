"""``make wheel``: the files of a release in ``dist/``, built from a clean tree, checked, and installed once.

They are built twice, in two places and with other modes and times of the files, and must come out the same to the
byte. The wheel is then installed beside the newest Airflow without any extra, and asked for with Airflow's commands.
Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from dev.environments import (
    AIRFLOWS,
    ENVIRONMENTS,
    NEWEST,
    PACKAGE,
    ROOT,
    SetupError,
    make,
    run,
    uv,
    version,
)

DISTRIBUTION = "airflow-provider-trackunit"
DIST = ROOT / "dist"
#: Its version stands in the wheel, so another one would make another wheel of the same commit.
BACKEND = "hatchling==1.33.0"
CHECKERS = ["twine==7.0.0", "check-wheel-contents==0.6.3"]
ENTRY_POINTS = {
    "apache_airflow_provider": {"provider_info": "airflow_provider_trackunit:get_provider_info"},
    "pytest11": {"iris_emulator": "airflow_provider_trackunit.emulator.pytest_plugin"},
}
CLASSIFIERS = {"Framework :: Apache Airflow", "Framework :: Apache Airflow :: Provider", "Typing :: Typed"}

#: Imports what a user can import without any extra, and turns our own deprecation warnings into errors.
_IMPORT_ALL = '''
import importlib, pkgutil, warnings
warnings.filterwarnings("error", category=DeprecationWarning, module="airflow_provider_trackunit")
import airflow_provider_trackunit as package
def passed_over(name):
    """The tables say at their door that they need the extra parquet; the emulator's rooms need its own."""
for module in pkgutil.walk_packages(package.__path__, "airflow_provider_trackunit.", onerror=passed_over):
    if not module.name.startswith(("airflow_provider_trackunit.emulator", "airflow_provider_trackunit.tables")):
        importlib.import_module(module.name)
print(package.__file__)
'''


class UnfitError(Exception):
    """What was built is not what a release has to be; the text says where it differs."""


def snapshot(into: Path) -> Path:
    """Copy the tree as git sees it, without what is ignored, and return where it is."""
    listed = run(["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    return into


def build(tree: Path, into: Path) -> Path:
    """Build the sdist, and from it the wheel, and return where the wheel is."""
    constraints = into.parent / f"{into.name}-constraints.txt"
    constraints.write_text(f"{BACKEND}\n")
    moment = run(["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]).strip()
    run(
        [uv(), "build", "--quiet", f"--build-constraints={constraints}", f"--out-dir={into}", str(tree)],
        SOURCE_DATE_EPOCH=moment,
        UV_PYTHON=sys.executable,
    )
    (wheel,) = into.glob("*.whl")
    return wheel


def main() -> None:
    """Build, check, install, ask, and put the files into ``dist/``.

    :raises SystemExit: when something is not as it has to be
    """
    parser = argparse.ArgumentParser(description="Build and check the files of a release.")
    parser.add_argument("--dirty", action="store_true", help="also from a tree with changes, for a trial")
    options = parser.parse_args()
    try:
        if not options.dirty:
            _refuse_changes()
        with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
            wheel = _built_twice(Path(folder))
            _check_contents(wheel)
            _check_source(next(wheel.parent.glob("*.tar.gz")))
            _check_files(sorted(wheel.parent.glob("*[lz]")))
            _check_installed(wheel, Path(folder) / "airflow")
            shutil.rmtree(DIST, ignore_errors=True)
            shutil.copytree(wheel.parent, DIST, ignore=shutil.ignore_patterns(".*"))
    except (SetupError, UnfitError) as error:
        raise SystemExit(f"{error}") from None
    for file in sorted(DIST.iterdir()):
        print(f"{_sha256(file)}  {file.relative_to(ROOT)}")


def _refuse_changes() -> None:
    changes = run(["git", "-C", str(ROOT), "status", "--porcelain"])
    if changes:
        raise UnfitError(f"A release is built from a clean tree, and these are not committed:\n{changes}")


def _built_twice(folder: Path) -> Path:
    tree = snapshot(folder / "tree")
    built = [build(tree, folder / "one")]
    # What differs between two machines that have the same commit.
    for file in (path for path in snapshot(folder / "elsewhere" / "tree").rglob("*") if path.is_file()):
        # Git keeps one bit of a mode: whether the file can be run.
        file.chmod(0o700 if file.stat().st_mode & 0o100 else 0o600)
        os.utime(file, (0, 0))
    built.append(build(folder / "elsewhere" / "tree", folder / "two"))
    first, second = ({file.name: _sha256(file) for file in wheel.parent.glob("*[lz]")} for wheel in built)
    if first != second or len(first) != 2:
        raise UnfitError(f"Two builds of one tree differ:\n{first}\n{second}")
    _good("built twice, the same to the byte")
    return built[0]


def _check_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = f"airflow_provider_trackunit-{version()}.dist-info"
        metadata = HeaderParser().parsestr(archive.read(f"{info}/METADATA").decode())
        points = configparser.ConfigParser()
        points.read_string(archive.read(f"{info}/entry_points.txt").decode())
    code = {
        path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.suffix in {".py", ".sql"}
    }
    code.add("airflow_provider_trackunit/py.typed")
    own = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    own |= {f"{info}/licenses/{name}" for name in ("LICENSE", "NOTICE")}
    _same("the files of the wheel", names, code | own)
    _same("the entry points", {name: dict(points[name]) for name in points.sections()}, ENTRY_POINTS)
    _same("the version", metadata["Version"], version())
    missing = CLASSIFIERS - set(metadata.get_all("Classifier", []))
    if missing:
        raise UnfitError(f"The wheel lacks the classifiers {sorted(missing)}")
    _good(f"{len(names)} files: the package, py.typed, LICENSE and NOTICE, nothing else")


def _check_source(archive: Path) -> None:
    """Refuse a source archive that lacks a file of the tree, because its tests and its docs name them all."""
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    tree = set(filter(None, run(["git", "-C", str(ROOT), "ls-files", "-z"]).split("\0")))
    _same("the files that the source archive lacks", sorted(tree - names), [])
    _good(f"{len(names)} files in the source archive: all of the tree")


def _check_files(files: list[Path]) -> None:
    place = make(ENVIRONMENTS / "release", lambda: sys.executable, " ".join(CHECKERS), *CHECKERS)
    run([str(place / "bin" / "twine"), "check", "--strict", *map(str, files)])
    _good("twine check --strict")
    for wheel in (file for file in files if file.suffix == ".whl"):
        run([str(place / "bin" / "check-wheel-contents"), "--no-config", str(wheel)])
    _good("check-wheel-contents")


def _check_installed(wheel: Path, home: Path) -> None:
    airflow = AIRFLOWS[NEWEST]
    place = ENVIRONMENTS / "wheel"
    shutil.rmtree(place, ignore_errors=True)
    make(place, lambda: sys.executable, "", *airflow.requirements(), str(wheel))
    imported = _in(place, home, "python", "-W", "ignore", "-c", _IMPORT_ALL).strip()
    if not imported.startswith(str(place)):
        raise UnfitError(f"The package came from {imported}, not from the wheel")
    _good("installed without extras, every module imported from the wheel without a deprecation of ours")
    listed = _in(place, home, "airflow", "providers", "list", "--output", "json")
    _same("airflow providers list", _row(listed, "package_name", DISTRIBUTION)["version"], version())
    hooks = _row(
        _in(place, home, "airflow", "providers", "hooks", "--output", "json"), "connection_type", "trackunit"
    )
    wanted = {"class": "airflow_provider_trackunit.hooks.IrisHook", "package_name": DISTRIBUTION}
    _same("airflow providers hooks", {key: hooks.get(key) for key in wanted}, wanted)
    _check_get(_in(place, home, "airflow", "providers", "get", DISTRIBUTION, "--full", "--output", "json"))
    _good(f"airflow providers list, hooks and get on Airflow {airflow.release}")


def _check_get(printed: str) -> None:
    (told,) = _json(printed)
    kinds = ("integrations", "hooks", "operators", "sensors", "triggers", "transfers", "connection-types")
    _same("what airflow providers get lacks", [kind for kind in kinds if not told.get(kind)], [])
    _same("airflow providers get", told["versions"], [version()])
    (connection,) = told["connection-types"]
    _same("the connection type", connection["connection-type"], "trackunit")
    _same(
        "the client secret's field",
        connection["conn-fields"]["client_secret"]["schema"]["format"],
        "password",
    )


def _in(place: Path, folder: Path, program: str, *arguments: str) -> str:
    """Return the standard output of a program of an environment, run where no source is in reach."""
    folder.mkdir(exist_ok=True)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTHON"))
    }
    settings = {"AIRFLOW_HOME": str(folder), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "COLUMNS": "400"}
    result = subprocess.run(  # noqa: S603 - our own commands
        [str(place / "bin" / program), *arguments],
        cwd=folder,
        env=inherited | settings,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if result.returncode:
        raise UnfitError(f"{program} {' '.join(arguments[-4:])} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def _json(printed: str) -> Any:
    """Return the JSON that Airflow printed, after what it may have logged."""
    begin = re.search(r"^\[(?=\{|$)", printed, re.MULTILINE)
    if begin is None:
        raise UnfitError(f"Airflow printed no JSON:\n{printed}")
    return json.loads(printed[begin.start() :])


def _row(printed: str, key: str, value: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [row for row in _json(printed) if row.get(key) == value]
    if len(rows) != 1:
        raise UnfitError(f"Airflow shows {len(rows)} rows with {key} {value}:\n{printed}")
    return rows[0]


def _same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        more = (
            f"\nonly one side: {found ^ wanted}" if isinstance(found, set) and isinstance(wanted, set) else ""
        )
        raise UnfitError(f"{what}: {found} instead of {wanted}{more}")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _good(text: str) -> None:
    print(f"good: {text}", flush=True)


if __name__ == "__main__":
    main()
