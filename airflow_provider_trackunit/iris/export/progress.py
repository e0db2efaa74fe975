"""What the log says of an export while it runs: a line about every half minute, and one at the end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.iris.export.manifest import Manifest
    from airflow_provider_trackunit.iris.export.request import ExportRequest
    from airflow_provider_trackunit.iris.export.state import State

log = logging.getLogger(__name__)

#: Often enough to see that it moves, seldom enough for a log of hours to be read.
INTERVAL_S: Final = 30.0


class Progress:
    """Tells by time how far an export is.

    :param clock: in seconds
    """

    def __init__(self, request: ExportRequest, clock: Callable[[], float]) -> None:
        self._request = request
        self._clock = clock
        self._began_s = clock()
        self._records_before = 0
        self._done_before = 0
        self.due_at_s = self._began_s + INTERVAL_S

    def begin(self, state: State) -> None:
        """Note what an earlier try had reached: the pace is that of this one."""
        self._records_before = state.records
        self._done_before = self._done(state)

    def tell(self, state: State) -> None:
        """Log how far the export is, if it is time."""
        if self._clock() < self.due_at_s:
            return
        self.due_at_s = self._clock() + INTERVAL_S
        log.info(
            "%s: %s; %d records, %.0f records/s%s",
            self._request.endpoint,
            self._done_of(state),
            state.records,
            self._per_s(state.records - self._records_before),
            self._time_left(state),
        )

    def sum_up(self, manifest: Manifest, label: str) -> None:
        """Log what came."""
        if manifest.announced is not None and manifest.announced != manifest.records:
            log.warning(
                "%s: %d records were announced and %d came; the collection changed while it was read",
                manifest.endpoint,
                manifest.announced,
                manifest.records,
            )
        if manifest.postponed_count:
            log.info(
                "%d items met the limit of their calls after one window or more, and go on from there with the next run",
                manifest.postponed_count,
            )
        if manifest.skipped_count:
            log.warning(
                "%d items were refused and passed over; see %s", manifest.skipped_count, manifest.skipped_file
            )
        log.info(
            "%s: %s in %s (%s) with %s in %.0f s, %.0f records/s; %s/_manifest.json",
            manifest.endpoint,
            _many(manifest.records, "record"),
            _many(len(manifest.parts), "part"),
            _size(sum(part.bytes for part in manifest.parts)),
            _many(manifest.requests, "request"),
            self._clock() - self._began_s,
            self._per_s(manifest.records - self._records_before),
            label,
        )

    def _done(self, state: State) -> int:
        return state.frontier.came if self._request.items is None else state.frontier.items_done

    def _of(self, state: State) -> int | None:
        return state.frontier.pages if self._request.items is None else len(self._request.calls)

    def _done_of(self, state: State) -> str:
        of = self._of(state)
        one_of_many = "items" if self._request.owners is None else "windows"
        noun = "pages" if self._request.items is None else one_of_many
        skipped = f", {len(state.skipped)} of them passed over" if state.skipped else ""
        return f"{self._done(state)}{'' if of is None else f' of {of}'} {noun}{skipped}"

    def _time_left(self, state: State) -> str:
        of = self._of(state)
        per_s = self._per_s(self._done(state) - self._done_before)
        if of is None or not per_s or of <= self._done(state):
            return ""
        return f", about {(of - self._done(state)) / per_s:.0f} s left"

    def _per_s(self, count: int) -> float:
        return count / max(self._clock() - self._began_s, 1e-3)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
