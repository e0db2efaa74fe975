"""What our files in a folder are called, and which files are ours. Files of others are never touched.

Ours are told by the try in their names, which has sixteen hexadecimal digits.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.export.folder.checkpoint import CHECKPOINT
from airflow_provider_trackunit.iris.export.manifest import MANIFEST

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.export.manifest import Manifest

_TRY: Final = r"[0-9a-f]{16}"
_FILE: Final = re.compile(rf"(?:part|skipped|windows)-\d{{5,}}-{_TRY}\.(?:jsonl|jsonl\.gz|parquet|json)")
_ANNOUNCEMENT: Final = re.compile(rf"_publishing-{_TRY}\.json")
# What a store writes first and renames then, should it have to.
_UNFINISHED: Final = re.compile(
    rf"(?:{_FILE.pattern}|{_ANNOUNCEMENT.pattern}|{re.escape(MANIFEST)}|{re.escape(CHECKPOINT)})\.{_TRY}\.unfinished"
)

# So had version 0.1.0 named its parts.
_FORMER_FILE: Final = re.compile(r"part-\d{5,}\.jsonl(?:\.gz)?")


def try_name(now_s: float, chance: str) -> str:
    """Return the name of a try that begins now, told from others of the same second by eight hexadecimal digits."""
    return f"{int(now_s) & 0xFFFFFFFF:08x}{chance}"


def file_name(kind: str, number: int, writer: str, suffix: str) -> str:
    """Return the name of a file of a result: a part, or a list beside the parts."""
    return f"{kind}-{number:05d}-{writer}{suffix}"


def announcement_of(writer: str) -> str:
    """Return the name of the file in which a try says what it is about to publish."""
    return f"_publishing-{writer}.json"


def is_file_of_result(name: str) -> bool:
    """Return whether a file can be one that a checkpoint counts."""
    return _FILE.fullmatch(name) is not None


def is_announcement(name: str) -> bool:
    """Return whether a file is the announcement of some try."""
    return _ANNOUNCEMENT.fullmatch(name) is not None


def is_ours(name: str, former: Manifest | None) -> bool:
    """Return whether a file was written by some try, so that it may be deleted once nothing needs it.

    :param former: what the former result named, with names that say less
    """
    if any(kind.fullmatch(name) for kind in (_FILE, _ANNOUNCEMENT, _UNFINISHED)):
        return True
    return former is not None and name in former.files and _FORMER_FILE.fullmatch(name) is not None
