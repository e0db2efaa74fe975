"""Keeps the books of one walk over a collection: what was asked for, what was announced, what came.

The paginators see one page at a time; a loop, and a collection that changed while it was read, show only in
the sum. Pure; one walk belongs to one reader.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.errors import IrisPaginationError

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.paging import Cursor, Page

# Pages of a real collection differ, by the ids in them. Where a query leaves those out, pages can be alike for a
# while: as many as 10,000 nodes of GraphQL. A server that says the same over and over, with a cursor that always
# moves, would otherwise be read for ever.
_MOST_REPEATED: Final = 100


class Walk:
    """The pages of one call, from a cursor on.

    :param whole: whether the walk begins at the first page, so that what came can be compared with what was
        announced
    """

    def __init__(self, call: Call, cursor: Cursor, *, whole: bool) -> None:
        self.call = call
        self.cursor: Cursor | None = cursor
        self.records = 0
        self.announced: int | None = None
        self._whole = whole
        self._announced_first: int | None = None
        self._pages_first: int | None = None
        self._pages_last: int | None = None
        self._begun = False
        self._seen: set[int] = set()
        self._contents: set[int] = set()
        self._repeated = 0

    def take(self, page: Page) -> None:
        """Enter the page that came for the current cursor, and move on.

        :raises IrisPaginationError: when the walk has been at the next cursor before, or brings nothing new
        """
        self._seen.add(hash(json.dumps(self.cursor, sort_keys=True)))
        if page.next is not None and hash(json.dumps(page.next, sort_keys=True)) in self._seen:
            raise IrisPaginationError(
                f"{self.call.endpoint}: the pages go in a circle after {self.records} records; the walk is stopped"
            )
        self._refuse_repetition(page)
        if not self._begun:
            # A caller who asks for a later page gets the rest, while the whole is announced.
            behind_start = page.number not in {None, 1} or bool((self.cursor or {}).get("endCursor"))
            self._whole = self._whole and not behind_start
            self._announced_first, self._pages_first = page.announced, page.pages
            self._begun = True
        self.announced, self._pages_last = page.announced, page.pages
        self.records += len(page.raw_records)
        self.cursor = page.next

    def _refuse_repetition(self, page: Page) -> None:
        """Stop a walk whose pages, byte for byte, were all there before."""
        content = 0
        for record in page.raw_records:
            content = zlib.crc32(record, content)
        self._repeated = self._repeated + 1 if content in self._contents else 0
        self._contents.add(content)
        if page.next is not None and self._repeated >= _MOST_REPEATED:
            raise IrisPaginationError(
                f"{self.call.endpoint}: the last {self._repeated} pages hold only records of pages before them, and "
                "more are announced; the walk is stopped because it may never end. If the records are as they should "
                "be, ask for something that tells them apart, such as their id"
            )

    def difference(self) -> str | None:
        """Return how a finished walk differs from what was announced, None when nothing is amiss."""
        if self._announced_first != self.announced:
            return f"{self._announced_first} records were announced at first and {self.announced} at the end"
        if self._whole and self.announced is not None and self.announced != self.records:
            return f"{self.announced} records were announced and {self.records} came"
        if None not in {self._pages_first, self._pages_last} and self._pages_first != self._pages_last:
            return f"{self._pages_first} pages were announced at first and {self._pages_last} at the end"
        return None
