"""Pages by an opaque text that names the one that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.pages.page import Page
from airflow_provider_trackunit.iris.pages.styles.cursors import text_of
from airflow_provider_trackunit.iris.pages.styles.members import read_members, read_records, text
from airflow_provider_trackunit.iris.pages.styles.numbering import Unnumbered

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.page import Cursor


@dataclass(frozen=True, slots=True)
class After(Unnumbered):
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
        after = text(call, members, "after")
        is_last = after is None or (after == cursor["after"] and not records)
        return Page(raw_records=records, next=None if is_last else {"after": after}, body=body)
