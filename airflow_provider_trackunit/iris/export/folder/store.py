"""Where the files of an export lie, and which of them an error is about."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from airflow_provider_trackunit.iris.errors import IrisError, IrisStorageError

if TYPE_CHECKING:
    from collections.abc import Collection, Generator


class Store(Protocol):
    """One folder of a file system or bucket. Every method raises OSError, or what its library raises.

    What was written is seen by every later read and listing, as on a local disk, S3, GCS and Azure.
    """

    #: How messages name the place; without credentials.
    label: str

    def names(self) -> list[str]:
        """Return the names of the files in the folder; none when it does not exist."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return a file's content, None when it does not exist."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file so that it appears whole or not at all, in the place of a former one."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file; nothing happens when it does not exist."""
        ...


class Files:
    """The files of a store. Whatever it raises comes as an IrisStorageError that names the place and the file."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.label = store.label

    def read(self, name: str) -> bytes | None:
        """Return a file's content, None when it does not exist.

        :raises IrisStorageError: when it cannot be read
        """
        with _storing(self.label, name):
            return self._store.read(name)

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole.

        :raises IrisStorageError: when it cannot be written; it may be there all the same
        """
        with _storing(self.label, name):
            self._store.write(name, data)

    def names(self, meant: str) -> list[str]:
        """Return the names of all files in the folder.

        :param meant: what is looked for, as the error says it
        :raises IrisStorageError: when the folder cannot be listed
        """
        with _storing(self.label, meant):
            return self._store.names()

    def missing(self, parts: Collection[str]) -> list[str]:
        """Return which of the stored parts, and lists beside them, are not there.

        :raises IrisStorageError: when the folder cannot be listed
        """
        if not parts:
            return []
        there = set(self.names("the stored parts"))
        return [name for name in parts if name not in there]


@contextmanager
def _storing(label: str, name: str) -> Generator[None]:
    """Say of what a store raises which file it is about."""
    try:
        yield
    except IrisError:
        raise
    except Exception as error:
        raise IrisStorageError(
            f"{label}: {name} could not be written or read ({type(error).__name__}: {error}). "
            "What was finished before is kept; a retry goes on from there"
        ) from error
