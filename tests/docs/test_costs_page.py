"""The page of costs says what a run is planned by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev.airflow_home import ROOT
from dev.costs import COUNTERS, LOOKBACK_DAYS, back_fill, every_month, every_morning, markdown
from tests.example_dags.files import imported

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (ROOT / "docs" / "tables" / "costs.md").read_text()


@pytest.mark.parametrize("table", [every_morning, every_month, back_fill])
def test_every_figure_on_the_page_is_computed_from_the_limits_of_the_catalogue(
    table: Callable[[], list[list[str]]],
) -> None:
    assert markdown(table()) in PAGE, "run: python -m dev.costs"


def test_the_costs_are_those_of_the_example() -> None:
    example, _ = imported(ROOT / "example_dags" / "iris_machine_days.py")
    assert (len(example.COUNTERS), example.LOOKBACK.days) == (COUNTERS, LOOKBACK_DAYS)
