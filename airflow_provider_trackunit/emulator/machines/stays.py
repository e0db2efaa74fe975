"""Where a machine really is: on a site for some days, between two of them at its depot.

The stays of the whole fleet are numbered by when they begin, one after the other at even distances, so that "the
stays that began in January" is arithmetic. Within a site a machine's place follows from how far it has driven.
"""

import math
from typing import NamedTuple

from airflow_provider_trackunit.emulator.machines.identity import dice
from airflow_provider_trackunit.emulator.machines.work import DAY_S, machine

# Each machine begins a stay as often as that.
EVERY_S = 5 * DAY_S
FEWEST_SITES = 5
ASSETS_A_SITE = 50
# Half the side of a site's square, and how far a machine gets from its middle, in degrees.
HALF_SIDE = 0.005
REACH = 0.004
# Primes: a step that shares no factor with the size of the fleet comes to every machine.
STEPS = (7919, 7927)


class Place(NamedTuple):
    """Degrees, and metres above the sea."""

    latitude: float
    longitude: float
    altitude: float


class Stay(NamedTuple):
    """A machine on a site, in epoch seconds; ``left`` may be in the future."""

    number: int
    asset: int
    site: int
    entered: float
    left: float


class Stays:
    """The stays of a fleet that had ``assets`` assets at the start; what came later is always at its depot."""

    def __init__(self, seed: int, assets: int) -> None:
        self._seed = seed
        self._assets = max(1, assets)
        self._step = next(step for step in STEPS if math.gcd(step, self._assets) == 1)
        self._back = pow(self._step, -1, self._assets)
        self.sites = max(FEWEST_SITES, assets // ASSETS_A_SITE)

    def stay(self, number: int) -> Stay:
        """Return one stay by its number."""
        bits = dice(self._seed, number, "stay")
        entered = float(number * EVERY_S // self._assets)
        # Between a third and nine tenths of the time until the machine's next stay.
        left = entered + EVERY_S * (0.33 + bits[0] / 450) // 60 * 60
        site = int.from_bytes(bits[1:5]) % self.sites
        return Stay(number, number % self._assets * self._step % self._assets, site, entered, left)

    def begun(self, since: float, until: float) -> range:
        """Return the numbers of all stays that began in a period, both ends included."""
        first, behind = (-int(-moment * self._assets // EVERY_S) for moment in (since, math.floor(until) + 1))
        return range(first, behind)

    def latest(self, index: int, at: float) -> Stay | None:
        """Return the last stay a machine had begun at a moment; it may have ended."""
        if index >= self._assets:
            return None
        rank = index * self._back % self._assets
        cycles, rest = divmod(at, EVERY_S)
        begun = rest >= rank * EVERY_S // self._assets
        return self.stay((int(cycles) - (not begun)) * self._assets + rank)

    def site_at(self, index: int, at: float) -> int | None:
        """Return the site a machine is on, or None."""
        stay = self.latest(index, at)
        return stay.site if stay is not None and at < stay.left else None

    def middle(self, site: int) -> Place:
        """Return the middle of a site."""
        bits = dice(self._seed, site, "site row")
        return Place(
            54.6 + bits[2] / 85 + bits[3] / 25_500, 8.3 + bits[4] / 60 + bits[5] / 25_500, bits[6] % 150
        )

    def place(self, index: int, at: float) -> Place:
        """Return where a machine is."""
        site = self.site_at(index, at)
        middle = self._depot(index) if site is None else self.middle(site)
        driven = machine(self._seed, index).counters(at).distance_km
        return Place(
            round(middle.latitude + REACH * math.sin(driven / 3), 6),
            round(middle.longitude + REACH * math.sin(driven / 4 + index), 6),
            middle.altitude,
        )

    def _depot(self, index: int) -> Place:
        bits = dice(self._seed, index)
        return Place(54.6 + bits[9] / 85, 8.3 + bits[10] / 60, float(bits[11] % 150))
