"""Tries that meet in one folder, in every order of what they ask of the store."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from .interleavings import FIRST, MEETINGS, OTHER, meeting

# Enough for every kind of thing to happen; all worlds are visited by ``make places``.
MOST_WORLDS = 800


@pytest.fixture(autouse=True)
def _without_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "airflow_provider_trackunit")


@pytest.mark.parametrize("name", MEETINGS)
def test_whoever_meets_a_result_is_whole_or_not_there_and_the_next_try_puts_all_in_order(name: str) -> None:
    explorer, world = MEETINGS[name]()
    explorer.explore(world, MOST_WORLDS)
    assert explorer.ends["success"]
    assert bool(explorer.happened["a day passes"]) == bool(world.days)
    for kind in ("fails at", "does and fails at", "fails, and later does", "lands late"):
        assert bool(explorer.happened[kind]) == bool(world.failures), kind


def test_a_try_that_did_not_announce_its_manifest_would_be_noticed() -> None:
    explorer, world = meeting(FIRST, replace(OTHER, silent=True))
    with pytest.raises(AssertionError, match="is in the manifest and is not there"):
        explorer.explore(world)
