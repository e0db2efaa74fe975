"""The walk over the pages of one item, as a value: which pages are still to come, and what came so far."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec.structs import replace

from airflow_provider_trackunit.iris.pages.page import text_of_cursor
from airflow_provider_trackunit.iris.pages.styles import paginator

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.catalogue.endpoint import Endpoint
    from airflow_provider_trackunit.iris.pages.page import Cursor, Page, Paginator

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


def tell_difference(call: Call, walk: OpenWalk) -> None:
    """Log how a finished walk differs from what was announced, if it does."""
    difference = walk.difference()
    if difference:
        log.warning(
            "%s changed while it was read: %s. Records may be missing or double; read it again if that matters",
            call.endpoint,
            difference,
        )
