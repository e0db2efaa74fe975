"""A signal at some of the places where it can be delivered; ``make places`` tries all of them."""

from __future__ import annotations

import logging

import pytest

from .every_place import SCENARIOS, Scenario, kinds_of_places, try_places

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


@pytest.mark.parametrize("kind", ["entry", "return of a call", "jump backwards"])
def test_a_signal_comes_at_every_kind_of_place(kind: str) -> None:
    scenario = SCENARIOS[0]
    number = kinds_of_places(scenario).index(kind) + 1
    tally = try_places(scenario, lambda _count: range(number, number + 1))
    assert (dict(tally.hits), tally.wrong) == ({kind: 1}, [])


def spread(count: int) -> range:
    """Return some places, from the first on."""
    return range(1, count, count // TRIED)
