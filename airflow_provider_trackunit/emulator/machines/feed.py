"""What comes of a machine's work to the vendor: which moments are reported, when they arrive, and how they are spoilt.

Every datapoint is sampled on a grid of its own spacing, shifted a little per machine, and the latest value of the
snapshot is the last sample of the series. The switches spoil that as real fleets do; what is spoilt follows from the
seed, the machine and the time alone, so that nothing has to be remembered.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.machines.datapoints import COLUMNS, READERS
from airflow_provider_trackunit.emulator.machines.extension import Moment
from airflow_provider_trackunit.emulator.machines.identity import dice, roll
from airflow_provider_trackunit.emulator.machines.identity import share as share_of
from airflow_provider_trackunit.emulator.machines.stays import Stays
from airflow_provider_trackunit.emulator.machines.work import CYCLE_S, DAY_S, HOUR_S, Counters, machine
from airflow_provider_trackunit.emulator.settings import Settings

WEEK_S = 7 * DAY_S
STEPS_S = {"Faults": 3 * DAY_S, "Distance": 7_200, "FuelUsed": 14_400, "FuelRemaining": 14_400}
# A hundred rows on each of twenty pages, in the fourteen days that one request may ask for.
DENSE_STEP_S = 605
# Feeds of other makers bring their machines twice a day (developer hub: ISO feeds).
MIXED_FLEET_STEP_S = 12 * HOUR_S
# Every fifth machine reports no idle hours, so that empty histories exist (they answer 200 with an empty list).
NO_IDLE_HOURS = 5
# Which byte of a machine's dice says whether it reports a datapoint, and how many of 256 machines do; those that are
# not named come from every machine.
REPORTED_BY = {
    "Distance": (0, 230),
    "FuelUsed": (1, 200),
    "CumulativeIdleNonOperatingHours": (2, 60),
    "CumulativePowerTakeOffHours": (3, 40),
    "CumulativeActiveRegenerationHours": (4, 40),
    "CumulativeLoadCount": (5, 50),
    "CumulativePayloadTotals": (5, 50),
    "DEFRemaining": (6, 120),
    "FuelUsedLast24": (7, 100),
    "AverageLoadFactorLast24": (8, 90),
    "MaximumSpeedLast24": (9, 70),
}
# A device whose clock is wrong is wrong by years, so that its stamps do not come true while somebody looks on.
CLOCK_AHEAD_S = 3653 * DAY_S
# How much less the second of two readings of one time says.
TWIN_LESS = 0.5
# Nothing falls before 1 November 2025, so that no counter ever gets below zero.
FALLS_SINCE = 1_761_955_200
FALLS_EVERY_DAYS = (10, 20)
LONGEST_SILENCE_S = 60 * HOUR_S
# How far the latest reading is searched for: a machine that was silent for longer has none.
LOOK_BACK_S = 14 * DAY_S


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


class Feed:
    """The reports of all machines of one emulator under its switches."""

    def __init__(self, seed: int, settings: Settings, stays: Stays) -> None:
        self.seed = seed
        self._settings = settings
        self.stays = stays
        # The pages of one series ask for the same samples again.
        self._samples = lru_cache(maxsize=128)(self._sampled)
        self._silence = lru_cache(maxsize=4096)(self._silence_of)

    def reports(self, index: int, datapoint: str) -> bool:
        """Tell whether a machine reports a datapoint at all."""
        if datapoint == "CumulativeIdleHours":
            return index % NO_IDLE_HOURS != 0
        if datapoint not in REPORTED_BY:
            return True
        at, out_of_256 = REPORTED_BY[datapoint]
        return dice(self.seed, index, "reports")[at] < out_of_256

    def samples(
        self, index: int, datapoint: str, window: tuple[float, float], now: float
    ) -> Sequence[Sample]:
        """Return the samples taken within ``window`` that have arrived by ``now``, oldest first."""
        if not self.reports(index, datapoint):
            return ()
        return self._samples(index, self.step_s(index, datapoint), window, now)

    def latest(self, index: int, datapoints: Iterable[str], now: float) -> dict[str, dict[str, Any]]:
        """Return the last readings that have arrived by ``now``, by datapoint; those that have none are left out."""
        found: dict[str, dict[str, Any]] = {}
        # Datapoints of one spacing are sampled together.
        at_once: dict[int, tuple[str, Moment] | None] = {}
        for datapoint in datapoints:
            if not self.reports(index, datapoint):
                continue
            step = self.step_s(index, datapoint)
            if step not in at_once:
                sample = self._last(index, step, now, now)
                at_once[step] = sample and (moments.written(sample.stamp), self._moment(index, sample))
            if known := at_once[step]:
                found[datapoint] = {"datetime": known[0], **READERS[datapoint](known[1])}
        return found

    def last_sample(self, index: int, datapoint: str, at: float, now: float) -> Sample | None:
        """Return the last sample taken until ``at`` that has arrived by ``now`` with the time at which it was taken."""
        if not self.reports(index, datapoint):
            return None
        return self._last(index, self.step_s(index, datapoint), at, now, of_wrong_clocks=False)

    def reading(self, index: int, datapoint: str, sample: Sample) -> dict[str, Any]:
        """Return the members of a sample and its time."""
        return {"datetime": moments.written(sample.stamp), **READERS[datapoint](self._moment(index, sample))}

    def _moment(self, index: int, sample: Sample) -> Moment:
        counted = self.counted(index, sample.taken)
        if sample.twin:
            counted = Counters(*(max(0.0, one - TWIN_LESS) for one in counted))
        worker = machine(self.seed, index)
        return Moment(self.seed, index, sample.taken, worker, counted, self.stays, sample.nowhere)

    def _last(
        self, index: int, step: int, at: float, now: float, *, of_wrong_clocks: bool = True
    ) -> Sample | None:
        reach = step
        while reach <= max(LOOK_BACK_S, step):
            samples = self._sampled(index, step, (at - reach + 1, at), now)
            found = [sample for sample in samples if of_wrong_clocks or not sample.ahead]
            if found:
                return found[-1]
            reach *= 4
        return None

    def step_s(self, index: int, datapoint: str) -> int:
        """Return how far apart the samples of a machine's datapoint are."""
        settings = self._settings
        if self._is_one_of("mixed fleet", settings.mixed_fleet, index):
            return MIXED_FLEET_STEP_S
        if self._is_one_of("dense", settings.dense_series, index):
            return DENSE_STEP_S
        if datapoint == "Locations":
            return settings.location_step_s
        return STEPS_S.get(datapoint, settings.hours_step_s)

    def counted(self, index: int, at: float) -> Counters:
        """Return what a machine's counters show, which is less than the truth once they have fallen."""
        worker = machine(self.seed, index)
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
        bits = dice(self.seed, index, "fall")
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
        bits = dice(self.seed, index, f"silence {week}")
        begin = week * WEEK_S + int.from_bytes(bits[2:6]) % WEEK_S
        lasts = 6 * HOUR_S + int.from_bytes(bits[6:10]) % (LONGEST_SILENCE_S - 6 * HOUR_S)
        return begin, begin + (lasts if share_of(bits, 0) < self._settings.silent_weeks else 0)

    def _is_one_of(self, what: str, share: float, index: int) -> bool:
        return share > 0 and share_of(dice(self.seed, index, what)) < share

    def _sampled(self, index: int, step: int, window: tuple[float, float], now: float) -> Sequence[Sample]:
        offset = int.from_bytes(dice(self.seed, index)[4:8]) % step
        first, last = -int((offset - window[0]) // step), int((window[1] - offset) // step)
        taken = range(first * step + offset, last * step + offset + 1, step)
        if not self._settings.spoils_samples:
            return [Sample(float(at), at) for at in taken if at <= now]
        found = (
            sample for at in taken if self._is_sent(index, at, step) for sample in self._spoilt(index, at)
        )
        return [sample for sample in found if sample.arrives <= now]

    def _is_sent(self, index: int, at: int, step: int) -> bool:
        pause_s = self._settings.heartbeat_s
        quiet = pause_s is not None and at // pause_s == (at - step) // pause_s
        if quiet and not machine(self.seed, index).runs(at):
            return False
        return not self.is_silent(index, at)

    def _spoilt(self, index: int, at: int) -> list[Sample]:
        settings = self._settings
        bits = roll(self.seed, index, f"report {at}")
        late = share_of(bits, 0) < settings.late_readings
        delay_s = int.from_bytes(bits[2:6]) % settings.latest_by_s if late else 0
        ahead = share_of(bits, 6) < settings.future_stamps
        nowhere = share_of(bits, 8) < settings.null_positions
        sample = Sample(float(at), at + delay_s, ahead, nowhere=nowhere)
        twice = share_of(bits, 10) < settings.equal_times
        return [sample, sample._replace(twin=True)] if twice else [sample]
