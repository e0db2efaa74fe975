"""The manifest: what a reader of a result trusts, and nothing else. A small JSON object beside the parts. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import msgspec

from airflow_provider_trackunit.iris import calls
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON

MANIFEST: Final = "_manifest.json"

#: So many of the items that were passed over are named in the manifest; all of them are in a file beside the parts.
MOST_SKIPPED_NAMED: Final = 100


class Part(msgspec.Struct, frozen=True):
    """One finished file: its name beside the manifest, its records, and its size as stored."""

    name: str
    records: int
    bytes: int


class Column(msgspec.Struct, frozen=True):
    """One column of a typed result."""

    name: str
    type: str
    unit: str | None = None


class Skipped(msgspec.Struct, frozen=True):
    """An item that IRIS refused to show, by the values that name it.

    :param records: how many records of it are in the result all the same, from the pages before the refusal
    """

    path_params: dict[str, Any]
    status: int | None
    code: str | None
    records: int = 0


class Run(msgspec.Struct, frozen=True):
    """Who writes: the same run may resume, another may not."""

    dag_id: str = ""
    task_id: str = ""
    run_id: str = ""
    map_index: int = -1

    def is_same_work(self, other: Run) -> bool:
        """Return whether both are one task in one run; mapped instances of it are told apart by what they ask for."""
        return (self.dag_id, self.task_id, self.run_id) == (other.dag_id, other.task_id, other.run_id)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an export that is complete.

    ::

        {"endpoint": "/api/asset/v1/assets", "output_path": "s3://lake/assets", "output_conn_id": null, "records": 214,
         "parts": [{"name": "part-00000-6926a0b2c41d07e9.jsonl.gz", "records": 214, "bytes": 23817}],
         "format": "jsonl", "compression": "gzip", "columns": null, "bad_values": {},
         "announced": 214, "skipped": [], "skipped_count": 0, "skipped_file": null, "postponed_count": 0,
         "period": null, "windows_file": null, "requests": 1,
         "started_at": "2026-01-15T06:00:00Z", "finished_at": "2026-01-15T06:00:02Z", "run": {...}}

    :param output_path: the folder of the parts and of this manifest, as the caller named it
    :param output_conn_id: the Airflow connection of the store, as the caller named it
    :param columns: of a typed result; null for JSON Lines
    :param bad_values: how many values of a column did not fit its type and became null
    :param announced: how many records IRIS said there are, null when it did not say
    :param skipped: the first hundred items that IRIS refused and that were passed over on request
    :param skipped_count: how many were
    :param skipped_file: the name of a file beside the parts that lists all of them, one JSON object a line
    :param postponed_count: how many items met the limit of their calls after at least one window, and go on from there
        with the next run
    :param period: of an incremental run: ``from`` and ``until``, what was read (of items that differ: the earliest and
        the latest), ``newest``, the greatest value of the field that was named, and ``request``, what tells the request
        from others that could have the same state
    :param windows_file: of an incremental run with a cursor per item: the name of a file beside the parts that says
        what of each item was to be read
    :param requests: API requests sent, over all tries, retries included
    :param request: a fingerprint of what was asked for, by which account and in which form
    """

    endpoint: str
    output_path: str
    records: int
    parts: tuple[Part, ...]
    requests: int
    started_at: str
    finished_at: str
    run: Run
    output_conn_id: str | None = None
    format: str = "jsonl"
    compression: str | None = None
    columns: tuple[Column, ...] | None = None
    bad_values: dict[str, int] = {}
    announced: int | None = None
    skipped: tuple[Skipped, ...] = ()
    skipped_count: int = 0
    skipped_file: str | None = None
    postponed_count: int = 0
    period: dict[str, Any] | None = None
    windows_file: str | None = None
    request: str = ""

    @property
    def files(self) -> set[str]:
        """The names of all files that belong to this result, the manifest itself left out."""
        lists = filter(None, (self.skipped_file, self.windows_file))
        return {part.name for part in self.parts} | set(lists)


def write_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as it is stored."""
    return msgspec.json.encode(manifest)


def read_manifest(data: bytes | None) -> Manifest | None:
    """Return a stored manifest, None when there is none or it cannot be read."""
    try:
        return None if data is None else msgspec.json.decode(data, type=Manifest)
    except BROKEN_JSON:
        return None


def utc_text(epoch_s: float) -> str:
    """Return a moment, ISO 8601 in UTC."""
    return calls.utc_text(dt.datetime.fromtimestamp(epoch_s, dt.UTC))


def epoch_s(utc_text: str) -> float:
    """Return a moment that was written so, in seconds since the epoch."""
    return dt.datetime.fromisoformat(utc_text).timestamp()
