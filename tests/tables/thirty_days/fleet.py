"""What the machines of the emulator could have sent until a moment, by its own books and not by its answers."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa

from airflow_provider_trackunit.emulator.machines.feed import Feed
from airflow_provider_trackunit.emulator.machines.identity import Names, index_of_asset
from airflow_provider_trackunit.emulator.machines.stays import Place, Stays
from airflow_provider_trackunit.emulator.machines.troubles import Sample
from airflow_provider_trackunit.emulator.settings import Settings, changed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: What is asked for of every machine, and which members of a reading are which metrics.
DATAPOINTS: Final = {
    "CumulativeOperatingHours": {"CumulativeOperatingHours": "Hour"},
    "CumulativeIdleHours": {"CumulativeIdleHours": "Hour"},
    "CumulativeMovingHours": {"CumulativeMovingHours": "Hour"},
    "Distance": {"Distance": "Odometer"},
    "FuelUsed": {"FuelUsed": "FuelConsumed"},
    "Locations": {"Latitude": "Latitude", "Longitude": "Longitude"},
}
SENT: Final = pa.schema(
    [
        pa.field("asset", pa.string()),
        pa.field("metric", pa.string()),
        pa.field("observed_at", pa.timestamp("us", tz="UTC")),
        pa.field("value", pa.float64()),
    ]
)


class Window(NamedTuple):
    """A time, both ends included, in seconds since the epoch."""

    since: float
    until: float


class Books:
    """The books of an emulator.

    :param assets: how large the fleet was at the start
    :param switches: what was set
    """

    def __init__(self, seed: int, assets: int, switches: Mapping[str, Any]) -> None:
        settings = changed(Settings(), dict(switches))
        self.feed = Feed(seed, settings, Stays(seed, assets))
        self.names = Names(seed, settings.without_pin, settings.shared_pins)

    def samples(self, name: str, datapoint: str, window: Window, now: float) -> list[Sample]:
        """Return what the series of a machine holds, as it is asked for by a name."""
        return list(self.feed.samples(self._index(name), datapoint, window, now))

    def is_called(self, asset_id: str, name: str) -> bool:
        """Return whether a name leads to this asset, and not to another one of the same name."""
        return index_of_asset(self.feed.seed, asset_id) == self.names.index_of(name)

    def before(self, name: str, datapoint: str, at: float, now: float) -> float | None:
        """Return when the last reading at or before a moment was taken."""
        last = self.feed.last_sample(self._index(name), datapoint, at, now)
        return last and last.taken

    def place(self, name: str, at: float) -> Place:
        """Return where a machine really was at a moment."""
        return self.feed.stays.place(self._index(name), at)

    def shown(self, name: str, datapoint: str, at: float, *, twin: bool = False) -> float:
        """Return what a counter shows in a reading taken at a moment, or in the second reading of that moment."""
        reading = self.feed.reading(self._index(name), datapoint, Sample(at, at, twin=twin))
        (member,) = DATAPOINTS[datapoint].values()
        return float(reading[member])

    def _index(self, name: str) -> int:
        index = self.names.index_of(name)
        if index is None:
            raise ValueError(f"there is no machine {name}")
        return index

    def sent(self, names: Iterable[str], window: Window, now: float) -> Any:
        """Return the readings of all series of some machines as a table: one row for each machine, metric and moment."""
        rows = [row for name in names for row in self._rows(name, window, now)]
        columns = list(zip(*rows, strict=True)) or [()] * len(SENT)
        return pa.table([pa.array(one, field.type) for one, field in zip(columns, SENT, strict=True)], SENT)

    def _rows(self, name: str, window: Window, now: float) -> Iterator[tuple[Any, ...]]:
        index = self._index(name)
        for datapoint, members in DATAPOINTS.items():
            found: dict[str, dict[str, Any]] = {}
            for sample in self.feed.samples(index, datapoint, window, now):
                reading = self.feed.reading(index, datapoint, sample)
                found[reading["datetime"]] = _larger(found.get(reading["datetime"]), reading)
            for at, reading in found.items():
                if any(reading[member] for member in members.values()) or datapoint != "Locations":
                    for metric, member in members.items():
                        yield name.strip(), metric, dt.datetime.fromisoformat(at), float(reading[member])


def _larger(before: dict[str, Any] | None, reading: dict[str, Any]) -> dict[str, Any]:
    """Return which of two readings of one moment counts: of a counter the larger, of a position the later."""
    if before is None or "Latitude" in reading:
        return reading
    return max(before, reading, key=lambda one: max(v for v in one.values() if isinstance(v, int | float)))
