"""The end of a try: its manifest replaces the former one, and what nobody needs any more is deleted."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.errors import IrisCheckpointError, IrisError, IrisStorageError
from airflow_provider_trackunit.iris.export.folder.checkpoint import CHECKPOINT
from airflow_provider_trackunit.iris.export.folder.names import announcement_of, is_announcement, is_ours
from airflow_provider_trackunit.iris.export.folder.store import Files
from airflow_provider_trackunit.iris.export.manifest import MANIFEST, epoch_s, read_manifest, write_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_provider_trackunit.iris.export.folder.store import Store
    from airflow_provider_trackunit.iris.export.folder.writer import Writer
    from airflow_provider_trackunit.iris.export.manifest import Manifest

log = logging.getLogger(__name__)

# A try that announced a manifest has written it after this time, or never will: uploads are retried for minutes, a
# machine may sleep for a night.
_ANNOUNCED_S: Final = 86_400.0


class Publishing:
    """Puts the result of one try in the place of the former one.

    :param wall_clock: seconds since the epoch
    """

    def __init__(self, store: Store, writer: Writer, wall_clock: Callable[[], float]) -> None:
        self._store = store
        self._files = Files(store)
        self._writer = writer
        self._wall_clock = wall_clock
        self._announcement = announcement_of(writer.name)
        self.label = store.label

    def publish(self, manifest: Manifest, then: Callable[[], None]) -> None:
        """Do as :meth:`Folder.publish` says."""
        data = write_manifest(manifest)
        self._writer.refuse_other()
        self._files.write(self._announcement, data)
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
        if self._files.read(MANIFEST) != self._writer.former:
            raise IrisCheckpointError(
                f"Another task instance or try has published a result in {self.label} meanwhile; this one stops, and "
                "that result stays"
            )

    def _refuse_loss(self, manifest: Manifest) -> None:
        missing = self._files.missing(sorted(manifest.files))
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
            self._files.write(MANIFEST, data)
        except IrisStorageError as error:
            if self._files.read(MANIFEST) != data:
                raise
            log.warning("%s. It is there all the same", error)

    def _withdraw(self) -> None:
        """Take the announcement back: the manifest is there, or will never be."""
        with self._cleaning():
            self._store.delete(self._announcement)

    def _clean_up(self, manifest: Manifest, data: bytes) -> None:
        """Delete what is ours and not in the result."""
        with self._cleaning():
            names = self._store.names()
            needed = manifest.files | self._announced(names)
            if self._writer.in_checkpoint() != self._writer.name or self._store.read(MANIFEST) != data:
                return
            former = read_manifest(self._writer.former)
            for name in names:
                if name not in needed and is_ours(name, former):
                    self._store.delete(name)
            self._store.delete(CHECKPOINT)

    def _announced(self, names: list[str]) -> set[str]:
        """Return the files that a manifest names which another try may be about to write, and where it says so."""
        found: set[str] = set()
        for name in filter(is_announcement, names):
            data = self._store.read(name)
            coming = read_manifest(data)
            if coming is not None and data != self._writer.former and self._is_within(_ANNOUNCED_S, coming):
                found |= {name, *coming.files}
        return found

    def _is_within(self, seconds: float, manifest: Manifest) -> bool:
        return self._wall_clock() - epoch_s(manifest.finished_at) < seconds

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
