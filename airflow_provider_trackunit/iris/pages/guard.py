"""Stops a walk that may never end: a circle of cursors, or pages that say the same over and over.

The paginators see one page at a time; a loop shows only in the sum. One guard belongs to one walk of one process.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.errors import IrisPaginationError
from airflow_provider_trackunit.iris.pages.page import text_of_cursor

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.page import Cursor, Page

# Pages of a real collection differ, by the ids in them. Where a query leaves those out, pages can be alike for a
# while: as many as 10,000 nodes of GraphQL. A server that says the same over and over, with a cursor that always
# moves, would otherwise be read for ever.
_MOST_REPEATED: Final = 100


class Guard:
    """Remembers the cursors and the contents of one walk. It only ever learns, so a page may be shown to it twice."""

    def __init__(self, call: Call) -> None:
        self._call = call
        # Hashes of cursors, because there can be many and an opaque one can be long.
        self._seen: set[int] = set()
        self._contents: set[int] = set()
        self._repeated = 0
        self._records = 0

    def check(self, cursor: Cursor, page: Page) -> None:
        """Enter the page that came for a cursor.

        :raises IrisPaginationError: when the walk has been at the next cursor before, or brings nothing new
        """
        self._seen.add(hash(text_of_cursor(cursor)))
        self._records += len(page.raw_records)
        if page.number is None and page.next is not None and hash(text_of_cursor(page.next)) in self._seen:
            raise IrisPaginationError(
                f"{self._call.endpoint}: the pages go in a circle after {self._records} records; the walk is stopped"
            )
        self._refuse_repetition(page)

    def _refuse_repetition(self, page: Page) -> None:
        """Stop a walk whose pages, byte for byte, were all there before."""
        content = zlib.crc32(b"".join(page.raw_records))
        self._repeated = self._repeated + 1 if content in self._contents else 0
        self._contents.add(content)
        if page.next is not None and self._repeated >= _MOST_REPEATED:
            raise IrisPaginationError(
                f"{self._call.endpoint}: the last {self._repeated} pages hold only records of pages before them, and "
                "more are announced; the walk is stopped because it may never end. If the records are as they should "
                "be, ask for something that tells them apart, such as their id"
            )
