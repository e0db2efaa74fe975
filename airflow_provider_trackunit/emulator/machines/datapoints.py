"""What a machine reports under each name: the members of one reading, without its time.

A datapoint is a block of the AEMP snapshot and a series of its own. The sixteen of ISO 15143-3 stand here, with faults,
which are a series only; those of the vendor's extension in ``extension.py``.
"""

from typing import Any

from airflow_provider_trackunit.emulator.machines.extension import EXTENDED, Moment, Reader, hours
from airflow_provider_trackunit.emulator.machines.identity import dice


def _location(moment: Moment) -> dict[str, Any]:
    latitude, longitude, altitude = moment.place
    return {"Latitude": latitude, "Longitude": longitude, "Altitude": altitude, "AltitudeUnits": "METRE"}


def _loads(moment: Moment) -> int:
    """Return how often it has loaded: once in six minutes of work."""
    done = moment.machine.seconds(moment.at)
    return int((done.running - done.idling - done.driving) // 360)


def _load_factor(moment: Moment) -> dict[str, Any]:
    day = moment.last_24_hours
    busy = day.operating_hours - day.idle_hours
    return {"Percent": round(100 * busy / day.operating_hours) if day.operating_hours else 0}


def _top_speed(moment: Moment) -> dict[str, Any]:
    speed = moment.machine.speed_km_per_h + 3 if moment.last_24_hours.moving_hours else 0
    return {"SpeedUnits": "KILOMETRE_PER_HOUR", "Speed": speed}


def _left(consumed: float, tank: float) -> int:
    """Return the percent left in a tank that is filled up when a fifth is left."""
    return round(100 - 100 * (consumed % (0.8 * tank)) / tank)


def _fuel_left(moment: Moment) -> dict[str, Any]:
    tank = moment.machine.tank_litres
    used = moment.machine.counters(moment.at).fuel_litres
    return {"Percent": _left(used, tank), "FuelTankCapacityUnits": "LITRE", "FuelTankCapacity": tank}


def _def_left(moment: Moment) -> dict[str, Any]:
    tank = moment.machine.tank_litres // 8
    used = moment.machine.counters(moment.at).fuel_litres / 20
    return {"Percent": _left(used, tank), "DEFTankCapacityUnits": "LITRE", "DEFTankCapacity": tank}


def _engine_status(moment: Moment) -> dict[str, Any]:
    return {"EngineNumber": "1", "Running": moment.machine.runs(moment.at)}


def _fault(moment: Moment) -> dict[str, Any]:
    bits = dice(moment.seed, moment.asset, f"fault {moment.at:.0f}")
    return {
        "CodeIdentifier": f"SPN {100 + bits[0]} FMI {bits[1] % 20}",
        "CodeDescription": "Engine oil pressure low",
        "CodeSeverity": ("LOW", "HIGH")[bits[2] % 2],
        "CodeSource": "J1939",
    }


#: The standard's blocks beside the header.
STANDARD: dict[str, Reader] = {
    "Locations": _location,
    "CumulativeOperatingHours": hours(lambda moment: moment.counted.operating_hours),
    "CumulativeIdleHours": hours(lambda moment: moment.counted.idle_hours),
    "CumulativeIdleNonOperatingHours": hours(lambda moment: 0.8 * moment.counted.idle_hours),
    "CumulativePowerTakeOffHours": hours(lambda moment: 0.3 * moment.counted.operating_hours),
    "CumulativeActiveRegenerationHours": hours(lambda moment: 0.02 * moment.counted.operating_hours),
    "CumulativeLoadCount": lambda moment: {"Count": _loads(moment)},
    "CumulativePayloadTotals": lambda moment: {"PayloadUnits": "KILOGRAM", "Payload": 1200 * _loads(moment)},
    "Distance": lambda moment: {
        "OdometerUnits": "KILOMETRE",
        "Odometer": round(moment.counted.distance_km, 2),
    },
    "FuelUsed": lambda moment: {"FuelUnits": "LITRE", "FuelConsumed": round(moment.counted.fuel_litres, 2)},
    "FuelUsedLast24": lambda moment: {
        "FuelUnits": "LITRE",
        "FuelConsumed": round(moment.last_24_hours.fuel_litres, 2),
    },
    "FuelRemaining": _fuel_left,
    "DEFRemaining": _def_left,
    "EngineStatus": _engine_status,
    "AverageLoadFactorLast24": _load_factor,
    "MaximumSpeedLast24": _top_speed,
}

#: Which column of a machine's day each counter fills.
COLUMNS = {
    "CumulativeOperatingHours": "operating_hours",
    "CumulativeIdleHours": "idle_hours",
    "CumulativeMovingHours": "moving_hours",
    "Distance": "distance_km",
    "FuelUsed": "fuel_litres",
}

READERS: dict[str, Reader] = {**STANDARD, **EXTENDED, "Faults": _fault}

# Two lists of a series are not named after the segment of the path.
_LIST_KEYS = {"Locations": "location", "Faults": "faultCode"}


def list_key(datapoint: str) -> str:
    """Return the JSON key of a series' rows."""
    return _LIST_KEYS.get(datapoint) or camel_case(datapoint)


def camel_case(name: str) -> str:
    """Return the name with a small first letter."""
    return name[0].lower() + name[1:]
