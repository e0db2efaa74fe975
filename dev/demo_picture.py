"""The picture of the demo: the hours of a fleet, day by day, and below them those of every machine.

On a background of its own, so that it can be read on a light page and on a dark one.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    Days = Sequence[Mapping[str, Any]]
    Dates = Sequence[dt.date]

_TEXT: Final = "#2b2f36"
_AT_WORK: Final = "#1f5f99"
_IDLE: Final = "#e8a33d"
_FELL: Final = "#c8435a"
_NO_READING: Final = "#dcdcdc"
# A longer day is seldom one day alone.
_MOST_HOURS: Final = 12
_SHADES: Final = ["#f3f7fb", "#8db8dc", _AT_WORK, "#0b2b4d"]
_TITLE: Final[dict[str, Any]] = {"loc": "left", "fontweight": "bold", "color": _TEXT, "fontsize": 11}
_LABEL: Final[dict[str, Any]] = {"color": _TEXT, "fontsize": 9}
_LEGEND: Final[dict[str, Any]] = {
    "frameon": False,
    "fontsize": 8,
    "labelcolor": _TEXT,
    "ncols": 2,
    "loc": "lower right",
    "bbox_to_anchor": (1, 0.98),
}


def draw(days: Days, file: Path) -> None:
    """Draw machine days into a PNG.

    :param days: rows of ``machine_days``
    """
    dates = sorted({day["day"] for day in days})
    figure = Figure(figsize=(9, 6.4), dpi=110, facecolor="white", layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])
    _draw_fleet(upper, days, dates)
    shades = _draw_machines(lower, days, dates)
    scale = figure.colorbar(shades, ax=[upper, lower], shrink=0.5, pad=0.01, extend="max")
    scale.set_label("operating hours of a machine", **_LABEL)
    for axes in (upper, lower, scale.ax):
        axes.tick_params(colors=_TEXT, labelsize=8, length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of what drew it, so that the same days are the same bytes.
    figure.savefig(file, metadata={"Software": None})


def _draw_fleet(axes: Axes, days: Days, dates: Dates) -> None:
    """Draw a bar for each day: the hours at work and, on top of them, the idle ones."""
    operating, idle = _sums(days, dates, "operating_hours"), _sums(days, dates, "idle_hours")
    places = np.arange(len(dates))
    axes.bar(places, operating - idle, color=_AT_WORK, width=0.72, label="at work")
    axes.bar(places, idle, bottom=operating - idle, color=_IDLE, width=0.72, label="idle")
    axes.set_title("Operating hours of the fleet", **_TITLE)
    axes.set_ylabel("hours", **_LABEL)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(**_LEGEND)


def _draw_machines(axes: Axes, days: Days, dates: Dates) -> Any:
    """Draw a line for each machine, those that worked most at the top, and return what has the scale of the shades."""
    machines = _by_hours(days)
    hours = np.full((len(machines), len(dates)), np.nan)
    fell = np.full(hours.shape, np.nan)
    rows = {machine: row for row, machine in enumerate(machines)}
    columns = {date: column for column, date in enumerate(dates)}
    for day in days:
        place = rows[day["asset"]], columns[day["day"]]
        hours[place] = np.nan if day["operating_hours"] is None else day["operating_hours"]
        if "operating_hours:counter_fell" in day["flags"]:
            fell[place] = 1
    axes.set_facecolor(_NO_READING)
    axes.imshow(fell, aspect="auto", interpolation="nearest", cmap=_map([_FELL, _FELL]))
    shades = axes.imshow(
        hours, aspect="auto", interpolation="nearest", cmap=_map(_SHADES), vmin=0, vmax=_MOST_HOURS
    )
    axes.set_title("Each of its machines", **_TITLE)
    axes.set_ylabel(f"{len(machines)} machines", **_LABEL)
    axes.set_yticks([])
    axes.set_xticks(range(len(dates)), [f"{date:%a}\n{date.day} {date:%b}" for date in dates])
    legend = [
        Patch(color=_FELL, label="counter fell: not known"),
        Patch(color=_NO_READING, label="no reading"),
    ]
    axes.legend(handles=legend, **_LEGEND)
    return shades


def _sums(days: Days, dates: Dates, column: str) -> Any:
    sums = dict.fromkeys(dates, 0.0)
    for day in days:
        sums[day["day"]] += day[column] or 0.0
    return np.array(list(sums.values()))


def _by_hours(days: Days) -> list[str]:
    """Return the machines, those with the most hours first."""
    hours: dict[str, float] = defaultdict(float)
    for day in days:
        hours[day["asset"]] += day["operating_hours"] or 0.0
    return sorted(hours, key=lambda asset: (-hours[asset], asset))


def _map(colours: list[str]) -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list("", colours)
