"""The emulator is a small house of its own: rooms that say what they hold, and imports that go one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_trackunit import emulator

ROOT = Path(emulator.__file__).parent
PACKAGE = "airflow_provider_trackunit.emulator"

# From the ground up. A module may import from the storeys below its own and from its own room.
STOREYS = [
    {"moments", "clock", "launch"},
    {"settings"},
    {"machines"},  # what the fleet does
    {"serving"},  # what every answer is made with
    {"limits", "faults"},  # when a call is refused, how an answer is spoilt
    {"world"},  # the whole state
    {"api"},  # what is answered
    {"control"},
    {"app"},
    {"server"},
    {"handle", "__main__"},
    {"pytest_plugin"},
]
STOREY = {room: number for number, rooms in enumerate(STOREYS) for room in rooms}
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py")
# About eight; the families of the vendor's APIs, one module each, are ten.
MOST_MODULES = 10


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported_rooms(path: Path) -> Iterator[str]:
    """Yield the rooms a module needs at run time; a name that only a type checker reads is no need."""
    tree = ast.parse(path.read_text())
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{PACKAGE}."):
            inside = str(node.module).removeprefix(PACKAGE).strip(".")
            yield from [inside.split(".")[0]] if inside else [alias.name for alias in node.names]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_only_from_the_storeys_below_it_and_from_its_room(path: Path) -> None:
    own = room_of(path)
    rooms = set(imported_rooms(path)) - {own}
    assert {room for room in rooms if STOREY[room] >= STOREY[own]} == set()


def test_every_room_says_at_its_door_what_belongs_in_it_and_is_small() -> None:
    rooms = [folder for folder in (ROOT, *ROOT.rglob("*")) if any(folder.glob("*.py"))]
    assert len(rooms) > 1
    for room in rooms:
        assert ast.get_docstring(ast.parse((room / "__init__.py").read_text())), room
        assert len(list(room.glob("[!_]*.py"))) <= MOST_MODULES, room
