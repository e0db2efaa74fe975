"""Fifty pages a second, and each of them once in a quarter of an hour: which of the two limits a refusal is of."""

from __future__ import annotations

import collections

import pytest

from airflow_provider_trackunit.iris.catalogue.limits import Counted
from airflow_provider_trackunit.iris.errors import IrisError, IrisNoAnswerError, IrisRateLimitError
from airflow_provider_trackunit.iris.http.pacing import Pacer
from airflow_provider_trackunit.iris.http.wire import Response
from tests.virtual_time.counting import WAYS, FixedWindow, SlidingWindow, TokenBucket, World
from tests.virtual_time.crew import CountingServer, Crew, Limited

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
PAGES = [f"{FLEET}/{number}" for number in range(1, 301)]
QUARTER_S = 900.0


def once_in_a_quarter(retry_after: str | None = None) -> Limited:
    return Limited(FLEET, lambda: SlidingWindow(1, QUARTER_S), per_url=True, retry_after=retry_after)


@pytest.mark.parametrize("latency_s", [0.02, 0.3])
@pytest.mark.parametrize("way", WAYS)
def test_a_fleet_of_three_hundred_pages_is_never_refused(way: str, latency_s: float) -> None:
    limits = [once_in_a_quarter(), Limited(FLEET, lambda: WAYS[way](50, 1))]
    crew = Crew(CountingServer(World(), limits, out_s=latency_s / 2, back_s=latency_s / 2))
    took_s = crew.work(PAGES, threads=32)
    assert crew.server.refused == 0
    assert took_s <= (6.0 + latency_s) / (0.97 if latency_s < 0.1 else 0.9)


@pytest.mark.parametrize("retry_after", ["1", None])
@pytest.mark.parametrize("way", WAYS)
def test_a_fleet_comes_whole_when_somebody_else_uses_half_of_the_limit(
    way: str, retry_after: str | None
) -> None:
    limits = [Limited(FLEET, lambda: WAYS[way](50, 1), retry_after=retry_after), once_in_a_quarter()]
    crew = Crew(CountingServer(World(), limits))
    crew.server.foreign_client(f"{FLEET}/other", 1 / 25, until=1060.0)
    crew.work(PAGES, threads=4)
    assert crew.errors == []
    assert sorted(crew.done) == sorted(PAGES)


def test_a_url_that_was_not_asked_before_gets_one_more_try_at_a_slower_pace_and_then_the_quarter() -> None:
    crew = Crew(CountingServer(World(), [Limited(FLEET, lambda: FixedWindow(0, 1))]))
    took_s = crew.work(PAGES[:1], threads=1)
    (error,) = crew.errors
    assert isinstance(error, IrisRateLimitError)
    assert error.retry_after == QUARTER_S
    assert len(crew.server.log) == 2
    assert took_s >= 1.0


@pytest.mark.parametrize(
    "mishap", [IrisNoAnswerError("no connection", sent=False), Response(401, {}, b"")], ids=["unsent", "401"]
)
def test_a_page_that_nobody_looked_at_was_not_asked_before(mishap: IrisError | Response) -> None:
    """It did not leave, or its token was dead. What refuses it then is the fifty a second, which somebody else used up."""
    crew = Crew(CountingServer(World(), [Limited(FLEET, lambda: FixedWindow(50, 1, phase_s=0.0))]))
    crew.work(PAGES[:1], threads=1)
    crew.server.mishaps.append(mishap)
    crew.server.foreign_client(f"{FLEET}/other", 1 / 5000, until=crew.world.now + 0.02)
    crew.work(PAGES[1:2], threads=1)
    assert (crew.errors, crew.done) == ([], PAGES[:2])
    assert crew.server.refused == 1


@pytest.mark.parametrize("threads", [1, 4, 16])
@pytest.mark.parametrize("retry_after", ["1", "30", "60"])
def test_a_page_that_was_used_up_elsewhere_is_asked_for_a_few_times_however_soon_the_answer_says(
    retry_after: str, threads: int
) -> None:
    """A refused call may count, and the other pages that get through say nothing of this one."""
    quarter = once_in_a_quarter(retry_after)
    for page in PAGES[:40:20]:
        quarter.counters[page] = FixedWindow(0, 1)
    crew = Crew(CountingServer(World(), [quarter, Limited(FLEET, lambda: TokenBucket(50, 1))]))
    crew.work(PAGES[:100], threads)
    assert (len(crew.errors), len(crew.done)) == (2, 98)
    assert crew.server.refused <= 2 * 8


@pytest.mark.parametrize("retry_after", ["1", "5", "30"])
@pytest.mark.parametrize("latency_s", [0.02, 0.3])
def test_pages_that_were_used_up_elsewhere_do_not_let_each_other_off(
    latency_s: float, retry_after: str
) -> None:
    """Once each thread has one of them, of the others none gets through."""
    quarter = once_in_a_quarter(retry_after)
    for page in PAGES[40:43]:
        quarter.counters[page] = FixedWindow(0, 1)
    limits = [Limited(FLEET, lambda: TokenBucket(50, 1)), quarter]
    crew = Crew(CountingServer(World(), limits, out_s=latency_s / 2, back_s=latency_s / 2))
    crew.work(PAGES[:100], threads=2)
    assert (len(crew.errors), len(crew.done)) == (3, 97)
    asked = collections.Counter(path for _, path, _ in crew.server.log)
    assert max(asked.values()) <= 7


def test_a_url_that_was_asked_before_was_asked_too_soon() -> None:
    crew = Crew(CountingServer(World(), [once_in_a_quarter()]))
    crew.work(PAGES[:1], threads=1)
    crew.work(PAGES[:1], threads=1)
    (error,) = crew.errors
    assert error.retry_after == QUARTER_S
    assert len(crew.server.log) == 2


@pytest.mark.parametrize(("retry_after", "requests"), [("850", 1), ("1", 2)])
def test_what_the_answer_says_is_believed(retry_after: str, requests: int) -> None:
    crew = Crew(CountingServer(World(), [Limited(FLEET, lambda: FixedWindow(0, 1), retry_after=retry_after)]))
    crew.work(PAGES[:1], threads=1)
    (error,) = crew.errors
    assert error.retry_after == float(retry_after)
    assert len(crew.server.log) == requests


def test_a_refusal_of_a_page_is_heeded_by_every_client_of_the_account_and_holds_no_other_page_back() -> None:
    server = CountingServer(World(), [once_in_a_quarter()])
    one, other = Crew(server), Crew(server)
    one.work(PAGES[:1], threads=1)
    one.work(PAGES[:1], threads=1)
    server.world.stand_still(100.0)
    asked = len(server.log)
    other.work(PAGES[:2], threads=1)
    assert other.done == PAGES[1:2]
    (error,) = other.errors
    assert isinstance(error, IrisRateLimitError)
    assert error.status is None
    assert error.retry_after == pytest.approx(QUARTER_S - 100, abs=1)
    assert len(server.log) == asked + 1
    server.world.stand_still(QUARTER_S)
    other.work(PAGES[:1], threads=1)
    assert other.done[-1] == PAGES[0]


def test_of_many_urls_only_the_latest_are_kept_in_mind() -> None:
    pacer = Pacer(World().clock)
    for number in range(10_000):
        turn = pacer.turn(Counted((("AEMP element", None),), (f"url {number}",)))
        assert turn.wait_s() == 0
        turn.end()
    assert len(pacer) <= 4096 + 1
    again = pacer.turn(Counted((("AEMP element", None),), ("url 9999",)))
    assert again.wait_s() == 0
    assert again.was_asked_before


def test_a_burst_of_ten_that_somebody_else_used_up_is_no_quarter_of_an_hour() -> None:
    limits = [Limited(FLEET, lambda: TokenBucket(50, 1, burst=10)), once_in_a_quarter()]
    crew = Crew(CountingServer(World(), limits))
    crew.take(PAGES, threads=4)

    def use_it_up() -> None:
        for _ in range(12):
            crew.server.limits[0].counters[""].take(crew.world.now)

    crew.world.after(2.0, use_it_up)
    crew.world.run()
    assert crew.errors == []
    assert sorted(crew.done) == sorted(PAGES)
