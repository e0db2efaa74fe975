"""Finds the paging style of a path that nobody described."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.pages.styles.aemp import PAGE_SEGMENT, AempLinks
from airflow_provider_trackunit.iris.pages.styles.after import After
from airflow_provider_trackunit.iris.pages.styles.members import read_members
from airflow_provider_trackunit.iris.pages.styles.page_number import PageNumber
from airflow_provider_trackunit.iris.pages.styles.relay import Relay
from airflow_provider_trackunit.iris.pages.styles.unpaged import Unpaged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.page import Cursor, Page, Paginator

_STYLE_OF_CURSOR: Final[Mapping[str, Paginator]] = {
    "page": PageNumber(),
    "after": After(),
    "aempPage": AempLinks(),
    "endCursor": Relay(),
}


@dataclass(frozen=True, slots=True)
class Recognise:
    """The style of a path that nobody described: told from its first answer, then from the cursor.

    The first request goes out as the caller wrote it. Each style has cursors of its own, so a
    walk can be taken up again without asking for the first page.
    """

    def start(self, call: Call) -> Cursor:
        """Return the empty cursor: nothing is known yet."""
        return {}

    def apply(self, call: Call, cursor: Cursor) -> Call:
        """Return the call as it is, or the way its style asks for a page."""
        style = _style_of(cursor)
        return call if style is None else style.apply(call, cursor)

    def read(self, call: Call, cursor: Cursor, body: bytes) -> Page:
        """Return the page, read the way its style says."""
        style = _style_of(cursor)
        if style is None:
            style = recognise(call, body)
            cursor = style.start(call)
        return style.read(call, cursor, body)

    def ahead(self, page: Page, at_most: int, *, behind: int = 0) -> list[Cursor]:
        """Return the cursors of the following pages, as its style says."""
        style = None if page.next is None else _style_of(page.next)
        return [] if style is None else style.ahead(page, at_most, behind=behind)

    def number(self, cursor: Cursor) -> int:
        """Return the place of a page, as its style says; 0 for the first, of which nothing is known yet."""
        style = _style_of(cursor)
        return 0 if style is None else style.number(cursor)


def _style_of(cursor: Cursor) -> Paginator | None:
    return next((style for key, style in _STYLE_OF_CURSOR.items() if key in cursor), None)


def recognise(call: Call, body: bytes) -> Paginator:
    """Return the paginator that fits the shape of an answer."""
    members = read_members(call, body)
    names = {name.lower() for name in members}
    if "content" in members and {"totalPages", "number"} & set(members):
        return PageNumber()
    if "content" in members and {"after", "before", "limit"} & set(members):
        return After()
    if "links" in names and PAGE_SEGMENT.search(call.path):
        return AempLinks()
    if call.graphql_query and b'"pageInfo"' in body:
        return Relay()
    return Unpaged()
