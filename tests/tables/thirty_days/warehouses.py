"""The two databases that every run is loaded into, in six merges any of which can be the last thing a process did."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import duckdb
import psycopg

from airflow_provider_trackunit.tables.merging import MergeError, merge, merge_machine_days
from tests.tables.thirty_days.lake import KilledError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable
    from pathlib import Path
    from random import Random
    from types import TracebackType

STEPS: Final = 6


class Load(NamedTuple):
    """What a run brings: its readings, the first day that they can change, and its visits of sites."""

    readings: Any
    since: dt.date
    visits: Any


class Warehouses:
    """A DuckDB in a file and, where there is one, a PostgreSQL.

    :param postgresql: how to reach it; None for DuckDB alone
    """

    def __init__(self, file: Path, postgresql: str | None, time_zone: str) -> None:
        self._file = file
        self._reached = postgresql
        self._time_zone = time_zone
        self.went_away = 0
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        self.duckdb: Any = duckdb.connect(str(self._file))
        self.duckdb.execute("SET TimeZone = 'UTC'")
        self.postgresql: Any = psycopg.connect(self._reached) if self._reached else None

    def close(self) -> None:
        """Let both go, as a process that ends does."""
        self.duckdb.close()
        if self.postgresql is not None:
            self.postgresql.close()

    @property
    def connections(self) -> list[Any]:
        """Those that there are."""
        return [one for one in (self.duckdb, self.postgresql) if one is not None]

    def load(self, load: Load, *, dies_after: int | None = None) -> None:
        """Merge readings and visits, and make the days of the readings, in both.

        :param dies_after: the process ends after so many of the six merges; None for not
        :raises KilledError: when it does
        """
        for step, merging in enumerate(self._steps(load)):
            if step == dies_after:
                self.close()
                self._open()
                raise KilledError("load")
            merging()

    def _steps(self, load: Load) -> list[Callable[[], int]]:
        steps: list[Callable[[], int]] = []
        for connection in self.connections:
            steps.append(partial(merge, connection, "readings", load.readings))
            steps.append(partial(merge_machine_days, connection, time_zone=self._time_zone, since=load.since))
            steps.append(partial(merge, connection, "site_visits", load.visits))
        return steps

    def load_while_it_goes_away(self, load: Load, chance: Random) -> None:
        """Merge while PostgreSQL ends the session at some moment; what was not merged then is merged again."""
        end = threading.Timer(
            chance.random(), _end_session, (self._reached, self.postgresql.info.backend_pid)
        )
        end.start()
        try:
            self.load(load)
        except MergeError:
            self.went_away += 1
        end.join()
        self.close()
        self._open()
        self.load(load)

    def forget(self, first: dt.datetime, last: dt.datetime) -> None:
        """Lose everything of a time, as after a mistake by hand."""
        for connection in self.connections:
            cursor = connection.cursor()
            mark = "?" if connection is self.duckdb else "%s"
            times = f"observed_at >= {mark} AND observed_at <= {mark}"
            cursor.execute(f"DELETE FROM readings WHERE {times}", (first, last))  # noqa: S608 - ours
            entered = times.replace("observed_at", "entered_at")
            cursor.execute(f"DELETE FROM site_visits WHERE {entered}", (first, last))  # noqa: S608 - ours
            cursor.execute(
                f"DELETE FROM machine_days WHERE day BETWEEN {mark} AND {mark}",  # noqa: S608 - ours
                (first.date(), last.date()),
            )
            if connection is self.postgresql:
                connection.commit()


def _end_session(reached: str, process: int) -> None:
    with suppress(psycopg.Error), psycopg.connect(reached, autocommit=True) as another:
        another.execute("SELECT pg_terminate_backend(%s)", (process,))
