"""``python -m dev.costs`` prints the tables of docs/tables/costs.md: what machine days cost in calls.

Computed by what plans a run of an incremental transfer, from the limits in the catalogue. How many readings a counter has in a
day is not documented; the figures are those that others saw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.catalogue.endpoints import find
from airflow_provider_trackunit.iris.export.incremental.windows import (
    Reach,
    Span,
    most_windows_of,
    pieces,
    step_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_trackunit.iris.catalogue.endpoint import Endpoint

_AEMP: Final = "/public/api/aemp/v2/15143/-3/Fleet"
_DAY_S: Final = 86_400
#: Readings, or machines, on a page of AEMP (hub, "Export ISO 15143-3 (AEMP 2.0)").
PER_PAGE: Final = 100
#: What the example asks for: hours of three kinds, distance and fuel, and two days again.
COUNTERS: Final = 5
LOOKBACK_DAYS: Final = 2
#: Readings of a counter in a day: of a machine that hardly works, of a usual one, and of the most talkative that was seen.
READINGS_A_DAY: Final = (5, 52, 146)
#: A run on a usual network: so many requests at once, so long an answer.
AT_ONCE: Final = 16
ANSWER_S: Final = 0.25


def row_of(path: str) -> Endpoint:
    """Return what the catalogue knows of a path of AEMP."""
    return find(make_call("https://iris.trackunit.com", _AEMP + path))


SNAPSHOT: Final = row_of("/1")
SERIES: Final = row_of("/Equipment/ID/A1/Distance/2026-01-01T00:00:00Z/2026-01-15T00:00:00Z")


@dataclass(frozen=True)
class Budget:
    """What a run asks of one series: its windows, and the pages of all of them."""

    windows: int
    pages: int

    @classmethod
    def of(cls, days: float, readings_a_day: float, *, lookback_days: float = 0) -> Budget:
        """Return the budget of a run whose cursor is so many days behind."""
        until_s = round((days + lookback_days) * _DAY_S)
        reach = Reach(
            start_s=0,
            until_s=until_s,
            lookback_s=round(lookback_days * _DAY_S),
            step_s=step_of(SERIES, None),
            most_windows=most_windows_of(SERIES),
        )
        found = pieces([reach.span(round(lookback_days * _DAY_S))], reach.step_s)
        return cls(len(found), sum(_pages(piece.window, readings_a_day) for piece in found))


def _pages(window: Span, readings_a_day: float) -> int:
    days = (window.end_s - window.begin_s) / _DAY_S
    return max(1, math.ceil(days * readings_a_day / PER_PAGE))


def every_morning() -> list[list[str]]:
    """Return what a run a day costs a fleet."""
    rows = [
        [
            "Machines",
            "Snapshot",
            "Histories",
            "At the permitted rates",
            f"{AT_ONCE} at once, {ANSWER_S:g} s an answer",
        ]
    ]
    for machines in (100, 1_000, 10_000):
        pages = math.ceil(machines / PER_PAGE)
        calls = machines * COUNTERS * Budget.of(1, READINGS_A_DAY[1], lookback_days=LOOKBACK_DAYS).pages
        permitted_s = pages / _calls_per_s(SNAPSHOT) + calls / _calls_per_s(SERIES)
        usual_s = (pages + calls) * ANSWER_S / AT_ONCE
        rows.append([f"{machines:,}", f"{pages:,}", f"{calls:,}", _told(permitted_s), _told(usual_s)])
    return rows


def every_month() -> list[list[str]]:
    """Return how many extra calls a run a day costs one series in the time after which they come back."""
    lookbacks = {"an hour": 1 / 24, "a day": 1, "two days": LOOKBACK_DAYS}
    rows = [["Readings a day", *(f"`lookback` of {name}" for name in lookbacks)]]
    for readings_a_day in READINGS_A_DAY:
        budgets = [Budget.of(1, readings_a_day, lookback_days=days) for days in lookbacks.values()]
        rows.append([str(readings_a_day), *(str(30 * (budget.pages - 1)) for budget in budgets)])
    return rows


def back_fill() -> list[list[str]]:
    """Return what the first run costs one series, by how far back it begins."""
    rows = [["History", "Windows", *(f"Calls at {number} a day" for number in READINGS_A_DAY)]]
    for days in (14, 90, 364):
        budgets = [Budget.of(days, number) for number in READINGS_A_DAY]
        rows.append([f"{days} days", str(budgets[0].windows), *(str(budget.pages) for budget in budgets)])
    return rows


def markdown(rows: Sequence[Iterable[str]]) -> str:
    """Return a table of Markdown, its first row the heading."""
    head, *body = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(list(rows[0])), *body])


def _calls_per_s(row: Endpoint) -> float:
    return min(limit.rate.calls / limit.rate.per_s for limit in row.limits if not limit.rate.metered)


def _told(seconds: float) -> str:
    return f"{math.ceil(seconds)} s" if seconds < 120 else f"{math.ceil(seconds / 60)} min"


if __name__ == "__main__":
    print("\n\n".join(map(markdown, (every_morning(), every_month(), back_fill()))))
