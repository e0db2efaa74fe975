"""What one try does with the folder of its export: claims it, keeps what came, and publishes at the end."""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.export.folder.checkpoint import CHECKPOINT, Checkpoint, write_checkpoint
from airflow_provider_trackunit.iris.export.folder.names import file_name, try_name
from airflow_provider_trackunit.iris.export.folder.publishing import Publishing
from airflow_provider_trackunit.iris.export.folder.resuming import Resuming, found_checkpoint
from airflow_provider_trackunit.iris.export.folder.store import Files
from airflow_provider_trackunit.iris.export.folder.writer import Writer
from airflow_provider_trackunit.iris.export.manifest import MANIFEST, Part
from airflow_provider_trackunit.iris.export.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.iris.export.folder.store import Store
    from airflow_provider_trackunit.iris.export.manifest import Manifest
    from airflow_provider_trackunit.iris.export.request import ExportRequest

log = logging.getLogger(__name__)


class Folder:
    """The folder of one export, seen by one try of it.

    :param fingerprint: of the request and the account
    :param wall_clock: seconds since the epoch
    :param token_hex: gives the name of a try what tells it from others of the same second
    """

    def __init__(
        self,
        store: Store,
        request: ExportRequest,
        fingerprint: str,
        *,
        wall_clock: Callable[[], float],
        token_hex: Callable[[int], str],
    ) -> None:
        self._files = Files(store)
        self._request = request
        self._fingerprint = fingerprint
        self._wall_clock = wall_clock
        self._writer = Writer(self._files, try_name(wall_clock(), token_hex(4)))
        self._publishing = Publishing(store, self._writer, wall_clock)
        self._numbers = itertools.count()
        self.label = store.label
        self.started_at_s = wall_clock()
        self.requests_before = 0

    # -- 1. claim

    def begin(self) -> State:
        """Claim the folder, and return where to begin: a usable checkpoint of this run, or nothing.

        :raises IrisCheckpointError: when another instance of this task and run has something else in this folder
        :raises IrisStorageError: when the folder cannot be read or written
        """
        found = found_checkpoint(self._files)
        self._writer.former = self._files.read(MANIFEST)
        resuming = Resuming(self._files, self._request, self._fingerprint, self._writer)
        resuming.refuse_sibling(found)
        if found is not None and resuming.is_usable(found, self._wall_clock()):
            return self._claim(self._resumed(found))
        return self._claim(State())

    def begin_anew(self) -> State:
        """Return the beginning, whatever was reached before."""
        self.started_at_s = self._wall_clock()
        return self._claim(State())

    def _resumed(self, found: Checkpoint) -> State:
        self.started_at_s, self.requests_before = found.started_at_s, found.requests
        log.info(
            "Going on after %d stored records in %d parts",
            sum(part.records for part in found.parts),
            len(found.parts),
        )
        return State(
            found.frontier,
            found.parts,
            skipped=found.skipped,
            postponed=found.postponed,
            bad_values=found.bad_values,
            filled=frozenset(found.filled),
            newest=found.newest,
            windows_file=found.windows_file,
        )

    def _claim(self, state: State) -> State:
        self._numbers = itertools.count(len(state.parts))
        if self._request.windows is not None and state.windows_file is None:
            state = replace(state, windows_file=self._write_new("windows", ".json", self._request.windows))
        self._write_checkpoint(state, requests=self.requests_before)
        return state

    # -- 2. keep

    def keep(self, state: State, *, requests: int) -> State:
        """Store what is in the draft as a part, then the checkpoint that counts it; return the state after it.

        :param requests: API requests sent, over all tries
        :raises IrisCheckpointError: when another try writes here now
        :raises IrisStorageError: when the folder cannot be written
        """
        self._writer.refuse_other()
        kept = state.kept()
        if state.draft.records:
            draft = state.draft.encoded(self._request.encoding)
            data = self._request.encoding.join(draft.blocks)
            name = self._write_new("part", self._request.encoding.form.suffix, data)
            kept = state.with_part(Part(name, draft.records, len(data)), draft)
        self._write_checkpoint(kept, requests=requests)
        return kept

    def write_skipped(self, lines: bytes) -> str:
        """Store the list of all items that were passed over, and return the name of its file."""
        return self._write_new("skipped", ".jsonl", lines)

    def _write_new(self, kind: str, suffix: str, data: bytes) -> str:
        """Write a file of the result under a name that no file had before, and return the name."""
        name = file_name(kind, next(self._numbers), self._writer.name, suffix)
        self._files.write(name, data)
        return name

    def _write_checkpoint(self, state: State, *, requests: int) -> None:
        checkpoint = Checkpoint(
            request=self._fingerprint,
            run=self._request.run,
            writer=self._writer.name,
            started_at_s=self.started_at_s,
            saved_at_s=self._wall_clock(),
            former=self._writer.former_digest,
            frontier=state.frontier,
            parts=state.parts,
            skipped=state.skipped,
            postponed=state.postponed,
            bad_values=dict(state.bad_values),
            filled=tuple(sorted(state.filled)),
            newest=state.newest,
            period=None if self._request.period is None else dict(self._request.period),
            windows_file=state.windows_file,
            requests=requests,
        )
        self._files.write(CHECKPOINT, write_checkpoint(checkpoint))

    # -- 3. publish, 4. clean up

    def publish(self, manifest: Manifest, then: Callable[[], None]) -> None:
        """Put a result in the place of the former one, and clean up.

        :param then: called once the result is there, before the checkpoint goes: when it fails, the next try has nothing
            to ask for and calls its own
        :raises IrisCheckpointError: when another try writes here now, or has published
        :raises IrisStorageError: when the manifest could not be written, or a part is lost
        """
        self._publishing.publish(manifest, then)
