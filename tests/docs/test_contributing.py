"""The map for contributors names places that are there, and the drawing of the house stands on its feet."""

from __future__ import annotations

import re

import pytest

from dev.environments import PACKAGE, ROOT
from dev.house import drawing, rooms, storeys

PAGE = (ROOT / "docs" / "contributing.md").read_text()
PLACES = sorted(
    {
        place
        for row in re.findall(r"^\|.*\|$", PAGE, re.MULTILINE)
        for place in re.findall(r"`([\w./]+/[\w./]*)`", row)
    }
)


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_the_map_names_is_there(place: str) -> None:
    # The package may be an installed one.
    root = PACKAGE.parent if place.startswith(f"{PACKAGE.name}/") else ROOT
    assert (root / place).exists()


def test_the_map_names_places_at_all() -> None:
    assert len(PLACES) > 50


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z0-9-]+)", PAGE))))
def test_a_target_that_the_map_names_is_there(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_in_the_drawing_every_room_stands_above_those_that_it_imports_from() -> None:
    level = {room: number for number, floor in enumerate(storeys()) for room in floor}
    for room, below in rooms().items():
        assert [other for other in below if level[other] >= level[room]] == [], room


def test_every_room_is_in_the_drawing() -> None:
    picture = drawing()
    assert {room for room in rooms() if f">{room}</text>" not in picture} == set()
    assert {"iris.http", "iris.pages", "iris.export", "emulator"} <= set(rooms())
