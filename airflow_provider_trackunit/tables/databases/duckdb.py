"""DuckDB reads a table of Arrow where it lies."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_STAGED: Final = "iris_staged_rows"
# Older ones put the defaults into a user's own columns when ON CONFLICT updates a row that has a list.
_OLDEST: Final = (1, 4)
# Breaks its own memory when it writes a file that has a primary key (duckdb/duckdb#21270), and the process dies.
_BROKEN: Final = "1.5.0"


class DuckDB:
    """A connection of DuckDB.

    :param connection: as ``duckdb.connect`` gives it
    :raises TypeError: when it is of a DuckDB that is too old, or of 1.5.0
    """

    def __init__(self, connection: Any) -> None:
        import duckdb

        version = duckdb.__version__
        if tuple(map(int, version.split(".")[:2])) < _OLDEST:
            raise TypeError(f"DuckDB {version} is too old to be merged into; 1.4 or newer is needed")
        if version == _BROKEN:
            raise TypeError(f"DuckDB {version} dies when it writes a table with a key; take another version")
        self._connection = connection
        self.errors: tuple[type[Exception], ...] = (duckdb.Error,)

    def begin(self) -> None:
        """Begin a transaction."""
        self._connection.begin()

    def commit(self) -> None:
        """Make its changes last."""
        self._connection.commit()

    def rollback(self) -> None:
        """Undo its changes."""
        self._connection.rollback()

    def execute(self, statement: str) -> int:
        """Carry a statement out and return how many rows it changed."""
        counted = self._connection.execute(statement).fetchone()
        return int(counted[0]) if counted else 0

    def has(self, *, schema: str | None = None, table: str | None = None) -> bool:
        """Return False: ``IF NOT EXISTS`` finds it out, and nobody lacks the right to ask."""
        return False

    def lock(self, table: str) -> None:
        """Do nothing: of two transactions that write into one row the later fails, and nothing is lost."""

    @contextmanager
    def staged(self, rows: Any, columns: str) -> Iterator[str]:
        """Have rows where a statement can read them."""
        self._connection.register(_STAGED, rows)
        yield _STAGED
        # After a statement that failed nothing more is taken before the rollback, which undoes the registration too.
        self._connection.unregister(_STAGED)
