"""The whole state of one emulator: account, clock, switches, limits, journal.

Everything runs on one event loop, so nothing here is locked.
"""

import time
from collections.abc import Callable
from itertools import count
from typing import Any

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.clock import Clock
from airflow_provider_trackunit.emulator.faults.rules import FaultQueue
from airflow_provider_trackunit.emulator.limits.counting import Allowances
from airflow_provider_trackunit.emulator.machines.feed import Feed
from airflow_provider_trackunit.emulator.machines.fleet import Fleet
from airflow_provider_trackunit.emulator.machines.identity import Names
from airflow_provider_trackunit.emulator.machines.stays import Stays
from airflow_provider_trackunit.emulator.serving.answers import encoded
from airflow_provider_trackunit.emulator.serving.journal import Journal
from airflow_provider_trackunit.emulator.serving.tokens import Credentials, Tokens
from airflow_provider_trackunit.emulator.settings import Settings

# Up to twice as many stay encoded, about 70 MB: a fleet that a benchmark walks again and again.
CACHED_RECORDS = 50_000


class World:
    """One account at the vendor, as large as asked for."""

    def __init__(self, assets: int, seed: int) -> None:
        self.seed = seed
        self.initial_assets = assets
        self.credentials = Credentials()
        self.reset()

    def reset(self) -> None:
        """Go back to the start: fleet, switches, tokens, limits, faults, clock and log."""
        self.clock = Clock()
        self.date: float | None = None
        self.tokens = Tokens()
        self.allowances = Allowances()
        self.faults = FaultQueue(self.seed)
        self.journal = Journal()
        self.fleet = Fleet(self.initial_assets)
        self.stays = Stays(self.seed, self.initial_assets)
        self.asset_edits: dict[int, dict[str, Any]] = {}
        self.added_assets: dict[str, dict[str, Any]] = {}
        self.added_events: list[dict[str, Any]] = []
        self.graphql_spent: dict[str, tuple[float, int]] = {}
        self.orders: dict[tuple[object, ...], list[int]] = {}
        # How often an order that is not asked for has changed.
        self.turns = count()
        self._records: dict[tuple[object, ...], bytes] = {}
        self._older_records: dict[tuple[object, ...], bytes] = {}
        self.use(Settings())

    def use(self, settings: Settings) -> None:
        """Switch over to other settings."""
        self.settings = settings
        self.names = Names(self.seed, settings.without_pin, settings.shared_pins)
        self.feed = Feed(self.seed, settings, self.stays)
        self.forget_records()

    @property
    def data_now(self) -> float:
        """Return the moment at which the machines' latest values were taken, in epoch seconds."""
        return moments.read(self.settings.data_now) if self.date is None else self.date

    def latest_moment(self) -> float:
        """Return the moment after which no machine has reported yet: the date, else the present."""
        return max(self.data_now, time.time()) if self.date is None else self.date

    def advance(self, seconds: float) -> None:
        """Let time pass at once: the clock goes on, and the date if there is one."""
        self.clock.advance(seconds)
        if self.date is not None:
            self.set_date(self.date + seconds)

    def set_date(self, epoch_s: float) -> None:
        """Let it be that moment for the machines, which then work on with every :meth:`advance` only."""
        self.date = epoch_s
        self.forget_records()

    def record(self, build: Callable[..., Any], *of: object) -> bytes:
        """Return ``build(world, *of)`` as JSON, built once and kept while there is room."""
        key = (build, *of)
        found = self._records.get(key)
        if found is None:
            found = self._older_records.get(key) or encoded(build(self, *of))
            if len(self._records) >= CACHED_RECORDS:
                # Forgetting half at once costs nothing per record, unlike the oldest one by one.
                self._records, self._older_records = {}, self._records
            self._records[key] = found
        return found

    def forget_records(self) -> None:
        """Drop what was encoded, because something it was made from has changed."""
        self.orders.clear()
        self._records.clear()
        self._older_records.clear()
