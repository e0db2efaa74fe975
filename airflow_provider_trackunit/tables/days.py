"""Readings become machine days: what each machine did on each day of a time zone.

Three steps, which the query in ``sql/`` takes alike: what each counter says of each day, the days there are, and the
one beside the other. The rules and their reasons are in ``docs/tables/rules.md``.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_trackunit.tables import times
from airflow_provider_trackunit.tables.counters import FACTORS, GAINS
from airflow_provider_trackunit.tables.rows.flags import flag_lists, has_flag
from airflow_provider_trackunit.tables.rows.precedence import NULLS_TOO, equals_former, former
from airflow_provider_trackunit.tables.schemas import MACHINE_DAYS, READINGS

_POSITIONS: Final = {"latitude": "Latitude", "longitude": "Longitude"}
_DAY: Final = ["asset", "day"]
_GIVEN: Final = pa.schema(
    [READINGS.field(name) for name in ("asset", "metric", "observed_at", "value", "unit", "flags")]
)


def machine_days(readings: pa.Table, *, time_zone: str = "UTC") -> pa.Table:
    """Return one row for each machine and day that has a reading, ordered by these.

    What the counters gained (``operating_hours``, ``idle_hours``, ``moving_hours``, ``distance_km``,
    ``fuel_litres``), the first and last position in degrees, the number of ``readings`` and the ``flags`` that say
    what to think of it. A gain that the readings do not tell is null, never zero.

    :param readings: what :func:`readings` returns. A gain needs the last reading before its day, so give more than the
        days you are after
    :param time_zone: whose days; a name of the IANA database, such as ``Europe/Copenhagen``
    :raises ValueError: when there is no such time zone
    """
    rows = _prepared(readings.select(_GIVEN.names).cast(_GIVEN), times.checked_zone(time_zone))
    measured = _measured(rows)
    result = (
        _days(rows)
        .join(measured, keys=_DAY, join_type="left outer")
        .sort_by([(one, "ascending") for one in _DAY])
    )
    columns = {name: result[name] for name in MACHINE_DAYS.names if name in result.column_names}
    columns |= {"day": result["day"].cast(pa.date32()), "flags": _flags(result)}
    return pa.table([columns[name] for name in MACHINE_DAYS.names], schema=MACHINE_DAYS)


def _prepared(readings: Any, zone: str) -> Any:
    """Return the readings with their day, the date on the clock, and the value in the unit of its column."""
    observed_at = readings["observed_at"]
    keys = [f"{metric} {unit}" for metric, unit in FACTORS]
    given = pc.binary_join_element_wise(readings["metric"], readings["unit"], " ")
    factor = pa.array(FACTORS.values(), pa.float64()).take(pc.index_in(given, value_set=pa.array(keys)))
    placed = pc.is_in(readings["metric"], value_set=pa.array(_POSITIONS.values()))
    columns = {
        "asset": readings["asset"],
        "metric": readings["metric"],
        "observed_at": observed_at,
        "day": times.days(observed_at, zone),
        "date": times.dates(observed_at, zone),
        "value": pc.multiply(readings["value"], pc.if_else(placed, 1.0, factor)),
        "future": has_flag(readings["flags"], "future"),
        "shared_id": has_flag(readings["flags"], "shared_id"),
        "lost": pc.and_(pc.is_valid(readings["value"]), pc.is_null(factor)),
    }
    return pa.table(columns)


def _days(rows: Any) -> Any:
    """Return the days there are, with what is known of all their readings together."""
    used = pc.invert(rows["future"])
    columns = {name: rows[name] for name in (*_DAY, "shared_id", "future")} | {
        "readings": used.cast(pa.int64())
    }
    for name, metric in GAINS.items():
        columns[f"{name}:unknown_unit"] = reduce(
            pc.and_, [used, rows["lost"], pc.equal(rows["metric"], metric)]
        )
    noted = [name for name in columns if name not in {*_DAY, "readings"}]
    grouped = (
        pa.table(columns)
        .group_by(_DAY)
        .aggregate([("readings", "sum"), *((name, "any", NULLS_TOO) for name in noted)])
    )
    return _renamed(grouped, {"readings_sum": "readings"} | {f"{name}_any": name for name in noted})


def _measured(rows: Any) -> Any:
    """Return what counters and positions say of each day, one row a machine and day."""
    each = _each_metric(rows)
    columns = {name: each[name] for name in _DAY}
    for name, metric in GAINS.items():
        own = pc.equal(each["metric"], metric)
        columns |= {f"{name}{end}": _where(own, told) for end, told in _gain(each).items()}
    counted = pc.is_in(each["metric"], value_set=pa.array(GAINS.values()))
    columns["before_shared"] = pc.and_(counted, each["before_shared"])
    for name, metric in _POSITIONS.items():
        own = pc.equal(each["metric"], metric)
        columns |= {f"{end}_{name}": _where(own, each[end]) for end in ("first", "last")}
    told = [name for name in columns if name not in _DAY]
    # One row of each metric at most, so the greatest is the only one.
    grouped = pa.table(columns).group_by(_DAY).aggregate([(name, "max") for name in told])
    return _renamed(grouped, {f"{name}_max": name for name in told})


def _each_metric(rows: Any) -> Any:
    """Return, for each machine, metric and day, the first and last value, the one before, and whether one fell."""
    usable = rows.filter(pc.and_(pc.is_valid(rows["value"]), pc.invert(rows["future"])))
    order = [(name, "ascending") for name in ("asset", "metric", "observed_at")]
    usable = usable.sort_by(order).combine_chunks()
    goes_on = pc.and_(equals_former(usable["asset"]), equals_former(usable["metric"]))
    before = _where(goes_on, former(usable["value"]))
    columns = {name: usable[name] for name in ("asset", "metric", "day", "value")} | {
        "before": before,
        "before_date": _where(goes_on, former(usable["date"])),
        "before_shared": pc.and_(goes_on, pc.fill_null(former(usable["shared_id"]), False)),
        "fell": pc.fill_null(pc.less(usable["value"], before), False),
    }
    grouped = (
        pa.table(columns)
        .group_by(["asset", "metric", "day"], use_threads=False)
        .aggregate(
            [
                ("value", "first", NULLS_TOO),
                ("value", "last", NULLS_TOO),
                ("before", "first", NULLS_TOO),
                ("before_date", "first", NULLS_TOO),
                ("before_shared", "first", NULLS_TOO),
                ("fell", "any", NULLS_TOO),
            ]
        )
    )
    names = {"value_first": "first", "value_last": "last", "before_first": "before"}
    names |= {f"{name}_first": name for name in ("before_date", "before_shared")}
    return _renamed(grouped, names | {"fell_any": "fell"})


def _gain(each: Any) -> dict[str, Any]:
    """Return what each row would say of a counter: ending of the column's name -> values."""
    gain = pc.subtract(each["last"], pc.coalesce(each["before"], each["first"]))
    stands = pc.invert(each["fell"])
    return {
        "": _where(stands, gain),
        ":counter_fell": each["fell"],
        ":no_reading_before": pc.and_(stands, pc.is_null(each["before"])),
        ":spans_days": pc.and_(stands, pc.less(each["before_date"], pc.subtract(each["day"], 1))),
    }


def _flags(result: Any) -> Any:
    raised = {name: result[name] for name in result.column_names if ":" in name}
    # A gain since a reading that may be of another machine is as doubtful as one within the day.
    shared = pc.or_(result["shared_id"], pc.fill_null(result["before_shared"], False))
    return flag_lists(raised | {"future_reading": result["future"], "shared_id": shared}, len(result))


def _where(condition: Any, values: Any) -> Any:
    """Return the values where a condition holds, null elsewhere."""
    return pc.if_else(condition, values, pa.scalar(None, values.type))


def _renamed(table: Any, names: dict[str, str]) -> Any:
    return table.rename_columns([names.get(name, name) for name in table.column_names])
