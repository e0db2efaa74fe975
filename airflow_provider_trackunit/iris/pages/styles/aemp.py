"""AEMP 2.0 (ISO 15143-3) pages: a number at the end of the path, and links to the others."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisPaginationError
from airflow_provider_trackunit.iris.pages.page import Page
from airflow_provider_trackunit.iris.pages.styles.members import decode_as, read_members, read_records
from airflow_provider_trackunit.iris.pages.styles.numbering import Numbered

if TYPE_CHECKING:
    import msgspec

    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.page import Cursor

#: The page number at the end of an AEMP path. No fleet has a billion pages; a longer number is something else.
PAGE_SEGMENT: Final = re.compile(r"/([0-9]{1,9})$")


# A hundred million machines, at a hundred a page.
_MOST_PAGES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class AempLinks(Numbered):
    """AEMP 2.0 pages: the number is the last part of the path, the first is 1, links name the others.

    ::

        {"links": [{"rel": "next", "href": "https://iris.trackunit.com/public/api/aemp/v2/15143/-3/Fleet/2"},
                   {"rel": "last", "href": "https://iris.trackunit.com/public/api/aemp/v2/15143/-3/Fleet/3"}],
         "equipment": [...]}

    (developer hub, page "Export ISO 15143-3 (AEMP 2.0)"; member names are seen in lower and in upper case, and
    ``next`` is seen missing while ``last`` is ahead). Links are read for their page number only, and must lead
    to the same place: the caller's query is repeated, because the links may lack it.
    Cursor: ``{"aempPage": 2, "of": 3}``.
    """

    key = "aempPage"
    first_page = 1

    record_key: str = "equipment"

    def start(self, call: Call) -> Cursor:
        """Return the page that the path ends with, or page 1."""
        match = PAGE_SEGMENT.search(call.path)
        page = int(match[1]) if match else 1
        if page < 1:
            raise IrisConfigurationError(
                f"endpoint: {call.endpoint} begins with page 1; page 0 holds no records"
            )
        return {"aempPage": page}

    def apply(self, call: Call, cursor: Cursor) -> Call:
        """Return the call with the page at the end of its path."""
        return replace(call, path=f"{_without_page(call.path)}/{self.number(cursor)}")

    def read(self, call: Call, cursor: Cursor, body: bytes) -> Page:
        """Return the page; the next is the one that is linked, or the following number while ``last`` is ahead."""
        asked = cursor["aempPage"]
        if asked > 1 and not body.strip():
            # An empty collection may say nothing at all; a page that another one announced may not.
            raise IrisPaginationError(
                f"{call.endpoint}: nothing came for page {asked}, not even an empty page"
            )
        members = {name[:1].lower() + name[1:]: raw for name, raw in read_members(call, body).items()}
        if not members and body.strip()[:1] not in {b"", b"{"}:
            raise IrisPaginationError(f"{call.endpoint}: the page is not an object")
        records = read_records(call, members, self.record_key) if set(members) - {"links"} else []
        links = self._linked_pages(call, members.get("links"))
        last = links.get("last")
        if last is not None and last > _MOST_PAGES:
            raise IrisPaginationError(
                f"{call.endpoint}: {last} pages are announced; no fleet has so many, and the walk is stopped"
            )
        if links.get("next", asked + 1) != asked + 1:
            raise IrisPaginationError(
                f"{call.endpoint}: page {asked} links to page {links['next']} as the next"
            )
        more = "next" in links or (last is not None and last > asked)
        return Page(
            raw_records=records,
            next=self.following(call, cursor, last) if more else None,
            pages=last if last is not None else (None if more else asked),
            number=asked,
            body=body,
        )

    def _linked_pages(self, call: Call, links: msgspec.Raw | None) -> dict[str, int]:
        found = {}
        for link in decode_as(call, links, list[dict[str, Any]]) if links else ():
            member = {str(name).lower(): value for name, value in link.items()}
            if member.get("rel") in ("next", "last"):
                found[str(member["rel"])] = _page_of_link(call, str(member.get("href")))
        return found


def _without_page(path: str) -> str:
    return PAGE_SEGMENT.sub("", path.rstrip("/"))


def _page_of_link(call: Call, href: str) -> int:
    """Return the page number a link leads to.

    :raises IrisPaginationError: when it leads to another origin or another path
    """
    try:
        link = urlsplit(href)
        same = not link.netloc or _origin(link) == _origin(urlsplit(call.origin))
    except ValueError:
        same = False
    if not same:
        raise IrisPaginationError(
            f"{call.endpoint}: a link of the page leads away from {call.origin}; it is not followed. "
            "Is the Base URL of the connection the address that IRIS has for itself?"
        )
    match = PAGE_SEGMENT.search(link.path)
    if match is None or unquote(_without_page(link.path)) != unquote(_without_page(call.path)):
        raise IrisPaginationError(
            f"{call.endpoint}: a link of the page leads to another collection; it is not followed"
        )
    return int(match[1])


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme)
