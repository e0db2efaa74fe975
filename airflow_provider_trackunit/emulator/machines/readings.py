"""What a machine measured: a pure function of seed, asset, datapoint and time.

Every datapoint lies on a grid of its own spacing, shifted a little per asset, so that the number of
samples in a window is arithmetic and the latest value of the snapshot is the last one of the series.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.machines.identity import dice
from airflow_provider_trackunit.emulator.settings import Settings

DAY_S = 86_400
# Counters started here, long before any window a client asks for.
COUNTING_SINCE = 1_640_995_200.0
# Every fifth machine never idles, so that empty histories exist (they answer 200 with an empty list).
NEVER_IDLES = 5

HOURS = ("CumulativeOperatingHours", "CumulativeIdleHours", "CumulativeMovingHours", "CumulativeEngineHours")
# Developer hub, AEMP 2.0 API: extension elements carry a member named after their type.
TYPED_MEMBERS = {
    "EngineSpeed": "speed",
    "Speed": "speed",
    "WheelBasedVehicleSpeed": "speed",
    "EngineOilPressure": "pressure",
    "HydraulicPressure": "pressure",
    "EngineOilTemperature": "temperature",
    "EngineCoolantTemperature": "temperature",
    "HydraulicTemperature": "temperature",
    "AmbientAirTemperature": "temperature",
    "BatteryTemperature": "temperature",
    "EngineCoolantLevel": "level",
    "HydraulicOilLevel": "level",
    "EnginePercentLoadAtCurrentSpeed": "percentage",
    "BatteryStateOfChargePercent": "percentage",
    "PitchAngle": "angle",
    "RollAngle": "angle",
    "BatteryCurrent": "current",
    "AcTotalActivePower": "power",
    "EngineFuelRate": "engineFuelRate",
    "BatteryPotential": "batteryPotential",
}
STEPS_S = {"Faults": 3 * DAY_S, "Distance": 7_200, "FuelUsed": 14_400, "FuelRemaining": 14_400}
LIST_KEYS = {"Locations": "location", "Faults": "faultCode"}
DATAPOINTS = frozenset(
    (*HOURS, "Locations", "Distance", "Faults", "FuelUsed", "FuelRemaining", "DEFRemaining", *TYPED_MEMBERS)
)


def list_key(datapoint: str) -> str:
    """Return the JSON key of a series' rows; two of them are not the segment in camel case."""
    return LIST_KEYS.get(datapoint) or camel_case(datapoint)


def camel_case(name: str) -> str:
    """Return the name with a small first letter."""
    return name[0].lower() + name[1:]


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one asset and datapoint in a window, both ends included."""

    seed: int
    index: int
    datapoint: str
    step_s: int
    first: int
    count: int

    def rows(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Return samples ``start`` to ``stop`` of the window, oldest first."""
        last = self.first + min(stop, self.count)
        offset = offset_s(self.seed, self.index, self.step_s)
        reading = partial(value, self.seed, self.index, self.datapoint)
        moments_s = (number * self.step_s + offset for number in range(self.first + start, last))
        return [{"datetime": moments.written(at), **reading(at)} for at in moments_s]


def series(settings: Settings, seed: int, index: int, datapoint: str, window: tuple[float, float]) -> Series:
    """Return the samples of a datapoint within ``window`` (epoch seconds)."""
    step = step_s(settings, datapoint)
    offset = offset_s(seed, index, step)
    first = -int((offset - window[0]) // step)
    last = int((window[1] - offset) // step)
    idle_never = datapoint == "CumulativeIdleHours" and index % NEVER_IDLES == 0
    count = 0 if idle_never else max(0, last - first + 1)
    return Series(seed, index, datapoint, step, first, count)


def step_s(settings: Settings, datapoint: str) -> int:
    """Return how far apart the samples of a datapoint are."""
    if datapoint == "Locations":
        return settings.location_step_s
    return STEPS_S.get(datapoint, settings.hours_step_s)


def offset_s(seed: int, index: int, step: int) -> int:
    """Return the asset's shift against the grid."""
    return int.from_bytes(dice(seed, index)[4:8]) % step


def latest(settings: Settings, seed: int, index: int, datapoint: str, now: float) -> dict[str, Any]:
    """Return the last sample at or before ``now``, with its own time."""
    step = step_s(settings, datapoint)
    offset = offset_s(seed, index, step)
    at = (now - offset) // step * step + offset
    return {**value(seed, index, datapoint, at), "datetime": moments.written(at)}


def value(seed: int, index: int, datapoint: str, at: float) -> dict[str, Any]:
    """Return the members of one sample without its time."""
    if datapoint in HOURS:
        share = (4 + dice(seed, index)[8] % 24) / 100 / (1 + HOURS.index(datapoint))
        return {"Hour": _counted(at, share / 3600)}
    reader = _READERS.get(datapoint)
    if reader is not None:
        return reader(seed, index, at)
    return {TYPED_MEMBERS[datapoint]: round(_wave(seed, index, datapoint, at) * 100, 1)}


def position(seed: int, index: int, at: float) -> tuple[float, float, float]:
    """Return latitude, longitude and altitude."""
    bits = dice(seed, index)
    drift = _wave(seed, index, "Locations", at) / 100
    latitude = 54.6 + bits[9] / 85 + drift
    longitude = 8.3 + bits[10] / 60 + drift
    return round(latitude, 6), round(longitude, 6), float(bits[11] % 150)


def _location(seed: int, index: int, at: float) -> dict[str, Any]:
    latitude, longitude, altitude = position(seed, index, at)
    return {"Latitude": latitude, "Longitude": longitude, "Altitude": altitude, "AltitudeUnits": "METRE"}


def _distance(seed: int, index: int, at: float) -> dict[str, Any]:
    return {"OdometerUnits": "KILOMETRE", "Odometer": _counted(at, dice(seed, index)[12] / 1e6)}


def _fuel_used(seed: int, index: int, at: float) -> dict[str, Any]:
    return {"FuelUnits": "LITRE", "FuelConsumed": _counted(at, dice(seed, index)[13] / 1e5)}


def _percent(seed: int, index: int, at: float) -> dict[str, Any]:
    return {"Percent": int(_wave(seed, index, "Percent", at) * 100)}


def _fault(seed: int, index: int, at: float) -> dict[str, Any]:
    bits = dice(seed, index, f"fault {at:.0f}")
    return {
        "CodeIdentifier": f"SPN {100 + bits[0]} FMI {bits[1] % 20}",
        "CodeDescription": "Engine oil pressure low",
        "CodeSeverity": ("LOW", "HIGH")[bits[2] % 2],
        "CodeSource": "J1939",
    }


_READERS = {
    "Locations": _location,
    "Distance": _distance,
    "FuelUsed": _fuel_used,
    "FuelRemaining": _percent,
    "DEFRemaining": _percent,
    "Faults": _fault,
}


def _counted(at: float, per_second: float) -> float:
    return round(max(0.0, at - COUNTING_SINCE) * per_second, 2)


def _wave(seed: int, index: int, what: str, at: float) -> float:
    """Return a number between 0 and 1 that differs from sample to sample."""
    bits = dice(seed, index, what)
    return (int(at // 60) * (3 + bits[0]) + bits[1]) % 997 / 997
