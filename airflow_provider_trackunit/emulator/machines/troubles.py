"""How real fleets spoil what they send: counters that fall, silences, readings that are late, twice or wrong.

Which machine, which week and which reading is spoilt follows from the seed and the switches alone.
"""

from functools import lru_cache
from typing import NamedTuple

from airflow_provider_trackunit.emulator.machines.datapoints import COLUMNS
from airflow_provider_trackunit.emulator.machines.identity import dice, roll
from airflow_provider_trackunit.emulator.machines.identity import share as share_of
from airflow_provider_trackunit.emulator.machines.work import CYCLE_S, DAY_S, HOUR_S, Counters, machine
from airflow_provider_trackunit.emulator.settings import Settings

WEEK_S = 7 * DAY_S
# A device whose clock is wrong is wrong by years, so that its stamps do not come true while somebody looks on.
CLOCK_AHEAD_S = 3653 * DAY_S
# How much less the second of two readings of one time says.
TWIN_LESS = 0.5
# Nothing falls before 1 November 2025, so that no counter ever gets below zero.
FALLS_SINCE = 1_761_955_200
FALLS_EVERY_DAYS = (10, 20)
LONGEST_SILENCE_S = 60 * HOUR_S


class Sample(NamedTuple):
    """One reading: when it was taken, when it arrives, whether its clock was wrong, whether it is a second one."""

    taken: float
    arrives: float
    ahead: bool = False
    twin: bool = False
    nowhere: bool = False

    @property
    def stamp(self) -> float:
        """Return the time that stands beside it."""
        return self.taken + CLOCK_AHEAD_S * self.ahead


class Falls(NamedTuple):
    """How the counters of a machine fall: every so often, all of them to zero or one of them by two weeks' worth."""

    first: float
    every_s: float
    column: str | None

    def number(self, at: float) -> int:
        """Return how often they have fallen until a moment."""
        return max(0, int((at - self.first) // self.every_s) + 1)

    def within(self, since: float, until: float) -> list[float]:
        """Return when they fell after ``since`` and until ``until``."""
        return [self.first + at * self.every_s for at in range(self.number(since), self.number(until))]


class Troubles:
    """The troubles of all machines of one emulator under its switches."""

    def __init__(self, seed: int, settings: Settings) -> None:
        self._seed = seed
        self._settings = settings
        self._silence = lru_cache(maxsize=4096)(self._silence_of)

    def is_of_a_mixed_fleet(self, index: int) -> bool:
        """Tell whether a machine comes through another maker's feed."""
        return self._is_one_of("mixed fleet", self._settings.mixed_fleet, index)

    def is_dense(self, index: int) -> bool:
        """Tell whether a machine reports more often than others."""
        return self._is_one_of("dense", self._settings.dense_series, index)

    def counted(self, index: int, at: float) -> Counters:
        """Return what a machine's counters show, which is less than the truth once they have fallen."""
        worker = machine(self._seed, index)
        truth, falls = worker.counters(at), self.falls(index)
        number = 0 if falls is None else falls.number(at)
        if falls is None or not number:
            return truth
        if falls.column is None:
            return truth.less(worker.counters(falls.first + (number - 1) * falls.every_s))
        cycle = worker.counters(falls.first + CYCLE_S).less(worker.counters(falls.first))
        lost = number * getattr(cycle, falls.column) / 2
        return truth._replace(**{falls.column: getattr(truth, falls.column) - lost})

    def falls(self, index: int) -> Falls | None:
        """Return how a machine's counters fall; None for one whose counters only rise."""
        if not self._is_one_of("falls", self._settings.falling_counters, index):
            return None
        bits = dice(self._seed, index, "fall")
        least, most = FALLS_EVERY_DAYS
        every_s = float((least + bits[0] % (most - least)) * DAY_S)
        columns = list(COLUMNS.values())
        # A device that was swapped counts everything anew; a correction is of one counter.
        column = None if bits[1] % 2 else columns[bits[2] % len(columns)]
        return Falls(FALLS_SINCE + int.from_bytes(bits[3:7]) % every_s, every_s, column)

    def is_silent(self, index: int, at: float) -> bool:
        """Tell whether a machine's reports of a moment are lost for good."""
        if not self._settings.silent_weeks:
            return False
        week = int(at // WEEK_S)
        # A silence that began in the week before may not be over.
        return any(
            begin <= at < end for begin, end in (self._silence(index, week - 1), self._silence(index, week))
        )

    def _silence_of(self, index: int, week: int) -> tuple[float, float]:
        bits = dice(self._seed, index, f"silence {week}")
        begin = week * WEEK_S + int.from_bytes(bits[2:6]) % WEEK_S
        lasts = 6 * HOUR_S + int.from_bytes(bits[6:10]) % (LONGEST_SILENCE_S - 6 * HOUR_S)
        return begin, begin + (lasts if share_of(bits, 0) < self._settings.silent_weeks else 0)

    def is_sent(self, index: int, at: int, step: int) -> bool:
        """Tell whether a machine sends a reading at a moment of its grid."""
        pause_s = self._settings.heartbeat_s
        quiet = pause_s is not None and at // pause_s == (at - step) // pause_s
        if quiet and not machine(self._seed, index).runs(at):
            return False
        return not self.is_silent(index, at)

    def spoilt(self, index: int, at: int) -> list[Sample]:
        """Return what comes of a reading: itself, or itself and a twin."""
        settings = self._settings
        bits = roll(self._seed, index, f"report {at}")
        late = share_of(bits, 0) < settings.late_readings
        delay_s = int.from_bytes(bits[2:6]) % settings.latest_by_s if late else 0
        ahead = share_of(bits, 6) < settings.future_stamps
        nowhere = share_of(bits, 8) < settings.null_positions
        sample = Sample(float(at), at + delay_s, ahead, nowhere=nowhere)
        twice = share_of(bits, 10) < settings.equal_times
        return [sample, sample._replace(twin=True)] if twice else [sample]

    def _is_one_of(self, what: str, share: float, index: int) -> bool:
        return share > 0 and share_of(dice(self._seed, index, what)) < share
