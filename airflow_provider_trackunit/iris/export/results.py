"""What an export leaves beside its parts: the manifest of a finished one, the checkpoint of one under way.

Both are small JSON objects. A reader trusts the manifest and nothing else; a checkpoint is for the next try of
the same run. Pure.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_provider_trackunit.iris.calls import encode_json
from airflow_provider_trackunit.iris.errors import IrisCheckpointError
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON
from airflow_provider_trackunit.iris.pages.position import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_trackunit.iris.calls import Call

MANIFEST: Final = "_manifest.json"
CHECKPOINT: Final = "_checkpoint.json"
_PART_NAME: Final = re.compile(r"part-\d{5,}\.jsonl(\.gz)?")

# Raised whenever the meaning of a checkpoint changes: one of another version is never half understood.
_CHECKPOINT_VERSION: Final = 1


class Part(msgspec.Struct, frozen=True):
    """One finished file: its name beside the manifest, its records, and its size as stored."""

    name: str
    records: int
    bytes: int


class Skipped(msgspec.Struct, frozen=True):
    """An item that IRIS refused to show, by the values that name it."""

    path_params: dict[str, Any]
    status: int | None
    code: str | None


class Run(msgspec.Struct, frozen=True):
    """Who writes: the same run may resume, another may not."""

    dag_id: str = ""
    task_id: str = ""
    run_id: str = ""
    map_index: int = -1

    def is_sibling_of(self, other: Run) -> bool:
        """Return whether both are mapped instances of one task in one run, and not the same one."""
        same = (self.dag_id, self.task_id, self.run_id) == (other.dag_id, other.task_id, other.run_id)
        return same and self.map_index != other.map_index


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an export that is complete.

    ::

        {"endpoint": "/api/asset/v1/assets", "output_path": "s3://lake/assets", "records": 214, "compression": "gzip",
         "parts": [{"name": "part-00000.jsonl.gz", "records": 214, "bytes": 23817}],
         "announced": 214, "skipped": [], "requests": 1,
         "started_at": "2026-01-15T06:00:00Z", "finished_at": "2026-01-15T06:00:02Z", "run": {...}}

    :param output_path: the folder of the parts and of this manifest, as the caller named it
    :param announced: how many records IRIS said there are, null when it did not say
    :param skipped: items that answered 403 or 404 and were passed over on request
    :param requests: API requests sent, over all tries, retries included
    """

    endpoint: str
    output_path: str
    records: int
    parts: list[Part]
    compression: str | None
    announced: int | None
    skipped: list[Skipped]
    requests: int
    started_at: str
    finished_at: str
    run: Run


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the next try needs to go on where this one stopped.

    :param fingerprint: of the request and the output form; another request never resumes from here
    :param writer: the process that wrote it; one that finds another here has been replaced
    :param checksum: of everything else, so that a checkpoint that was damaged or edited never decides what is missing
    """

    fingerprint: str
    run: Run
    writer: str
    started_at: str
    version: int = _CHECKPOINT_VERSION
    position: Position = Position()
    parts: list[Part] = []
    skipped: list[Skipped] = []
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
        if version != _CHECKPOINT_VERSION:
            raise IrisCheckpointError(
                f"{CHECKPOINT} is of version {version}; this package writes {_CHECKPOINT_VERSION}"
            )
        checkpoint = msgspec.json.decode(data, type=Checkpoint)
        if checkpoint.checksum != _checksum(checkpoint):
            raise IrisCheckpointError(f"{CHECKPOINT} cannot be read (its checksum is another)")
        return msgspec.structs.replace(checkpoint, checksum="")
    except BROKEN_JSON as error:
        raise IrisCheckpointError(f"{CHECKPOINT} cannot be read ({error})") from None


def read_manifest(data: bytes) -> Manifest | None:
    """Return a stored manifest, None when it cannot be read."""
    try:
        return msgspec.json.decode(data, type=Manifest)
    except BROKEN_JSON:
        return None


def fingerprint(calls: Sequence[Call], compression: str | None) -> str:
    """Return what tells this request and form of output from every other."""
    request = [
        (
            call.origin,
            call.method,
            call.path,
            call.query,
            encode_json(call.json, order="deterministic"),
        )
        for call in calls
    ]
    return hashlib.sha256(msgspec.json.encode([request, compression])).hexdigest()


def part_name(number: int, compression: str | None) -> str:
    """Return the name of the n-th part, from 0."""
    return f"part-{number:05d}.jsonl{'.gz' if compression else ''}"


def is_ours(name: str) -> bool:
    """Return whether an export wrote a file of this name, and may delete it."""
    return name in {MANIFEST, CHECKPOINT} or bool(_PART_NAME.fullmatch(name))


def now() -> str:
    """Return the time of day, ISO 8601 in UTC."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
