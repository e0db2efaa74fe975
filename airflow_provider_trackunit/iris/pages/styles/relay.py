"""GraphQL connections (Relay), walked by a variable of the caller's query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisPaginationError
from airflow_provider_trackunit.iris.pages.page import Page
from airflow_provider_trackunit.iris.pages.styles.cursors import foreign_cursor, text_of
from airflow_provider_trackunit.iris.pages.styles.members import (
    decode_as,
    opens_with,
    read_members,
    whole_number,
)
from airflow_provider_trackunit.iris.pages.styles.numbering import Unnumbered

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.page import Cursor

# Page size of a Relay connection when the query leaves it open: the developer hub (page "GraphQL API
# pagination") recommends 50 to 100.
_RELAY_PAGE_SIZE: Final = 100


class _Edge(msgspec.Struct):
    node: msgspec.Raw


class _PageInfo(msgspec.Struct, rename="camel"):
    has_next_page: bool = False
    end_cursor: str | None = None
    count: msgspec.Raw = msgspec.Raw(b"")


_RELAY_MAX_DEPTH: Final = 5


@dataclass(frozen=True, slots=True)
class Relay(Unnumbered):
    """A GraphQL connection, walked by the variable ``$after`` of the caller's query.

    ::

        {"data": {"assets": {"edges": [{"cursor": "b2Zm", "node": {...}}],
                             "pageInfo": {"hasNextPage": true, "endCursor": "b2Zm", "count": 214}}}}

    (developer hub, page "GraphQL API pagination"). The query has to declare the variable:
    ``query($first: Int, $after: String) { assets(first: $first, after: $after) { ... } }``.
    Cursor: ``{"endCursor": "b2Zm"}``.
    """

    def start(self, call: Call) -> Cursor:
        """Return the ``after`` of the caller's variables, or the beginning."""
        after = _variables(call).get("after")
        if not isinstance(after, str | None):
            raise IrisConfigurationError(
                "json['variables']['after']: give the text of a cursor, or leave it out"
            )
        return {"endCursor": after}

    def apply(self, call: Call, cursor: Cursor) -> Call:
        """Return the call with its ``after``, and with ``first`` where the query declares it and nobody set it."""
        query = call.graphql_query
        if not query:
            raise foreign_cursor()
        variables = dict(_variables(call))
        if re.search(r"\$first\s*:\s*Int!?\s*[,)$]", query):
            variables.setdefault("first", _RELAY_PAGE_SIZE)
        after = text_of(cursor, "endCursor")
        if after is not None:
            variables["after"] = after
        return replace(call, json={**call.json, "variables": variables} if variables else call.json)

    def read(self, call: Call, cursor: Cursor, body: bytes) -> Page:
        """Return the page of the only connection in the answer."""
        data = read_members(call, body).get("data", msgspec.Raw(b"null"))
        connection = _find_connection(call, data)
        info = decode_as(call, connection["pageInfo"], _PageInfo)
        if "edges" in connection:
            records = [edge.node for edge in decode_as(call, connection["edges"], list[_Edge])]
        else:
            records = decode_as(call, connection["nodes"], list[msgspec.Raw])
        if info.has_next_page:
            self._refuse_dead_end(call, cursor, info.end_cursor)
        return Page(
            raw_records=records,
            next={"endCursor": info.end_cursor} if info.has_next_page else None,
            announced=whole_number({"count": info.count}, "count"),
            body=body,
        )

    def _refuse_dead_end(self, call: Call, cursor: Cursor, end_cursor: str | None) -> None:
        if not re.search(r"\$after\b", call.graphql_query):
            raise IrisPaginationError(
                f"{call.endpoint}: there are more pages and the query cannot ask for them. Declare '$after: String' "
                "in the query and give the connection 'after: $after'"
            )
        if end_cursor is None or end_cursor == cursor["endCursor"]:
            raise IrisPaginationError(
                f"{call.endpoint}: more pages are announced and endCursor does not move. "
                "Does the query ask for 'pageInfo { hasNextPage endCursor }' and hand $after to the connection?"
            )


def _variables(call: Call) -> Mapping[str, Any]:
    variables = call.json.get("variables") or {}
    if not isinstance(variables, Mapping):
        raise IrisConfigurationError("json['variables']: give a mapping of names to values")
    return variables


def _find_connection(call: Call, data: msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return the members of the one connection that lies nearest to the root."""
    level = [data]
    for _ in range(_RELAY_MAX_DEPTH):
        objects = [decode_as(call, raw, dict[str, msgspec.Raw]) for raw in level if opens_with(raw, b"{")]
        found = [one for one in objects if "pageInfo" in one and ("edges" in one or "nodes" in one)]
        if len(found) > 1:
            raise IrisPaginationError(
                f"{call.endpoint}: the query asks for {len(found)} connections; walk one at a time"
            )
        if found:
            return found[0]
        level = [raw for one in objects for raw in one.values()]
    raise IrisPaginationError(f"{call.endpoint}: the answer holds no connection with pageInfo and edges")
