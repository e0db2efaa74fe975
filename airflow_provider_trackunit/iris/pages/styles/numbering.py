"""Pages with numbers and pages without: which of them are known ahead, and when there are too many."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from airflow_provider_trackunit.iris.errors import IrisPaginationError
from airflow_provider_trackunit.iris.pages.styles.cursors import page_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.page import Cursor, Page

# A fleet may grow while it is read; one that doubles and then some is a server that will never end.
_MAX_GROWTH: Final = 2
_GROWTH_SLACK_PAGES: Final = 10

# A billion pages at the fastest documented rate take half a year.
_MAX_PAGES_DIGITS: Final = 9


def refuse_absurd(call: Call, members: Mapping[str, msgspec.Raw], key: str) -> None:
    """Stop a walk that announces a number of pages that no collection has; reading them would not end."""
    text = bytes(members.get(key, msgspec.Raw(b""))).strip()
    if text.isdigit() and len(text) > _MAX_PAGES_DIGITS:
        raise IrisPaginationError(
            f"{call.endpoint}: {key} is a number of {len(text)} digits; no collection has so many pages"
        )


class Numbered:
    """Pages with numbers, which the member ``key`` of a cursor has; ``of`` is how many were announced first."""

    __slots__ = ()

    key: ClassVar[str]
    first_page: ClassVar[int]

    def number(self, cursor: Cursor) -> int:
        """Return the place of a page, from 1."""
        return page_of(cursor, self.key, self.first_page) + 1 - self.first_page

    def following(self, call: Call, cursor: Cursor, pages: int | None) -> Cursor:
        """Return the cursor of the page after one that is not the last.

        :param pages: how many are announced now
        :raises IrisPaginationError: when the collection grows away from the walk
        """
        first, page = cursor.get("of", pages), cursor[self.key] + 1
        if first is not None and page > _MAX_GROWTH * first + _GROWTH_SLACK_PAGES:
            raise IrisPaginationError(
                f"{call.endpoint}: {first} pages were announced and page {page} is not the last; "
                "the walk is stopped because it may never end"
            )
        return {self.key: page, "of": first}

    def ahead(self, page: Page, at_most: int, *, behind: int = 0) -> list[Cursor]:
        """Return the cursors of the following pages, as far as they are announced."""
        if page.next is None or page.pages is None or page.number is None:
            return []
        steps = range(max(0, behind - page.number), min(at_most, page.pages - page.number))
        return [{**page.next, self.key: page.next[self.key] + step} for step in steps]


class Unnumbered:
    """Pages without numbers."""

    __slots__ = ()

    def ahead(self, page: Page, at_most: int, *, behind: int = 0) -> list[Cursor]:
        """Return nothing: only the page itself tells what follows it."""
        return []

    def number(self, cursor: Cursor) -> int:
        """Return 0: these pages have no numbers."""
        return 0
