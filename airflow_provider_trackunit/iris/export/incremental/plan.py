r"""What one run reads of every item, pinned when it begins. Pure.

::

    {"items": {
    "{\"pin\":\"A1\"}": ["2026-01-14T23:00:00Z", "2026-01-15T00:00:00Z"],
    "{\"pin\":\"A2\"}": ["2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z"]}}
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_trackunit.iris.export.incremental.cursors import ALL, epoch_s
from airflow_provider_trackunit.iris.export.incremental.windows import Span
from airflow_provider_trackunit.iris.export.manifest import utc_text
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_trackunit.iris.catalogue.endpoint import Endpoint
    from airflow_provider_trackunit.iris.export.incremental.windows import Piece
    from airflow_provider_trackunit.iris.export.request import ExportRequest

log = logging.getLogger(__name__)


class _Written(msgspec.Struct):
    items: dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """The span of every item, by its key."""

    spans: Mapping[str, Span]

    @classmethod
    def read(cls, data: bytes) -> Plan | None:
        """Return a plan that was written; None when it cannot be read."""
        try:
            items = msgspec.json.decode(data, type=_Written).items
            return cls({key: Span(epoch_s(begin), epoch_s(end)) for key, (begin, end) in items.items()})
        except (*BROKEN_JSON, ValueError):
            return None

    @classmethod
    def of_period(cls, period: Mapping[str, Any]) -> Plan | None:
        """Return the plan of a run with one span for everything; None when it is none."""
        try:
            return cls({ALL: Span(epoch_s(period["from"]), epoch_s(period["until"]))})
        except (KeyError, TypeError, ValueError):
            return None

    def write(self) -> bytes:
        """Return the plan as it is stored: JSON with an item a line."""
        text = msgspec.json.encode
        lines = [
            f"{text(key).decode()}: {text([utc_text(begin), utc_text(end)]).decode()}"
            for key, (begin, end) in sorted(self.spans.items())
        ]
        return ('{"items": {\n' + ",\n".join(lines) + "}}\n").encode()

    def period(self) -> dict[str, str]:
        """Return the time from the earliest begin to the latest end."""
        begins, ends = zip(*self.spans.values(), strict=True)
        return {"from": utc_text(min(begins)), "until": utc_text(max(ends))}

    def tell(self, pieces: Sequence[Piece], request: ExportRequest, row: Endpoint) -> None:
        """Log what a run will ask for, before it asks for anything."""
        period = self.period()
        if not pieces:
            log.warning(
                "%s: nothing to read. Everything up to the end of this run (%s) was read before, or lies before start",
                request.endpoint,
                period["until"],
            )
            return
        items = "" if request.items is None else f"{len(request.items)} items, "
        log.info(
            "%s: %s to %s; %s%d windows, so at least %d calls, and one for each further page%s",
            request.endpoint,
            period["from"],
            period["until"],
            items,
            len(pieces),
            len(pieces),
            _allowance(pieces, row),
        )


def _allowance(pieces: Sequence[Piece], row: Endpoint) -> str:
    """Return what the calls of a run are to what IRIS allows; empty where single calls do not count."""
    deepest = max(Counter(piece.item for piece in pieces).values())
    if row.pool is not None:
        return (
            f". Of one series {deepest} windows at the most: {deepest - 1} of the {row.pool} calls that IRIS allows "
            "beyond one in a quarter of an hour, and gives back after 30 days"
        )
    metered = [limit.rate for limit in row.limits if limit.rate.metered]
    return "".join(f". IRIS answers {rate.calls} in {rate.per_s / 60:g} minutes" for rate in metered)
