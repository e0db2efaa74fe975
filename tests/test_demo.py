"""What the demo prints and draws."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from matplotlib.colors import to_rgb
from matplotlib.image import imread

from dev.demo_picture import draw
from dev.demo_report import chosen, flags_by_column, held_against, row_of, table_of

if TYPE_CHECKING:
    from pathlib import Path

FELL = "#c8435a"


def day(asset: str, number: int, hours: float | None, *flags: str) -> dict[str, Any]:
    idle = None if hours is None else hours / 4
    return {
        "asset": asset,
        "day": dt.date(2026, 1, number),
        "operating_hours": hours,
        "idle_hours": idle,
        "moving_hours": None,
        "distance_km": None,
        "fuel_litres": None,
        "readings": 24,
        "flags": list(flags),
    }


def pixels(file: Path, colour: str) -> int:
    return int((abs(imread(file)[:, :, :3] - to_rgb(colour)) < 0.01).all(axis=2).sum())


def test_the_picture_of_the_same_days_is_the_same_whatever_their_order(tmp_path: Path) -> None:
    days = [day("ACM1", 1, 8.0), day("ACM1", 2, 0.0), day("ACM2", 1, None)]
    draw(days, tmp_path / "one" / "days.png")
    draw(days[::-1], tmp_path / "two.png")
    assert (tmp_path / "one" / "days.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert 5_000 < (tmp_path / "two.png").stat().st_size < 100_000


def test_a_day_on_which_a_counter_fell_is_seen_in_the_picture(tmp_path: Path) -> None:
    good = [day("ACM1", number, 6.0) for number in range(1, 5)]
    draw(good, tmp_path / "good.png")
    draw([*good[:3], day("ACM1", 4, None, "operating_hours:counter_fell")], tmp_path / "fell.png")
    # Beside its mark in the legend, a quarter of the lower half.
    assert pixels(tmp_path / "fell.png", FELL) > 20 * pixels(tmp_path / "good.png", FELL) > 0


def test_a_table_has_a_dash_for_what_is_not_known_and_its_numbers_to_the_right() -> None:
    rows: list[dict[str, Any]] = [
        {"asset": "ACM1", "hours": 10.256, "flags": ""},
        {"asset": "A2", "hours": None, "flags": "fell"},
    ]
    assert table_of(rows) == ["", "  asset  hours  flags", "  ACM1   10.26", "  A2         -  fell", ""]
    assert table_of([]) == []


def test_the_machines_that_worked_most_are_shown_and_all_that_have_a_flag() -> None:
    days = [day(f"ACM{hours}", 1, float(hours)) for hours in range(20)]
    days += [day("BCM1", 1, None, "operating_hours:counter_fell"), day("BCM2", 1, 0.5, "shared_id")]
    assets = [one["asset"] for one in chosen(days)]
    assert assets == [*(f"ACM{hours}" for hours in range(19, 11, -1)), "BCM2", "BCM1"]


def test_a_day_is_right_when_it_is_the_true_one_but_for_what_was_not_reported_yet() -> None:
    def true(pin: str | None, hours: float) -> dict[str, Any]:
        return {"pin": pin, "operating_hours": hours, "unreported": {"operating_hours": [0.5, 0.2]}}

    days = [day("ACM1", 1, 8.3), day("ACM2", 1, 8.32), day("ACM3", 1, 8.3, "shared_id"), day("ACM4", 1, None)]
    truth = [true(" ACM1", 8.0), true("ACM2", 8.0), true("ACM3", 8.0), true("ACM4", 8.0), true(None, 8.0)]
    assert held_against(truth, days) == (1, 2)


def test_the_flags_of_a_row_are_told_once_with_their_columns() -> None:
    flags = ["distance_km:counter_fell", "operating_hours:counter_fell", "shared_id"]
    row = row_of(day("ACM1", 1, None, *flags))
    assert row["flags"] == "counter_fell (km hours), shared_id"
    assert row["hours"] is None


def test_flags_are_counted_by_column_over_all_days() -> None:
    days = [
        day("ACM1", 1, None, "idle_hours:spans_days", "shared_id"),
        day("ACM1", 2, 1.0, "idle_hours:spans_days"),
    ]
    counted = {row["column"]: row for row in flags_by_column(days)}
    assert counted["idle_hours"] == {"column": "idle_hours", "shared_id": "", "spans_days": 2}
    assert counted["(the whole day)"]["shared_id"] == 1
    assert counted["fuel_litres"]["spans_days"] == ""
