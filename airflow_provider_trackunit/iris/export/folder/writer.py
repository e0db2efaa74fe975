"""One try among others that may be alive: who it is, what it found, and whether the folder is still its own."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.errors import IrisCheckpointError
from airflow_provider_trackunit.iris.export.folder.checkpoint import CHECKPOINT, read_checkpoint
from airflow_provider_trackunit.iris.export.manifest import MANIFEST

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.export.folder.store import Files


class Writer:
    """A try, as the checkpoint names it.

    :param name: which no other try has
    """

    def __init__(self, files: Files, name: str) -> None:
        self._files = files
        self.name = name
        #: The manifest that was there when it began; None for none.
        self.former: bytes | None = None

    @property
    def former_digest(self) -> str:
        """What tells the former manifest from every other; empty for none."""
        return "" if self.former is None else hashlib.sha256(self.former).hexdigest()

    def refuse_other(self) -> None:
        """Stop if the folder is another's.

        :raises IrisCheckpointError: when another try writes here now
        """
        there = self.in_checkpoint()
        # Who published before this try began may have deleted the checkpoint of this one with its own.
        if there == self.name or (there is None and self._files.read(MANIFEST) == self.former):
            return
        raise IrisCheckpointError(
            f"Another task instance or try writes to {self._files.label} now; this one stops. "
            "Give every run and every mapped instance an output_path of its own"
        )

    def in_checkpoint(self) -> str | None:
        """Return the try that the checkpoint belongs to, None when there is none, empty when it cannot be read."""
        data = self._files.read(CHECKPOINT)
        try:
            return None if data is None else read_checkpoint(data).writer
        except IrisCheckpointError:
            return ""
