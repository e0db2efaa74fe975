"""What the demo prints of machine days."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Rows = Sequence[Mapping[str, Any]]

#: Columns of machine days, and how short they are printed.
_COLUMNS: Final = {
    "operating_hours": "hours",
    "idle_hours": "idle",
    "moving_hours": "moving",
    "distance_km": "km",
    "fuel_litres": "litres",
}
_MOST: Final = 8
# Counters say hundredths, so a difference of two is right to one.
_HUNDREDTH: Final = 0.011


def chosen(days: Rows) -> list[Mapping[str, Any]]:
    """Return the machine days of a day that are worth a look: most hours first, then those with a flag."""
    by_hours = sorted(days, key=lambda day: -(day["operating_hours"] or 0.0))
    return [day for place, day in enumerate(by_hours) if place < _MOST or day["flags"]]


def held_against(truth: Rows, days: Rows) -> tuple[int, int]:
    """Return how many machine days are as the emulator says, and of how many: those with a PIN, hours and no flag.

    :param truth: of one day; what was not reported yet when it began and ended is allowed for
    :param days: of the same day
    """
    hours = {day["asset"]: day["operating_hours"] for day in days if not day["flags"]}
    found = [
        abs(hours[asset] - one["operating_hours"] - before + after) < _HUNDREDTH
        for one in truth
        if hours.get(asset := (one["pin"] or "").strip()) is not None
        for before, after in [one["unreported"]["operating_hours"]]
    ]
    return sum(found), len(found)


def row_of(day: Mapping[str, Any]) -> dict[str, Any]:
    """Return a machine day as it is printed."""
    numbers = {short: day[name] for name, short in _COLUMNS.items()}
    return {"machine": day["asset"], **numbers, "readings": day["readings"], "flags": _flags(day["flags"])}


def flags_by_column(days: Rows) -> list[dict[str, Any]]:
    """Return how many machine days have which flag: a row for each column, and one for the flags of whole days."""
    counted = Counter(_split(flag) for day in days for flag in day["flags"])
    flags = sorted({flag for _, flag in counted})
    columns = [*_COLUMNS, "(the whole day)"]
    return [{"column": name, **{flag: counted[name, flag] or "" for flag in flags}} for name in columns]


def table_of(rows: Rows) -> list[str]:
    """Return the lines of a table: numbers to the right, a dash for null; nothing of no rows."""
    if not rows:
        return []
    cells = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    of_text = [any(isinstance(row[name], str) and row[name] for row in rows) for name in rows[0]]
    lines = [
        "  ".join(
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(row, widths, of_text, strict=True)
        )
        for row in cells
    ]
    return ["", *(f"  {line}".rstrip() for line in lines), ""]


def _flags(flags: Sequence[str]) -> str:
    """Return flags in short: each once, with its columns."""
    columns = defaultdict(list)
    for flag in flags:
        column, name = _split(flag)
        columns[name].append(_COLUMNS.get(column, ""))
    return ", ".join(f"{name} ({' '.join(of)})" if of != [""] else name for name, of in columns.items())


def _split(flag: str) -> tuple[str, str]:
    column, _, name = flag.rpartition(":")
    return column or "(the whole day)", name


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
