"""Which pages of which items are still to come, as a value.

A frontier is never changed: what happens to it gives a new one. Whoever keeps it puts the new one in the place of the
old in one assignment, so that an interruption at any moment leaves the one or the other. It is stored as it is.

Pages of one walk may come in any order where they have numbers, and between items there is no order at all. Pure: it
neither sends nor stores.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec.structs import replace

from airflow_provider_trackunit.iris.catalogue.endpoints import Endpoint, find
from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.pages.paging import text_of_cursor
from airflow_provider_trackunit.iris.pages.styles import paginator

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterator, Sequence

    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.paging import Cursor, Page, Paginator

log = logging.getLogger(__name__)


class Errand(NamedTuple):
    """One page to fetch."""

    item: int
    call: Call
    row: Endpoint
    cursor: Cursor

    @property
    def name(self) -> PageName:
        """What tells this page from every other of the frontier."""
        return page_name(self.item, self.cursor)


#: The item and the cursor of a page, in a form that can be compared.
PageName = tuple[int, str]


def page_name(item: int, cursor: Cursor) -> PageName:
    """Return the name of a page."""
    return item, text_of_cursor(cursor)


class OpenWalk(msgspec.Struct, frozen=True):
    """The walk of one item that is not at its end.

    :param item: the place of its call among the calls
    :param todo: the cursors of the pages that are known to exist and have not come
    :param reached: the highest number of a page that was ever to do; 0 where pages have no numbers
    :param ends_at: the lowest number of a page that said it is the last, None until one did
    :param whole: whether the walk began at the beginning, so that what came can be compared with what was announced
    :param announced: how many records were announced, first and last
    :param pages: how many pages were announced, first and last
    """

    item: int
    todo: tuple[dict[str, Any], ...]
    reached: int = 0
    ends_at: int | None = None
    whole: bool = True
    came: int = 0
    records: int = 0
    announced: tuple[int | None, int | None] = (None, None)
    pages: tuple[int | None, int | None] = (None, None)

    def with_page(self, errand: Errand, page: Page, ahead: int) -> OpenWalk:
        """Return the walk after a page of it has come, with the pages after it that are now known."""
        first = self.came == 0
        # A caller who asks for a later page gets the rest, while the whole is announced.
        at_start = page.number in {None, 1} and not any(errand.cursor.get(name) for name in _OPAQUE)
        walk = replace(
            self,
            todo=tuple(cursor for cursor in self.todo if cursor != errand.cursor),
            whole=self.whole and (at_start or not first),
            came=self.came + 1,
            records=self.records + len(page.raw_records),
            announced=(page.announced if first else self.announced[0], page.announced),
            pages=(page.pages if first else self.pages[0], page.pages),
        )
        if page.number is None:
            return walk if page.next is None else replace(walk, todo=(*walk.todo, dict(page.next)))
        return walk._numbered_on(page, page.number, paginator(errand.row.paging), ahead)

    def _numbered_on(self, page: Page, number: int, style: Paginator, ahead: int) -> OpenWalk:
        """Return the walk with the pages that are now known to follow, and without those that are now known not to.

        Where two pages tell of different ends, the lower one holds: it is the first that a walk page by page would meet.
        """
        known = [] if page.next is None else [page.next, *style.ahead(page, ahead, behind=self.reached)]
        following = {style.number(cursor): dict(cursor) for cursor in known}
        new = [cursor for place, cursor in following.items() if place > self.reached]
        ends_at = self.ends_at
        if page.next is None:
            ends_at = number if ends_at is None else min(ends_at, number)
        todo = (*self.todo, *new)
        if ends_at is not None:
            todo = tuple(cursor for cursor in todo if style.number(cursor) <= ends_at)
        return replace(self, todo=todo, reached=max(self.reached, number, *following), ends_at=ends_at)

    def difference(self) -> str | None:
        """Return how a finished walk differs from what was announced, None when nothing is amiss."""
        (first, last), (pages_first, pages_last) = self.announced, self.pages
        if None not in {first, last} and first != last:
            return f"{first} records were announced at first and {last} at the end"
        if self.whole and last is not None and last != self.records:
            return f"{last} records were announced and {self.records} came"
        if None not in {pages_first, pages_last} and pages_first != pages_last:
            return f"{pages_first} pages were announced at first and {pages_last} at the end"
        return None


# The members of cursors that are opaque: None at the beginning of a collection.
_OPAQUE = ("endCursor", "after")


class Frontier(msgspec.Struct, frozen=True):
    """Where the walks of one call for each of many items stand.

    Items before ``next_item`` that are neither open nor given up are done.

    :param given_up: the walks of items that were passed over, as far as they had come
    :param announced: how many records IRIS says there are, where there is one item
    :param pages: how many pages IRIS says there are, where there is one item
    :param came: how many pages have come
    """

    next_item: int = 0
    open: tuple[OpenWalk, ...] = ()
    given_up: tuple[OpenWalk, ...] = ()
    announced: int | None = None
    pages: int | None = None
    came: int = 0

    @classmethod
    def at(cls, call: Call, cursor: Cursor | None) -> Frontier:
        """Return the frontier of one call, from a cursor on; None for the beginning.

        :raises IrisConfigurationError: when the cursor or an argument is unusable, a page number in the query included
        """
        style = paginator(find(call).paging)
        begin = style.start(call) if cursor is None else cursor
        style.apply(call, begin)
        return cls(next_item=1, open=(OpenWalk(0, (dict(begin),), whole=cursor is None),))

    @property
    def items_done(self) -> int:
        """How many items are at their end, or given up."""
        return self.next_item - len(self.open)

    def is_done(self, item: int) -> bool:
        """Return whether an item was read to its end."""
        return item < self.next_item and all(walk.item != item for walk in (*self.open, *self.given_up))

    def is_finished(self, calls: Sequence[Call]) -> bool:
        """Return whether every walk is at its end."""
        return not self.open and self.next_item == len(calls)

    def ask(
        self,
        calls: Sequence[Call],
        under_way: Collection[PageName],
        at_most: int,
        *,
        held: Container[int] = (),
        passed_over: Container[int] = (),
    ) -> tuple[Frontier, list[Errand]]:
        """Return what to fetch next: the heads of open walks first, then new items, then pages further on.

        :param under_way: the pages that are being fetched
        :param at_most: how many more may be
        :param held: items of which nothing is fetched now; no item begins after one that is held back
        :param passed_over: items that are given up when it is their turn to begin
        """
        errands: list[Errand] = []
        opened, given_up = self.open, self.given_up
        walks = [walk for walk in self.open if walk.item not in held]
        heads = [(walk.item, cursor) for walk in walks for cursor in walk.todo[:1]]
        further = [(walk.item, cursor) for walk in walks for cursor in walk.todo[1:]]
        for item, cursor in itertools.chain(heads, self._beginnings(calls, held), further):
            if len(errands) >= at_most:
                break
            if item >= self.next_item and item in passed_over:
                given_up += (OpenWalk(item, (cursor,)),)
                continue
            if page_name(item, cursor) in under_way:
                continue
            errands.append(Errand(item, calls[item], find(calls[item]), cursor))
            if item >= self.next_item:
                opened += (OpenWalk(item, (cursor,)),)
        begun = len(opened) - len(self.open) + len(given_up) - len(self.given_up)
        return replace(self, next_item=self.next_item + begun, open=opened, given_up=given_up), errands

    def _beginnings(
        self, calls: Sequence[Call], held: Container[int]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for item in range(self.next_item, len(calls)):
            if item in held:
                return
            yield item, dict(paginator(find(calls[item]).paging).start(calls[item]))

    def wants(self, errand: Errand) -> bool:
        """Return whether a page is still to come; it is not once its walk turned out to end before it."""
        return any(walk.item == errand.item and errand.cursor in walk.todo for walk in self.open)

    def with_page(self, errand: Errand, page: Page, *, ahead: int) -> Frontier:
        """Return the frontier after a page that it wants has come.

        :param ahead: how many pages after this one may be known at once
        """
        walk = self.walk(errand.item).with_page(errand, page, ahead)
        single = self.next_item == 1
        return replace(
            self,
            open=tuple(
                walk if one.item == walk.item else one
                for one in self.open
                if one.item != walk.item or walk.todo
            ),
            announced=page.announced if single else None,
            pages=page.pages if single else None,
            came=self.came + 1,
        )

    def without(self, items: Collection[int]) -> Frontier:
        """Return the frontier with those of these items given up whose walks are open."""
        left = tuple(walk for walk in self.open if walk.item not in items)
        given_up = tuple(walk for walk in self.open if walk.item in items)
        return replace(self, open=left, given_up=(*self.given_up, *given_up))

    def reopened(self) -> Frontier:
        """Return the frontier with everything that was given up to do again."""
        return replace(self, open=(*self.open, *self.given_up), given_up=())

    def walk(self, item: int) -> OpenWalk:
        """Return the open walk of an item."""
        return next(walk for walk in self.open if walk.item == item)

    def is_usable(self, calls: Sequence[Call]) -> bool:
        """Return whether this is a frontier of these calls, and its cursors still mean something to them."""
        walks = self.reopened().open
        items = [walk.item for walk in walks]
        if not 0 <= self.next_item <= len(calls) or len(set(items)) < len(items):
            return False
        if not all(0 <= walk.item < self.next_item and walk.todo for walk in walks):
            return False
        try:
            for walk in walks:
                for cursor in walk.todo:
                    paginator(find(calls[walk.item]).paging).apply(calls[walk.item], cursor)
        except IrisConfigurationError:
            return False
        return True


def tell_difference(call: Call, walk: OpenWalk) -> None:
    """Log how a finished walk differs from what was announced, if it does."""
    difference = walk.difference()
    if difference:
        log.warning(
            "%s changed while it was read: %s. Records may be missing or double; read it again if that matters",
            call.endpoint,
            difference,
        )
