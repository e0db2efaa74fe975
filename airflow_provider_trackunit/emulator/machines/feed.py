"""What comes of a machine's work to the vendor: which moments are reported, and what each reading says.

Every datapoint is sampled on a grid of its own spacing, shifted a little per machine, and the latest value of the
snapshot is the last sample of the series. The switches spoil that as real fleets do (``troubles.py``).
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.machines.datapoints import READERS
from airflow_provider_trackunit.emulator.machines.extension import Moment
from airflow_provider_trackunit.emulator.machines.identity import dice
from airflow_provider_trackunit.emulator.machines.stays import Stays
from airflow_provider_trackunit.emulator.machines.troubles import TWIN_LESS, Sample, Troubles
from airflow_provider_trackunit.emulator.machines.work import DAY_S, HOUR_S, Counters, machine
from airflow_provider_trackunit.emulator.settings import Settings

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
# How far the latest reading is searched for: a machine that was silent for longer has none.
LOOK_BACK_S = 14 * DAY_S


class Feed:
    """The reports of all machines of one emulator under its switches."""

    def __init__(self, seed: int, settings: Settings, stays: Stays) -> None:
        self.seed = seed
        self._settings = settings
        self.stays = stays
        self.troubles = Troubles(seed, settings)
        # The pages of one series ask for the same samples again.
        self._samples = lru_cache(maxsize=128)(self._sampled)

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
        counted = self.troubles.counted(index, sample.taken)
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
        if self.troubles.is_of_a_mixed_fleet(index):
            return MIXED_FLEET_STEP_S
        if self.troubles.is_dense(index):
            return DENSE_STEP_S
        if datapoint == "Locations":
            return self._settings.location_step_s
        return STEPS_S.get(datapoint, self._settings.hours_step_s)

    def _sampled(self, index: int, step: int, window: tuple[float, float], now: float) -> Sequence[Sample]:
        offset = int.from_bytes(dice(self.seed, index)[4:8]) % step
        first, last = -int((offset - window[0]) // step), int((window[1] - offset) // step)
        taken = range(first * step + offset, last * step + offset + 1, step)
        if not self._settings.spoils_samples:
            return [Sample(float(at), at) for at in taken if at <= now]
        troubles = self.troubles
        sent = (at for at in taken if troubles.is_sent(index, at, step))
        return [sample for at in sent for sample in troubles.spoilt(index, at) if sample.arrives <= now]
