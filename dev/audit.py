"""Known vulnerabilities in what installing the provider brings besides Airflow itself, as ``pip-audit`` knows them.

Airflow and its own dependencies are left to Airflow's security process and its constraint files: a provider cannot
choose their versions.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DISTRIBUTION = "airflow-provider-trackunit"
EXTRAS = ("", "emulator")
WITHIN_S = 300


def main() -> None:
    """Ask for each package in its installed version, and show what is known.

    :raises SystemExit: with 1 when a vulnerability is known
    """
    parser = argparse.ArgumentParser(
        description="Ask which installed dependencies have known vulnerabilities."
    )
    parser.add_argument("arguments", nargs="*", help="handed on to pip-audit, after --")
    report = audit(installed(), *parser.parse_args().arguments)
    lines = known(report)
    if lines:
        raise SystemExit("\n".join(lines))
    print(verdict(report))


def installed() -> list[str]:
    """Return each dependency with its own ones, as ``name==version``, without Airflow's."""
    todo = [(DISTRIBUTION, extra) for extra in EXTRAS]
    # With its extra each: what was found without one may be asked for again with one.
    done = set(todo)
    while todo:
        name, extra = todo.pop()
        for needed in map(Requirement, requires(name) or []):
            found = canonicalize_name(needed.name)
            applies = needed.marker is None or needed.marker.evaluate({"extra": extra})
            if applies and not found.startswith("apache-airflow"):
                new = {(found, each) for each in ("", *needed.extras)} - done
                done |= new
                todo += new
    names = {name for name, _ in done} - {DISTRIBUTION}
    return sorted(f"{name}=={version(name)}" for name in names)


def audit(pinned: list[str], *arguments: str) -> dict[str, Any]:
    """Return the report of ``pip-audit``.

    :raises SystemExit: when it gives none
    """
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pinned))
        file.flush()
        command = [
            sys.executable,
            "-m",
            "pip_audit",
            "--requirement",
            file.name,
            "--no-deps",
            "--disable-pip",
        ]
        command += ["--format", "json", "--progress-spinner", "off", *arguments]
        result = subprocess.run(  # noqa: S603 - a tool of ours
            command, cwd=Path(sys.prefix), capture_output=True, text=True, check=False, timeout=WITHIN_S
        )
    try:
        report: dict[str, Any] = json.loads(result.stdout)
    except ValueError:
        raise SystemExit(f"pip-audit gave no report:\n{result.stderr}") from None
    return report


def known(report: dict[str, Any]) -> list[str]:
    """Return a line for each vulnerability, with the versions that mend it."""
    return [
        f"{package['name']} {package['version']}: {found['id']}, "
        f"mended in {', '.join(found['fix_versions']) or 'none'}"
        for package in report["dependencies"]
        for found in package.get("vulns", [])
    ]


def verdict(report: dict[str, Any]) -> str:
    """Return what a report without vulnerabilities is worth: a database out of reach has found nothing either."""
    packages = report["dependencies"]
    unasked = [package["name"] for package in packages if "skip_reason" in package]
    if len(unasked) == len(packages):
        return "NOT AUDITED: no package was found in the advisory database. Is it within reach?"
    text = f"No vulnerability is known of {len(packages) - len(unasked)} packages."
    return f"{text} Not in the database: {', '.join(unasked)}." if unasked else text


if __name__ == "__main__":
    main()
