"""The same tables as SQL, for those who keep their readings in DuckDB or PostgreSQL; one text serves both.

Here belong the texts and what fills them in. They name no table of their own and change nothing: who writes is
``merging``.
"""

from __future__ import annotations

import datetime as dt
from importlib import resources

from airflow_provider_trackunit.tables.counters import FACTORS, GAINS
from airflow_provider_trackunit.tables.times import checked_zone

__all__ = ["machine_days_query"]

_ALL = "SELECT asset, metric, observed_at, value, unit, flags FROM {readings}"


def machine_days_query(readings: str, *, time_zone: str = "UTC", since: dt.date | None = None) -> str:
    """Return the query that makes machine days of a table of readings, in DuckDB and in PostgreSQL.

    :param readings: the table or view, as SQL writes it
    :param time_zone: whose days; a name of the IANA database
    :param since: the first day that is wanted, None for all. Readings before it are looked up by their key, one for
        each counter, so that a daily run does not read years
    :raises ValueError: when there is no such time zone
    """
    given, chosen = _ALL.format(readings=readings), ""
    if since is not None:
        begin = literal(f"{since - dt.timedelta(days=1)}T00:00:00Z")
        given = _text("readings_since.sql").format(readings=readings, begin=begin)
        chosen = f"WHERE days.day >= CAST({literal(since.isoformat())} AS date)"
    zone = literal(checked_zone(time_zone))
    text = _text("machine_days.sql")
    return text.format(factors=_factors(), given=given, time_zone=zone, chosen=chosen)


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _factors() -> str:
    columns = {metric: column for column, metric in GAINS.items()}
    # As text, which both databases read to the same double; as a number it would be a decimal first.
    rows = ((columns[metric], metric, unit, repr(factor)) for (metric, unit), factor in FACTORS.items())
    return ",\n        ".join(f"({', '.join(map(literal, row))})" for row in rows)


def _text(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text()
