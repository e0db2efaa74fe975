"""Which datapoints count upwards, and what a machine day makes of five of them."""

from __future__ import annotations

from typing import Final

#: Column of a machine day -> the datapoint whose gain it is.
GAINS: Final = {
    "operating_hours": "CumulativeOperatingHours",
    "idle_hours": "CumulativeIdleHours",
    "moving_hours": "CumulativeMovingHours",
    "distance_km": "Distance",
    "fuel_litres": "FuelUsed",
}

# A gallon without a word more is that of the United States, where AEMP, the association behind the standard, has its
# seat. Names in the singular and the plural, British and American: makers differ.
_HOURS: Final = {
    "h": 1.0,  # as the catalogue names what ISO 15143-3 calls Hour
    "HOUR": 1.0,
    "HOURS": 1.0,
    "MINUTE": 1 / 60,
    "MINUTES": 1 / 60,
    "SECOND": 1 / 3600,
    "SECONDS": 1 / 3600,
}
_KILOMETRES: Final = {
    **dict.fromkeys(["KILOMETRE", "KILOMETRES", "KILOMETER", "KILOMETERS", "KM"], 1.0),
    **dict.fromkeys(["METRE", "METRES", "METER", "METERS", "M"], 0.001),
    **dict.fromkeys(["MILE", "MILES", "MI"], 1.609344),
}
_LITRES: Final = {
    **dict.fromkeys(["LITRE", "LITRES", "LITER", "LITERS", "L"], 1.0),
    **dict.fromkeys(["GALLON", "GALLONS", "US_GALLON", "US_GALLONS"], 3.785411784),
    **dict.fromkeys(["IMPERIAL_GALLON", "IMPERIAL_GALLONS"], 4.54609),
}

_UNITS: Final = {"distance_km": _KILOMETRES, "fuel_litres": _LITRES}

#: (datapoint, unit) -> what a value is multiplied by to be in the unit of its column.
FACTORS: Final = {
    (metric, unit): factor
    for column, metric in GAINS.items()
    for unit, factor in _UNITS.get(column, _HOURS).items()
}

# Beside those whose names say so.
_OTHERS: Final = {"Distance", "FuelUsed", "EngineTotalIdleFuelUsed", "GeneratorTotalKwHoursExport"}


def is_counter(metric: str) -> bool:
    """Return whether a datapoint only ever counts upwards, so that of two values at one moment the larger is newer."""
    return metric.startswith("Cumulative") or metric in _OTHERS
