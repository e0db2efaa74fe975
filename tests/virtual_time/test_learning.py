"""A rate that nobody published: found soon, refused seldom, left behind when it goes away."""

from __future__ import annotations

import collections
import itertools
import random
from functools import partial
from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackunit.iris.errors import IrisRateLimitError
from airflow_provider_trackunit.iris.http.pacing.learning import LearnedRate
from tests.virtual_time.counting import Counter, FixedWindow, SlidingWindow, TokenBucket, World
from tests.virtual_time.crew import CountingServer, Crew, Limited

if TYPE_CHECKING:
    from collections.abc import Callable

ASSETS = "/api/asset/v1/assets"
PAGES = [f"{ASSETS}?page={number}" for number in range(100)]
MACHINES = [f"{ASSETS}/{number}" for number in range(60)]

WAYS: dict[str, Callable[[int], Counter]] = {
    "a second's bucket": lambda calls: TokenBucket(calls, 1, burst=calls),
    "a sliding window": lambda calls: SlidingWindow(calls, 1),
    "a fixed window": lambda calls: FixedWindow(calls, 1),
    "a fixed window that has just begun": lambda calls: FixedWindow(calls, 1, phase_s=0.0),
    "a fixed window that ends soon": lambda calls: FixedWindow(calls, 1, phase_s=0.95),
}
ways = pytest.mark.parametrize("way", WAYS)
seeds = pytest.mark.parametrize("seed", range(5))


def crew_behind(new: Callable[[], Counter], retry_after: str | None = "1", seed: int = 1) -> Crew:
    return Crew(CountingServer(World(), [Limited(ASSETS, new, retry_after=retry_after)]), seed=seed)


@ways
@pytest.mark.parametrize("threads", [4, 8])
@pytest.mark.parametrize("retry_after", ["1", None, "0", "0.001", "-5", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_assets_by_page_behind_twenty_a_second(way: str, threads: int, retry_after: str | None) -> None:
    crew = crew_behind(lambda: WAYS[way](20), retry_after, seed=threads)
    took_s = crew.work(PAGES, threads)
    assert sorted(crew.done) == sorted(PAGES)
    assert took_s <= 1.5 * len(PAGES) / 20
    assert crew.server.refused <= len(crew.server.log) / 10


@ways
@pytest.mark.parametrize("threads", [4, 8, 16])
@pytest.mark.parametrize("latency_s", [0.1, 0.2, 0.4])
def test_where_an_answer_takes_long_a_hundred_pages_take_about_twice_as_long_as_the_limit_allows(
    way: str, threads: int, latency_s: float
) -> None:
    crew = crew_behind(lambda: WAYS[way](20), seed=threads)
    crew.server.out_s = crew.server.back_s = latency_s / 2
    took_s = crew.work(PAGES, threads)
    assert sorted(crew.done) == sorted(PAGES)
    assert took_s <= 2.1 * max(len(PAGES) / 20, len(PAGES) / threads * latency_s)
    assert crew.server.refused <= 16 + 4


@ways
@seeds
@pytest.mark.parametrize("retry_after", ["1", None, "0"])
def test_assets_one_by_one_behind_two_a_second(way: str, seed: int, retry_after: str | None) -> None:
    crew = crew_behind(lambda: WAYS[way](2), retry_after, seed)
    took_s = crew.work(MACHINES, threads=4)
    assert sorted(crew.done) == sorted(MACHINES)
    assert took_s <= 1.5 * len(MACHINES) / 2
    assert crew.server.refused <= len(crew.server.log) / 10


@ways
@pytest.mark.parametrize("path", ["/api/new/v1/things/{}", "/api/new/v1/things/AB{}-c/state"])
def test_things_one_by_one_whose_ids_are_written_into_a_path_without_a_row_share_what_is_learned(
    way: str, path: str
) -> None:
    things = [path.format(number) for number in range(60)]
    crew = Crew(CountingServer(World(), [Limited("/things/", lambda: WAYS[way](2), retry_after="1")]))
    took_s = crew.work(things, threads=4)
    assert sorted(crew.done) == sorted(things)
    assert took_s <= 1.5 * len(things) / 2
    assert crew.server.refused <= len(crew.server.log) / 10


@ways
@pytest.mark.parametrize("calls", [1, 5, 50])
def test_a_long_walk_is_seldom_refused_whatever_the_limit(way: str, calls: int) -> None:
    crew = crew_behind(lambda: WAYS[way](calls))
    took_s = crew.work([f"{ASSETS}?page={number}" for number in range(calls * 40)], threads=8)
    assert crew.errors == []
    assert took_s <= 1.5 * 40
    assert crew.server.refused <= max(len(crew.server.log) / 50, 20)


@pytest.mark.parametrize("threads", [16, 32])
@pytest.mark.parametrize("way", [way for way in WAYS if way != "a fixed window that ends soon"])
def test_of_many_threads_few_are_refused_before_the_limit_is_known(way: str, threads: int) -> None:
    crew = crew_behind(lambda: WAYS[way](20))
    took_s = crew.work(PAGES, threads)
    assert crew.errors == []
    assert took_s <= 1.5 * len(PAGES) / 20
    assert crew.server.refused <= len(crew.server.log) / 10


def test_wherever_a_fixed_window_stands_sixteen_threads_are_refused_once_in_ten_requests_on_the_average() -> (
    None
):
    """Where a window ends soon, twice its calls are let through before the first refusal, and all threads are at work."""
    crews = [crew_behind(partial(FixedWindow, 20, 1, phase / 20)) for phase in range(20)]
    for crew in crews:
        assert crew.work(PAGES, threads=16) <= 1.5 * len(PAGES) / 20
        assert crew.server.refused <= 16 + 4
    assert sum(crew.server.refused for crew in crews) <= sum(len(crew.server.log) for crew in crews) / 10


@pytest.mark.parametrize("threads", [4, 16])
@pytest.mark.parametrize("burst", [2, 3, 5, 10])
def test_behind_a_bucket_that_holds_much_less_than_a_second_a_walk_soon_comes_near_the_rate(
    burst: int, threads: int
) -> None:
    """Each refusal costs a pause of a second, as the server says: four of them are what a hundred requests take longer."""
    crew = crew_behind(lambda: TokenBucket(20, 1, burst=burst))
    crew.work([f"{ASSETS}?page={number}" for number in range(500)], threads)
    assert crew.errors == []
    let_through_at = [at for at, _, let in crew.server.log if let]
    assert let_through_at[99] - let_through_at[0] <= 2.5 * 100 / 20
    assert let_through_at[-1] - let_through_at[0] <= 1.5 * 500 / 20
    assert crew.server.refused <= len(crew.server.log) / 20


def test_while_nobody_refuses_nothing_is_slowed_down() -> None:
    crew = Crew(CountingServer(World(), []))
    assert crew.work(PAGES, threads=4) == pytest.approx(len(PAGES) / 4 * 0.021, rel=0.02)


def test_sixteen_at_once_are_slowed_down_by_two_round_trips_while_nothing_is_known() -> None:
    world = World()
    crew = Crew(CountingServer(world, [], out_s=0.1, back_s=0.1))
    pages = [f"{ASSETS}?page={number}" for number in range(1000)]
    assert crew.work(pages, threads=16) <= len(pages) / 16 * 0.201 + 2 * 0.2
    assert crew.work(pages, threads=16) <= (len(pages) / 16 + 1) * 0.201


@ways
def test_nobody_comes_back_before_the_time_and_not_all_at_once(way: str) -> None:
    crew = crew_behind(lambda: WAYS[way](20), retry_after="3")
    crew.work(PAGES, threads=16)
    refused_at = next(at for at, _, let in crew.server.log if not let)
    # Those that were under way already are not called back.
    later = [at for at, _, _ in crew.server.log if at > refused_at + 0.05]
    assert later[0] >= refused_at + 3.0
    gaps = [after - before for before, after in itertools.pairwise(later)]
    assert min(gaps) > 0.03


class GoneAfter:
    """A limit that is lifted."""

    def __init__(self, counter: Counter, at: float) -> None:
        self._counter, self._at = counter, at

    def take(self, now: float) -> bool:
        return now >= self._at or self._counter.take(now)


@pytest.mark.parametrize(("calls", "within_s"), [(1, 70), (2, 40), (20, 30)])
def test_when_the_limit_goes_away_the_walk_is_soon_at_full_speed(calls: int, within_s: int) -> None:
    world = World()
    crew = Crew(CountingServer(world, [Limited(ASSETS, lambda: GoneAfter(SlidingWindow(calls, 1), 1010.0))]))
    crew.work([f"{ASSETS}?page={number}" for number in range(5_000)], threads=4)
    at_once_per_s = 4 / 0.021
    arrived = [at for at, _, _ in crew.server.log]
    a_second = [at for at in arrived if 0 <= at - 1010.0 - within_s < 1]
    assert len(a_second) >= 0.9 * at_once_per_s


class Shut:
    """Refuses everything for a while."""

    def __init__(self, since: float, until: float) -> None:
        self._since, self._until = since, until

    def take(self, now: float) -> bool:
        return not self._since <= now < self._until


@pytest.mark.parametrize("retry_after", ["1", "5", "20", None])
def test_after_a_minute_in_which_everything_was_refused_a_walk_is_soon_at_full_speed(
    retry_after: str | None,
) -> None:
    """A pause that was too short says nothing of the rate, and is followed by no herd."""
    crew = crew_behind(lambda: Shut(1010.0, 1070.0), retry_after)
    crew.work([f"{ASSETS}?page={number}" for number in range(8_000)], threads=4)
    assert crew.errors == []
    assert crew.server.refused <= 4 + 60 / 1.5
    a_second = [at for at, _, _ in crew.server.log if 0 <= at - 1070.0 - 20 < 1]
    assert len(a_second) >= 0.9 * 4 / 0.021


@ways
@pytest.mark.parametrize("threads", [2, 8])
@pytest.mark.parametrize("retry_after", ["1", None])
def test_behind_two_a_second_and_a_hundred_a_minute_as_much_gets_through_as_both_allow(
    way: str, retry_after: str | None, threads: int
) -> None:
    """That a minute is used up says nothing of the two a second."""
    limits = [
        Limited(ASSETS, lambda: WAYS[way](2), retry_after="1"),
        Limited(ASSETS, lambda: SlidingWindow(100, 60), retry_after=retry_after),
    ]
    crew = Crew(CountingServer(World(), limits))
    pages = [f"{ASSETS}?page={number}" for number in range(300)]
    took_s = crew.work(pages, threads)
    assert (crew.errors, len(crew.done)) == ([], len(pages))
    assert took_s <= 1.25 * (2 * 60 + 100 / 2)
    assert crew.server.refused <= len(crew.server.log) / 10


def test_errors_and_idleness_do_not_speed_a_client_up() -> None:
    world = World()
    crew = Crew(CountingServer(world, [Limited(ASSETS, lambda: SlidingWindow(20, 1), retry_after="1")]))
    crew.work(PAGES[:40], threads=4)
    world.stand_still(50.0)
    refused = crew.server.refused
    crew.work(PAGES[:40], threads=4)
    assert crew.server.refused <= refused + 4


def test_a_request_that_is_always_refused_ends_with_the_refusal() -> None:
    crew = crew_behind(lambda: FixedWindow(0, 1), retry_after="0")
    took_s = crew.work([ASSETS], threads=1)
    assert [type(error) for error in crew.errors] == [IrisRateLimitError]
    assert len(crew.server.log) == 4
    assert took_s >= 0.5 + 1 + 2


def test_calls_that_were_under_way_at_a_refusal_make_the_pause_no_longer() -> None:
    rate = LearnedRate()
    assert [rate.refuse(10.0, 9.9, None), rate.refuse(10.01, 9.91, None)] == [1.0, 1.0]
    assert rate.refuse(12.0, 11.9, None) == 2.0


def test_a_limit_that_refuses_for_days_without_a_word_is_asked_twice_a_minute() -> None:
    rate, now = LearnedRate(), 0.0
    pauses = []
    for _ in range(5_000):
        pauses.append(rate.refuse(now, now, None))
        now = rate.earliest(now)
    assert pauses[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert set(pauses[6:]) == {30.0}
    rate.let(now, waited=True)
    assert rate.refuse(now + 1, now + 1, None) == 1.0


def test_what_is_refused_on_one_row_does_not_slow_another_down() -> None:
    crew = crew_behind(lambda: SlidingWindow(2, 1))
    crew.take(MACHINES, threads=4)
    crew.take([f"/api/site/v1/sites/{number}" for number in range(200)], threads=4)
    crew.world.run()
    sites = [at for at, path, _ in crew.server.log if "site" in path]
    assert max(sites) - min(sites) < 1.2


def test_clients_of_one_account_heed_what_one_of_them_was_told() -> None:
    server = CountingServer(World(), [Limited(ASSETS, lambda: SlidingWindow(20, 1), retry_after="2")])
    one, other = Crew(server), Crew(server)
    one.take(PAGES, threads=4)
    other.take(MACHINES[:1], threads=1)
    server.world.run()
    assert one.core._pacer is other.core._pacer
    assert server.refused <= len(server.log) / 10


class AtRandom:
    """Lets the first through, and refuses others at random."""

    def __init__(self, share: float, seed: int) -> None:
        self._share = 0.0
        self._later = share
        self._chance = random.Random(seed)  # noqa: S311 - no secret is drawn

    def take(self, _now: float) -> bool:
        share, self._share = self._share, self._later
        return self._chance.random() >= share


@pytest.mark.parametrize("threads", [1, 4, 8])
@pytest.mark.parametrize("share", [0.5, 0.7])
@pytest.mark.parametrize("seed", range(4))
def test_requests_that_are_refused_at_random_all_come_through(share: float, seed: int, threads: int) -> None:
    crew = crew_behind(lambda: AtRandom(share, seed))
    crew.work(PAGES[:60], threads)
    assert (crew.errors, len(crew.done)) == ([], 60)


@pytest.mark.parametrize("threads", [1, 4, 16])
@pytest.mark.parametrize("retry_after", ["1", None])
@pytest.mark.parametrize(
    ("share", "burst"), [(0.5, 1), (0.8, 1), (0.5, 2), (1.0, 2), (0.5, 5), (1.0, 5), (1.2, 5)]
)
def test_beside_a_foreign_client_that_uses_up_a_limit_a_walk_still_ends(
    share: float, burst: int, retry_after: str | None, threads: int
) -> None:
    """Its pace is even: whoever comes back at an even pace too can find the bucket empty every time."""
    crew = crew_behind(lambda: TokenBucket(5, 1, burst=burst), retry_after)
    crew.server.foreign_client(ASSETS, 1 / (5 * share), until=crew.world.now + 600)
    crew.take(PAGES[:60], threads)
    crew.world.run()
    assert (crew.errors, len(crew.done)) == ([], 60)


@pytest.mark.parametrize(("threads", "max_wait_s"), [(32, 30), (64, 60), (64, 120)])
def test_beside_somebody_who_takes_a_documented_limit_in_bursts_a_long_line_fails_nobody(
    threads: int, max_wait_s: int
) -> None:
    """Only the rate that is learned is low: who stands behind many at that rate does not wait for what the limit says."""
    limit = Limited("/metrics$", lambda: SlidingWindow(20, 1), retry_after="1")
    crew = Crew(CountingServer(World(), [limit]), options={"max_wait_s": float(max_wait_s)})
    series = [f"/api/time-series/v1/assets/{number}/metrics" for number in range(200)]
    for _ in range(20):
        crew.server.foreign_client(series[0], 1 / 0.9, until=crew.world.now + 600)
    crew.work(series, threads)
    assert (crew.errors, len(crew.done)) == ([], len(series))


@pytest.mark.parametrize("threads", [1, 4, 16])
@pytest.mark.parametrize("retry_after", ["20", "45"])
@pytest.mark.parametrize("seed", range(4))
def test_a_time_in_which_nobody_may_ask_is_none_in_which_nobody_gets_through(
    seed: int, retry_after: str, threads: int
) -> None:
    crew = crew_behind(lambda: AtRandom(0.5, seed), retry_after)
    crew.work(PAGES[:60], threads)
    assert (crew.errors, len(crew.done)) == ([], 60)


@pytest.mark.parametrize("threads", [1, 8, 32])
@pytest.mark.parametrize("retry_after", ["1", "10"])
@pytest.mark.parametrize("calls", [1, 6])
def test_behind_a_few_calls_a_minute_and_a_retry_after_that_is_too_short_a_crawl_still_ends(
    calls: int, retry_after: str, threads: int
) -> None:
    """Each that gets through costs a dozen refusals, and chance gives some requests many more."""
    crew = crew_behind(lambda: FixedWindow(calls, 60), retry_after)
    pages = [f"{ASSETS}?page={number}" for number in range(100)]
    took_s = crew.work(pages, threads)
    assert (crew.errors, len(crew.done)) == ([], len(pages))
    assert took_s <= 1.1 * 60 * len(pages) / calls


@pytest.mark.parametrize("threads", [1, 4, 8, 32])
@pytest.mark.parametrize(("calls", "per_s"), [(1, 62), (1, 70), (1, 118), (2, 90), (5, 110)])
def test_behind_a_budget_that_says_when_it_is_renewed_a_crawl_ends(
    calls: int, per_s: int, threads: int
) -> None:
    """It is more than a minute until then: who comes back meets all others who do."""
    crew = crew_behind(lambda: FixedWindow(calls, per_s, phase_s=0.0))
    limit, world = crew.server.limits[0], crew.world

    def say_when() -> None:
        limit.retry_after = str(per_s - int(world.now % per_s))
        if len(crew.done) + len(crew.errors) < 60:
            world.after(1.0, say_when)

    say_when()
    took_s = crew.work(MACHINES, threads)
    assert (crew.errors, len(crew.done)) == ([], len(MACHINES))
    assert took_s <= 1.1 * per_s * len(MACHINES) / calls


@pytest.mark.parametrize("threads", [1, 8, 32])
@pytest.mark.parametrize("foreign_share", [0.0, 0.5])
@pytest.mark.parametrize("per_s", [600, 1800, 3600])
@pytest.mark.parametrize("new", [FixedWindow, SlidingWindow])
def test_behind_a_budget_that_is_renewed_once_an_hour_none_is_lost_where_the_client_may_wait_so_long(
    new: type[FixedWindow | SlidingWindow], per_s: int, foreign_share: float, threads: int
) -> None:
    world = World()
    limit = Limited(ASSETS, lambda: new(1, per_s), retry_after=str(per_s))
    crew = Crew(CountingServer(world, [limit]), options={"max_wait_s": 2.0 * per_s})
    if foreign_share:
        crew.server.foreign_client(ASSETS, 0.9 * per_s / foreign_share, until=world.now + 120 * per_s)
    crew.work(MACHINES, threads)
    assert (crew.errors, len(crew.done)) == ([], len(MACHINES))


@pytest.mark.parametrize("threads", [1, 8, 32])
@pytest.mark.parametrize("retry_after", ["1", "20", None])
@pytest.mark.parametrize(("calls", "per_s"), [(1, 100), (2, 300), (5, 500)])
def test_behind_a_window_of_minutes_that_says_seconds_none_is_lost(
    calls: int, per_s: int, retry_after: str | None, threads: int
) -> None:
    crew = crew_behind(lambda: SlidingWindow(calls, per_s), retry_after)
    # As many as it takes to be refused more often than a request has attempts, and soon done.
    machines = MACHINES[:24]
    crew.work(machines, threads)
    assert (crew.errors, len(crew.done)) == ([], len(machines))


@pytest.mark.parametrize("threads", [1, 4, 8, 32])
@pytest.mark.parametrize(("calls", "per_s"), [(1, 1), (5, 30), (5, 120)])
@pytest.mark.parametrize("max_wait_s", [10, 30, 60, 120])
def test_a_pause_that_is_just_as_long_as_the_client_may_wait_fails_nobody(
    max_wait_s: int, calls: int, per_s: int, threads: int
) -> None:
    """What comes on top of it, so that not all come back at once, is of our own making."""
    limit = Limited(ASSETS, lambda: FixedWindow(calls, per_s), retry_after=str(max_wait_s))
    crew = Crew(CountingServer(World(), [limit]), options={"max_wait_s": float(max_wait_s)})
    crew.work(MACHINES, threads)
    assert (crew.errors, len(crew.done)) == ([], len(MACHINES))


@pytest.mark.parametrize("calls", [1, 2])
def test_who_is_alone_behind_a_window_of_a_minute_that_says_nothing_asks_ever_more_seldom(calls: int) -> None:
    """That nobody else is refused says nothing where there is nobody else."""
    crew = crew_behind(lambda: SlidingWindow(calls, 60), retry_after=None)
    crew.work(MACHINES, threads=1)
    assert (crew.errors, len(crew.done)) == ([], len(MACHINES))
    assert crew.server.refused <= 7 * len(MACHINES) / calls


@pytest.mark.parametrize("threads", [4, 8, 16])
@pytest.mark.parametrize(("calls", "per_s", "retry_after"), [(1, 100, "100"), (1, 30, "100"), (2, 60, "100")])
def test_behind_a_budget_of_single_calls_all_that_want_one_are_refused_alike(
    calls: int, per_s: int, retry_after: str, threads: int
) -> None:
    """Who was refused comes back with jitter: who only waited is there before it, and would take the call each time."""
    crew = crew_behind(lambda: SlidingWindow(calls, per_s), retry_after)
    crew.work(MACHINES, threads)
    refused = collections.Counter(path for _, path, let in crew.server.log if not let)
    assert (crew.errors, len(crew.done)) == ([], len(MACHINES))
    assert max(refused.values()) <= 2 * threads


@pytest.mark.parametrize("retry_after", ["90", "110"])
def test_a_request_that_is_always_refused_for_a_long_time_is_given_up_after_half_an_hour(
    retry_after: str,
) -> None:
    crew = crew_behind(lambda: FixedWindow(0, 1), retry_after)
    crew.server.limits[0].path = "/500$"
    crew.take([f"{ASSETS}/{number}" for number in range(1000)], threads=4)
    crew.world.run()
    assert (len(crew.errors), len(crew.done)) == (1, 999)
    assert crew.last_at - 1000 <= 1800


@pytest.mark.parametrize("retry_after", ["1", None, "30"])
def test_several_requests_that_are_always_refused_end_although_others_never_are(
    retry_after: str | None,
) -> None:
    """Each refusal holds up all that share the limit; and to each of them the other three are others that are refused."""
    crew = crew_behind(lambda: FixedWindow(0, 1), retry_after)
    crew.server.limits[0].path = "/poison"
    crew.take([f"{ASSETS}/{number}" for number in range(3000)], threads=4)
    crew.take([f"{ASSETS}/poison{number}" for number in range(4)], threads=4)
    crew.world.run()
    assert (len(crew.errors), len(crew.done)) == (4, 3000)
    refused_at = [at for at, _, let in crew.server.log if not let]
    assert refused_at[-1] - refused_at[0] <= 4 * 1800
    assert len(refused_at) <= 4 * 60


@pytest.mark.parametrize("retry_after", ["45", "90", "120"])
@pytest.mark.parametrize("poisoned", [2, 3, 4])
def test_several_requests_that_are_always_refused_keep_nobody_away_for_longer_than_a_few_pauses(
    poisoned: int, retry_after: str
) -> None:
    """They come back first after a long pause, and would never see that only they are refused."""
    crew = crew_behind(lambda: FixedWindow(0, 1), retry_after)
    crew.server.limits[0].path = "/poison"
    crew.take([f"{ASSETS}/poison{number}" for number in range(poisoned)], threads=poisoned)
    crew.take([f"{ASSETS}/{number}" for number in range(500)], threads=8)
    crew.world.run()
    assert (len(crew.errors), len(crew.done)) == (poisoned, 500)
    let_at = [at for at, _, let in crew.server.log if let]
    gaps = [after - before for before, after in itertools.pairwise([1000.0, *let_at])]
    assert max(gaps) <= 4 * float(retry_after) + 10


@pytest.mark.parametrize("retry_after", ["1", None, "30", "110"])
def test_one_request_that_is_always_refused_asks_for_as_long_as_others_get_through(
    retry_after: str | None,
) -> None:
    """It holds them up a few times at the most, and ends when they do."""
    crew = crew_behind(lambda: FixedWindow(0, 1), retry_after)
    crew.server.limits[0].path = "/poison$"
    polls_s = 20_000.0

    def poll(number: int) -> None:
        crew.take([f"{ASSETS}/{number}"], threads=1)
        if number < polls_s / 20.0:
            crew.world.after(20.0, lambda: poll(number + 1))

    began = crew.world.now
    poll(0)
    crew.world.after(100.0, lambda: crew.take([f"{ASSETS}/poison"], threads=1))
    crew.world.run()
    refused_at = [at - began for at, _, let in crew.server.log if not let]
    assert (len(crew.errors), len(crew.done)) == (1, polls_s / 20.0 + 1)
    assert polls_s <= refused_at[-1] <= polls_s + 1800
    let_at = [at for at, _, let in crew.server.log if let]
    late = [after - before for before, after in itertools.pairwise(let_at) if after - before > 22]
    assert sum(late) <= 600
    assert max(after - before for before, after in itertools.pairwise(refused_at)) <= 150


@pytest.mark.parametrize("threads", [4, 16])
def test_one_request_that_is_always_refused_does_not_hold_up_a_thousand_others_for_long(threads: int) -> None:
    crew = crew_behind(lambda: FixedWindow(0, 1))
    crew.server.limits[0].path = "/500$"
    crew.take([f"{ASSETS}/{number}" for number in range(1000)], threads)
    crew.world.run()
    assert (len(crew.errors), len(crew.done)) == (1, 999)
    assert max(at for at, _, let in crew.server.log if let) - 1000 <= 60
    assert crew.last_at - 1000 <= 900
    assert crew.server.refused <= 50


@pytest.mark.parametrize(
    ("retry_after", "more", "at_most_s"),
    [
        ("1", 1.2, 1200),
        (None, 1.2, 1200),
        ("30", 1.2, 1200),
        ("60", 1.2, 1250),
        ("90", 1.4, 1600),
        ("110", 1.4, 1800),
    ],
)
def test_where_nothing_gets_through_any_more_many_who_wait_do_not_wait_longer_than_few(
    retry_after: str | None, more: float, at_most_s: float
) -> None:
    took_s = {}
    for threads in (4, 100):
        crew = crew_behind(lambda: TokenBucket(5, 1e9, burst=5), retry_after)
        took_s[threads] = crew.work([f"{ASSETS}/{number}" for number in range(5 + threads)], threads)
        assert (len(crew.errors), len(crew.done)) == (threads, 5)
    assert took_s[100] <= more * took_s[4] + 10
    assert took_s[100] <= at_most_s


def test_where_nothing_gets_through_any_more_the_attempts_are_used_up() -> None:
    crew = crew_behind(lambda: TokenBucket(5, 1e6, burst=5))
    took_s = crew.work(PAGES[:6], threads=1)
    assert len(crew.errors) == 1
    assert took_s < 600 + 30 + 3 * 30


class OnceAt:
    """Lets through what comes within the first second, and one call later."""

    def __init__(self, world: World, at: float) -> None:
        self._first_until, self._at = world.now + 1, at
        self._is_over = False

    def take(self, now: float) -> bool:
        if now >= self._at and not self._is_over:
            self._is_over = True
            return True
        return now <= self._first_until


@pytest.mark.parametrize("threads", [4, 60])
def test_where_hours_were_in_vain_those_who_wait_while_one_gets_through_do_not_wait_as_long_again(
    threads: int,
) -> None:
    world = World()
    crew = Crew(CountingServer(world, [Limited(ASSETS, lambda: OnceAt(world, 1000 + 14_600))]))
    for minute in range(240):
        world.after(60.0 * minute, partial(crew.take, [f"{ASSETS}/{minute}"], threads=1))
    world.after(14_400, lambda: crew.take(MACHINES[:threads], threads))
    world.run()
    (*_, latest_let) = (at for at, _, let in crew.server.log if let)
    assert latest_let > 1000 + 14_600
    assert crew.last_at - latest_let <= 1800
