"""A day of an account in virtual time: every way of counting, alone and beside somebody who uses up half of a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackunit.iris.errors import IrisNoAnswerError, IrisRateLimitError
from tests.virtual_time.counting import WAYS, World
from tests.virtual_time.crew import CountingServer, Crew, Limited

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.virtual_time.counting import Counter

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
SERIES = f"{FLEET}/Equipment/ID/{{}}/FuelUsed/2026-01-01T00:00:00Z/2026-01-02T00:00:00Z"
EVENTS = "/public/api/eventlog/v3/asset-event/log"
LOCATIONS = "/api/location/v1/locations"
METRICS = "/api/time-series/v1/assets/{}/metrics"
OPERATORS = "/public/api/operator/operators"
ALERTS = "/api/alerts/v1/configurations"
ASSETS = "/api/asset/v1/assets"
SITES = "/api/site/v1/sites"
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def documented(way: Callable[[int, float], Counter]) -> list[Limited]:
    return [
        Limited(r"/Fleet/\d+$", lambda: way(50, 1)),
        Limited(r"/FuelUsed/", lambda: way(500, 1)),
        Limited(r"/Fleet/\d+$|/FuelUsed/", lambda: way(1, 900), per_url=True),
        Limited(r"/eventlog/", lambda: way(2, 1800)),
        Limited(r"/locations", lambda: way(1, 1), per_url=True),
        Limited(r"/metrics$", lambda: way(20, 1)),
        Limited(r"/operators", lambda: way(60, 60)),
        Limited(r"/alerts/", lambda: way(1000, 600)),
    ]


def an_hour(crew: Crew) -> None:
    """Begin what an account does every hour, all of it at once."""
    crew.take([f"{FLEET}/{number}" for number in range(1, 41)], threads=8)
    crew.take([SERIES.format(number) for number in range(30)], threads=8)
    crew.take([EVENTS], threads=1, method="POST")
    crew.take([LOCATIONS] * 3, threads=2)
    crew.take([METRICS.format(number) for number in range(30)], threads=4)
    crew.take([f"{OPERATORS}?after={number}" for number in range(10)], threads=1)
    crew.take([ALERTS] * 5, threads=2)


@pytest.mark.parametrize("way", WAYS)
def test_whoever_is_alone_with_documented_limits_is_not_refused_once_in_a_day(way: str) -> None:
    world = World()
    crew = Crew(CountingServer(world, documented(WAYS[way])))
    for hour in range(24):
        world.after(hour * HOUR_S, lambda: an_hour(crew))
    world.run()
    assert crew.errors == []
    assert crew.server.refused == 0
    assert len(crew.done) == 24 * 119


@pytest.mark.parametrize("way", WAYS)
def test_beside_somebody_else_a_day_ends_with_everything_done(way: str) -> None:
    world = World()
    shared = [
        Limited(r"/Fleet/\d+$", lambda: WAYS[way](50, 1), retry_after="1"),
        Limited(ASSETS, lambda: WAYS[way](20, 1), retry_after="1"),
        Limited(SITES, lambda: WAYS[way](4, 1)),
    ]
    crew = Crew(CountingServer(world, shared))
    for hour in range(24):
        world.after(hour * HOUR_S, lambda: beside_somebody(crew))
    world.run()
    assert crew.errors == []
    assert len(crew.done) == 24 * 90
    assert crew.server.refused <= len(crew.server.log) / 10


def beside_somebody(crew: Crew) -> None:
    """Begin an hour's work while another client takes half of each limit for half a minute."""
    crew.take([f"{FLEET}/{number}" for number in range(1, 41)], threads=4)
    crew.take([f"{ASSETS}?page={number}" for number in range(30)], threads=4)
    crew.take([f"{SITES}/{number}" for number in range(20)], threads=4)
    for path, per_s in ((f"{FLEET}/1", 25), (ASSETS, 10), (SITES, 2)):
        crew.server.foreign_client(path, 1 / per_s, until=crew.world.now + 30)


def test_a_third_call_of_the_events_in_half_an_hour_is_not_sent() -> None:
    world = World()
    crew = Crew(CountingServer(world, documented(WAYS["sliding window"])))
    crew.work([EVENTS] * 3, threads=3, method="POST")
    assert len(crew.server.log) == 2
    (error,) = crew.errors
    assert isinstance(error, IrisRateLimitError)
    assert 1800 <= (error.retry_after or 0) <= 1810


def test_a_request_that_could_not_leave_uses_up_none_of_two_calls_in_half_an_hour() -> None:
    crew = Crew(CountingServer(World(), documented(WAYS["sliding window"])))
    crew.server.mishaps.extend(IrisNoAnswerError("no connection", sent=False) for _ in range(2))
    crew.work([EVENTS], threads=1, method="POST")
    assert len(crew.errors) == 1
    crew.work([EVENTS] * 2, threads=1, method="POST")
    assert (len(crew.errors), len(crew.done)) == (1, 2)


@pytest.mark.parametrize("others", [8, 64])
def test_who_stands_behind_others_that_are_cancelled_does_not_wait_for_their_turns(others: int) -> None:
    """Nobody wakes it: each of them would have taken a second of the sixty in a minute."""
    crew = Crew(CountingServer(World(), documented(WAYS["sliding window"])))
    for number in range(others):
        crew.take_and_cancel(f"{OPERATORS}?after={number}", after_s=0.5)
    took_s = crew.work([f"{OPERATORS}?after=last"], threads=1)
    assert (crew.errors, crew.done[-1]) == ([], f"{OPERATORS}?after=last")
    assert took_s <= 2.1
