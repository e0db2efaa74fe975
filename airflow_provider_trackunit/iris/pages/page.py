"""A page of a collection, the cursor of the one that follows it, and what every style of paging can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from airflow_provider_trackunit.iris.errors import IrisUnexpectedResponseError
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call

#: Where a page is: a small JSON object that can be written down and taken up again in another process.
Cursor = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a collection, or the single answer of an endpoint that does not page.

    :param raw_records: each record as the bytes that were received (bytes-like), in order; for a Relay
        connection the node
    :param next: the cursor of the page that follows, None at the end
    :param announced: how many records the whole collection has by the word of IRIS, None when it does not say
    :param pages: how many pages the collection has by the word of IRIS, None when it does not say
    :param number: the place of this page among ``pages``, from 1; None where pages have no numbers
    :param paginated: False for an endpoint that answers everything at once
    :param body: the whole answer
    """

    raw_records: Sequence[msgspec.Raw] = field(repr=False)
    next: Cursor | None
    announced: int | None = None
    pages: int | None = None
    number: int | None = None
    paginated: bool = True
    body: bytes = field(default=b"", repr=False)

    @property
    def records(self) -> list[Any]:
        """The records, decoded now."""
        return [_decode_value(record) for record in self.raw_records]

    @property
    def document(self) -> Any:
        """The whole answer, decoded now; None when it has no body."""
        return _decode_value(self.body) if self.body else None


def _decode_value(raw: bytes | msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except BROKEN_JSON as error:
        raise IrisUnexpectedResponseError(f"A record that came is not valid JSON ({error})") from None


def text_of_cursor(cursor: Cursor) -> str:
    """Return a text that equal cursors share, and no others."""
    # A fifth of the time of JSON, and it is asked for several times a page.
    return repr(sorted(cursor.items()))


class Paginator(Protocol):
    """One style of paging, without state.

    It turns a call and a cursor into the call of one page (``apply``), and an answer into a :class:`Page` that carries
    the cursor of the next (``read``). A walk begins with ``start``; None means finished, and nothing else. Sending,
    waiting and retrying happen elsewhere; so does the comparison of what was announced with what came, because only the
    walk knows both.
    """

    def start(self, call: Call) -> Cursor:
        """Return the cursor of the first page."""
        ...

    def apply(self, call: Call, cursor: Cursor) -> Call:
        """Return the call of the page that the cursor names."""
        ...

    def read(self, call: Call, cursor: Cursor, body: bytes) -> Page:
        """Return the page that came for the cursor.

        :raises IrisPaginationError: when the answer cannot be a page of this walk
        """
        ...

    def ahead(self, page: Page, at_most: int, *, behind: int = 0) -> list[Cursor]:
        """Return the cursors of the pages after this one that are known to exist; none where pages have no numbers.

        :param at_most: how many pages after this one are looked at
        :param behind: the number of a page; those up to it are left out
        """
        ...

    def number(self, cursor: Cursor) -> int:
        """Return the place of the page that a cursor names, from 1; 0 where pages have no numbers."""
        ...
