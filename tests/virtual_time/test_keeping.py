"""A documented rate: whatever is delayed, and however the server counts, it refuses nothing."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.catalogue.limits import Counted, Rate
from airflow_provider_trackunit.iris.http.pacing import Pacer
from tests.virtual_time.counting import WAYS, FixedWindow, SlidingWindow, TokenBucket, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.virtual_time.counting import Counter

AEMP = Rate(50, 1)
RATES = [Rate(1, 1), Rate(2, 1), Rate(20, 1), AEMP, Rate(500, 1), Rate(60, 60), Rate(1000, 600)]


@dataclass(frozen=True)
class Way:
    """How long one call is held up: in its thread once it may leave, on its way out, on its way back.

    :param gives_up: whether its thread does not wait for the answer, but goes on at once
    """

    thread_s: float = 0.0
    out_s: float = 0.01
    back_s: float = 0.01
    gives_up: bool = False


@dataclass
class Run:
    """Threads that send calls of one rate through a pacer, to a server that counts them.

    :param stops: after how many calls the whole process stands still, and for how long
    :param clock_runs: how many seconds the clock of the client counts in one
    """

    rate: Rate
    counter: Counter
    ways: Iterator[Way]
    world: World = field(default_factory=World)
    stops: dict[int, float] = field(default_factory=dict)
    clock_runs: float = 1.0
    refused: int = 0
    counted_at: list[float] = field(default_factory=list)
    left_at: list[float] = field(default_factory=list)
    left: int = 0

    def send(self, calls: int, threads: int, *, first_alone: bool = True) -> Run:
        """Send so many calls with so many threads, each of which sends the next when its last was answered.

        :param first_alone: whether the first call goes alone, as the first page of a walk does
        """
        self.pacer = Pacer(lambda: self.world.now * self.clock_runs)
        for self.left, at_once in ((1, 1), (calls - 1, threads)) if first_alone else ((calls, threads),):
            for _ in range(at_once):
                self._next()
            self.world.run()
        return self

    @property
    def share(self) -> float:
        """Which share of the rate was reached, from the second call to the last."""
        return (
            (len(self.left_at) - 1)
            / (self.left_at[-1] - self.left_at[0])
            / (self.rate.calls / self.rate.per_s)
        )

    def _next(self) -> None:
        if not self.left:
            return
        self.left -= 1
        turn = self.pacer.turn(Counted((("a", self.rate),)))

        def ask() -> None:
            wait_s = turn.wait_s()
            if wait_s > 0:
                self.world.after(wait_s / self.clock_runs, ask)
                return
            self.left_at.append(self.world.now)
            way = next(self.ways)
            self.world.after(way.thread_s + way.out_s, lambda: arrive(way))
            if way.gives_up:
                self.world.after(0.001, lambda: self._go_on(turn.give_up))
            stop_s = self.stops.get(len(self.left_at), 0.0)
            self.world.stand_still(stop_s)

        def arrive(way: Way) -> None:
            self.counted_at.append(self.world.now)
            self.refused += not self.counter.take(self.world.now)
            if not way.gives_up:
                self.world.after(way.back_s, lambda: self._go_on(turn.end))

        ask()

    def _go_on(self, end: Callable[[], None]) -> None:
        end()
        self._next()


def always(latency_s: float) -> Iterator[Way]:
    return itertools.repeat(Way(0.0, latency_s / 2, latency_s / 2))


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{rate.calls} in {rate.per_s} s")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("threads", [1, 4, 64])
def test_no_way_of_counting_refuses_a_call(rate: Rate, way: str, threads: int) -> None:
    run = Run(rate, WAYS[way](rate.calls, rate.per_s), always(0.02)).send(rate.calls * 3 + 50, threads)
    assert run.refused == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("latency_s", "threads", "least"),
    [(0.0, 4, 0.97), (0.02, 4, 0.97), (0.02, 64, 0.97), (0.1, 16, 0.92), (0.3, 16, 0.9), (0.3, 64, 0.9)],
)
@pytest.mark.parametrize(
    "rate", [Rate(20, 1), AEMP, Rate(60, 60)], ids=lambda rate: f"{rate.calls} in {rate.per_s} s"
)
def test_nearly_all_of_a_rate_is_used(
    rate: Rate, way: str, latency_s: float, threads: int, least: float
) -> None:
    run = Run(rate, WAYS[way](rate.calls, rate.per_s), always(latency_s)).send(rate.calls * 10, threads)
    assert run.share >= least
    assert run.refused == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rate", [Rate(1, 1), Rate(20, 1), AEMP], ids=str)
def test_after_a_single_quick_answer_slow_ones_leave_three_quarters_of_a_limit_per_second(
    rate: Rate, way: str
) -> None:
    """Nothing is assumed of a network that was quick once. Every call counts for its round trip and a window: 1 in 1.3."""
    ways = itertools.chain([Way()], always(0.3))
    run = Run(rate, WAYS[way](rate.calls, rate.per_s), ways).send(rate.calls * 20, threads=32)
    assert 0.76 <= run.share <= 0.8
    assert run.refused == 0


def test_calls_are_spread_evenly_and_one_that_is_late_takes_nothing_from_the_next() -> None:
    late = itertools.cycle([Way(), Way(), Way(thread_s=0.005)])
    run = Run(AEMP, TokenBucket(50, 1), late).send(200, 4)
    gaps = [later - earlier for earlier, later in itertools.pairwise(run.left_at)]
    assert min(gaps) >= 0.01
    assert run.refused == 0
    assert run.share >= 0.97


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("threads", [1, 4])
def test_a_slow_first_answer_lets_no_more_out_than_a_bucket_of_two_bears(rate: Rate, threads: int) -> None:
    """What filled here while it was awaited is no more than such a bucket holds."""
    slow = Way(0.0, 5 * rate.interval_s, 0.0)
    quick = Way(0.0, 0.0, rate.interval_s / 4)
    run = Run(rate, TokenBucket(rate.calls, rate.per_s), itertools.chain([slow], itertools.repeat(quick)))
    assert run.send(40, threads).refused == 0


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_before_the_first_answer_no_more_are_under_way_than_a_bucket_of_two_bears(rate: Rate) -> None:
    """Nothing is known of the way yet; the first are held up until three could have left."""
    interval_s = rate.interval_s
    ways = (Way(0.0, max(0.0, 3.0 - number) * interval_s, 0.0) for number in itertools.count())
    run = Run(rate, TokenBucket(rate.calls, rate.per_s), ways)
    assert run.send(20, threads=8, first_alone=False).refused == 0


def test_a_call_that_was_given_up_says_nothing_of_the_way_to_the_server() -> None:
    far, given_up = Way(0.0, 0.15, 0.15), Way(0.0, 0.15, 0.15, gives_up=True)
    ways = itertools.chain([far] * 5, [given_up], itertools.repeat(far))
    run = Run(AEMP, SlidingWindow(50, 1), ways).send(500, 32)
    assert run.share >= 0.9
    assert run.refused == 0


@pytest.mark.parametrize("way", ["sliding window", "fixed window"])
@pytest.mark.parametrize("share", [0.2, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_calls_that_are_given_up_on_the_way_make_no_window_overflow(
    seed: int, share: float, way: str
) -> None:
    """What all ways have in common, the first call shows."""
    dice = random.Random(seed)  # noqa: S311 - no secret is drawn
    varied = (
        Way(0.0, dice.uniform(0.007, 0.013), dice.uniform(0.007, 0.013), gives_up=dice.random() < share)
        for _ in itertools.count()
    )
    ways = itertools.chain([Way(0.0, 0.007, 0.007)], varied)
    rate = Rate(20, 1)
    assert Run(rate, WAYS[way](rate.calls, rate.per_s), ways).send(600, 32).refused == 0


@pytest.mark.parametrize("there", [0.0, 0.5, 1.0])
def test_a_window_bears_a_call_that_was_given_up_if_its_answer_would_have_come_no_later_than_the_latest(
    there: float,
) -> None:
    """Far away that is not the same as counted no later: its way back is needed too."""
    usual = Way(0.0, 0.3 * there, 0.3 * (1 - there))
    latest = Way(0.0, usual.out_s + 0.2, usual.back_s)
    given_up = Way(0.0, latest.out_s, latest.back_s, gives_up=True)
    ways = itertools.chain([usual] * 50, itertools.cycle([latest, usual, given_up, usual]))
    assert Run(AEMP, SlidingWindow(50, 1), ways).send(500, 64).refused == 0


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("given_up", [1, 2, 4])
@pytest.mark.parametrize("late", [0.2, 1.4])
def test_a_bucket_of_two_bears_calls_that_were_given_up_if_their_answers_would_have_been_no_later_than_usual(
    rate: Rate, given_up: int, late: float
) -> None:
    """How late is in intervals of the rate. What is as late as the slowest of late is not promised."""
    usual = Way(0.0, late * rate.interval_s, 0.0)
    slow = Way(0.0, 6 * rate.interval_s, 0.0)
    lost = Way(0.0, usual.out_s, 0.0, gives_up=True)
    ways = itertools.chain(
        [usual] * 20, itertools.cycle([slow] + [usual] * 7 + [lost] * given_up + [usual] * 3)
    )
    assert Run(rate, TokenBucket(rate.calls, rate.per_s), ways).send(300, 8).refused == 0


@pytest.mark.parametrize("rate", [AEMP, Rate(60, 60), Rate(1000, 600)], ids=str)
@pytest.mark.parametrize("given_up", [1, 2, 4])
def test_calls_that_are_given_up_after_a_single_slow_answer_hold_nobody_up(rate: Rate, given_up: int) -> None:
    slow = Way(0.0, 15.0, 15.0)
    ways = itertools.chain([Way()] * 9, [slow], [Way(gives_up=True)] * given_up, itertools.repeat(Way()))
    run = Run(rate, SlidingWindow(rate.calls, rate.per_s), ways).send(10 + given_up + 10, threads=1)
    after = run.left_at[10:]
    assert after[-1] - after[0] <= (len(after) - 1) * rate.interval_s * 1.1 + 0.1
    assert run.refused == 0


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_a_clock_may_go_in_steps_of_a_thousandth_of_a_window(rate: Rate) -> None:
    """The first calls leave just before a step, the next one at the earliest of all steps that lets it."""
    world, step_s = World(0.0), 0.001 * rate.per_s
    pacer = Pacer(lambda: math.floor(world.now / step_s + 1e-6) * step_s)

    def leaves() -> bool:
        turn = pacer.turn(Counted((("a", rate),)))
        wait_s = turn.wait_s()
        (turn.give_up if wait_s > 0 else turn.end)()
        return wait_s == 0

    left_at: list[float] = []
    for number in range(1, 3000):
        world.now = number * step_s - (step_s / 1000 if len(left_at) < rate.calls else 0.0)
        if leaves():
            left_at.append(world.now)
    assert len(left_at) > rate.calls
    for first, one_too_many in zip(left_at, left_at[rate.calls :], strict=False):
        assert one_too_many - first >= rate.per_s


delays = st.floats(0.0, 3.0).filter(lambda seconds: seconds == 0 or seconds > 1e-6)
# One example is a run of 150 calls.
PROPERTY = settings(max_examples=settings().max_examples // 5, suppress_health_check=[HealthCheck.too_slow])


@PROPERTY
@example(rate=Rate(5, 0.5), base=(0.25, 0.375), extra=[(0.0, 0.0, 0.0)], threads=6, stops={}, phase_s=0.0)
@given(
    rate=st.builds(Rate, st.integers(1, 60), st.sampled_from([0.5, 1.0, 10.0, 60.0])),
    base=st.tuples(st.floats(0, 0.4), st.floats(0, 0.4)),
    extra=st.lists(st.tuples(delays, delays, delays), min_size=1, max_size=40),
    threads=st.integers(1, 70),
    stops=st.dictionaries(st.integers(2, 100), st.floats(0, 5), max_size=5),
    phase_s=st.floats(0, 60),
)
def test_no_delay_anywhere_makes_a_window_overflow(  # noqa: PLR0917 - hypothesis gives them by name
    rate: Rate,
    base: tuple[float, float],
    extra: list[tuple[float, float, float]],
    threads: int,
    stops: dict[int, float],
    phase_s: float,
) -> None:
    """Beyond what all calls have in common, which one call has to have shown, everything may be delayed."""
    out_s, back_s = base
    ways = [Way(thread, out_s + out, back_s + back) for thread, out, back in extra]
    for counter in (SlidingWindow(rate.calls, rate.per_s), FixedWindow(rate.calls, rate.per_s, phase_s)):
        run = Run(rate, counter, itertools.chain([Way(0, out_s, back_s)], itertools.cycle(ways)), stops=stops)
        assert run.send(min(rate.calls * 4 + 5, 150), threads).refused == 0


@dataclass
class Pausing:
    """One way of a network that pauses: what comes to its gate then passes it when it opens, all together.

    :param gate: where on the way the gate is, from 0 to 1
    :param shut: when it shuts, and opens again
    """

    takes_s: float
    gate: float
    shut: list[tuple[float, float]] = field(default_factory=list)

    def arrives(self, left_at: float) -> float:
        at = left_at + self.takes_s * self.gate
        passes_at = next((opens for shuts, opens in self.shut if shuts <= at < opens), at)
        return passes_at + self.takes_s * (1 - self.gate)

    @staticmethod
    def ways(world: World, there: Pausing, back: Pausing) -> Iterator[Way]:
        while True:
            left_at = world.now
            counted_at = there.arrives(left_at)
            yield Way(0, counted_at - left_at, back.arrives(counted_at) - counted_at)


@PROPERTY
@given(
    rate=st.builds(Rate, st.integers(1, 60), st.sampled_from([1.0, 10.0, 60.0])),
    base=st.tuples(st.floats(0, 0.3), st.floats(0, 0.3)),
    gates=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    pauses=st.lists(
        st.tuples(st.floats(1, 4), st.floats(0.001, 3), st.booleans(), st.booleans()), max_size=6
    ),
    begins_late=st.booleans(),
    threads=st.integers(1, 70),
    phase_s=st.floats(0, 60),
)
def test_no_pause_of_the_network_makes_a_window_overflow(  # noqa: PLR0917 - hypothesis gives them by name
    rate: Rate,
    base: tuple[float, float],
    gates: tuple[float, float],
    pauses: list[tuple[float, float, bool, bool]],
    begins_late: bool,
    threads: int,
    phase_s: float,
) -> None:
    """Also where it pauses as the first call is on its way: no answer before showed how far the server is.

    All in windows: how long the two ways take, and after which time the network pauses and for how long. What is on its
    way there, back, or both, is held up at a gate that is anywhere on it.
    """
    for counter in (SlidingWindow(rate.calls, rate.per_s), FixedWindow(rate.calls, rate.per_s, phase_s)):
        world = World()
        there, back = (Pausing(takes * rate.per_s, gate) for takes, gate in zip(base, gates, strict=True))
        at = world.now - rate.per_s * (not begins_late)
        for after, lasts, *shuts in pauses:
            at += after * rate.per_s
            for way, shut in zip((there, back), shuts, strict=True):
                if shut:
                    way.shut.append((at, at + lasts * rate.per_s))
            at += lasts * rate.per_s
        run = Run(rate, counter, Pausing.ways(world, there, back), world=world)
        assert run.send(min(rate.calls * 8 + 5, 300), threads).refused == 0


@PROPERTY
@given(
    rate=st.builds(Rate, st.integers(1, 60), st.sampled_from([1.0, 10.0, 60.0])),
    trips=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=40),
    held_up=st.dictionaries(st.integers(1, 40), st.tuples(delays, delays, delays), max_size=20),
    threads=st.integers(1, 70),
    stops=st.dictionaries(st.integers(2, 100), st.floats(0, 5), max_size=5),
    phase_s=st.floats(0, 60),
    clock_runs=st.floats(0.999, 1.001),
)
def test_where_one_answer_was_quick_nothing_is_assumed_of_the_network(  # noqa: PLR0917 - as above
    rate: Rate,
    trips: list[tuple[float, float]],
    held_up: dict[int, tuple[float, float, float]],
    threads: int,
    stops: dict[int, float],
    phase_s: float,
    clock_runs: float,
) -> None:
    """A trip is its share of what is quick, 7 % of a window, and which part of it is the way there.

    They need have nothing in common: the way there may get quicker at any moment, and the way back slower. And no two
    clocks run alike.
    """
    quick_s = 0.0699 * rate.per_s  # on a clock that may run ahead
    ways = [Way(0, quick_s * share * there, quick_s * share * (1 - there)) for share, there in trips]
    for number, (thread_s, out_s, back_s) in held_up.items():
        if number < len(ways):
            way = ways[number]
            ways[number] = Way(thread_s, way.out_s + out_s, way.back_s + back_s)
    for counter in (SlidingWindow(rate.calls, rate.per_s), FixedWindow(rate.calls, rate.per_s, phase_s)):
        run = Run(rate, counter, itertools.cycle(ways), stops=stops, clock_runs=clock_runs)
        assert run.send(min(rate.calls * 4 + 5, 150), threads).refused == 0


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("at_a_time", [1, 8, 40])
def test_a_window_bears_that_the_way_there_and_the_way_back_take_turns_in_being_quick(
    rate: Rate, at_a_time: int
) -> None:
    """By as much as is spared; no answer is as quick as the one way at its quickest and the other at its."""
    common_s, turns_s = 0.1 * rate.per_s, 0.0699 * rate.per_s
    late, early = Way(0, common_s + turns_s, common_s), Way(0, common_s, common_s + turns_s)
    for counter in (SlidingWindow(rate.calls, rate.per_s), FixedWindow(rate.calls, rate.per_s)):
        ways = itertools.cycle([late] * at_a_time + [early] * at_a_time)
        run = Run(rate, counter, ways)
        assert run.send(min(rate.calls * 4, 600) + 40, threads=64).refused == 0


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate.calls >= 20], ids=str)
@pytest.mark.parametrize(("slow_s", "quick_s"), [(0.3, 0.02), (0.5, 0.06), (0.1, 0.0)])
@pytest.mark.parametrize("there", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("slow_ones", [15, 40])
def test_a_window_bears_that_the_network_gets_quick_after_a_slow_start(
    rate: Rate, slow_s: float, quick_s: float, there: float, slow_ones: int
) -> None:
    """What left until the first quick answer fits here into the 7 % that were spared. That is not so wherever they are met."""
    slow, quick = (Way(0, seconds * there, seconds * (1 - there)) for seconds in (slow_s, quick_s))
    ways = itertools.chain([slow] * slow_ones, itertools.repeat(quick))
    run = Run(rate, SlidingWindow(rate.calls, rate.per_s), ways)
    assert run.send(min(rate.calls * 4, 600) + slow_ones, threads=64).refused == 0


@PROPERTY
@example(rate=AEMP, slow=(0.1, 0.1), quick=(0.2, 0.8), slow_ones=51, threads=32)
@example(rate=AEMP, slow=(1.36, 0.0), quick=(0.0, 0.6), slow_ones=55, threads=64)
@given(
    rate=st.builds(Rate, st.integers(1, 60), st.sampled_from([1.0, 10.0, 60.0])),
    slow=st.tuples(st.floats(0.04, 1), st.floats(0.04, 1)),
    quick=st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)),
    slow_ones=st.integers(15, 150),
    threads=st.integers(1, 70),
)
def test_when_the_network_gets_quick_no_more_are_too_many_than_left_until_an_answer_showed_it(
    rate: Rate, slow: tuple[float, float], quick: tuple[float, float], slow_ones: int, threads: int
) -> None:
    """What is slow is in windows, and what is quick in shares of 7 % of one."""
    slow_way, quick_way = (
        Way(0, out * longest_s, back * longest_s)
        for (out, back), longest_s in ((slow, rate.per_s), (quick, 0.07 * rate.per_s))
    )
    ways = itertools.chain([slow_way] * slow_ones, itertools.repeat(quick_way))
    run = Run(rate, SlidingWindow(rate.calls, rate.per_s), ways)
    run.send(slow_ones + min(rate.calls * 3 + 10, 150), threads)
    first = run.left_at[slow_ones]
    shown_at = first + quick_way.out_s + quick_way.back_s
    assert run.refused <= sum(first <= left_at <= shown_at for left_at in run.left_at)


@PROPERTY
@given(
    rate=st.builds(Rate, st.integers(2, 60), st.sampled_from([1.0, 10.0, 60.0])),
    latency=st.floats(0, 1.4),
    out_share=st.floats(0, 1),
    extra=st.lists(st.tuples(delays, delays, delays), min_size=1, max_size=40),
    threads=st.integers(1, 70),
    stops=st.dictionaries(st.integers(1, 4).map(lambda number: number * 30), st.floats(0, 5)),
)
def test_no_delay_of_single_calls_empties_a_bucket_of_two_while_two_under_way_are_enough(  # noqa: PLR0917 - as above
    rate: Rate,
    latency: float,
    out_share: float,
    extra: list[tuple[float, float, float]],
    threads: int,
    stops: dict[int, float],
) -> None:
    """``latency`` is in intervals of the rate; every fourth call is delayed, so that the usual one is not."""
    seconds = latency * rate.interval_s
    usual = Way(0, seconds * out_share, seconds * (1 - out_share))
    delayed = itertools.cycle(
        [Way(thread, usual.out_s + out, usual.back_s + back) for thread, out, back in extra]
    )
    ways = (next(delayed) if number % 4 == 1 else usual for number in itertools.count())
    run = Run(rate, TokenBucket(rate.calls, rate.per_s, burst=2), ways, stops=stops)
    assert run.send(150, threads).refused == 0
