"""The drawing of the house: which room imports from which, read from the code, as an SVG for the docs.

``python -m dev.house`` prints it. A room stands above all rooms that it imports from.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

from dev.environments import PACKAGE

if TYPE_CHECKING:
    from pathlib import Path


_BOX = (150, 44)
_GAP = (26, 54)
_MARGIN = 20


def rooms() -> dict[str, set[str]]:
    """Return every room, and the rooms that it imports from."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        room = room_of(path.relative_to(PACKAGE).with_suffix("").parts)
        if room is None:
            continue
        found[room] |= {other for other in _imported(path) if other is not None and other != room}
    return dict(found)


def room_of(parts: tuple[str, ...]) -> str | None:
    """Return the room of a module, by the parts of its name within the package; None for what is in none."""
    if parts[0] in {"iris", "emulator", "tables"}:
        inner = parts[0] if parts[0] != "iris" or len(parts) == 1 else f"iris.{parts[1]}"
        return None if inner in {"iris", "iris.__init__"} else inner
    return None if parts[0] == "__init__" else "Airflow modules"


def _imported(path: Path) -> set[str | None]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    own = [name.split(".")[1:] for name in names if name.startswith(f"{PACKAGE.name}.")]
    return {room_of(tuple(parts)) for parts in own if parts and parts[0] != "__version__"}


@cache
def storeys() -> list[list[str]]:
    """Return the rooms from the ground up: each above all that it imports from."""
    graph = rooms()
    level: dict[str, int] = {}

    def of(room: str, above: tuple[str, ...] = ()) -> int:
        if room not in level:
            below = graph.get(room, set()) - {room, *above}
            level[room] = 1 + max((of(other, (*above, room)) for other in below), default=-1)
        return level[room]

    for room in graph:
        of(room)
    found: list[list[str]] = [[] for _ in range(max(level.values()) + 1)]
    for room, number in sorted(level.items()):
        found[number].append(room)
    return found


def drawing() -> str:
    """Return the house as an SVG, the ground floor at the bottom."""
    floors = storeys()
    width = max(len(floor) for floor in floors) * (_BOX[0] + _GAP[0]) - _GAP[0] + 2 * _MARGIN
    height = len(floors) * (_BOX[1] + _GAP[1]) - _GAP[1] + 2 * _MARGIN
    places: dict[str, tuple[float, float]] = {}
    for number, floor in enumerate(floors):
        used = len(floor) * (_BOX[0] + _GAP[0]) - _GAP[0]
        y = height - _MARGIN - _BOX[1] - number * (_BOX[1] + _GAP[1])
        for place, room in enumerate(floor):
            places[room] = ((width - used) / 2 + place * (_BOX[0] + _GAP[0]), y)
    lines = [
        _arrow(places[room], places[other]) for room, below in rooms().items() for other in sorted(below)
    ]
    boxes = [_box(room, *place) for room, place in places.items()]
    head = f'<svg class="house" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="Rooms and imports">'
    return "".join([head, *lines, *boxes, "</svg>"])


def _arrow(upper: tuple[float, float], lower: tuple[float, float]) -> str:
    x1, x2 = (place[0] + _BOX[0] / 2 for place in (upper, lower))
    return f'<line x1="{x1:.0f}" y1="{upper[1] + _BOX[1]:.0f}" x2="{x2:.0f}" y2="{lower[1]:.0f}"/>'


def _box(room: str, x: float, y: float) -> str:
    label = f'<text x="{x + _BOX[0] / 2:.0f}" y="{y + _BOX[1] / 2 + 5:.0f}">{room}</text>'
    return f'<rect x="{x:.0f}" y="{y:.0f}" width="{_BOX[0]}" height="{_BOX[1]}" rx="4"/>{label}'


if __name__ == "__main__":
    print(drawing())
