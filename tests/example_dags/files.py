"""DAG files, read the way Airflow reads them."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import airflow_provider_trackunit
from airflow_provider_trackunit._compat import AIRFLOW_VERSION
from dev.airflow_home import EXAMPLES

if TYPE_CHECKING:
    from types import ModuleType

EXAMPLE_FILES = sorted(EXAMPLES.glob("iris_*.py"))
# Watchers are new in Airflow 3; before, the file can be read and defines nothing.
DAG_IDS = [
    file.stem for file in EXAMPLE_FILES if AIRFLOW_VERSION >= (3, 0) or file.stem != "iris_event_driven"
]
_OURS = (str(EXAMPLES), str(Path(airflow_provider_trackunit.__file__).parent))


def dag_bag(folder: Path) -> Any:
    """Return the DAGs of a folder and what went wrong, from where this Airflow has the class."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag  # type: ignore[no-redef]
    return DagBag(dag_folder=str(folder))


def imported(file: Path) -> tuple[ModuleType, list[str]]:
    """Return a DAG file's module, and the warnings that its lines and our package gave."""
    spec = importlib.util.spec_from_file_location(f"example_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        spec.loader.exec_module(module)
    sys.modules.pop(spec.name, None)
    return module, [str(one.message) for one in caught if one.filename.startswith(_OURS)]
