"""One output folder, and the right of one try to write into it.

What is promised: a manifest is there or it is not, and where it is, all that it names is there, whole, and holds every
record once. A result is swapped, never edited.

What a try does, in this order, and what is left when it ends in between:

1. **Claim**: write ``_checkpoint.json`` with its own name as the writer. The former manifest and its parts stay as they
   are. Ends before: nothing changed. Ends after: the next try of the run goes on from that checkpoint.
2. **Keep**, at least every ``checkpoint_interval_s``: find itself in the checkpoint, write a part, then the checkpoint
   that counts it. Every part has a name of its own, with the try in it, and is never written again. Ends between the
   two: the part is counted nowhere, and its pages are asked for again. A write that raised may have landed all the
   same: a part then is counted nowhere, a checkpoint is as good as the one before it.
3. **Publish**: find itself in the checkpoint, write ``_publishing-<try>.json``, which is the manifest to come, find the
   former manifest as it was at the beginning, find all parts, and replace the manifest in one write. If that write
   raises, the manifest is read back: it may have landed. Ends before it lands: the former result is there, and the next
   try publishes.
4. **Clean up**: withdraw the announcement, list the folder, read the announcements of others in it, find itself in the
   checkpoint and its own manifest in place, and delete what is ours in that list, and neither in the manifest nor
   announced; the checkpoint last. Ends in between: the next result cleans up.

Two tries can be alive at once, one that was given up for lost returns from a slow upload, and more than two. The second
claims the folder by its checkpoint, so the first finds another writer there at its next step, and stops. No store that
we can count on has a test-and-set, so a try may be held up between such a look and the write behind it. Even then
nothing breaks:

* A try whose *keep* is held up writes its checkpoint over that of the other, which then finds another writer and stops.
  One of them goes on.
* A try A whose *publish* is held up still names only files that are there. It announced them before it looked at the
  manifest; a try B that deletes files wrote its manifest before it looks for announcements. Whichever way their steps
  interleave, A finds the manifest of B and stops, or B finds the announcement of A and spares what it names. An
  announcement has a name of its own, so none is overwritten unseen; and A withdraws it only when its manifest is there,
  which B then finds in the place of its own, and deletes nothing.
* A checkpoint holds only as long as the manifest that its try began with. Whoever deletes a part has replaced the
  manifest before, so nobody goes on from a checkpoint, however late it landed, whose parts are about to be deleted. The
  one exception counts nothing but parts of the manifest that is in place: its try was killed when it had published.
* B looks at the checkpoint after it has listed the folder, so that a try C that began with the manifest of B has no
  file in that list, however long B is held up with it. If B then deletes the checkpoint of C, C finds none, and the
  manifest as it was at its own beginning: it goes on.

An announcement is left behind when a try is killed, or its write raises, between it and the manifest. What it names
stays for a day, and goes with the next result after that. A try that finds itself held up for half a day stops before
its manifest; what is not provided for is that the very write of the manifest is under way for another half.

Files of others are never touched. Ours are told by their names: the try in them has sixteen hexadecimal digits.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import re
import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from airflow_provider_trackunit.iris.errors import IrisCheckpointError, IrisError, IrisStorageError
from airflow_provider_trackunit.iris.export.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from airflow_provider_trackunit.iris.export.manifest import (
    MANIFEST,
    Manifest,
    Part,
    epoch_s,
    read_manifest,
    write_manifest,
)
from airflow_provider_trackunit.iris.export.parts import add_counts
from airflow_provider_trackunit.iris.export.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_provider_trackunit.iris.export.request import ExportRequest

log = logging.getLogger(__name__)

_TRY: Final = r"[0-9a-f]{16}"
_FILE: Final = re.compile(rf"(?:part|skipped|windows)-\d{{5,}}-{_TRY}\.(?:jsonl|jsonl\.gz|parquet|json)")
_ANNOUNCEMENT: Final = re.compile(rf"_publishing-{_TRY}\.json")
# What a store writes first and renames then, should it have to.
_UNFINISHED: Final = re.compile(
    rf"(?:{_FILE.pattern}|{_ANNOUNCEMENT.pattern}|{re.escape(MANIFEST)}|{re.escape(CHECKPOINT)})\.{_TRY}\.unfinished"
)

# So had version 0.1.0 named its parts.
_FORMER_FILE: Final = re.compile(r"part-\d{5,}\.jsonl(?:\.gz)?")

# A try that announced a manifest has written it after this time, or never will: uploads are retried for minutes, a
# machine may sleep for a night.
_ANNOUNCED_S: Final = 86_400.0


class Store(Protocol):
    """One folder of a file system or bucket. Every method raises OSError, or what its library raises.

    What was written is seen by every later read and listing, as on a local disk, S3, GCS and Azure.
    """

    #: How messages name the place; without credentials.
    label: str

    def names(self) -> list[str]:
        """Return the names of the files in the folder; none when it does not exist."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return a file's content, None when it does not exist."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file so that it appears whole or not at all, in the place of a former one."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file; nothing happens when it does not exist."""
        ...


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
        wall_clock: Callable[[], float] = time.time,
        token_hex: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        self._store = store
        self._request = request
        self._fingerprint = fingerprint
        self._wall_clock = wall_clock
        self._try = f"{int(wall_clock()) & 0xFFFFFFFF:08x}{token_hex(4)}"
        self._announcement = f"_publishing-{self._try}.json"
        self._numbers = itertools.count()
        self._former: bytes | None = None
        self.label = store.label
        self.started_at_s = wall_clock()
        self.requests_before = 0

    # -- 1. claim

    def begin(self) -> State:
        """Claim the folder, and return where to begin: a usable checkpoint of this run, or nothing.

        :raises IrisCheckpointError: when another instance of this task and run has something else in this folder
        :raises IrisStorageError: when the folder cannot be read or written
        """
        found = self._found_checkpoint()
        self._former = self._read(MANIFEST)
        self._refuse_sibling(found)
        state = None if found is None else self._resumed(found)
        return self._claim(state or State())

    def begin_anew(self) -> State:
        """Return the beginning, whatever was reached before."""
        self.started_at_s = self._wall_clock()
        return self._claim(State())

    def _claim(self, state: State) -> State:
        self._numbers = itertools.count(len(state.parts))
        if self._request.windows is not None and state.windows_file is None:
            name = f"windows-{next(self._numbers):05d}-{self._try}.json"
            self._write(name, self._request.windows)
            state = state.with_windows_file(name)
        self._write_checkpoint(state, requests=self.requests_before)
        return state

    def _found_checkpoint(self) -> Checkpoint | None:
        data = self._read(CHECKPOINT)
        try:
            return None if data is None else read_checkpoint(data)
        except IrisCheckpointError as error:
            log.warning("%s in %s. It is not used; the export begins anew", error, self.label)
            return None

    def _refuse_sibling(self, checkpoint: Checkpoint | None) -> None:
        """Refuse the folder of another mapped instance, unless it does the same work."""
        mine = self._request.run
        manifest = read_manifest(self._former)
        for found in (checkpoint, manifest):
            if found is None or not found.run.is_same_work(mine):
                continue
            if found.run.map_index != mine.map_index and found.request != self._fingerprint:
                raise IrisCheckpointError(
                    f"{self.label} is also the output_path of map index {found.run.map_index} of this task in this "
                    "run, which asks for something else. Give each mapped instance its own, for example with "
                    "{{ ti.map_index }} in output_path"
                )

    def _resumed(self, found: Checkpoint) -> State | None:
        """Return where a checkpoint of this run and request stands; None when it is none, or cannot be used."""
        if found.request != self._fingerprint or not found.run.is_same_work(self._request.run):
            return None
        age_s = self._wall_clock() - found.saved_at_s
        if abs(age_s) > self._request.resume_within_s:
            log.warning(
                "%s in %s was written %.1f days ago, longer than resume_within. It is not used; the export begins anew",
                CHECKPOINT,
                self.label,
                age_s / 86_400,
            )
            return None
        if not self._holds(found):
            log.warning(
                "%s in %s was written before the result that is there now. It is not used; the export begins anew",
                CHECKPOINT,
                self.label,
            )
            return None
        if not self._is_whole(found):
            log.warning(
                "%s in %s counts parts that are not there, or pages that are not of this request. It is not used; the "
                "export begins anew",
                CHECKPOINT,
                self.label,
            )
            return None
        self.started_at_s, self.requests_before = found.started_at_s, found.requests
        log.info(
            "Going on after %d stored records in %d parts",
            sum(p.records for p in found.parts),
            len(found.parts),
        )
        return State(
            found.frontier,
            found.parts,
            skipped=found.skipped,
            postponed=found.postponed,
            bad_values=found.bad_values,
            newest=found.newest,
            windows_file=found.windows_file,
        )

    def _is_whole(self, found: Checkpoint) -> bool:
        names = [part.name for part in found.parts] + ([found.windows_file] if found.windows_file else [])
        ours = all(map(_FILE.fullmatch, names)) and len(set(names)) == len(names)
        return ours and found.frontier.is_usable(self._request.calls) and not self._missing(names)

    def _holds(self, found: Checkpoint) -> bool:
        """Return whether nobody can be about to delete what a checkpoint counts."""
        manifest = read_manifest(self._former)
        published = manifest is not None and {part.name for part in found.parts} <= manifest.files
        return published or found.former == _digest(self._former)

    # -- 2. keep

    def keep(self, state: State, *, requests: int) -> State:
        """Store what is in the draft as a part, then the checkpoint that counts it; return the state after it.

        :param requests: API requests sent, over all tries
        :raises IrisCheckpointError: when another try writes here now
        :raises IrisStorageError: when the folder cannot be written
        """
        self._refuse_other_writer()
        part, bad_values = None, state.bad_values
        if state.draft.records:
            draft = state.draft.encoded(self._request.encoding)
            part = self._write_part(self._request.encoding.join(draft.blocks), draft.records)
            bad_values = add_counts(dict(state.bad_values), draft.bad_values())
        kept = state.with_part(part, bad_values)
        self._write_checkpoint(kept, requests=requests)
        return kept

    def write_skipped(self, lines: bytes) -> str:
        """Store the list of all items that were passed over, and return the name of its file."""
        name = f"skipped-{next(self._numbers):05d}-{self._try}.jsonl"
        self._write(name, lines)
        return name

    def _write_part(self, data: bytes, records: int) -> Part:
        name = f"part-{next(self._numbers):05d}-{self._try}{self._request.encoding.form.suffix}"
        self._write(name, data)
        return Part(name, records, len(data))

    def _write_checkpoint(self, state: State, *, requests: int) -> None:
        checkpoint = Checkpoint(
            request=self._fingerprint,
            run=self._request.run,
            writer=self._try,
            started_at_s=self.started_at_s,
            saved_at_s=self._wall_clock(),
            former=_digest(self._former),
            frontier=state.frontier,
            parts=state.parts,
            skipped=state.skipped,
            postponed=state.postponed,
            bad_values=dict(state.bad_values),
            newest=state.newest,
            period=None if self._request.period is None else dict(self._request.period),
            windows_file=state.windows_file,
            requests=requests,
        )
        self._write(CHECKPOINT, write_checkpoint(checkpoint))

    def _refuse_other_writer(self) -> None:
        writer = self._writer()
        # Who published before this try began may have deleted the checkpoint of this one with its own.
        if writer == self._try or (writer is None and self._read(MANIFEST) == self._former):
            return
        raise IrisCheckpointError(
            f"Another task instance or try writes to {self.label} now; this one stops. "
            "Give every run and every mapped instance an output_path of its own"
        )

    def _writer(self) -> str | None:
        """Return the try that the checkpoint belongs to, None when there is none, empty when it cannot be read."""
        data = self._read(CHECKPOINT)
        try:
            return None if data is None else read_checkpoint(data).writer
        except IrisCheckpointError:
            return ""

    # -- 3. publish

    def publish(self, manifest: Manifest, then: Callable[[], None]) -> None:
        """Put a result in the place of the former one, and clean up.

        :param then: called once the result is there, before the checkpoint goes: when it fails, the next try has nothing
            to ask for and calls its own
        :raises IrisCheckpointError: when another try writes here now, or has published
        :raises IrisStorageError: when the manifest could not be written, or a part is lost
        """
        data = write_manifest(manifest)
        self._refuse_other_writer()
        self._write(self._announcement, data)
        try:
            self._refuse_other_result()
            self._refuse_loss(manifest)
            self._refuse_delay(manifest)
        except IrisError:
            self._withdraw()
            raise
        self._write_manifest(data)
        self._withdraw()
        then()
        self._clean_up(manifest, data)

    def _refuse_other_result(self) -> None:
        if self._read(MANIFEST) != self._former:
            raise IrisCheckpointError(
                f"Another task instance or try has published a result in {self.label} meanwhile; this one stops, and "
                "that result stays"
            )

    def _refuse_loss(self, manifest: Manifest) -> None:
        missing = self._missing(sorted(manifest.files))
        if missing:
            raise IrisStorageError(
                f"{self.label}: {missing[0]} was stored and is gone. A retry fetches it again"
            )

    def _refuse_delay(self, manifest: Manifest) -> None:
        """Stop while there is still time for the write before others take this try for dead."""
        if not self._is_within(_ANNOUNCED_S / 2, manifest):
            raise IrisStorageError(
                f"{self.label}: this try was held up for half a day just before its end. A retry publishes what it stored"
            )

    def _write_manifest(self, data: bytes) -> None:
        try:
            self._write(MANIFEST, data)
        except IrisStorageError as error:
            if self._read(MANIFEST) != data:
                raise
            log.warning("%s. It is there all the same", error)

    def _withdraw(self) -> None:
        """Take the announcement back: the manifest is there, or will never be."""
        with self._cleaning():
            self._store.delete(self._announcement)

    # -- 4. clean up

    def _clean_up(self, manifest: Manifest, data: bytes) -> None:
        """Delete what is ours and not in the result."""
        with self._cleaning():
            names = self._store.names()
            needed = manifest.files | self._announced(names)
            if self._writer() != self._try or self._store.read(MANIFEST) != data:
                return
            for name in names:
                if name not in needed and self._is_left_over(name):
                    self._store.delete(name)
            self._store.delete(CHECKPOINT)

    def _announced(self, names: list[str]) -> set[str]:
        """Return the files that a manifest names which another try may be about to write, and where it says so."""
        found: set[str] = set()
        for name in filter(_ANNOUNCEMENT.fullmatch, names):
            data = self._store.read(name)
            coming = read_manifest(data)
            if coming is not None and data != self._former and self._is_within(_ANNOUNCED_S, coming):
                found |= {name, *coming.files}
        return found

    def _is_within(self, seconds: float, manifest: Manifest) -> bool:
        return self._wall_clock() - epoch_s(manifest.finished_at) < seconds

    def _is_left_over(self, name: str) -> bool:
        if any(kind.fullmatch(name) for kind in (_FILE, _ANNOUNCEMENT, _UNFINISHED)):
            return True
        former = read_manifest(self._former)
        return former is not None and name in former.files and _FORMER_FILE.fullmatch(name) is not None

    @contextmanager
    def _cleaning(self) -> Generator[None]:
        """Go on if something cannot be deleted: the result is there, and complete; the next one deletes it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever a store raises
            log.warning(
                "%s: a file of an earlier try could not be deleted (%s: %s). The next run deletes it",
                self.label,
                type(error).__name__,
                error,
            )

    # -- the store

    def _missing(self, names: list[str]) -> list[str]:
        if not names:
            return []
        with storing(self.label, "the stored parts"):
            there = set(self._store.names())
        return [name for name in names if name not in there]

    def _read(self, name: str) -> bytes | None:
        with storing(self.label, name):
            return self._store.read(name)

    def _write(self, name: str, data: bytes) -> None:
        with storing(self.label, name):
            self._store.write(name, data)


@contextmanager
def storing(label: str, name: str) -> Generator[None]:
    """Say of what a store raises which file it is about.

    :raises IrisStorageError: for any of it
    """
    try:
        yield
    except IrisError:
        raise
    except Exception as error:
        raise IrisStorageError(
            f"{label}: {name} could not be written or read ({type(error).__name__}: {error}). "
            "What was finished before is kept; a retry goes on from there"
        ) from error


def progress_in(store: Store) -> list[int]:
    """Return how far an unfinished export has come, as numbers that grow: items begun, pages, parts and records stored."""
    try:
        found = read_checkpoint(store.read(CHECKPOINT) or b"")
    except IrisCheckpointError:
        return []
    records = sum(part.records for part in found.parts)
    return [found.frontier.next_item, found.frontier.came, len(found.parts), records]


def _digest(manifest: bytes | None) -> str:
    return "" if manifest is None else hashlib.sha256(manifest).hexdigest()
