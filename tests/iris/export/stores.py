"""Stores in memory that break when they are told to, and a reader of what an export left in one."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Killed(BaseException):
    """The process is gone: nothing after this reaches the store."""


class MemoryStore:
    """A folder that is a dictionary. Counts what changes it, and calls ``before`` and ``after`` each change."""

    label = "memory://folder"

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = {} if files is None else files
        self.changes = 0
        self.before: Callable[[int, str], None] = lambda _number, _name: None
        self.after: Callable[[int, str], None] = lambda _number, _name: None

    def names(self) -> list[str]:
        return list(self.files)

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def write(self, name: str, data: bytes) -> None:
        self._change(name, lambda: self.files.__setitem__(name, data))

    def delete(self, name: str) -> None:
        if name in self.files:
            self._change(name, lambda: self.files.pop(name, None))

    def _change(self, name: str, change: Callable[[], Any]) -> None:
        self.changes += 1
        number = self.changes
        self.before(number, name)
        change()
        self.after(number, name)


class MortalStore(MemoryStore):
    """A store whose process is killed before or after its n-th change."""

    def __init__(self, files: dict[str, bytes], dies_at: int, when: str) -> None:
        super().__init__(files)
        self._dies_at = dies_at
        self._when = when
        self.before = self._die_before
        self.after = self._die_after

    def _die_before(self, number: int, name: str) -> None:
        if number > self._dies_at or (number == self._dies_at and self._when == "before"):
            raise Killed(f"before change {number}, {name}")

    def _die_after(self, number: int, name: str) -> None:
        if number == self._dies_at and self._when == "after":
            raise Killed(f"after change {number}, {name}")


def result_of(files: dict[str, bytes]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the manifest and all records, after checking that the folder holds what the manifest names and no more."""
    manifest = json.loads(files["_manifest.json"])
    names = [part["name"] for part in manifest["parts"]]
    names += [manifest["skipped_file"]] if manifest["skipped_file"] else []
    # A try that ends when it has announced its manifest leaves that behind for a day.
    assert sorted(name for name in files if not name.startswith("_publishing-")) == sorted(
        ["_manifest.json", *names]
    )
    records = []
    for part in manifest["parts"]:
        data = files[part["name"]]
        assert len(data) == part["bytes"]
        lines = (gzip.decompress(data) if manifest["compression"] else data).decode().splitlines()
        assert len(lines) == part["records"]
        records += [json.loads(line) for line in lines]
    assert len(records) == manifest["records"]
    return manifest, records
