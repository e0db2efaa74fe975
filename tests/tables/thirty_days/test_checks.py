"""How the month is checked: what the emulator's books say a machine day must be, where a snapshot told the last word."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.emulator.machines.identity import asset_id
from airflow_provider_trackunit.emulator.machines.truth import local_day, truth_of
from airflow_provider_trackunit.tables import readings, site_visits
from tests.tables.results import FLEET, SERIES, equipment, of, result
from tests.tables.thirty_days.checks import Day, Days
from tests.tables.thirty_days.fleet import DATAPOINTS, Books, Window
from tests.tables.thirty_days.month import BEGIN, SWITCHES, TIME_ZONE
from tests.tables.thirty_days.warehouses import Load, Warehouses

if TYPE_CHECKING:
    from pathlib import Path

_SEED = 15
_HALF_A_DAY = dt.timedelta(hours=12)
_SMALLER_LAST = "null and flagged: of two values a snapshot told the smaller last"


class Story:
    """A machine of the books whose results are loaded one after the other, and its days checked."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._books = Books(_SEED, 150, SWITCHES)
        self._name = name
        index = self._books.names.index_of(name)
        assert index is not None
        self._index = index
        self._loads: list[dict[str, Any]] = []
        self._now = BEGIN

    def snapshot(self, at: dt.datetime) -> None:
        """Read a snapshot of a moment, and load it."""
        blocks = self._books.feed.latest(self._index, DATAPOINTS, at.timestamp())
        self._result(FLEET, [equipment(self._name, **blocks)], at)

    def series(self, since: dt.datetime, at: dt.datetime) -> None:
        """Read all series from one moment to another, and load them."""
        window = Window(since.timestamp(), at.timestamp())
        records = [
            of(self._name, datapoint, self._books.feed.reading(self._index, datapoint, sample))
            for datapoint in DATAPOINTS
            for sample in self._books.samples(self._name, datapoint, window, at.timestamp())
        ]
        self._result(SERIES, records, at)

    def _result(self, endpoint: str, records: list[dict[str, Any]], at: dt.datetime) -> None:
        # Of two at one moment, the later given is the later.
        self._loads.append(result(self._folder, endpoint, records, at.isoformat(), per_part=10_000))
        self._now = max(self._now, at)

    def kinds(self) -> set[str]:
        """Return what its columns were counted as; all of them have to be as the check expects."""
        month: Any = SimpleNamespace(now=self._now, until=self._now, story=SimpleNamespace(skipped=set()))
        with Warehouses(self._folder / "days.duckdb", None, TIME_ZONE) as warehouses:
            for manifest in self._loads:
                since = BEGIN.date() - dt.timedelta(days=30)
                warehouses.load(Load(readings(manifest), since, site_visits([])))
            found = list(Days(month, warehouses, self._books).checks(self._truths()))
        assert [one for one in found if not one.holds] == []
        return {one.name.removeprefix("columns of machine days: ") for one in found}

    def _truths(self) -> list[tuple[Day, list[dict[str, Any]]]]:
        names = {"assetId": asset_id(_SEED, self._index), "pin": self._name}
        now = self._now.timestamp()
        day = Day.of(BEGIN.date())
        found = []
        while day.end <= now:
            local = local_day(day.date.isoformat(), TIME_ZONE, now)
            found.append((day, [names | truth_of(self._books.feed, self._index, local, now)]))
            day = Day.of(day.date + dt.timedelta(days=1))
        return found


def test_before_the_first_run_a_snapshot_may_have_told_the_smaller_of_two_values(tmp_path: Path) -> None:
    """The machine was silent when the month began, and its last reading before came twice."""
    story = Story(tmp_path, "HOLT7P0000016")
    story.snapshot(BEGIN + _HALF_A_DAY)
    story.series(BEGIN, BEGIN + 4 * _HALF_A_DAY)
    assert "flagged: of several days" in story.kinds()


def test_a_snapshot_that_comes_last_can_put_the_smaller_of_two_values_back_until_the_series_is_read_again(
    tmp_path: Path,
) -> None:
    """As after a run that is cleared: its series are of then, its snapshot is of now."""
    fourth_midnight = BEGIN + dt.timedelta(days=4, hours=-1)
    story = Story(tmp_path, "DOVS45P0000040")
    story.series(BEGIN, fourth_midnight)
    assert _SMALLER_LAST not in story.kinds()
    story.snapshot(fourth_midnight)
    assert _SMALLER_LAST in story.kinds()
    story.series(BEGIN + dt.timedelta(days=2), fourth_midnight)
    assert _SMALLER_LAST not in story.kinds()
