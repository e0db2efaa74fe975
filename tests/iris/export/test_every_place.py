"""A signal at some of the places where it can be delivered; ``make places`` tries all of them."""

from __future__ import annotations

import logging

import pytest

from .every_place import SCENARIOS, Scenario, try_places

# Of the thousand and more places of each transfer.
TRIED = 5


@pytest.fixture(autouse=True)
def _without_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "airflow_provider_trackunit")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_interrupted_at_any_place_the_next_try_has_every_record_once(scenario: Scenario) -> None:
    tally = try_places(scenario, spread)
    assert not tally.wrong, "\n".join(tally.wrong)
    assert tally.ends_of_first["interrupted"] >= TRIED - 1


def test_signals_come_at_every_kind_of_place() -> None:
    tally = try_places(SCENARIOS[0], lambda count: range(1, count, count // 40))
    assert set(tally.hits) - {"none"} == {"entry", "return of a call", "jump backwards"}


def spread(count: int) -> range:
    """Return some places, from the first on."""
    return range(1, count, count // TRIED)
