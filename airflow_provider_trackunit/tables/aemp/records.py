"""What one record of AEMP says: which machine, which datapoint, when, and how much.

A snapshot's record has a block for each datapoint; a series' record is one block, and the request says whose it is
(ISO 15143-3)::

    {"EquipmentHeader": {"PIN": "ACM1"},
     "CumulativeOperatingHours": {"Hour": 648.95, "datetime": "2026-01-15T05:41:00Z"}}
    {"_request": {"pin": "ACM1"}, "Hour": 648.95, "datetime": "2026-01-15T05:41:00Z"}
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from airflow_provider_trackunit.tables.aemp.blocks import layout
from airflow_provider_trackunit.tables.times import moment

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

_HEADER: Final = "equipmentheader"
_METADATA: Final = "metadata"
# No machine counts so far, or in such small steps; and one value that leaves the range of a double when it is converted
# would stop the days of all machines, because PostgreSQL refuses to calculate with it.
_MOST: Final = 1e100
_LEAST: Final = 1e-100
# In the order in which they name a machine.
_IDENTIFIERS: Final = ("pin", "serialnumber", "equipmentid")


class Reading(NamedTuple):
    """One value of one machine at one moment, as IRIS said it."""

    asset: str
    metric: str
    observed_at: dt.datetime
    value: float | None
    text: str | None
    unit: str | None


def asset_of(record: Mapping[str, Any]) -> str | None:
    """Return how a snapshot's record names its machine: PIN, else serial number, else EquipmentID; None without any."""
    header = _members(_members(record).get(_HEADER))
    names = (identifier(header.get(one)) for one in _IDENTIFIERS)
    return next((name for name in names if name), None)


def identity_of(record: Mapping[str, Any]) -> str:
    """Return what tells the machine of a snapshot's record from another one that is named alike.

    Trackunit's own ids where the snapshot was asked for them (``addMetadata``), else all of the header.
    """
    members = _members(record)
    metadata = _members(members.get(_METADATA))
    known = metadata.get("assetid") or metadata.get("machineid") or members.get(_HEADER)
    return msgspec.json.encode(known, order="sorted").decode()


def identifier(value: Any) -> str | None:
    """Return a PIN or the like without blanks around it; None where it is blank or no text."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return _storable(text).strip() or None if isinstance(text, str) else None


def snapshot_readings(asset: str, record: Mapping[str, Any]) -> list[Reading]:
    """Return what the blocks of a snapshot's record say, each at its own time."""
    return [
        reading
        for name, block in record.items()
        if isinstance(block, dict) and not name.startswith("_") and name.lower() not in {_HEADER, _METADATA}
        for reading in block_readings(asset, name, block)
    ]


def block_readings(asset: str, datapoint: str, block: Mapping[str, Any]) -> list[Reading]:
    """Return the reading of one block, or the two of a position; none where it has no time or no value."""
    known = layout(datapoint, tuple(block))
    observed_at = known and moment(block[known.time])
    if known is None or observed_at is None:
        return []
    told = [(measure, *_told(block[measure.value])) for measure in known.measures]
    if len(told) == 2 and not _is_position([value for _, value, _ in told]):
        return []
    return [
        Reading(asset, one.metric, observed_at, value, text, one.unit or _unit(block, one.units))
        for one, value, text in told
        if value is not None or text is not None
    ]


def _is_position(values: list[float | None]) -> bool:
    # Trackunit sends 0, 0 where it knows the altitude alone.
    return None not in values and any(values)


def _members(value: Any) -> dict[str, Any]:
    return {name.lower(): member for name, member in value.items()} if isinstance(value, dict) else {}


def _told(value: Any) -> tuple[float | None, str | None]:
    """Return a value as a number, or as the text of what is none; neither for null."""
    if value is None:
        return None, None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = _double(value)
        if number is not None or abs(value) == math.inf:
            return number, None
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return None, _storable(text)


def _double(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    if abs(number) < _LEAST:
        return 0.0
    return number if abs(number) <= _MOST else None


def _unit(block: Mapping[str, Any], member: str | None) -> str | None:
    unit = identifier(block[member]) if member else None
    return unit.upper() if unit else None


def _storable(text: str) -> str:
    # The one character of JSON that no text of PostgreSQL can hold.
    return text.replace("\0", "") if "\0" in text else text
