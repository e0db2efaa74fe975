"""Which pages of which items are still to come, as a value.

A frontier is never changed: what happens to it gives a new one. Whoever keeps it puts the new one in the place of the
old in one assignment, so that an interruption at any moment leaves the one or the other. It is stored as it is.

Pages of one walk may come in any order where they have numbers, and between items there is no order at all. Pure: it
neither sends nor stores.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from airflow_provider_trackunit.iris.catalogue.endpoints import find
from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.pages.styles import paginator
from airflow_provider_trackunit.iris.pages.walk import Errand, OpenWalk, page_name

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterator, Sequence

    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.page import Cursor, Page
    from airflow_provider_trackunit.iris.pages.walk import PageName


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
