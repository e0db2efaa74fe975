"""What earlier tries left in a folder: whether this one goes on from it, and whether it may write there at all."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.errors import IrisCheckpointError
from airflow_provider_trackunit.iris.export.folder.checkpoint import CHECKPOINT, read_checkpoint
from airflow_provider_trackunit.iris.export.folder.names import is_file_of_result
from airflow_provider_trackunit.iris.export.manifest import read_manifest

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.export.folder.checkpoint import Checkpoint
    from airflow_provider_trackunit.iris.export.folder.store import Files
    from airflow_provider_trackunit.iris.export.folder.writer import Writer
    from airflow_provider_trackunit.iris.export.manifest import Manifest
    from airflow_provider_trackunit.iris.export.request import ExportRequest

log = logging.getLogger(__name__)


def found_checkpoint(files: Files) -> Checkpoint | None:
    """Return the checkpoint in a folder, None when there is none or it cannot be read."""
    data = files.read(CHECKPOINT)
    try:
        return None if data is None else read_checkpoint(data)
    except IrisCheckpointError as error:
        log.warning("%s in %s. It is not used; the export begins anew", error, files.label)
        return None


@dataclass(frozen=True, slots=True)
class Resuming:
    """What a try makes of what it found.

    :param fingerprint: of its request and account
    :param writer: the try, which knows the former manifest
    """

    files: Files
    request: ExportRequest
    fingerprint: str
    writer: Writer

    def refuse_sibling(self, checkpoint: Checkpoint | None) -> None:
        """Refuse the folder of another mapped instance, unless it does the same work.

        :raises IrisCheckpointError: when it asks for something else
        """
        mine = self.request.run
        for found in (checkpoint, self._manifest()):
            if found is None or not found.run.is_same_work(mine):
                continue
            if found.run.map_index != mine.map_index and found.request != self.fingerprint:
                raise IrisCheckpointError(
                    f"{self.files.label} is also the output_path of map index {found.run.map_index} of this task in this "
                    "run, which asks for something else. Give each mapped instance its own, for example with "
                    "{{ ti.map_index }} in output_path"
                )

    def is_usable(self, found: Checkpoint, now_s: float) -> bool:
        """Return whether the export goes on from a checkpoint; the log says why not."""
        if found.request != self.fingerprint or not found.run.is_same_work(self.request.run):
            return False
        objection = self._objection_to(found, now_s)
        if objection:
            log.warning(
                "%s in %s %s. It is not used; the export begins anew", CHECKPOINT, self.files.label, objection
            )
        return not objection

    def _objection_to(self, found: Checkpoint, now_s: float) -> str:
        age_s = now_s - found.saved_at_s
        if abs(age_s) > self.request.resume_within_s:
            return f"was written {age_s / 86_400:.1f} days ago, longer than resume_within"
        if not self._holds(found):
            return "was written before the result that is there now"
        if not self._is_whole(found):
            return "counts parts that are not there, or pages that are not of this request"
        return ""

    def _holds(self, found: Checkpoint) -> bool:
        """Return whether nobody can be about to delete what a checkpoint counts."""
        manifest = self._manifest()
        published = manifest is not None and {part.name for part in found.parts} <= manifest.files
        return published or found.former == self.writer.former_digest

    def _is_whole(self, found: Checkpoint) -> bool:
        names = [part.name for part in found.parts] + ([found.windows_file] if found.windows_file else [])
        ours = all(map(is_file_of_result, names)) and len(set(names)) == len(names)
        return ours and found.frontier.is_usable(self.request.calls) and not self.files.missing(names)

    def _manifest(self) -> Manifest | None:
        return read_manifest(self.writer.former)
