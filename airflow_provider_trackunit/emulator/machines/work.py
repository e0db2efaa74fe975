"""What a machine really does: when its engine runs, idles and drives, and what it counts by that.

A machine works by one of a few dozen plans of four weeks that return for ever. So what it has done up to any
moment is arithmetic, and a fleet of a hundred thousand needs no more plans than a small one.
"""

from bisect import bisect_right
from functools import lru_cache
from random import Random
from typing import NamedTuple

from airflow_provider_trackunit.emulator.machines.identity import dice

HOUR_S = 3_600
DAY_S = 86_400
CYCLE_S = 28 * DAY_S
PLANS = 64
# A hundredth of an hour, which is as exactly as hours are reported: stints begin and end on it.
STEP_S = 36
# The first Monday of the epoch, so that the fifth and sixth day of a plan's week are a weekend.
FIRST_MONDAY = 4 * DAY_S
# One shift in seven is a night shift, which ends on another day than it began.
NIGHT_SHARE = 1 / 7
# Telematics came into the fleet from this moment on: 1 January 2022.
INSTALLED_SINCE = 1_640_995_200

#: What a running engine does, with the least and the most seconds of a stint and how often it is chosen.
WORKS, IDLES, DRIVES, RESTS = range(4)
STINTS_S = {
    WORKS: (1_080, 5_400, 4),
    IDLES: (360, 1_800, 3),
    DRIVES: (360, 1_440, 3),
    RESTS: (720, 2_880, 1),
}


class Counters(NamedTuple):
    """What a machine has counted; the names are the columns of a machine's day."""

    operating_hours: float
    idle_hours: float
    moving_hours: float
    distance_km: float
    fuel_litres: float

    def less(self, other: "Counters") -> "Counters":
        """Return what was counted since ``other``."""
        return Counters(*(mine - its for mine, its in zip(self, other, strict=True)))


class Seconds(NamedTuple):
    """How long an engine has run, and how much of that idling and driving."""

    running: float
    idling: float
    driving: float


class Plan:
    """Four weeks of stints, and the seconds before each of them."""

    def __init__(self, seed: int, number: int) -> None:
        chance = Random(f"plan {seed} {number}")  # noqa: S311 - no secret is drawn
        # An empty stint comes first, so that there is one before every moment.
        self._stints = [(0, 0, RESTS), *sorted(_stints(chance))]
        self._begins = [begin for begin, _, _ in self._stints]
        self._before = [Seconds(0, 0, 0)]
        for begin, end, kind in self._stints:
            self._before.append(_added(self._before[-1], end - begin, kind))

    def seconds(self, at: float) -> Seconds:
        """Return what a machine has done from the beginning of the first cycle until ``at``."""
        cycles, rest = divmod(at, CYCLE_S)
        number = bisect_right(self._begins, rest) - 1
        begin, end, kind = self._stints[number]
        running, idling, driving = _added(self._before[number], min(rest, end) - begin, kind)
        whole = self._before[-1]
        return Seconds(
            cycles * whole.running + running, cycles * whole.idling + idling, cycles * whole.driving + driving
        )

    def runs(self, at: float) -> bool:
        """Tell whether the engine runs."""
        rest = at % CYCLE_S
        return rest < self._stints[bisect_right(self._begins, rest) - 1][1]


def _stints(chance: Random) -> list[tuple[int, int, int]]:
    at_night = chance.random() < NIGHT_SHARE
    found = []
    for day in range(CYCLE_S // DAY_S):
        weekday = day % 7
        # Monday and Tuesday are always worked, so that every counter moves in every week.
        if weekday > 1 and chance.random() > (0.9 if weekday < 5 else 0.25):
            continue
        begin = day * DAY_S + (19 if at_night else 5) * HOUR_S + chance.randrange(0, 3 * HOUR_S, STEP_S)
        end = begin + chance.randrange(3 * HOUR_S, 10 * HOUR_S, STEP_S)
        found += [part for stint in _shift(chance, begin, end) for part in _within_the_cycle(*stint)]
    return found


def _shift(chance: Random, begin: int, end: int) -> list[tuple[int, int, int]]:
    kinds = list(STINTS_S)
    found: list[tuple[int, int, int]] = []
    while begin < end:
        # A shift begins with a drive and goes on by chance.
        kind = chance.choices(kinds, [often for _, _, often in STINTS_S.values()])[0] if found else DRIVES
        least, most, _ = STINTS_S[kind]
        stop = begin + chance.randrange(least, most + STEP_S, STEP_S)
        found.append((begin, stop, kind))
        begin = stop
    return [stint for stint in found if stint[2] != RESTS]


def _within_the_cycle(begin: int, end: int, kind: int) -> list[tuple[int, int, int]]:
    """Return the stint, its part behind the end of the cycle moved to the beginning."""
    if end <= CYCLE_S:
        return [(begin, end, kind)]
    if begin >= CYCLE_S:
        return [(begin - CYCLE_S, end - CYCLE_S, kind)]
    return [(begin, CYCLE_S, kind), (0, end - CYCLE_S, kind)]


def _added(before: Seconds, seconds: float, kind: int) -> Seconds:
    idling = seconds if kind == IDLES else 0.0
    driving = seconds if kind == DRIVES else 0.0
    return Seconds(before.running + seconds, before.idling + idling, before.driving + driving)


class Machine:
    """One machine at work: its plan, when it began to count, how fast it drives, what it burns."""

    def __init__(self, seed: int, index: int) -> None:
        bits = dice(seed, index, "work")
        self._plan = _plan(seed, int.from_bytes(bits[:2]) % PLANS)
        # Machines of one plan work in different weeks of it, and never at the same minute.
        self._shift_s = FIRST_MONDAY + bits[2] % 4 * 7 * DAY_S + bits[3] % 60 * 60
        self.installed = INSTALLED_SINCE + bits[4] * DAY_S
        self.speed_km_per_h = 4 + bits[5] % 16
        self.idle_litres_per_h = 1.5 + bits[6] / 128
        self.work_litres_per_h = 6 + bits[7] / 16
        self.tank_litres = 120 + 10 * (bits[8] % 40)
        self._at_first = self._plan.seconds(self.installed - self._shift_s)

    def seconds(self, at: float) -> Seconds:
        """Return what it has done since its installation."""
        if at <= self.installed:
            return Seconds(0, 0, 0)
        done, first = self._plan.seconds(at - self._shift_s), self._at_first
        return Seconds(done.running - first.running, done.idling - first.idling, done.driving - first.driving)

    def runs(self, at: float) -> bool:
        """Tell whether its engine runs."""
        return self._plan.runs(at - self._shift_s)

    def counters(self, at: float) -> Counters:
        """Return what it has counted since its installation."""
        done = self.seconds(at)
        running, idling, driving = done.running / HOUR_S, done.idling / HOUR_S, done.driving / HOUR_S
        fuel = idling * self.idle_litres_per_h + (running - idling) * self.work_litres_per_h
        return Counters(running, idling, driving, driving * self.speed_km_per_h, fuel)


@lru_cache(maxsize=PLANS)
def _plan(seed: int, number: int) -> Plan:
    return Plan(seed, number)


@lru_cache(maxsize=16_384)
def machine(seed: int, index: int) -> Machine:
    """Return the machine of this number."""
    return Machine(seed, index)
