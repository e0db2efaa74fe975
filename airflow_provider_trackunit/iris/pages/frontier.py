"""Which pages of which items are still to be fetched, and in which order what came may be written.

Several walks can be under way at once, and several pages of one walk where their number is known. Pages of one
walk are handed out in order; between items there is no order. The frontier can be written down as a
:class:`Position` at any moment and taken up again from there. Pure: it neither sends nor stores.
"""

from __future__ import annotations

import itertools
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.catalogue.endpoints import Endpoint, find
from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.pages.position import Ahead, Open, Position
from airflow_provider_trackunit.iris.pages.styles import paginator
from airflow_provider_trackunit.iris.pages.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.paging import Cursor, Page

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Errand:
    """One page to fetch."""

    item: int
    call: Call
    row: Endpoint
    cursor: Cursor


@dataclass(slots=True)
class _OpenWalk:
    """A walk under way: what is asked for, what came too early, what an earlier try wrote already."""

    walk: Walk
    row: Endpoint
    asked: set[str] = field(default_factory=set)
    early: dict[str, tuple[Cursor, Page]] = field(default_factory=dict)
    written_ahead: dict[str, Ahead] = field(default_factory=dict)
    latest: Page | None = None

    def wants(self, cursor: Cursor) -> bool:
        """Return whether nobody has asked for this page yet."""
        key = _key(cursor)
        return key not in self.asked and key not in self.early and key not in self.written_ahead

    def ahead(self, at_most: int) -> list[Cursor]:
        """Return the pages after the current one that are known to exist and not asked for."""
        if self.latest is None:
            return []
        announced = [dict(cursor) for cursor in paginator(self.row.paging).ahead(self.latest, at_most)]
        # Pages that an earlier try wrote take the walk further than the latest page that came.
        passed = (
            announced.index(dict(self.walk.cursor or {})) if self.walk.cursor in announced else len(announced)
        )
        return [cursor for cursor in announced[passed:] if self.wants(cursor)]


class Frontier:
    """The pages of one call, or of one call for each of many items.

    :param calls: the call of each item
    :param position: where an earlier try stopped
    """

    def __init__(self, calls: Sequence[Call], position: Position | None = None) -> None:
        self._calls = calls
        self._open: dict[int, _OpenWalk] = {}
        position = position or Position()
        self._next_item = position.next_item
        self.announced: int | None = position.announced
        self.pages: int | None = None
        self.pages_done = 0
        for one in position.open:
            self._open[one.item] = self._take_up(one.item, one.cursor)
        for ahead in position.ahead:
            self._open[ahead.item].written_ahead[_key(ahead.cursor)] = ahead

    @classmethod
    def of(cls, call: Call, cursor: Cursor | None) -> Frontier:
        """Return the pages of one call, from a cursor on.

        :raises IrisConfigurationError: when an argument is unusable, a page number in the query included
        """
        paginator(find(call).paging).start(call)
        return cls([call], None if cursor is None else Position(next_item=1, open=[Open(0, dict(cursor))]))

    @property
    def items_done(self) -> int:
        """How many items are at their end."""
        return self._next_item - len(self._open)

    def errands(self, at_most: int) -> list[Errand]:
        """Return what to fetch now: open walks first, then new items, then pages ahead.

        :param at_most: how many pages may be on their way or waiting for their turn at once
        """
        free = at_most - sum(len(one.asked) + len(one.early) for one in self._open.values())
        found: list[Errand] = []
        for item, cursor in itertools.islice(self._candidates(at_most), max(free, 0)):
            one = self._open[item]
            one.asked.add(_key(cursor))
            found.append(Errand(item, one.walk.call, one.row, cursor))
        return found

    def _candidates(self, at_most: int) -> Iterator[tuple[int, Cursor]]:
        for item, one in self._open.items():
            if one.walk.cursor is not None and one.wants(one.walk.cursor):
                yield item, one.walk.cursor
        while self._next_item < len(self._calls):
            item = self._next_item
            one = self._open[item] = self._take_up(item, None)
            self._next_item += 1
            if one.walk.cursor is not None:
                yield item, one.walk.cursor
        for item, one in self._open.items():
            for cursor in one.ahead(at_most):
                yield item, cursor

    def arrived(self, errand: Errand, page: Page) -> list[Page]:
        """Enter a page that came, and return what can be written now, in order.

        :raises IrisPaginationError: when the walk goes in a circle
        """
        one = self._open.get(errand.item)
        if one is None:
            return []  # asked for ahead, and the walk turned out to end before it
        key = _key(errand.cursor)
        one.asked.discard(key)
        one.early[key] = (errand.cursor, page)
        ready = list(self._in_turn(one))
        if one.walk.cursor is None:
            self._close(errand.item)
        return ready

    def _in_turn(self, one: _OpenWalk) -> Iterator[Page]:
        while one.walk.cursor is not None:
            key = _key(one.walk.cursor)
            if key in one.written_ahead:
                one.walk.cursor = one.written_ahead.pop(key).next
            elif key in one.early:
                _, page = one.early.pop(key)
                one.walk.take(page)
                self._enter(one, page)
                yield page
            else:
                return

    def _enter(self, one: _OpenWalk, page: Page) -> None:
        one.latest = page
        self.pages_done += 1
        if len(self._calls) == 1:
            self.announced, self.pages = page.announced, page.pages

    def returned(self, errand: Errand) -> None:
        """Enter that a page did not come, so that it is asked for again."""
        one = self._open.get(errand.item)
        if one is not None:
            one.asked.discard(_key(errand.cursor))

    def skip(self, item: int) -> None:
        """Give up an item."""
        self._open.pop(item, None)

    def too_early(self) -> list[tuple[int, Page]]:
        """Return the pages that came before their turn, so that they are written and not asked for again."""
        found = []
        for item, one in self._open.items():
            for key, (cursor, page) in one.early.items():
                following = None if page.next is None else dict(page.next)
                one.written_ahead[key] = Ahead(item, dict(cursor), following)
                found.append((item, page))
            one.early.clear()
        return found

    def position(self) -> Position:
        """Return where the export stands, once everything handed out is written."""
        return Position(
            next_item=self._next_item,
            open=[
                Open(item, dict(one.walk.cursor))
                for item, one in self._open.items()
                if one.walk.cursor is not None
            ],
            ahead=[ahead for one in self._open.values() for ahead in one.written_ahead.values()],
            announced=self.announced,
        )

    def _take_up(self, item: int, cursor: Cursor | None) -> _OpenWalk:
        call = self._calls[item]
        row = find(call)
        start = paginator(row.paging).start(call) if cursor is None else cursor
        return _OpenWalk(walk=Walk(call, start, whole=cursor is None), row=row)

    def _close(self, item: int) -> None:
        one = self._open.pop(item)
        difference = one.walk.difference()
        if difference:
            log.warning(
                "%s changed while it was read: %s. Records may be missing or double; read it again if that matters",
                one.walk.call.endpoint,
                difference,
            )


def is_usable(position: Position, calls: Sequence[Call]) -> bool:
    """Return whether a stored position is one of these calls, and its cursors still mean something to them."""
    items = {one.item for one in position.open}
    known = 0 <= position.next_item <= len(calls) and all(0 <= item < position.next_item for item in items)
    if not known or len(items) < len(position.open) or not {one.item for one in position.ahead} <= items:
        return False
    try:
        cursors = [(one.item, one.cursor) for one in position.open]
        cursors += [(one.item, one.cursor) for one in position.ahead]
        for item, cursor in cursors:
            paginator(find(calls[item]).paging).apply(calls[item], cursor)
    except IrisConfigurationError:
        return False
    return True


def _key(cursor: Cursor) -> str:
    return json.dumps(dict(cursor), sort_keys=True)
