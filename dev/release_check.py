"""``make release-check``: says what is missing before a release, all of it at once, and changes nothing.

Standard library only: a release runs it before anything is installed.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from typing import TYPE_CHECKING

from dev.environments import AIRFLOWS, ROOT, SetupError, run, version

if TYPE_CHECKING:
    from collections.abc import Iterator

# As Semantic Versioning and the package index both read it.
_VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
_FILES = (
    ".ci/run",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "NOTICE",
    "README.md",
    "SECURITY.md",
)
_ADDRESSES = ("Changelog", "Documentation", "Issues", "Repository")


def missing(tag: str | None = None) -> Iterator[str]:
    """Yield what is missing, a sentence each.

    :param tag: of the release that is being made; None before there is one
    """
    yield from (f"{name} is missing" for name in _FILES if not (ROOT / name).exists())
    yield from _of_version(tag)
    yield from _of_changelog()
    yield from _of_addresses()
    yield from _of_airflows()
    yield from _of_tree()


def _of_version(tag: str | None) -> Iterator[str]:
    if not _VERSION.fullmatch(version()):
        yield f"the version {version()} is none that can be released"
    if tag is not None and tag != f"v{version()}":
        yield f"the tag is {tag}, and airflow_provider_trackunit/__init__.py says {version()}"
    for name, text in (("README.md", f"version {version()}"), ("CITATION.cff", f"version: {version()}")):
        if text not in (ROOT / name).read_text():
            yield f'{name} does not say "{text}"'
    if tag is None and f"v{version()}" in run(["git", "-C", str(ROOT), "tag"]).split():
        yield f"v{version()} is released already: raise __version__"


def _of_changelog() -> Iterator[str]:
    text = (ROOT / "CHANGELOG.md").read_text()
    if not re.search(rf"^## \[?{re.escape(version())}\]? - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE):
        yield f'CHANGELOG.md has no heading "## {version()} - <date>"'


def _of_addresses() -> Iterator[str]:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("urls", {})
    absent = [name for name in _ADDRESSES if name not in urls]
    if absent:
        yield f"pyproject.toml has no [project.urls] {', '.join(absent)}: where the project will be public"


def _of_airflows() -> Iterator[str]:
    """Yield the Airflows without a row in the table of the last run of the matrix, or with failures in it."""
    table = (ROOT / "docs" / "compatibility.md").read_text()
    for airflow in AIRFLOWS.values():
        rows = re.findall(
            rf"^\| {re.escape(airflow.release)} \| [\d.]+ \| +\d+ \| +\d+ \| +(\d+) \|", table, re.MULTILINE
        )
        if not rows or any(failed != "0" for failed in rows):
            yield f"docs/compatibility.md shows no run of Airflow {airflow.release} without failures: make matrix"


def _of_tree() -> Iterator[str]:
    if not (ROOT / ".git").exists():
        yield "this is no clone: what is released is a commit"
    elif run(["git", "-C", str(ROOT), "status", "--porcelain"]).strip():
        yield "there are changes that are not committed"


def main() -> None:
    """Say what is missing.

    :raises SystemExit: with status 1 when anything is
    """
    parser = argparse.ArgumentParser(description="Say what is missing before a release.")
    parser.add_argument("--tag", help="the tag of the release, which has to fit the version")
    try:
        found = list(missing(parser.parse_args().tag))
    except SetupError as error:
        raise SystemExit(f"{error}") from None
    for one in found:
        print(f"missing: {one}")
    if found:
        raise SystemExit(1)
    print(f"Nothing is missing for {version()}. Go on as docs/releasing.md says.")


if __name__ == "__main__":
    main()
