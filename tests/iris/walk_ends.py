"""A server with collections that have empty pages in places where nobody expects them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.iris.scripted import ScriptedServer, http, token_answer

if TYPE_CHECKING:
    from collections.abc import Callable

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
QUERY = "query($after: String) { assets(after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }"

#: How many records are on each page. None of the empty ones is the last.
PAGES: tuple[list[int], ...] = ([0, 1], [], [2], [], [], [3])
RECORDS = [record for page in PAGES for record in page]


def _numbered(page: list[int], number: int, of: int) -> Any:
    return {"number": number, "totalPages": of, "totalElements": len(RECORDS), "content": page}


def _after(page: list[int], number: int, of: int) -> Any:
    return {"after": f"c{number}" if number + 1 < of else None, "content": page}


def _standing_still(page: list[int], number: int, of: int) -> Any:
    """Repeat the cursor on an empty page, in the place of leaving it out."""
    last = number + 1 == of
    return {"after": f"c{max(number - last, 0)}", "content": [] if last else page}


def _linked(page: list[int], number: int, of: int) -> Any:
    more = number + 1 < of
    return {
        "links": [{"rel": "next", "href": f"{FLEET}/{number + 2}"}] if more else [],
        "equipment": page,
    }


def _nodes(page: list[int], number: int, of: int) -> Any:
    info = {"hasNextPage": number + 1 < of, "endCursor": f"c{number}"}
    return {"data": {"assets": {"nodes": page, "pageInfo": info}}}


@dataclass(frozen=True)
class Collection:
    """One way to page.

    :param document: makes the page of a number (from 0), of so many pages
    """

    endpoint: str
    document: Callable[[list[int], int, int], Any]
    arguments: dict[str, Any] = field(default_factory=dict)


COLLECTIONS = {
    "page and size": Collection("/api/asset/v1/assets", _numbered),
    "recognised page and size": Collection("/api/x", _numbered),
    "cursor": Collection("/api/x", _after),
    "AEMP links": Collection(FLEET, _linked),
    "Relay": Collection("/api/graphql/", _nodes, {"method": "POST", "json": {"query": QUERY}}),
}
STANDING_STILL = Collection("/api/x", _standing_still)


def server_of(collection: Collection, pages: tuple[list[int], ...] = PAGES, of: int = 0) -> ScriptedServer:
    """Return a server that gives a token, and then these pages in turn.

    :param of: how many pages it says there are, if not as many
    """
    documents = (collection.document(page, at, of or len(pages)) for at, page in enumerate(pages))
    return ScriptedServer(token_answer(), *(http(json.dumps(one).encode()) for one in documents))
