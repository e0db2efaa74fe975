"""The store of all results and of the state, in which a process can die at any operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class KilledError(BaseException):
    """The process died. Whatever it still tries to do with the store has no effect."""


@dataclass
class Death:
    """When a process dies: at its n-th operation on the store, counting those whose path holds a text.

    :param when: before the operation is carried out, or after
    """

    nth: int
    of: str = ""
    when: Literal["before", "after"] = "before"
    dead: bool = False

    def comes(self, path: str, when: str) -> bool:
        """Return whether the process is dead at this point of an operation."""
        if when == "before" and self.of in path:
            self.nth -= 1
        self.dead |= self.nth == 0 and self.of in path and when == self.when
        return self.dead


class Lake(DirFileSystem):  # type: ignore[misc] # fsspec has no types
    """A bucket in a folder.

    :param folder: where it is
    """

    cachable = False

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), LocalFileSystem(auto_mkdir=True))
        self.death: Death | None = None

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        """List a folder."""
        return self._survived(super().ls, path, detail=detail, **options)

    def cat_file(self, path: str, *range_: Any, **options: Any) -> Any:
        """Read a file."""
        return self._survived(super().cat_file, path, *range_, **options)

    def pipe_file(self, path: str, *data: Any, **options: Any) -> Any:
        """Write a file."""
        return self._survived(super().pipe_file, path, *data, **options)

    def rm_file(self, path: str) -> Any:
        """Delete a file."""
        return self._survived(super().rm_file, path)

    def _survived(self, operation: Callable[..., Any], path: str, *arguments: Any, **options: Any) -> Any:
        if self.death is not None and self.death.comes(path, "before"):
            raise KilledError(path)
        done = operation(path, *arguments, **options)
        if self.death is not None and self.death.comes(path, "after"):
            raise KilledError(path)
        return done
