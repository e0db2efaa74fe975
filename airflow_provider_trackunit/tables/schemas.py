"""The three tables: their columns, types and units, and the key that a row is known by.

The key travels in the schema's metadata, so that a table says of itself what makes a row of it one row.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

_KEY: Final = b"key"

#: Every time is in UTC: AEMP says so of its own, and a day of a time zone is made from it.
TIME: Final = pa.timestamp("us", tz="UTC")
FLAGS: Final = pa.list_(pa.string())


def _column(name: str, kind: Any, unit: str | None = None, *, nullable: bool = True) -> Any:
    return pa.field(name, kind, nullable=nullable, metadata={"unit": unit} if unit else None)


def _schema(key: list[str], columns: list[Any]) -> Any:
    # A column of the key is never null.
    given = [column.with_nullable(column.nullable and column.name not in key) for column in columns]
    return pa.schema(given, metadata={_KEY: ",".join(key)})


READINGS: Final = _schema(
    ["asset", "metric", "observed_at"],
    [
        _column("asset", pa.string()),
        _column("metric", pa.string()),
        _column("observed_at", TIME),
        _column("value", pa.float64()),
        _column("text", pa.string()),
        _column("unit", pa.string()),
        _column("source", pa.string(), nullable=False),
        _column("flags", FLAGS, nullable=False),
    ],
)

MACHINE_DAYS: Final = _schema(
    ["asset", "day"],
    [
        _column("asset", pa.string()),
        _column("day", pa.date32()),
        _column("operating_hours", pa.float64(), "h"),
        _column("idle_hours", pa.float64(), "h"),
        _column("moving_hours", pa.float64(), "h"),
        _column("distance_km", pa.float64(), "km"),
        _column("fuel_litres", pa.float64(), "l"),
        _column("first_latitude", pa.float64(), "deg"),
        _column("first_longitude", pa.float64(), "deg"),
        _column("last_latitude", pa.float64(), "deg"),
        _column("last_longitude", pa.float64(), "deg"),
        _column("readings", pa.int64(), nullable=False),
        _column("flags", FLAGS, nullable=False),
    ],
)

SITE_VISITS: Final = _schema(
    ["asset", "site", "entered_at"],
    [
        _column("asset", pa.string()),
        _column("site", pa.string()),
        _column("site_name", pa.string()),
        _column("entered_at", TIME),
        _column("left_at", TIME),
        _column("seconds", pa.float64(), "s"),
    ],
)


def key_of(schema: Any) -> list[str]:
    """Return the columns that a row is known by, as the schema says; empty where it does not."""
    named = (schema.metadata or {}).get(_KEY, b"").decode()
    return named.split(",") if named else []
