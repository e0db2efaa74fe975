"""The five ways in which IRIS splits a collection into pages, each as a strategy without state.

A paginator turns a call and a cursor into the call of one page (``apply``) and an answer into a
:class:`Page` that carries the cursor of the next (``read``). A cursor is a small JSON object that can be
written down and taken up again in another process; it begins with ``start``, and None means finished and
nothing else. Sending, waiting and retrying happen elsewhere; so does the comparison of what was announced
with what came, because only the walk knows both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisPaginationError,
    IrisUnexpectedResponseError,
)
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON, broken_json

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call

Cursor = Mapping[str, Any]
_T = TypeVar("_T")

# A fleet may grow while it is read; one that doubles and then some is a server that will never end.
_MAX_GROWTH: Final = 2
_GROWTH_SLACK_PAGES: Final = 10

# No count or page number has more; Python refuses to read a number of some thousand digits.
_MAX_DIGITS: Final = 18

# A billion pages at the fastest documented rate take half a year.
_MAX_PAGES_DIGITS: Final = 9

# The name of a member as APIs write them; anything else in its place is not repeated in a message.
_MEMBER_NAME: Final = re.compile(r"[A-Za-z_]{1,40}")


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


class Paginator(Protocol):
    """One style of paging."""

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


def read_members(call: Call, body: bytes) -> dict[str, msgspec.Raw]:
    """Return the top-level members of an answer, undecoded. Empty for an answer that is no object.

    Line breaks are taken out first, so that a record can stand on one line of a file as it is.
    """
    if b"\n" in body or b"\r" in body:
        body = _compact(call, body)
    if body.lstrip().startswith(b"{"):
        return decode_as(call, body, dict[str, msgspec.Raw])
    if body.strip():
        decode_as(call, body, msgspec.Raw)
    return {}


def _compact(call: Call, body: bytes) -> bytes:
    try:
        return msgspec.json.format(body, indent=-1)
    except BROKEN_JSON as error:
        raise broken_json(f"{call.method} {call.endpoint}", 200, error) from None


def decode_as(call: Call, body: bytes | msgspec.Raw, kind: type[_T]) -> _T:
    """Return JSON decoded as a type; the errors say that the page of this call is broken."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise IrisPaginationError(f"{call.endpoint}: a page is not shaped as one ({error})") from None
    except BROKEN_JSON as error:
        raise broken_json(f"{call.method} {call.endpoint}", 200, error) from None


def read_records(call: Call, members: Mapping[str, msgspec.Raw], key: str) -> list[msgspec.Raw]:
    """Return the list of records: the member that is documented, else the only list there is."""
    found = members.get(key)
    if found is None:
        lists = [raw for name, raw in members.items() if name.lower() != "links" and opens_with(raw, b"[")]
        if len(lists) != 1:
            names = ", ".join(sorted(filter(_MEMBER_NAME.fullmatch, members))[:10]) or "none"
            raise IrisPaginationError(
                f"{call.endpoint}: no list of records in the page (its members: {names})"
            )
        found = lists[0]
    return decode_as(call, found, list[msgspec.Raw])


def whole_number(members: Mapping[str, msgspec.Raw], key: str) -> int | None:
    """Return a member that is a whole number of zero or more, else None."""
    text = bytes(members.get(key, msgspec.Raw(b""))).strip()
    return int(text) if text.isdigit() and len(text) <= _MAX_DIGITS else None


def page_of(cursor: Cursor, key: str, first: int) -> int:
    """Return the page number of a cursor.

    :raises IrisConfigurationError: when it is not one that this way of paging gave
    """
    page, of = cursor.get(key), cursor.get("of")
    if type(page) is not int or page < first or not (of is None or type(of) is int):
        raise foreign_cursor()
    return page


def text_of(cursor: Cursor, key: str) -> str | None:
    """Return the opaque text of a cursor, None at the beginning.

    :raises IrisConfigurationError: when it is not one that this way of paging gave
    """
    value = cursor.get(key, 0)
    if value is None:
        return None
    # Half a character (a surrogate) cannot be sent, so it cannot have come either.
    if not isinstance(value, str) or value != value.encode(errors="ignore").decode():
        raise foreign_cursor()
    return value


def text_of_cursor(cursor: Cursor) -> str:
    """Return a text that equal cursors share, and no others."""
    return repr(
        sorted(cursor.items())
    )  # a fifth of the time of JSON, and it is asked for several times a page


def foreign_cursor() -> IrisConfigurationError:
    """Return the error for a cursor that cannot have come from a page of this endpoint."""
    return IrisConfigurationError(
        "cursor: it is not one of this endpoint; give what a page of it had as its next, or None to begin"
    )


def opens_with(raw: msgspec.Raw, mark: bytes) -> bool:
    """Return whether an undecoded value begins with this one byte: ``{`` for an object, ``[`` for a list."""
    return memoryview(raw)[:1] == mark


def _text(call: Call, members: Mapping[str, msgspec.Raw], key: str) -> str | None:
    """Return a member that is text with something in it, or a number, as text; else None."""
    raw = members.get(key)
    value = None if raw is None else decode_as(call, raw, object)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def refuse_growth(call: Call, announced_first: int | None, page: int) -> None:
    """Stop a walk whose collection grows away from it."""
    if announced_first is not None and page > _MAX_GROWTH * announced_first + _GROWTH_SLACK_PAGES:
        raise IrisPaginationError(
            f"{call.endpoint}: {announced_first} pages were announced and page {page} is not the last; "
            "the walk is stopped because it may never end"
        )


def refuse_absurd(call: Call, members: Mapping[str, msgspec.Raw], key: str) -> None:
    """Stop a walk that announces a number of pages that no collection has; reading them would not end."""
    text = bytes(members.get(key, msgspec.Raw(b""))).strip()
    if text.isdigit() and len(text) > _MAX_PAGES_DIGITS:
        raise IrisPaginationError(
            f"{call.endpoint}: {key} is a number of {len(text)} digits; no collection has so many pages"
        )


def numbered_ahead(page: Page, key: str, at_most: int, behind: int) -> list[Cursor]:
    """Return the cursors that follow a numbered page, by the count of pages that it announced."""
    if page.next is None or page.pages is None or page.number is None:
        return []
    steps = range(max(0, behind - page.number), min(at_most, page.pages - page.number))
    return [{**page.next, key: page.next[key] + step} for step in steps]


@dataclass(frozen=True, slots=True)
class PageNumber:
    """Pages by ``page`` (from 0) and ``size`` in the query; also where filters are POSTed.

    ::

        {"totalPages": 3, "totalElements": 214, "number": 0, "size": 100, "numberOfElements": 100, "content": [...]}

    (developer hub, page "Pagination"). Cursor: ``{"page": 2, "of": 3}``, where ``of`` is the number of pages
    that was announced first.

    :param size: page size that is asked for unless the caller's query has one; None leaves it to IRIS
    :param sort: order that is asked for unless the caller's query has one; None leaves it to IRIS
    """

    record_key: str = "content"
    size: int | None = None
    sort: str | None = None

    def start(self, call: Call) -> Cursor:
        """Return the page of the caller's query, or page 0."""
        text = dict(call.query).get("page", "0")
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
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
        first = cursor.get("of", pages)
        if more:
            refuse_growth(call, first, asked + 1)
        return Page(
            raw_records=records,
            next={"page": asked + 1, "of": first} if more else None,
            announced=whole_number(members, "totalElements"),
            pages=pages,
            number=asked + 1,
            body=body,
        )

    def ahead(self, page: Page, at_most: int, *, behind: int = 0) -> list[Cursor]:
        """Return the cursors of the following pages, as far as they are announced."""
        return numbered_ahead(page, "page", at_most, behind)

    def number(self, cursor: Cursor) -> int:
        """Return the place of a page, from 1."""
        return page_of(cursor, "page", 0) + 1


@dataclass(frozen=True, slots=True)
class After:
    """Pages by an opaque ``after``.

    ::

        {"before": null, "after": "b3BhcXVl", "limit": 100, "content": [...]}

    "Some of" these members are present (developer hub, page "Pagination"), so a missing ``after`` is the end.
    Cursor: ``{"after": "b3BhcXVl"}``.
    """

    record_key: str = "content"
    limit: int | None = None

    def start(self, call: Call) -> Cursor:
        """Return the ``after`` of the caller's query, or the beginning."""
        return {"after": dict(call.query).get("after")}

    def apply(self, call: Call, cursor: Cursor) -> Call:
        """Return the call with its ``after``, and with a limit unless the caller chose one."""
        if self.limit is not None and "limit" not in dict(call.query):
            call = call.with_query(limit=str(self.limit))
        after = text_of(cursor, "after")
        return call if after is None else call.with_query(after=after)

    def read(self, call: Call, cursor: Cursor, body: bytes) -> Page:
        """Return the page; neither a short nor an empty one is the last, unless ``after`` stands still with it."""
        members = read_members(call, body)
        records = read_records(call, members, self.record_key)
        after = _text(call, members, "after")
        if after is not None and after == cursor["after"]:
            if not records:
                return Page(raw_records=records, next=None, body=body)
            raise IrisPaginationError(
                f"{call.endpoint}: the page after {len(records)} records is the same page again"
            )
        return Page(raw_records=records, next=None if after is None else {"after": after}, body=body)

    def ahead(self, page: Page, at_most: int, *, behind: int = 0) -> list[Cursor]:
        """Return nothing: only the page itself tells what follows it."""
        return []

    def number(self, cursor: Cursor) -> int:
        """Return 0: these pages have no numbers."""
        return 0


@dataclass(frozen=True, slots=True)
class Unpaged:
    """An endpoint that answers everything at once.

    :param record_key: where its list of records is, such as ``servicePlans`` or ``data.result``; None when the
        answer is the one record
    """

    record_key: str | None = None

    def start(self, call: Call) -> Cursor:
        """Return the only cursor there is."""
        return {}

    def apply(self, call: Call, cursor: Cursor) -> Call:
        """Return the call as it is."""
        return call

    def read(self, call: Call, cursor: Cursor, body: bytes) -> Page:
        """Return the answer as the only page."""
        return Page(raw_records=self._records(call, body), next=None, paginated=False, body=body)

    def ahead(self, page: Page, at_most: int, *, behind: int = 0) -> list[Cursor]:
        """Return nothing: only the page itself tells what follows it."""
        return []

    def number(self, cursor: Cursor) -> int:
        """Return 0: these pages have no numbers."""
        return 0

    def _records(self, call: Call, body: bytes) -> list[msgspec.Raw]:
        if b"\n" in body or b"\r" in body:
            body = _compact(call, body)
        raw = msgspec.Raw(body.strip())
        if body:
            # Nothing below looks into a value that is the one record, and half an answer is no record.
            raw = decode_as(call, raw, msgspec.Raw)
        for key in self.record_key.split(".") if self.record_key else ():
            members = decode_as(call, raw, dict[str, msgspec.Raw]) if opens_with(raw, b"{") else {}
            if key not in members:
                break
            raw = members[key]
        if opens_with(raw, b"["):
            return decode_as(call, raw, list[msgspec.Raw])
        return [] if bytes(raw) in {b"", b"null"} else [raw]
