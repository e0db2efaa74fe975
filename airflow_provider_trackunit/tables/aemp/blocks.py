"""What the members of a block of AEMP mean: which is the time, which the value, and which says its unit.

As the catalogue of datapoints says. Members are known whatever the case of their letters: blocks of the standard begin
with a capital, extended ones do not, and makers differ. Of a datapoint that the catalogue does not know, the first
member that is neither a time nor a unit is the value.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from airflow_provider_trackunit.iris.catalogue.datapoints import DATAPOINTS, Member

_KNOWN: Final = {name.lower(): one for one in DATAPOINTS for name in (one.block, one.series) if name}
_POSITION: Final = ("latitude", "longitude")
_TIME: Final = "datetime"
# Deprecated: it says what the member with the name of its type says too.
_PLAIN: Final = "value"


class Measure(NamedTuple):
    """A metric, the member with its value, and its unit: known, or told by a member."""

    metric: str
    value: str
    unit: str | None
    units: str | None


class Layout(NamedTuple):
    """The member with a block's time, and what it measures: one metric, or the two of a position."""

    time: str
    measures: tuple[Measure, ...]


# A few hundred are documented; a server that makes names up shall not fill the memory.
@lru_cache(maxsize=4096)
def layout(datapoint: str, names: tuple[str, ...]) -> Layout | None:
    """Return what the members of a block mean, None where it is no reading.

    :param datapoint: the block's name, or the segment of the path of a series
    :param names: the members' names, as they were sent
    """
    sent = {name.lower(): name for name in names}
    known = _KNOWN.get(datapoint.lower())
    if known is None:
        measures = _unknown(datapoint, sent)
    elif known.block is None:  # a fault is an event, and a machine has several at once
        measures = []
    elif known.value is None:
        measures = [_measure(one.name, one, sent) for one in known.others if one.name.lower() in _POSITION]
    else:
        measures = [_measure(known.block, known.value, sent)]
    if _TIME not in sent or not measures or any(one.value not in names for one in measures):
        return None
    return Layout(sent[_TIME], tuple(measures))


def _measure(metric: str, member: Member, sent: dict[str, str]) -> Measure:
    value = sent.get(member.name.lower()) or sent.get(_PLAIN, "")
    return Measure(metric, value, member.unit, sent.get((member.units or "").lower()))


def _unknown(datapoint: str, sent: dict[str, str]) -> list[Measure]:
    units = [name for name in sent if name.endswith(("unit", "units"))]
    values = [name for name in sent if name not in {_TIME, _PLAIN, *units}] or [_PLAIN]
    metric = datapoint[:1].upper() + datapoint[1:]
    return [Measure(metric, sent.get(values[0], ""), None, sent[units[0]] if units else None)]
