"""One try of a run that reads on from a state: what it asks for, and how the state moves when it is done.

What is promised: whatever runs fail, are killed, are cleared or overlap, in whatever order, everything from ``start`` to
a cursor was in a published result of some run. A moment can be read twice; none is passed over.

What a try does, in this order, and what is left when it ends in between:

1. **Claim** (``claims``): no other run is at work with the state. Ends after: the claim expires, or the next try of the
   run takes it over.
2. **Plan**: what the checkpoint or the manifest of the same run says it was to read; else, for each item, from its cursor
   less ``lookback`` to the end of the run. The export writes the plan with its first checkpoint, before it asks for
   anything. So a retry, a deferral and a cleared run read the same windows, whatever the clock and the state say by then.
3. **Export**: as ever (``folder``). The claim is renewed meanwhile.
4. **Advance**, once the manifest is there and while the checkpoint still is: read the state again, move each cursor to the
   end of the item's last complete window (``cursors``), and write the file in one call. Ends before: the next try of the
   run finds everything fetched, publishes it again and advances; a later run reads those windows again.
5. **Withdraw** the claim.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.catalogue.endpoints import find
from airflow_provider_trackunit.iris.errors import IrisCheckpointError, IrisConfigurationError
from airflow_provider_trackunit.iris.export.folder.checkpoint import CHECKPOINT, read_checkpoint
from airflow_provider_trackunit.iris.export.folder.store import Files
from airflow_provider_trackunit.iris.export.incremental.claims import Claim
from airflow_provider_trackunit.iris.export.incremental.cursors import ALL, key_of
from airflow_provider_trackunit.iris.export.incremental.plan import Plan
from airflow_provider_trackunit.iris.export.incremental.state_file import StateFile
from airflow_provider_trackunit.iris.export.incremental.windows import (
    Reach,
    most_windows_of,
    pieces,
    speaks_of_windows,
    step_of,
    within,
)
from airflow_provider_trackunit.iris.export.manifest import MANIFEST, read_manifest
from airflow_provider_trackunit.iris.watch.conditions import Condition

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow_provider_trackunit.iris.export.folder.store import Store
    from airflow_provider_trackunit.iris.export.incremental.cursors import Cursors
    from airflow_provider_trackunit.iris.export.incremental.rules import Rules, RunTime
    from airflow_provider_trackunit.iris.export.incremental.windows import Piece
    from airflow_provider_trackunit.iris.export.request import ExportRequest
    from airflow_provider_trackunit.iris.http.tokens import Credentials


class Reading:
    """One try of one run.

    :param request: what to ask for, with ``{from}`` and ``{until}`` in the text of its calls
    :param folder: where the result goes
    :param store: of the state
    :param name: of the state in it
    :param wall_clock: seconds since the epoch
    """

    def __init__(
        self,
        request: ExportRequest,
        rules: Rules,
        credentials: Credentials,
        *,
        when: RunTime,
        folder: Store,
        store: Store,
        name: str,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._request = request
        self._rules = rules
        self._when = when
        self._folder = Files(folder)
        self._state = StateFile(store, name, request, credentials, per_item=rules.per_item)
        self._wall_clock = wall_clock
        self._field = None if rules.field is None else Condition(rules.field, "field")
        self._away = False
        self._claim = Claim(store, name, request.run, wall_clock=wall_clock)
        self._keys = [key_of(item) for item in request.items or ()] if rules.per_item else [ALL]
        self._plan = Plan({})
        self._pieces: list[Piece] = []
        self._refuse_what_cannot_work()

    def _refuse_what_cannot_work(self) -> None:
        request = self._request
        if self._rules.per_item and request.items is None:
            raise IrisConfigurationError("per_item: give path_params a list of items")
        if request.skip_refused and not self._rules.per_item:
            raise IrisConfigurationError(
                "on_item_error: an item that is passed over would never be read again; give each a cursor of its own "
                "with per_item=True"
            )
        if request.calls and not speaks_of_windows(request.calls[0]):
            raise IrisConfigurationError(
                f"{request.endpoint}: an incremental request says {{from}} and {{until}} where the ends of a window "
                "belong, in the text of the path, the query or the body"
            )

    # -- 1. claim, 2. plan

    def begin(self) -> ExportRequest:
        """Return what to export: one walk for each window of each item.

        :raises IrisCheckpointError: when another run is at work with the state, or the state cannot be used
        :raises IrisConfigurationError: when the windows cannot be what IRIS answers
        """
        if not self._request.calls:
            return self._request
        self._claim.take()
        try:
            return self._planned()
        except BaseException:
            self._claim.withdraw()
            raise

    def _planned(self) -> ExportRequest:
        request = self._request
        row = find(request.calls[0])
        step_s = step_of(row, self._rules.step_s)
        reach = self._reach(step_s, most_windows_of(row))
        self._plan = self._plan_of_run(reach, self._state.read())
        spans = [self._plan.spans[self._key(item)] for item in range(len(request.calls))]
        self._pieces = pieces(spans, step_s)
        self._plan.tell(self._pieces, request, row)
        return dataclasses.replace(
            request,
            calls=[within(request.calls[piece.item], piece.window) for piece in self._pieces],
            items=None if request.items is None else [request.items[piece.item] for piece in self._pieces],
            owners=[piece.item for piece in self._pieces],
            period={**self._plan.period(), "request": self._state.fingerprint},
            windows=self._plan.write() if self._rules.per_item else None,
            field=self._field,
        )

    def _reach(self, step_s: int | None, most_windows: int | None) -> Reach:
        begin_s = self._when.begin_s
        return Reach(
            start_s=self._rules.start_s,
            # What is not past yet has not come yet; and IRIS refuses to be asked for it.
            until_s=int(min(self._when.end_s, self._wall_clock())),
            lookback_s=self._rules.lookback_s,
            own_begin_s=None if begin_s is None else int(begin_s),
            step_s=step_s,
            most_windows=most_windows,
        )

    def _plan_of_run(self, reach: Reach, cursors: Cursors) -> Plan:
        pinned = self._pinned()
        spans = {
            key: pinned.spans[key] if key in pinned.spans else reach.span(cursors.cursor_s(key))
            for key in self._keys
        }
        return Plan(spans)

    def _pinned(self) -> Plan:
        """Return what this run was to read by the word of an earlier try; nothing where there was none."""
        manifest = read_manifest(self._folder.read(MANIFEST))
        try:
            checkpoint = read_checkpoint(self._folder.read(CHECKPOINT) or b"")
        except IrisCheckpointError:
            checkpoint = None
        for found in (checkpoint, manifest):
            if found is None or found.period is None or not found.run.is_same_work(self._request.run):
                continue
            if found.period.get("request") != self._state.fingerprint:
                continue
            listed = found.windows_file and self._folder.read(found.windows_file)
            plan = Plan.read(listed) if listed else Plan.of_period(found.period)
            if plan is not None:
                return plan
        return Plan({})

    # -- 3. while the export runs

    def renew(self) -> None:
        """Keep others out.

        :raises IrisCheckpointError: when others took this run for dead
        """
        if self._pieces:
            self._claim.renew()

    def hold(self, wait_s: float) -> None:
        """Keep others out while the task is away for so long."""
        self._claim.hold(wait_s)
        self._away = True

    def end(self) -> None:
        """Let others in, unless the task is only away."""
        if not self._away:
            self._claim.withdraw()

    # -- 4. advance

    def advance(self, incomplete: Collection[int]) -> None:
        """Move the cursors over what is in the result.

        :param incomplete: the numbers of the walks that were given up
        :raises IrisStorageError: when the state cannot be read or written
        """
        if not self._plan.spans:
            return
        ends = {key: span.end_s for key, span in self._plan.spans.items()}
        for walk in incomplete:
            item, window = self._pieces[walk]
            ends[self._key(item)] = min(ends[self._key(item)], window.begin_s)
        read = {key: span._replace(end_s=ends[key]) for key, span in self._plan.spans.items()}
        before = self._state.read()
        after = before.advanced(read, self._rules.start_s, self._request.run)
        if after is before:
            return
        self._state.write(after)

    def _key(self, item: int) -> str:
        return self._keys[item] if self._rules.per_item else ALL
