"""Times as IRIS writes them, and the days of a time zone."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_trackunit.tables.schemas import TIME

# What servers write for a time that they do not have lies outside: 0001-01-01, 1970-01-01 and 9999-12-31.
_EARLIEST: Final = dt.datetime(1970, 1, 2, tzinfo=dt.UTC)
_LATEST: Final = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)


def moment(told: Any) -> dt.datetime | None:
    """Return a time as a record has it, ISO 8601 or already read; None for what is none.

    One without a zone is in UTC, as all of AEMP is. Digits beyond microseconds are cut off. A time before 1970-01-02
    or after 9998 is none: servers write such for what they do not know.
    """
    if isinstance(told, str):
        try:
            told = dt.datetime.fromisoformat(told)
        except ValueError:
            return None
    if not isinstance(told, dt.datetime):
        return None
    time = told if told.tzinfo else told.replace(tzinfo=dt.UTC)
    return time if _EARLIEST <= time < _LATEST else None


def checked_zone(name: str) -> str:
    """Return the name of a time zone that exists.

    :raises ValueError: for any other name
    """
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not known, not a name, a folder of names
        raise ValueError(f"time_zone: {name!r} is no time zone of the IANA database") from None
    return name


def dates(times: Any, zone: str) -> Any:
    """Return the date that the clocks of a zone show at each time, in days since 1970."""
    shown = pc.local_timestamp(times.cast(pa.timestamp("us", tz=zone)))
    return pc.floor_temporal(shown, unit="day").cast(pa.date32()).cast(pa.int32())


def days(times: Any, zone: str) -> Any:
    """Return the day that each time belongs to, in days since 1970.

    A day runs from just after its midnight to the next one, that one included: what a counter shows at midnight sharp
    is what the day that ends has come to, and says nothing of the day that begins.
    """
    a_little_before = pc.subtract(times, pa.scalar(1, pa.duration("us")))
    return dates(a_little_before.cast(TIME), zone)
