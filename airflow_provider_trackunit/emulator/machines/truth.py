"""What a machine really did on a local day, beside what its readings can tell of it so far.

The gain of a counter is told from its last reading at or before the day's end and its last at or before the day's
beginning. ``unreported`` says what a machine had done after each of the two, so that a table that was built from the
readings alone can be held against the truth to the last hundredth.
"""

from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.machines.datapoints import COLUMNS
from airflow_provider_trackunit.emulator.machines.feed import Feed
from airflow_provider_trackunit.emulator.machines.identity import scattered_uuid
from airflow_provider_trackunit.emulator.machines.troubles import Sample
from airflow_provider_trackunit.emulator.machines.work import Machine, machine


class Day(NamedTuple):
    """A local day in epoch seconds, as far as it has passed."""

    name: date
    begin: float
    end: float


def local_day(text: str, time_zone: str, now: float) -> Day:
    """Return the day of a time zone, of 23 or 25 hours too; it ends ``now`` if it is not over.

    :raises ValueError: if there is no such day or zone, or the day has not begun.
    """
    zone, name = ZoneInfo(time_zone), date.fromisoformat(text)
    begin, end = (
        datetime.combine(one, time.min, zone).timestamp() for one in (name, name + timedelta(days=1))
    )
    if begin >= now:
        raise ValueError(f"{text} has not begun in {time_zone}")
    return Day(name, begin, min(end, now))


def truth_of(feed: Feed, index: int, day: Day, now: float) -> dict[str, Any]:
    """Return what one machine did on a day.

    ``readings`` counts what has arrived by ``now`` of the readings taken on that day, for each column and for
    ``position``; ``unreported`` is null where no reading is known; ``fell`` names the columns whose counter falls
    from the reading before the day to the last of the day.
    """
    worker = machine(feed.seed, index)
    gained = worker.counters(day.end).less(worker.counters(day.begin))
    first, last = feed.stays.place(index, day.begin), feed.stays.place(index, day.end)
    known = {column: _Known(feed, index, datapoint, day, now) for datapoint, column in COLUMNS.items()}
    located = _good(feed, index, "Locations", day, now)
    positions = {one.taken for one in located if not one.nowhere and one.taken < day.end}
    return {
        "day": day.name.isoformat(),
        **{column: round(value, 4) for column, value in gained._asdict().items()},
        "first_latitude": first.latitude,
        "first_longitude": first.longitude,
        "last_latitude": last.latitude,
        "last_longitude": last.longitude,
        "visits": _visits(feed, index, day),
        "readings": {column: one.count for column, one in known.items()} | {"position": len(positions)},
        "unreported": {column: one.unreported(worker, column) for column, one in known.items()},
        "fell": sorted(column for column, one in known.items() if one.fell(column)),
    }


class _Known:
    """The readings of one counter that have arrived: those of the day, and the one before."""

    def __init__(self, feed: Feed, index: int, datapoint: str, day: Day, now: float) -> None:
        self._feed, self._index, self._day = feed, index, day
        self._of_day = _good(feed, index, datapoint, day, now)
        self._before = feed.last_sample(index, datapoint, day.begin, now)
        # A reading at the very end tells what the counter shows then, and is one of the next day's.
        self.count = len({sample.taken for sample in self._of_day if sample.taken < day.end})

    def unreported(self, worker: Machine, column: str) -> list[float] | None:
        """Return what was gained before the day's beginning and before its end since the reading before each."""
        if self._before is None:
            return None
        last = self._of_day[-1] if self._of_day else self._before
        pairs = ((self._before.taken, self._day.begin), (last.taken, self._day.end))
        gains = (worker.counters(end).less(worker.counters(begin)) for begin, end in pairs)
        return [round(getattr(gain, column), 4) for gain in gains]

    def fell(self, column: str) -> bool:
        """Tell whether the readings show a fall of the counter."""
        falls = self._feed.troubles.falls(self._index)
        if falls is None or falls.column not in {None, column} or not self._of_day:
            return False
        since = self._before.taken if self._before else self._of_day[0].taken
        return bool(falls.within(since, self._of_day[-1].taken))


def _good(feed: Feed, index: int, datapoint: str, day: Day, now: float) -> list[Sample]:
    """Return the readings of the day, both ends included, without those whose clock was wrong."""
    samples = feed.samples(index, datapoint, (day.begin, day.end), now)
    return [sample for sample in samples if not sample.ahead]


def _visits(feed: Feed, index: int, day: Day) -> list[dict[str, Any]]:
    stays = {stay for moment in (day.begin, day.end) if (stay := feed.stays.latest(index, moment))}
    return [
        {
            "siteId": scattered_uuid(feed.seed, stay.site, "site"),
            "entered_at": moments.written(stay.entered),
            "left_at": moments.written(stay.left) if stay.left <= day.end else None,
        }
        for stay in sorted(stays)
        if stay.left > day.begin
    ]
