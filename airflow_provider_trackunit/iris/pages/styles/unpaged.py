"""Endpoints that answer everything at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_trackunit.iris.pages.page import Page
from airflow_provider_trackunit.iris.pages.styles.members import decode_as, on_one_line, opens_with
from airflow_provider_trackunit.iris.pages.styles.numbering import Unnumbered

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.page import Cursor


@dataclass(frozen=True, slots=True)
class Unpaged(Unnumbered):
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

    def _records(self, call: Call, body: bytes) -> list[msgspec.Raw]:
        raw = msgspec.Raw(on_one_line(call, body).strip())
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
