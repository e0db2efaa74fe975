"""What the members of a block of AEMP mean: which is the time, which the value, and which says its unit.

Members are known whatever the case of their letters: blocks of the standard begin with a capital, extended ones do not,
and makers differ. Of a block with an altitude, the size of a tank or the number of an engine, these are no value.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

_POSITIONS: Final = {"location", "locations"}
# A fault is an event, and a machine has several at once.
_EVENTS: Final = {"faults", "faultcode"}
# Members that stand beside the value.
_BESIDE: Final = {
    "datetime",
    "enginenumber",
    "fueltankcapacity",
    "fueltankcapacityunits",
    "deftankcapacity",
    "deftankcapacityunits",
    "value",  # deprecated: what the member with the name of its type says too
}
# Members named after a type, of the standard or of Trackunit's extension; any other value is named like its block.
_TYPED: Final = {
    *("hour", "count", "payload", "odometer", "fuelconsumed", "percent", "running"),
    *("speed", "pressure", "temperature", "level", "percentage", "angle", "status", "state"),
    *("current", "voltage", "frequency", "power", "factor", "length"),
}
_IMPLIED_UNITS: Final = {
    "hour": "HOUR",
    "percent": "PERCENT",
    "percentage": "PERCENT",
    "latitude": "DEGREE",
    "longitude": "DEGREE",
}


class Measure(NamedTuple):
    """A metric, the member with its value, and its unit: implied, or told by a member."""

    metric: str
    value: str
    unit: str | None
    unit_member: str | None


class Layout(NamedTuple):
    """The member with a block's time, and what it measures: one metric, or the two of a position."""

    time: str
    measures: tuple[Measure, ...]


@lru_cache(
    maxsize=4096
)  # a few hundred blocks are documented; a server that makes names up shall not fill the memory
def layout(datapoint: str, names: tuple[str, ...]) -> Layout | None:
    """Return what the members of a block mean, None where it is no reading.

    :param datapoint: the block's name, or the segment of the path of a series
    :param names: the members' names, as they were sent
    """
    sent = {name.lower(): name for name in names}
    if "datetime" not in sent or datapoint.lower() in _EVENTS:
        return None
    if datapoint.lower() in _POSITIONS:
        metrics = {one: one.capitalize() for one in ("latitude", "longitude")}
    else:
        metrics = {_value_member(datapoint.lower(), sent): datapoint[:1].upper() + datapoint[1:]}
    if not metrics.keys() <= sent.keys():
        return None
    measures = (_measure(metric, one, sent) for one, metric in metrics.items())
    return Layout(sent["datetime"], tuple(measures))


def _value_member(datapoint: str, sent: dict[str, str]) -> str:
    names = [name for name in sent if name not in _BESIDE and not _is_unit(name)]
    named = (name for name in names if name in _TYPED or name == datapoint)
    return next(named, names[0] if names else "value")


def _measure(metric: str, value: str, sent: dict[str, str]) -> Measure:
    implied = _IMPLIED_UNITS.get(value)
    told = None if implied else next((sent[name] for name in sent if _is_unit(name)), None)
    return Measure(metric, sent[value], implied, told)


def _is_unit(name: str) -> bool:
    return name.endswith(("unit", "units")) and name not in _BESIDE
