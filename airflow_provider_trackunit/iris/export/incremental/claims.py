"""One run at a time reads on from a state.

Each run announces itself in a file of its own beside the state, and only then lists the files of the others. Whoever
sees that another run is there withdraws and fails. Of two runs that begin at once the later listing comes after both
announcements, so both may fail, and never do both go on. No store has to offer more than a listing that is true.

What is left when a run ends at any moment:

* killed: its claim holds until it expires, ten minutes after it was last renewed; whoever comes then sweeps it away.
* deferred: its claim was set to expire after the moment at which it goes on.
* the next try of the same run takes the place of the former one, and deletes its claim.
* held up for longer than its claim: it finds the claim gone when it next renews it, and stops. Should it have
  published already, nothing is wrong: a state only ever moves forward over what was read.

A clock that jumps ahead makes a claim of others expire early, which has the same end; one that jumps back makes the
claim of a killed run hold for longer, and the message names the file to delete.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import TYPE_CHECKING, Final

import msgspec

from airflow_provider_trackunit.iris.errors import IrisCheckpointError, IrisStorageError
from airflow_provider_trackunit.iris.export.folder.store import Files, Store
from airflow_provider_trackunit.iris.export.manifest import Run, utc_text
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

# A run that is killed keeps others out for so long. A claim is renewed once a minute, so nine renewals may fail.
_HOLDS_S: Final = 600.0
_RENEWED_EVERY_S: Final = 60.0


class _Note(msgspec.Struct, frozen=True):
    """What a claim says."""

    run: Run
    expires_at_s: float


class Claim:
    """The announcement of one try of a run.

    :param name: the file of the state in its store
    :param wall_clock: seconds since the epoch
    """

    def __init__(
        self, store: Store, name: str, run: Run, *, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._files = Files(store)
        self._name = name
        self._run = run
        self._wall_clock = wall_clock
        self._file = f"{name}.claim-{secrets.token_hex(8)}"
        self._renewed_at_s = 0.0

    def take(self) -> None:
        """Announce this run.

        :raises IrisCheckpointError: when another run is at work with the state; this one has withdrawn then
        :raises IrisStorageError: when the store cannot be written or read
        """
        self._write(self._wall_clock() + _HOLDS_S)
        try:
            others = list(self._others())
            for file, note in others:
                if note is None or (note.run != self._run and note.expires_at_s > self._wall_clock()):
                    raise IrisCheckpointError(self._refusal(file, note))
        except BaseException:
            self.withdraw()
            raise
        for file, _ in others:
            self._delete(file)

    def renew(self) -> None:
        """Let the claim hold on, if it is time; cheap enough to be called at every step.

        :raises IrisCheckpointError: when it is gone, because others took this run for dead
        """
        if 0 <= self._wall_clock() - self._renewed_at_s < _RENEWED_EVERY_S:
            return
        try:
            if self._files.read(self._file) is None:
                raise IrisCheckpointError(
                    f"Another run or try took the state {self._place} over while this one was held up; this one stops"
                )
            self._write(self._wall_clock() + _HOLDS_S)
        except IrisStorageError as error:
            log.warning("%s. It is tried again in a minute", error)
            self._renewed_at_s = self._wall_clock()

    def hold(self, wait_s: float) -> None:
        """Let the claim hold while the task is away for so long."""
        self._write(self._wall_clock() + wait_s + _HOLDS_S)

    def withdraw(self) -> None:
        """Let others go on. What cannot be deleted now expires."""
        self._delete(self._file)

    @property
    def _place(self) -> str:
        return f"{self._store.label}/{self._name}"

    def _refusal(self, file: str, note: _Note | None) -> str:
        place = f"{self._store.label}/{file}"
        if note is None:
            return f"{place} cannot be read: another run may be at work with this state. If there is none, delete it"
        who = f"The run {note.run.run_id!r} of {note.run.dag_id}.{note.run.task_id}"
        until = utc_text(note.expires_at_s)
        return (
            f"{who} is at work with the state {self._place}; nothing was asked for. Let one run follow the other "
            f"(max_active_runs=1), and give each task a state of its own. If that run is dead, its claim ends at "
            f"{until}, or when you delete {place}"
        )

    def _others(self) -> Iterator[tuple[str, _Note | None]]:
        """Yield the claims of others, each with what it says; None for one that cannot be read."""
        pattern = re.compile(rf"{re.escape(self._name)}\.claim-[0-9a-f]{{16}}")
        for name in self._files.names("the claims on the state"):
            if name != self._file and pattern.fullmatch(name):
                data = self._files.read(name)
                if data is not None:
                    yield name, _note_of(data)

    def _write(self, expires_at_s: float) -> None:
        self._files.write(self._file, msgspec.json.encode(_Note(self._run, expires_at_s)))
        self._renewed_at_s = self._wall_clock()

    def _delete(self, name: str) -> None:
        try:
            self._store.delete(name)
        except Exception as error:  # noqa: BLE001 - whatever a store raises
            log.warning(
                "%s/%s could not be deleted (%s). It expires", self._store.label, name, type(error).__name__
            )


def _note_of(data: bytes) -> _Note | None:
    try:
        return msgspec.json.decode(data, type=_Note)
    except BROKEN_JSON:
        return None
