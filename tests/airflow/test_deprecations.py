"""No module of ours uses what this Airflow, or this Python, has deprecated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Airflow's own old names warn as DeprecationWarning or, since 3.1, as FutureWarning. What is not ours is left alone:
# Airflow also warns about itself while it is imported.
IMPORT_ALL = """
import importlib, json, pkgutil, sys, warnings
from pathlib import Path

old = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import {package} as package
    names = [one.name for one in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    modules = [importlib.import_module(name) for name in names]
    package.get_provider_info()
place = str(Path(package.__file__).parent)
ours = [str(one.message) for one in caught if one.filename.startswith(place) and issubclass(one.category, old)]
print(json.dumps({{"modules": names, "warnings": ours}}))
"""


def told(package: str, folder: Path) -> dict[str, list[str]]:
    """Return what happened when every module of a package was imported in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(folder), "AIRFLOW_HOME": str(folder)}
    result = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", IMPORT_ALL.format(package=package)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answer: dict[str, list[str]] = json.loads(result.stdout.splitlines()[-1])
    return answer


def test_no_module_warns_when_it_is_imported(tmp_path: Path) -> None:
    answer = told("airflow_provider_trackunit", tmp_path)
    assert answer["warnings"] == []
    assert {
        f"airflow_provider_trackunit.{name}" for name in ("hooks", "triggers", "iris.aio", "emulator.app")
    } <= set(answer["modules"])


def test_a_module_that_uses_something_deprecated_is_found(tmp_path: Path) -> None:
    package = tmp_path / "outdated"
    package.mkdir()
    (package / "__init__.py").write_text("def get_provider_info(): ...\n")
    (package / "module.py").write_text(
        "import warnings\nwarnings.warn('use another', DeprecationWarning, stacklevel=1)\n"
        # A module that warns about who imports it, as Airflow's do.
        "import outdated_name\n"
    )
    (tmp_path / "outdated_name.py").write_text(
        "import warnings\nwarnings.warn('moved', FutureWarning, stacklevel=2)\n"
    )
    assert told("outdated", tmp_path)["warnings"] == ["use another", "moved"]
