"""Pages by number and size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisPaginationError
from airflow_provider_trackunit.iris.pages.page import Page
from airflow_provider_trackunit.iris.pages.styles.cursors import page_of
from airflow_provider_trackunit.iris.pages.styles.members import (
    MAX_DIGITS,
    read_members,
    read_records,
    whole_number,
)
from airflow_provider_trackunit.iris.pages.styles.numbering import Numbered, refuse_absurd

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.page import Cursor


@dataclass(frozen=True, slots=True)
class PageNumber(Numbered):
    """Pages by ``page`` (from 0) and ``size`` in the query; also where filters are POSTed.

    ::

        {"totalPages": 3, "totalElements": 214, "number": 0, "size": 100, "numberOfElements": 100, "content": [...]}

    (developer hub, page "Pagination"). Cursor: ``{"page": 2, "of": 3}``, where ``of`` is the number of pages
    that was announced first.

    :param size: page size that is asked for unless the caller's query has one; None leaves it to IRIS
    :param sort: order that is asked for unless the caller's query has one; None leaves it to IRIS
    """

    key = "page"
    first_page = 0

    record_key: str = "content"
    size: int | None = None
    sort: str | None = None

    def start(self, call: Call) -> Cursor:
        """Return the page of the caller's query, or page 0."""
        text = dict(call.query).get("page", "0")
        if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
            raise IrisConfigurationError(
                f"query_params['page']: {text!r} is not a page number (the first is 0)"
            )
        return {"page": int(text)}

    def apply(self, call: Call, cursor: Cursor) -> Call:
        """Return the call with its page, and with a size and an order unless the caller chose them."""
        if self.size is not None and "size" not in dict(call.query):
            call = call.with_query(size=str(self.size))
        if self.sort is not None and "sort" not in dict(call.query):
            call = call.with_query(sort=self.sort)
        return call.with_query(page=str(page_of(cursor, "page", 0)))

    def read(self, call: Call, cursor: Cursor, body: bytes) -> Page:
        """Return the page; the last is the one that says so, or an empty one where the number of pages is not said."""
        members = read_members(call, body)
        records = read_records(call, members, self.record_key)
        asked, number, pages = (
            cursor["page"],
            whole_number(members, "number"),
            whole_number(members, "totalPages"),
        )
        if number is not None and number != asked:
            raise IrisPaginationError(f"{call.endpoint}: asked for page {asked} and got page {number}")
        refuse_absurd(call, members, "totalPages")
        counted = number is not None or pages is not None
        more = counted and (bool(records) if pages is None else asked + 1 < pages)
        return Page(
            raw_records=records,
            next=self.following(call, cursor, pages) if more else None,
            announced=whole_number(members, "totalElements"),
            pages=pages,
            number=asked + 1,
            body=body,
        )
