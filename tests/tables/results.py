"""Results of transfers as a test needs them: a folder with parts, and the manifest that names them."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

FLEET = "/public/api/aemp/v2/15143/-3/Fleet/1"
SERIES = "/public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}/{datapoint}/{from}/{until}/1"
HISTORY = "/api/site/v1/sites/history"
SITES = "/api/site/v1/sites"
FINISHED = "2026-01-15T06:00:02Z"

_numbers = count()


def result(
    folder: Path,
    endpoint: str,
    records: list[dict[str, Any]],
    finished_at: str = FINISHED,
    *,
    per_part: int = 3,
) -> dict[str, Any]:
    """Write records as a transfer does, in parts of a few, and return the manifest."""
    place = folder / f"result-{next(_numbers)}"
    place.mkdir(parents=True)
    parts = []
    for number, first in enumerate(range(0, len(records), per_part)):
        name = f"part-{number:05d}.jsonl.gz"
        lines = [json.dumps(record, ensure_ascii=False) for record in records[first : first + per_part]]
        (place / name).write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
        parts.append({"name": name, "records": len(lines)})
    return {
        "endpoint": endpoint,
        "output_path": str(place),
        "format": "jsonl",
        "parts": parts,
        "records": len(records),
        "finished_at": finished_at,
    }


def equipment(pin: str | None, **blocks: Any) -> dict[str, Any]:
    """Return a record of a snapshot."""
    return {"EquipmentHeader": {"PIN": pin} if pin is not None else {}, **blocks}


def hours(value: Any, at: str) -> dict[str, Any]:
    """Return a block of a counter of hours."""
    return {"Hour": value, "datetime": at}


def of(pin: str, datapoint: str, block: dict[str, Any]) -> dict[str, Any]:
    """Return a record of a series, as a fan-out writes it."""
    return {"_request": {"pin": pin, "datapoint": datapoint}, **block}


def utc(text: str) -> dt.datetime:
    """Return a time, to compare with."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
