"""Where the walks of a frontier stand, as a value that can be stored."""

from __future__ import annotations

from typing import Any

import msgspec


class Open(msgspec.Struct, frozen=True):
    """A walk that is not at its end: the item and the cursor of the page to ask for next."""

    item: int
    cursor: dict[str, Any]


class Ahead(msgspec.Struct, frozen=True):
    """A page that is written although the walk has not come to it yet, and the cursor that follows it."""

    item: int
    cursor: dict[str, Any]
    next: dict[str, Any] | None


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where an export stands. Items before ``next_item`` that are not open are done."""

    next_item: int = 0
    open: list[Open] = []
    ahead: list[Ahead] = []
    announced: int | None = None
