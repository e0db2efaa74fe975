"""Timestamps as the vendor writes them: ISO 8601, UTC, seconds, ``Z``."""

import re
from datetime import UTC, datetime
from functools import lru_cache

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")


def written(epoch_s: float) -> str:
    """Return the moment as ``2026-01-15T06:00:03Z``."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat()[:19] + "Z"


@lru_cache(maxsize=1024)
def read(text: str) -> float:
    """Return epoch seconds.

    :raises ValueError: unless the text is a full ISO 8601 timestamp with a zone.
    """
    if not _ISO.fullmatch(text):
        raise ValueError(f"'{text}' is not an ISO 8601 timestamp")
    return datetime.fromisoformat(text[:19] + "+00:00" if text.endswith("Z") else text).timestamp()
