"""Brings whole collections into a store: asks, gathers, keeps what came, and publishes at the end.

What is promised, and what happens when a try ends at any moment, ``folder`` says. This module adds: a state is a value
that one assignment replaces (``state``), so that an exception at any place where Python can deliver a signal leaves a
state that is true, and that is what is stored before the exception goes on. All of it happens in the thread that runs
the task; other threads only fetch.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Final

import msgspec

from airflow_provider_trackunit.iris.errors import IrisCheckpointError, IrisError
from airflow_provider_trackunit.iris.export.folder.folder import Folder
from airflow_provider_trackunit.iris.export.gathering import Gathering, PositionRefusedError
from airflow_provider_trackunit.iris.export.manifest import (
    MOST_SKIPPED_NAMED,
    Manifest,
    utc_text,
)
from airflow_provider_trackunit.iris.export.progress import Progress
from airflow_provider_trackunit.iris.pages.crew import Crew, crew_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.iris.client import IrisClient
    from airflow_provider_trackunit.iris.export.folder.store import Store
    from airflow_provider_trackunit.iris.export.request import ExportRequest
    from airflow_provider_trackunit.iris.export.state import State

log = logging.getLogger(__name__)

# Airflow 3 kills a task five seconds after it told it to stop. Answers on their way get two of them, storing the rest.
_LAST_ANSWERS_S: Final = 2.0


class ExportStoppedError(Exception):
    """The export was told to stop, and has stored what came."""


class Export:
    """One try of an export.

    :param at_every_step: called about every half minute, and more often while pages come; what it raises ends the try
    :param published: called once the manifest is there, and before the checkpoint goes, with the numbers of the calls
        that were given up
    :param clock: a monotonic clock, in seconds
    :param wall_clock: seconds since the epoch
    :param token_hex: random text of so many bytes
    """

    def __init__(
        self,
        client: IrisClient,
        request: ExportRequest,
        store: Store,
        *,
        at_every_step: Callable[[], None] = lambda: None,
        published: Callable[[frozenset[int]], None] = lambda _incomplete: None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        token_hex: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        self._client = client
        self._request = request
        self._at_every_step = at_every_step
        self._published = published
        self._clock = clock
        self._wall_clock = wall_clock
        self._fingerprint = request.fingerprint(client.credentials)
        self._folder = Folder(store, request, self._fingerprint, wall_clock=wall_clock, token_hex=token_hex)
        self._sent_before = self._sent_by_client()
        self._progress = Progress(request, clock)
        self._stopping = False
        self._crew: Crew | None = None

    def stop(self) -> None:
        """Ask for nothing more, and store what came. Returns at once; may be called in a signal handler."""
        self._stopping = True
        crew = self._crew
        if crew is not None:
            crew.wake()

    def run(self) -> Manifest:
        """Return the manifest of the finished export, begun now or taken up where an earlier try of this run stopped.

        :raises IrisError: when a request fails for good, with everything that was fetched stored; ``retry_after`` says
            when to go on, and where there are items, the text names the one
        :raises IrisCheckpointError: when somebody else writes in the same place
        :raises IrisStorageError: when the output cannot be written
        :raises ExportStoppedError: after :meth:`stop`
        """
        try:
            self._fetch_all(self._folder.begin())
        except PositionRefusedError as refused:
            log.warning("%s. What was stored before is given up, and the export begins anew", refused)
            self._fetch_all(self._folder.begin_anew())
        # Before the manifest, which comes with a list of what was passed over: each try would leave one more behind.
        self._request.encoding.judge(self._gathering.state.filled, self._gathering.state.records)
        manifest = self._manifest()
        given_up = frozenset(walk.item for walk in self._gathering.state.frontier.given_up)
        self._folder.publish(manifest, lambda: self._published(given_up))
        self._progress.sum_up(manifest, self._folder.label)
        return manifest

    # -- asking and gathering

    def _fetch_all(self, state: State) -> None:
        """Bring all pages, and keep them; what came is kept also when this ends with an exception."""
        self._gathering = Gathering(self._request, state, self._clock)
        self._kept = (state, self._requests())
        self._progress.begin(state)
        with crew_of(self._client.run_errand, self._request.max_concurrency) as crew:
            self._crew = crew
            try:
                self._go_on(crew)
                self._gathering.refuse_all_refused()
                self._keep_rest()
            except BaseException as error:
                self._leave(crew, error)
                raise

    def _go_on(self, crew: Crew) -> None:
        failure: BaseException | None = None
        while True:
            if self._stopping:
                raise ExportStoppedError("The transfer was told to stop. What came before is stored")
            if failure is None:
                self._gathering.ask(crew)
            if not crew.under_way:
                break
            arrival = crew.arrival(self._quiet_s())
            if arrival is not None:
                # What is refused after a failure is not noted as passed over: the next try asks for it again.
                ignored = failure is not None and arrival.page is None
                outcome = None if ignored else self._gathering.take(arrival)
                failure = failure or outcome
                crew.taken(arrival)
            if failure is not None:
                crew.cancel()
            self._keep_if_due()
            self._at_every_step()
            self._progress.tell(self._gathering.state)
        failure = failure or self._gathering.limited
        # A page that failed may lie beyond the end that another one told of.
        if failure is not None and not self._gathering.is_finished:
            raise failure

    def _quiet_s(self) -> float:
        """Return how long there is nothing to do but to wait for an answer."""
        since = self._gathering.state.unsaved_since_s
        due = [self._progress.due_at_s]
        if since is not None:
            due.append(since + self._request.checkpoint_interval_s)
        return max(0.0, min(due) - self._clock())

    # -- keeping

    def _keep_if_due(self) -> None:
        since = self._gathering.state.unsaved_since_s
        if since is None:
            return
        full = self._gathering.state.draft.raw_bytes >= self._request.part_bytes
        if full or self._clock() >= since + self._request.checkpoint_interval_s:
            self._keep()

    def _keep(self) -> None:
        requests = self._requests()
        self._gathering.state = self._folder.keep(self._gathering.state, requests=requests)
        self._kept = (self._gathering.state, requests)

    def _keep_rest(self) -> None:
        """Store what no checkpoint knows."""
        if self._kept != (self._gathering.state, self._requests()):
            self._keep()

    def _leave(self, crew: Crew, error: BaseException) -> None:
        """Store what was fetched, so that the next try does not ask for it again."""
        crew.cancel()
        if isinstance(error, IrisCheckpointError | PositionRefusedError):
            return
        for arrival in crew.rest(_LAST_ANSWERS_S):
            if arrival.page is not None:
                self._gathering.take(arrival)
        try:
            self._keep_rest()
        except IrisError as storing:
            log.warning("What was fetched before '%s' could not be stored: %s", error, storing)

    # -- the end

    def _manifest(self) -> Manifest:
        """Return the manifest of what is kept.

        :raises IrisCheckpointError: when a walk is still open, which would be a mistake of this module
        """
        state, request = self._gathering.state, self._request
        if not state.frontier.is_finished(request.calls) or state.draft.records:
            raise IrisCheckpointError(
                f"{request.endpoint}: the export is not finished, and no manifest is written"
            )
        lines = b"".join(msgspec.json.encode(one) + b"\n" for one in state.skipped)
        return Manifest(
            endpoint=request.endpoint,
            output_path=request.output_path,
            output_conn_id=request.output_conn_id,
            records=state.records,
            parts=state.parts,
            format=request.encoding.form.format,
            compression=request.encoding.form.compression,
            columns=request.encoding.form.columns,
            bad_values=dict(state.bad_values),
            announced=state.frontier.announced if len(request.calls) == 1 else None,
            skipped=state.skipped[:MOST_SKIPPED_NAMED],
            skipped_count=len(state.skipped),
            skipped_file=self._folder.write_skipped(lines) if lines else None,
            postponed_count=state.postponed,
            period=None if request.period is None else {**request.period, "newest": state.newest},
            windows_file=state.windows_file,
            requests=self._requests(),
            started_at=utc_text(self._folder.started_at_s),
            finished_at=utc_text(self._wall_clock()),
            run=request.run,
            request=self._fingerprint,
        )

    def _requests(self) -> int:
        """Return the API requests of all tries; the client may have sent others before."""
        return self._folder.requests_before + self._sent_by_client() - self._sent_before

    def _sent_by_client(self) -> int:
        return self._client.requests - self._client.token_requests
