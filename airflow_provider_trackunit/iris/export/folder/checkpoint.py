"""The checkpoint: where an unfinished export stands, for the next try of the same run. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_provider_trackunit.iris.errors import IrisCheckpointError
from airflow_provider_trackunit.iris.export.manifest import Part, Run, Skipped
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON
from airflow_provider_trackunit.iris.pages.frontier import Frontier

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.export.folder.store import Store

CHECKPOINT: Final = "_checkpoint.json"

# Raised whenever the meaning of a checkpoint changes: one of another version is never half understood.
_VERSION: Final = 3


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the next try needs to go on where this one stopped.

    :param request: fingerprint of the request and the output form; another request never resumes from here
    :param writer: the try that wrote it; one that finds another here has been replaced
    :param started_at_s: when the first try began, in seconds since the epoch
    :param saved_at_s: when this was written
    :param former: a digest of the manifest that was there when its writer began, empty for none: a new result may take
        away the parts that are counted here
    :param postponed: how many items are left to a later run
    :param filled: the columns that something was found for, in the stored parts
    :param newest: the greatest value of the field that was asked for
    :param period: of an incremental run, so that every try of it reads the same
    :param windows_file: the name of a file beside the parts that says what of each item is read
    :param requests: API requests sent so far, retries included
    :param checksum: of everything else, so that a checkpoint that was damaged or edited never decides what is missing
    """

    request: str
    run: Run
    writer: str
    started_at_s: float
    saved_at_s: float
    former: str = ""
    version: int = _VERSION
    frontier: Frontier = Frontier()
    parts: tuple[Part, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    postponed: int = 0
    bad_values: dict[str, int] = {}
    filled: tuple[str, ...] = ()
    newest: str | int | float | None = None
    period: dict[str, Any] | None = None
    windows_file: str | None = None
    requests: int = 0
    checksum: str = ""


class _Version(msgspec.Struct):
    version: int


def write_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as it is stored."""
    return msgspec.json.encode(msgspec.structs.replace(checkpoint, checksum=_checksum(checkpoint)))


def _checksum(checkpoint: Checkpoint) -> str:
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(checkpoint, checksum=""))).hexdigest()


def read_checkpoint(data: bytes) -> Checkpoint:
    """Return a stored checkpoint.

    :raises IrisCheckpointError: when it is cut off, damaged, or of another version
    """
    try:
        version = msgspec.json.decode(data, type=_Version).version
        if version != _VERSION:
            raise IrisCheckpointError(f"{CHECKPOINT} is of version {version}; this package writes {_VERSION}")
        checkpoint = msgspec.json.decode(data, type=Checkpoint)
        if checkpoint.checksum != _checksum(checkpoint):
            raise IrisCheckpointError(f"{CHECKPOINT} cannot be read (its checksum is another)")
        return msgspec.structs.replace(checkpoint, checksum="")
    except BROKEN_JSON as error:
        raise IrisCheckpointError(f"{CHECKPOINT} cannot be read ({error})") from None


def progress_in(store: Store) -> list[int]:
    """Return how far an unfinished export has come, as numbers that grow: items begun, pages, parts and records stored."""
    try:
        found = read_checkpoint(store.read(CHECKPOINT) or b"")
    except IrisCheckpointError:
        return []
    records = sum(part.records for part in found.parts)
    return [found.frontier.next_item, found.frontier.came, len(found.parts), records]
