"""A folder of any fsspec file system as the store of an export: files appear whole or not at all.

An object store takes an object in one call, which makes it appear at once. A local file is written under a
name of its own first and renamed, because a reader, or a full disk, could catch it half written.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_UNFINISHED = ".unfinished"
_USER_INFO = re.compile(r"(?<=://)[^/@]*@")


class FolderStore:
    """One folder of a file system or bucket.

    :param fs: an fsspec file system
    :param root: the folder in it; made when the first file is written
    :param label: how messages name it; credentials are taken out
    """

    def __init__(self, fs: Any, root: str, label: str) -> None:
        self._fs = fs
        self._root = root.rstrip("/")
        self._local = "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)
        self.label = _USER_INFO.sub("", label).rstrip("/")

    @classmethod
    def of(cls, folder: ObjectStoragePath) -> FolderStore:
        """Return the store of an Airflow path, with the connection that it names."""
        return cls(folder.fs, str(folder.path), str(folder))

    def names(self) -> list[str]:
        """Return the names of the files in the folder, those of a write that broke off included."""
        self._fs.invalidate_cache(self._root)
        try:
            listed = self._fs.ls(self._root, detail=False)
        except FileNotFoundError:
            return []
        names = [str(path).rstrip("/").rpartition("/")[2] for path in listed]
        for name in [name for name in names if name.endswith(_UNFINISHED)]:
            self.delete(name)
        return [name for name in names if not name.endswith(_UNFINISHED)]

    def read(self, name: str) -> bytes | None:
        """Return a file's content, None when it does not exist."""
        try:
            return bytes(self._fs.cat_file(self._path(name)))
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file so that it appears whole or not at all."""
        if not self._local:
            self._fs.pipe_file(self._path(name), data)
            return
        self._fs.makedirs(self._root, exist_ok=True)
        unfinished = self._path(name + _UNFINISHED)
        try:
            self._fs.pipe_file(unfinished, data)
            self._fs.mv(unfinished, self._path(name))
        except BaseException:
            with contextlib.suppress(OSError):
                self._fs.rm_file(unfinished)
            raise

    def delete(self, name: str) -> None:
        """Delete a file; nothing happens when it does not exist."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def dataset_of(folder: str) -> tuple[str, str]:
    """Return namespace and name of a folder as OpenLineage writes them: ``s3://bucket`` and ``key``.

    Read from the text, because a path's ``bucket`` holds the connection on Airflow 2.
    """
    parts = urlsplit(_USER_INFO.sub("", folder) if "://" in folder else f"file://{folder}")
    if parts.scheme in {"file", "local"}:
        return "file", parts.path.rstrip("/") or "/"
    return f"{parts.scheme}://{parts.netloc}", parts.path.strip("/") or "/"
