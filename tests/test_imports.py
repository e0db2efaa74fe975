"""Imports point one way, and what Airflow reads on every DAG parse loads no HTTP."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_trackunit

ROOT = Path(airflow_provider_trackunit.__file__).parent
PACKAGE = "airflow_provider_trackunit"

# The house, from the ground up. A room may import from the storeys below its own and from itself, never from beside or
# above; within a room no two modules need each other.
STOREYS = [
    {"errors", "secrecy"},
    {"calls"},  # what a caller asks for, checked
    {"catalogue"},  # what is documented, as data
    {"http"},  # one call
    {"pages"},  # one collection
    {"client", "aio"},  # the API as a caller sees it
    {"watch", "sharing", "probe"},  # one wait, one client for many waits, one look at an account
    {"export"},  # one result
]
STOREY = {room: number for number, rooms in enumerate(STOREYS) for room in rooms}
IRIS = sorted(
    path for path in (ROOT / "iris").rglob("*.py") if path.parent != ROOT / "iris" or path.stem != "__init__"
)
TABLES = sorted((ROOT / "tables").rglob("*.py"))
EMULATOR = sorted((ROOT / "emulator").rglob("*.py"))


def name_of(path: Path) -> str:
    """Return how a module of ``iris``, or a room by its door, is imported: ``http.wire``."""
    return ".".join(path.relative_to(ROOT / "iris").with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> Iterator[str]:
    """Yield the full name of everything a module imports, also inside functions and for its types."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def neighbours(path: Path) -> set[str]:
    """Return the modules of ``iris`` that a module imports; whoever is in a room has come in by its door."""
    own = name_of(path)
    names = {name.removeprefix(f"{PACKAGE}.iris.") for name in imported(path)}
    found = {known for known in map(name_of, IRIS) if any(is_of(name, known) for name in names)}
    return {known for known in found if not is_of(own, known)}


def is_of(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("path", IRIS, ids=name_of)
def test_a_room_imports_only_from_the_storeys_below_it(path: Path) -> None:
    own = name_of(path).split(".")[0]
    rooms = {name.split(".")[0] for name in neighbours(path)} - {own}
    assert {room for room in rooms if STOREY[room] >= STOREY[own]} == set()


def test_no_two_modules_of_the_client_need_each_other() -> None:
    graph = {name_of(path): neighbours(path) for path in IRIS}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert set(order) >= set(graph)


def test_every_room_says_at_its_door_what_belongs_in_it() -> None:
    houses = (ROOT / "iris", ROOT / "tables")
    doors = [
        folder / "__init__.py" for house in houses for folder in house.rglob("*") if any(folder.glob("*.py"))
    ]
    assert doors
    assert [door for door in doors if not ast.get_docstring(ast.parse(door.read_text()))] == []


@pytest.mark.parametrize("path", IRIS, ids=name_of)
def test_the_client_knows_neither_airflow_nor_the_emulator_nor_the_airflow_modules(path: Path) -> None:
    names = set(imported(path))
    assert {name for name in names if is_of(name, "airflow")} == set()
    own = {name for name in names if is_of(name, PACKAGE)} - {f"{PACKAGE}.__version__"}
    assert {name for name in own if not is_of(name, f"{PACKAGE}.iris")} == set()


#: What tables are made from: what is documented, how columns say where they were, and results.
BELOW_TABLES = ("iris.catalogue", "iris.export.typed.paths", "results", "tables")


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tables_know_neither_airflow_nor_the_client(path: Path) -> None:
    names = set(imported(path))
    assert {name for name in names if is_of(name, "airflow")} == set()
    own = {name for name in names if is_of(name, PACKAGE)}
    allowed = [f"{PACKAGE}.{known}" for known in BELOW_TABLES]
    assert {name for name in own if not any(is_of(name, known) for known in allowed)} == set()


def test_no_two_modules_of_the_tables_need_each_other() -> None:
    names = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in TABLES}
    graph = {
        name: {known for known in names if any(is_of(one, known) for one in imported(path))} - {name}
        for name, path in names.items()
        if path.name != "__init__.py"
    }
    assert set(graphlib.TopologicalSorter(graph).static_order()) >= set(graph)


def test_nothing_below_the_tables_needs_them() -> None:
    outside = [path for path in ROOT.rglob("*.py") if path not in TABLES]
    assert [
        path for path in outside if any(is_of(name, f"{PACKAGE}.tables") for name in imported(path))
    ] == []


@pytest.mark.parametrize("path", EMULATOR, ids=lambda path: path.stem)
def test_the_emulator_knows_neither_the_client_nor_airflow(path: Path) -> None:
    names = set(imported(path))
    assert {name for name in names if is_of(name, "airflow")} == set()
    own = {name for name in names if is_of(name, PACKAGE)} - {f"{PACKAGE}.__version__"}
    # The fixtures alone know both: when the emulator's time is moved, clients follow.
    met = {f"{PACKAGE}.iris.http.pacing.forget_limits"} if path.stem == "pytest_plugin" else set()
    assert {name for name in own if not is_of(name, f"{PACKAGE}.emulator")} == met


def test_nothing_imports_the_emulator() -> None:
    outside = [path for path in ROOT.rglob("*.py") if path not in EMULATOR]
    users = [path for path in outside if any(is_of(name, f"{PACKAGE}.emulator") for name in imported(path))]
    assert users == []


AIRFLOW_ROOMS = {"hooks", "tasks", "triggers"}
AIRFLOW_MODULES = [
    path
    for path in ROOT.rglob("*.py")
    if (path.parent == ROOT and path.stem != "__init__") or path.parent.name in AIRFLOW_ROOMS
]


def test_no_two_rooms_or_modules_of_airflows_storey_need_each_other() -> None:
    def place(name: str) -> str:
        return name.removeprefix(f"{PACKAGE}.").split(".")[0]

    graph: dict[str, set[str]] = {}
    for path in AIRFLOW_MODULES:
        own = path.relative_to(ROOT).with_suffix("").parts[0]
        names = {place(name) for name in imported(path) if is_of(name, PACKAGE)}
        graph.setdefault(own, set()).update(names - {own})
    assert set(graphlib.TopologicalSorter(graph).static_order()) >= AIRFLOW_ROOMS


def only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_only_one_module_asks_airflow_for_what_differs_between_its_versions() -> None:
    users = set()
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text())
        tree.body = [node for node in tree.body if not only_for_types(node)]
        names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        if any(is_of(name, "airflow.sdk") for name in names):
            users.add(path.relative_to(ROOT).as_posix())
    assert users == {"_compat.py"}


def test_making_tables_loads_nothing_that_talks_http() -> None:
    code = "import sys, airflow_provider_trackunit.tables.merging; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded & {"airflow", "requests", "aiohttp", "tenacity", "duckdb", "psycopg2", "pandas"} == set()


def test_tables_without_pyarrow_say_what_to_install() -> None:
    code = "import sys; sys.modules['pyarrow'] = None; import airflow_provider_trackunit.tables"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 - our own code
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert "pip install 'airflow-provider-trackunit[parquet]'" in last


# Airflow is loaded once, and each module of ours in a copy of that process.
LOADED = """
import os, sys
import airflow_provider_trackunit._compat
before = set(sys.modules)
for module in sys.argv[1:]:
    sys.stdout.flush()
    if os.fork():
        os.wait()
    else:
        __import__(module)
        print(module, *sorted(set(sys.modules) - before))
        sys.stdout.flush()
        os._exit(0)
"""


def test_parsing_a_dag_loads_nothing_that_talks_http() -> None:
    modules = [f"{PACKAGE}.{name}" for name in ("operators", "sensors", "transfers", "triggers", "hooks")]
    command = [sys.executable, "-c", LOADED, *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith(PACKAGE)]
    assert [line[0] for line in lines] == modules
    heavy = {"requests", "urllib3", "msgspec", "jmespath", "aiohttp"}
    for module, *added in lines:
        assert {name for name in added if name.split(".")[0] in heavy} == set()
        assert module in added
        assert f"{PACKAGE}.iris.client" not in added
