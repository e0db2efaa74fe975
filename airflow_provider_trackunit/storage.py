"""A folder of any fsspec file system as the store of an export: files appear whole or not at all.

An object store takes an object in one call, which makes it appear at once. A local file is written under a
name of its own first and renamed, because a reader, or a full disk, could catch it half written.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_trackunit._compat import object_storage_path
from airflow_provider_trackunit.iris.errors import IrisConfigurationError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

# What brings the stores that people use most.
_PACKAGES = {
    "s3": "'apache-airflow-providers-amazon[s3fs]'",
    "s3a": "'apache-airflow-providers-amazon[s3fs]'",
    "gs": "apache-airflow-providers-google",
    "gcs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
    "abfss": "apache-airflow-providers-microsoft-azure",
    "adl": "apache-airflow-providers-microsoft-azure",
}
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
    def at(
        cls, folder: str | ObjectStoragePath, conn_id: str | None, argument: str = "output_path"
    ) -> FolderStore:
        """Return the store of a folder, with the connection that is named here or in it.

        :param argument: what messages call the folder
        :raises IrisConfigurationError: when the path cannot be one of a store; the text says why
        """
        text = str(folder)
        if "://" not in text and not PurePath(text).is_absolute():
            raise IrisConfigurationError(
                f"{argument}: {text!r} is a relative path, and would be another folder on every worker. "
                "Give a URL such as s3://bucket/folder, or an absolute path"
            )
        try:
            path = object_storage_path(folder, conn_id)
            return cls(path.fs, str(path.path), str(path))
        except (ImportError, ValueError) as error:
            raise IrisConfigurationError(f"{argument}: {_no_store(text, error)}") from None

    def names(self) -> list[str]:
        """Return the names of the files in the folder, none when it does not exist."""
        self._fs.invalidate_cache(self._root)
        try:
            listed = self._fs.ls(self._root, detail=False)
        except FileNotFoundError:
            return []
        return [str(path).rstrip("/").rpartition("/")[2] for path in listed]

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
        # A name that no other writer has, even of the same file at the same moment.
        unfinished = self._path(f"{name}.{secrets.token_hex(8)}.unfinished")
        try:
            self._fs.pipe_file(unfinished, data)
            # In one step, and in the place of a former file; the file system's own move goes by way of a copy.
            Path(unfinished).replace(self._path(name))
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


def _no_store(folder: str, error: Exception) -> str:
    """Return why there is no store for a folder, and what to install."""
    scheme = urlsplit(folder).scheme
    package = _PACKAGES.get(scheme)
    hint = f"pip install {package}" if package else "is the scheme spelt right, and its provider installed?"
    return f"no store for {scheme}:// here ({error}); {hint}"


def file_at(path: str, conn_id: str | None, argument: str) -> tuple[FolderStore, str]:
    """Return the store of the folder that a file lies in, and the name of the file.

    :param argument: what messages call the path
    :raises IrisConfigurationError: when the path cannot be one of a store, or names no file
    """
    folder, _, name = path.rpartition("/")
    if not name or not folder or folder.endswith(":/"):
        raise IrisConfigurationError(
            f"{argument}: {path!r} names no file in a folder. Give a URL such as s3://bucket/folder/{argument}.json"
        )
    return FolderStore.at(folder, conn_id, argument), name


def dataset_of(folder: str) -> tuple[str, str]:
    """Return namespace and name of a folder as OpenLineage writes them: ``s3://bucket`` and ``key``.

    Read from the text, because a path's ``bucket`` holds the connection on Airflow 2.
    """
    parts = urlsplit(_USER_INFO.sub("", folder) if "://" in folder else f"file://{folder}")
    if parts.scheme in {"file", "local"}:
        return "file", parts.path.rstrip("/") or "/"
    return f"{parts.scheme}://{parts.netloc}", parts.path.strip("/") or "/"
