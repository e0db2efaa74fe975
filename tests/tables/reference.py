"""The rules of machine days, once more: slow, obvious, one reading at a time, with nothing of what it is compared with."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterable

Reading = dict[str, Any]
ONE_DAY = dt.timedelta(days=1)

COLUMNS = {
    "operating_hours": ("CumulativeOperatingHours", {"h": 1.0, "MINUTE": 1 / 60}),
    "idle_hours": ("CumulativeIdleHours", {"h": 1.0, "MINUTE": 1 / 60}),
    "moving_hours": ("CumulativeMovingHours", {"h": 1.0, "MINUTE": 1 / 60}),
    "distance_km": ("Distance", {"KILOMETRE": 1.0, "MILE": 1.609344}),
    "fuel_litres": ("FuelUsed", {"LITRE": 1.0, "GALLON": 3.785411784}),
}


def begin(day: dt.date, zone: str) -> dt.datetime:
    """Return the first moment of a day: midnight, or where the clocks leave midnight out, when they do."""
    return dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).astimezone(dt.UTC)


def day_of(at: dt.datetime, zone: str) -> dt.date:
    """Return the day that began before a moment and ends at it or later."""
    shown = at.astimezone(ZoneInfo(zone)).date()
    return shown - ONE_DAY if at == begin(shown, zone) else shown


def machine_days(readings: Iterable[Reading], zone: str) -> list[dict[str, Any]]:
    """Return the rows, ordered by machine and day."""
    everything = sorted(readings, key=lambda one: one["observed_at"])
    found = sorted({(one["asset"], day_of(one["observed_at"], zone)) for one in everything})
    return [
        one_day([one for one in everything if one["asset"] == asset], asset, day, zone)
        for asset, day in found
    ]


def one_day(of_machine: list[Reading], asset: str, day: dt.date, zone: str) -> dict[str, Any]:
    of_day = [one for one in of_machine if day_of(one["observed_at"], zone) == day]
    used = [one for one in of_day if "future" not in one["flags"]]
    flags = {"shared_id" for one in of_day if "shared_id" in one["flags"]}
    flags |= {"future_reading" for one in of_day if one not in used}
    row: dict[str, Any] = {"asset": asset, "day": day, "readings": len(used)}
    for column, (metric, factors) in COLUMNS.items():
        row[column], said = gain(of_machine, metric, factors, day, zone)
        flags |= {flag if flag == "shared_id" else f"{column}:{flag}" for flag in said}
    for axis in ("latitude", "longitude"):
        places = [one["value"] for one in used if one["metric"] == axis.capitalize()]
        row[f"first_{axis}"] = places[0] if places else None
        row[f"last_{axis}"] = places[-1] if places else None
    return row | {"flags": sorted(flags)}


def gain(
    of_machine: list[Reading], metric: str, factors: dict[str, float], day: dt.date, zone: str
) -> tuple[float | None, set[str]]:
    counted = [
        one
        for one in of_machine
        if one["metric"] == metric and one["value"] is not None and "future" not in one["flags"]
    ]
    strange = [one for one in counted if one["unit"] not in factors]
    flags = {"unknown_unit" for one in strange if day_of(one["observed_at"], zone) == day}
    known = [
        (one["observed_at"], one["value"] * factors[one["unit"]], "shared_id" in one["flags"])
        for one in counted
        if one not in strange
    ]
    before = [one for one in known if one[0] <= begin(day, zone)]
    of_day = [one for one in known if begin(day, zone) < one[0] <= begin(day + ONE_DAY, zone)]
    if not of_day:
        return None, flags
    if before and before[-1][2]:
        flags |= {"shared_id"}
    values = [value for _, value, _ in (before[-1:] + of_day)]
    if any(later < earlier for earlier, later in itertools.pairwise(values)):
        return None, flags | {"counter_fell"}
    if not before:
        flags |= {"no_reading_before"}
    elif before[-1][0] < begin(day - ONE_DAY, zone):
        flags |= {"spans_days"}
    return values[-1] - values[0], flags


def standing(results: list[tuple[dt.datetime, list[Reading]]]) -> list[Reading]:
    """Return which readings stand, ordered by their key, of results with when they finished and what they said."""
    stands: dict[tuple[Any, ...], Reading] = {}
    for finished_at, said in sorted(results, key=lambda one: one[0]):
        for key in {_key(one) for one in said}:
            same = [one for one in said if _key(one) == key]
            # Of equal values, too, the later.
            kept = max(same[::-1], key=lambda one: one["value"]) if key[1] == "Distance" else same[-1]
            flags = {
                "conflict" for one in same if (one["value"], one["unit"]) != (kept["value"], kept["unit"])
            }
            if key[2] > finished_at + dt.timedelta(minutes=5):
                flags |= {"future"}
            stands[key] = kept | {"flags": sorted(flags)}
    return [stands[key] for key in sorted(stands)]


def _key(reading: Reading) -> tuple[str, str, dt.datetime]:
    return reading["asset"], reading["metric"], reading["observed_at"]
