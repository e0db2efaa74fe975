"""Brings whole collections into a store: parts, a checkpoint after each, and a manifest at the end.

The store is anything that can write a file whole; this module knows no file system and no Airflow. What is
promised: after the manifest is there, every record is in the parts exactly once, however often the export was
cut off and taken up again before.

A part is written first, then the checkpoint that counts it. A part that no checkpoint counts is overwritten
or deleted by the next try, so a kill between the two costs its pages and nothing else.
"""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from airflow_provider_trackunit.iris.catalogue.endpoints import find
from airflow_provider_trackunit.iris.errors import (
    IrisCheckpointError,
    IrisConfigurationError,
    IrisError,
    IrisNotFoundError,
    IrisPermissionError,
    IrisStorageError,
)
from airflow_provider_trackunit.iris.export.parts import PartBuffer, request_member
from airflow_provider_trackunit.iris.export.results import (
    CHECKPOINT,
    MANIFEST,
    Checkpoint,
    Manifest,
    Part,
    Run,
    Skipped,
    fingerprint,
    is_ours,
    now,
    part_name,
    read_checkpoint,
    read_manifest,
    write_checkpoint,
)
from airflow_provider_trackunit.iris.pages.fetching import fetch_pages
from airflow_provider_trackunit.iris.pages.frontier import Errand, Frontier, is_usable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.client import IrisClient
    from airflow_provider_trackunit.iris.pages.paging import Page
    from airflow_provider_trackunit.iris.pages.position import Position

log = logging.getLogger(__name__)

DEFAULT_PART_BYTES: Final = 64 * 1024 * 1024

# After so many items refused, and none that was not, the rest is not asked for.
_HOPELESS: Final = 100


class Store(Protocol):
    """One folder of a file system or bucket. Every method raises OSError, or what its library raises."""

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


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to bring where.

    :param endpoint: and
    :param output_path: what the caller asked for and where, as the manifest repeats it
    :param calls: one call, or one for each item
    :param items: the path parameters of each item, in the order of the calls; None for a single collection
    :param run: who writes
    :param part_bytes: size of a part before compression, reached at the end of a page
    :param max_concurrency: how many pages may be on their way at once
    :param skip_refused: whether an item that answers 403 or 404 is noted and passed over
    """

    endpoint: str
    output_path: str
    calls: Sequence[Call]
    items: Sequence[Mapping[str, Any]] | None = None
    run: Run = field(default_factory=Run)
    compression: str | None = "gzip"
    part_bytes: int = DEFAULT_PART_BYTES
    max_concurrency: int = 4
    skip_refused: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.part_bytes < 1 or self.max_concurrency < 1:
            raise IrisConfigurationError("part_bytes and max_concurrency must be 1 or more")
        PartBuffer(self.compression)

    @property
    def only_reads(self) -> bool:
        """Whether any of the requests can be sent again without harm."""
        return all(find(call).is_safe(call.method) for call in self.calls[:1])


def progress_in(store: Store) -> list[int]:
    """Return how far an unfinished export has come, as numbers that grow: items begun, parts and records stored."""
    try:
        checkpoint = read_checkpoint(store.read(CHECKPOINT) or b"")
    except IrisCheckpointError:
        return []
    return [checkpoint.position.next_item, len(checkpoint.parts), _count(checkpoint.parts)]


def export_pages(client: IrisClient, request: ExportRequest, store: Store) -> Manifest:
    """Return the manifest of a finished export, begun now or taken up where an earlier try of this run stopped.

    :raises IrisError: when a request fails for good, with everything that was fetched saved; ``retry_after`` says
        when to go on
    :raises IrisCheckpointError: when somebody else writes in the same place
    :raises IrisStorageError: when the output cannot be written
    """
    return _Export(client, request, store).run()


@dataclass(slots=True)
class _Progress:
    """What the log says of the export's pace."""

    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)
    records: int = 0

    def __post_init__(self) -> None:
        self.began = self.clock()

    def per_s(self) -> float:
        return self.records / max(self.clock() - self.began, 1e-3)


class _Export:
    def __init__(self, client: IrisClient, request: ExportRequest, store: Store) -> None:
        self._client = client
        self._request = request
        self._store = store
        self._checkpoint = self._begin()
        self._frontier = Frontier(request.calls, self._checkpoint.position)
        self._members = (
            [request_member(item) for item in request.items] if request.items is not None else None
        )
        self._buffer = PartBuffer(request.compression)
        self._position = self._checkpoint.position
        self._in_step = True
        self._requests_before = self._checkpoint.requests - self._sent_by_client()
        # Each with its item, None for one of an earlier try.
        self._skipped: list[tuple[int | None, Skipped]] = [(None, one) for one in self._checkpoint.skipped]
        self._pages_added = 0
        self._progress = _Progress()

    def run(self) -> Manifest:
        try:
            with closing(self._pages()) as batches:
                for item, pages in batches:
                    self._add(item, pages)
                    if self._buffer.raw_bytes >= self._request.part_bytes:
                        self._cut()
        except (IrisStorageError, IrisCheckpointError):
            raise
        except BaseException as error:
            self._save_before(error)
            raise
        self._note_position()
        if self._buffer.records:
            self._cut()
        self._refuse_all_refused()
        return self._finish()

    # -- beginning and end

    def _begin(self) -> Checkpoint:
        """Return where to begin: a usable checkpoint of this run, or the start of a cleared folder."""
        mine = Checkpoint(
            fingerprint=fingerprint(self._request.calls, self._request.compression),
            run=self._request.run,
            writer=uuid.uuid4().hex,
            started_at=now(),
        )
        found = self._found_checkpoint()
        self._refuse_sibling(found)
        if found is not None and self._goes_on(found, mine):
            mine = msgspec.structs.replace(found, writer=mine.writer)
            log.info("Resuming after %d parts with %d records", len(mine.parts), _count(mine.parts))
        self._take_over(mine)
        return mine

    def _found_checkpoint(self) -> Checkpoint | None:
        with self._storing(CHECKPOINT):
            data = self._store.read(CHECKPOINT)
        try:
            return None if data is None else read_checkpoint(data)
        except IrisCheckpointError as error:
            log.warning("%s in %s. It is not used; the export begins anew", error, self._store.label)
            return None

    def _goes_on(self, found: Checkpoint, mine: Checkpoint) -> bool:
        """Return whether a checkpoint is of this run and request, and what it counts is there."""
        if (found.fingerprint, found.run) != (mine.fingerprint, mine.run):
            return False
        with self._storing("the stored parts"):
            there = set(self._store.names()) if found.parts else set()
        names = [part_name(number, self._request.compression) for number in range(len(found.parts))]
        counted = [part.name for part in found.parts]
        if counted == names and there.issuperset(names) and is_usable(found.position, self._request.calls):
            return True
        log.warning(
            "%s in %s counts parts that are not there, or pages that are not of this request. It is not used; the "
            "export begins anew",
            CHECKPOINT,
            self._store.label,
        )
        return False

    def _refuse_sibling(self, checkpoint: Checkpoint | None) -> None:
        with self._storing(MANIFEST):
            data = self._store.read(MANIFEST)
        manifest = None if data is None else read_manifest(data)
        for run in [one.run for one in (checkpoint, manifest) if one is not None]:
            if run.is_sibling_of(self._request.run):
                raise IrisCheckpointError(
                    f"{self._store.label} is also the output_path of map index {run.map_index} of this task in this run. "
                    "Give each mapped instance its own, for example with {{ ti.map_index }} in output_path"
                )

    def _take_over(self, mine: Checkpoint) -> None:
        """Make the folder ours: a former result is gone before a part of it is, and so is a former checkpoint.

        In this order, because a kill in between must leave neither a manifest nor a checkpoint that counts parts
        which are no longer there.
        """
        with self._storing("a former result"):
            self._store.delete(MANIFEST)
        with self._storing(CHECKPOINT):
            self._store.write(CHECKPOINT, write_checkpoint(mine))
        kept = {CHECKPOINT, *(part.name for part in mine.parts)}
        with self._storing("a former result"):
            for name in self._store.names():
                if is_ours(name) and name not in kept:
                    self._store.delete(name)

    def _finish(self) -> Manifest:
        manifest = Manifest(
            endpoint=self._request.endpoint,
            output_path=self._request.output_path,
            records=_count(self._checkpoint.parts),
            parts=self._checkpoint.parts,
            compression=self._request.compression,
            announced=self._frontier.announced,
            skipped=[skipped for _, skipped in self._skipped],
            requests=self._requests(),
            started_at=self._checkpoint.started_at,
            finished_at=now(),
            run=self._request.run,
        )
        self._refuse_other_writer()
        with self._storing(MANIFEST):
            self._store.write(MANIFEST, msgspec.json.encode(manifest))
        with self._storing(CHECKPOINT):
            self._store.delete(CHECKPOINT)
        self._summarise(manifest)
        return manifest

    # -- pages

    def _pages(self) -> Generator[tuple[int, list[Page]]]:
        return fetch_pages(self._fetch, self._frontier, self._request.max_concurrency, self._may_skip)

    def _fetch(self, errand: Errand) -> Page:
        return self._client.fetch_page(errand.call, errand.row, errand.cursor)

    def _may_skip(self, errand: Errand, error: IrisError) -> bool:
        """Note an item that IRIS refuses to show, if the caller wants to go on without it."""
        items = self._request.items
        if items is None or not self._request.skip_refused:
            return False
        if not isinstance(error, IrisPermissionError | IrisNotFoundError):
            return False
        if (
            isinstance(error, IrisPermissionError)
            and len(self._skipped) >= _HOPELESS
            and self._nothing_but_refusals()
        ):
            return False
        skipped = Skipped(dict(items[errand.item]), error.status, error.code)
        self._skipped.append((errand.item, skipped))
        log.warning("Skipped %s: %s", skipped.path_params, error)
        return True

    def _nothing_but_refusals(self) -> bool:
        return len(self._skipped) == self._frontier.items_done and all(
            one.status == 403 for _, one in self._skipped
        )

    def _refuse_all_refused(self) -> None:
        """Do not take a missing right for an empty collection."""
        if self._skipped and self._nothing_but_refusals():
            raise IrisPermissionError(
                f"{self._request.endpoint}: all {len(self._skipped)} items answered HTTP 403. That is no item without "
                "rights but an account without them: check the scope and the subscription",
                status=403,
                code=self._skipped[0][1].code,
            )

    def _add(self, item: int, pages: Sequence[Page]) -> None:
        """Put pages into the part that is being filled, and note the position that is reached with them.

        A time limit or a signal can raise anywhere in here; a buffer that does not fit to its position is never
        written.
        """
        self._in_step = False
        for page in pages:
            self._fill(item, page)
        self._pages_added += len(pages)
        self._note_position()
        self._in_step = True

    def _fill(self, item: int, page: Page) -> None:
        self._buffer.add(page.raw_records, None if self._members is None else self._members[item])

    def _note_position(self) -> None:
        """Note where the frontier stands, unless it handed out pages that did not come here.

        That is so when an error or a signal came just between the two; those pages are then asked for again.
        """
        if self._frontier.pages_done == self._pages_added:
            self._position = self._frontier.position()

    def _skipped_before(self, position: Position) -> list[Skipped]:
        """Return what was skipped, as far as a position has left it behind; the rest is asked for again."""
        ahead = {one.item for one in position.open}
        return [
            skipped
            for item, skipped in self._skipped
            if item is None or (item < position.next_item and item not in ahead)
        ]

    # -- parts

    def _save_before(self, error: BaseException) -> None:
        """Write what was fetched, so that the next try does not ask for it again."""
        if not self._in_step:
            return
        if self._frontier.pages_done == self._pages_added:
            self._in_step = False
            for item, page in self._frontier.too_early():
                self._fill(item, page)
            self._note_position()
            self._in_step = True
        try:
            self._cut()
        except IrisError as storing:
            log.warning("What was fetched before '%s' could not be saved: %s", error, storing)

    def _cut(self) -> None:
        """Write the current part, then the checkpoint that counts it."""
        self._in_step = False
        self._refuse_other_writer()
        checkpoint = msgspec.structs.replace(
            self._checkpoint,
            position=self._position,
            skipped=self._skipped_before(self._position),
            requests=self._requests(),
        )
        buffer = self._buffer
        if buffer.records:
            part = self._write_part(buffer)
            checkpoint = msgspec.structs.replace(checkpoint, parts=[*checkpoint.parts, part])
        with self._storing(CHECKPOINT):
            self._store.write(CHECKPOINT, write_checkpoint(checkpoint))
        self._checkpoint = checkpoint
        self._buffer = PartBuffer(self._request.compression)
        self._in_step = True
        if buffer.records:
            self._report(checkpoint.parts[-1])

    def _write_part(self, buffer: PartBuffer) -> Part:
        data = buffer.finish()
        name = part_name(len(self._checkpoint.parts), self._request.compression)
        with self._storing(name):
            self._store.write(name, data)
        return Part(name, buffer.records, len(data))

    def _refuse_other_writer(self) -> None:
        with self._storing(CHECKPOINT):
            data = self._store.read(CHECKPOINT)
        try:
            other = data is None or read_checkpoint(data).writer != self._checkpoint.writer
        except IrisCheckpointError:
            other = True
        if other:
            raise IrisCheckpointError(
                f"Another task instance or try writes to {self._store.label} now; this one stops. "
                "Give every run and every mapped instance an output_path of its own"
            )

    @contextmanager
    def _storing(self, name: str) -> Iterator[None]:
        try:
            yield
        except IrisError:
            raise
        except Exception as error:
            raise IrisStorageError(
                f"{self._store.label}: {name} could not be written or read ({type(error).__name__}: {error}). "
                "What was finished before is kept; a retry goes on from there"
            ) from error

    # -- log

    def _requests(self) -> int:
        """Return the API requests of all tries; the client may have sent others before."""
        return self._requests_before + self._sent_by_client()

    def _sent_by_client(self) -> int:
        return self._client.requests - self._client.token_requests

    def _report(self, part: Part) -> None:
        self._progress.records += part.records
        log.info(
            "%s: %d records, %.1f MB; %s; %.0f records/s%s",
            part.name,
            part.records,
            part.bytes / 1e6,
            self._done_of(),
            self._progress.per_s(),
            self._time_left(),
        )

    def _done_of(self) -> str:
        if self._request.items is not None:
            return f"{self._frontier.items_done} of {len(self._request.calls)} items"
        pages = f" of {self._frontier.pages}" if self._frontier.pages is not None else ""
        return f"{self._frontier.pages_done}{pages} pages"

    def _time_left(self) -> str:
        announced = self._frontier.announced
        left = None if announced is None else announced - _count(self._checkpoint.parts)
        if left is None or left <= 0:
            return ""
        return f", about {left / max(self._progress.per_s(), 1e-3):.0f} s left"

    def _summarise(self, manifest: Manifest) -> None:
        if manifest.announced is not None and manifest.announced != manifest.records:
            log.warning(
                "%s: %d records were announced and %d came; the collection changed while it was read",
                manifest.endpoint,
                manifest.announced,
                manifest.records,
            )
        log.info(
            "%s: %d records in %d parts (%.1f MB) with %d requests, %.0f records/s; %d items skipped; %s/%s",
            manifest.endpoint,
            manifest.records,
            len(manifest.parts),
            sum(part.bytes for part in manifest.parts) / 1e6,
            manifest.requests,
            self._progress.per_s(),
            len(manifest.skipped),
            self._store.label,
            MANIFEST,
        )


def _count(parts: Sequence[Part]) -> int:
    return sum(part.records for part in parts)
