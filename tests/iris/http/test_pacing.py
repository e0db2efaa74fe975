"""Turns: who may leave when several limits and several threads are at work."""

import gc
import random
import threading
import time
from collections.abc import Iterator

import pytest

from airflow_provider_trackunit.iris.catalogue.limits import Counted, Rate
from airflow_provider_trackunit.iris.http.pacing import Pacer, Turn, pacer_of
from airflow_provider_trackunit.iris.http.pacing.lanes import Lane
from tests.iris.conftest import HandClock


def counted(*limits: tuple[str, Rate | None], one_by_one: tuple[str, ...] = ()) -> Counted:
    return Counted(limits, one_by_one)


def send(pacer: Pacer, clock: HandClock, *limits: tuple[str, Rate | None]) -> float:
    """Send a call that is answered at once, and return the moment at which it left."""
    turn = pacer.turn(counted(*limits))
    while (wait_s := turn.wait_s()) > 0:
        clock.now += wait_s
    turn.end()
    return clock.now


def most_in_any_window(times: list[float], window_s: float) -> int:
    """Return how many of these moments lie in the fullest window that is open at one end."""
    times = sorted(times)
    return max(sum(1 for other in times if start <= other < start + window_s) for start in times)


@pytest.mark.parametrize("seed", range(20))
def test_limits_that_overlap_are_all_kept_whoever_counts_in_them(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - no secret is drawn
    clock = HandClock()
    pacer = Pacer(clock)
    rates = {"shared": Rate(2, 200), "own": Rate(1, 700), "even": Rate(3, 20)}
    times: dict[str, list[float]] = {name: [] for name in rates}
    for _ in range(120):
        names = dice.sample(sorted(rates), dice.randint(1, 3))
        at = send(pacer, clock, *((name, rates[name]) for name in names))
        for name in names:
            times[name].append(at)
        clock.now += dice.choice([0.0, 1.0, 50.0, 400.0])
    for name, rate in rates.items():
        assert most_in_any_window(times[name], rate.per_s) <= rate.calls


def test_a_metered_limit_is_not_spread_but_used_as_it_comes() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    times = [send(pacer, clock, ("events", Rate(2, 1800))) - 1000.0 for _ in range(3)]
    assert times[:2] == [0.0, 0.0]
    assert 1800 < times[2] <= 1800 * 1.01


@pytest.mark.parametrize(
    ("rate", "metered"),
    [
        (Rate(1, 900), True),
        (Rate(2, 1800), True),
        (Rate(1, 60), True),
        (Rate(60, 60), False),
        (Rate(1000, 600), False),
        (Rate(1, 1), False),
    ],
)
def test_a_limit_is_metered_when_single_calls_count(rate: Rate, metered: bool) -> None:
    assert rate.metered is metered


def test_a_call_of_a_metered_limit_counts_from_its_answer() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    slow = pacer.turn(counted(("events", Rate(1, 900))))
    assert slow.wait_s() == 0
    clock.now += 30
    assert pacer.turn(counted(("events", Rate(1, 900)))).wait_s() == pytest.approx(900, abs=1)
    slow.end()
    clock.now += 899
    assert pacer.turn(counted(("events", Rate(1, 900)))).wait_s() > 0


def test_who_waits_behind_others_for_a_metered_limit_waits_for_the_call_that_is_its_own() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    limit = ("events", Rate(2, 1800))
    for pause_s in (50, 1650):
        send(pacer, clock, limit)
        clock.now += pause_s
    waiting = [pacer.turn(counted(limit)) for _ in range(4)]
    waits_s = [turn.wait_s() for turn in waiting]
    assert waits_s == [pytest.approx(100 + more, abs=5) for more in (0, 50, 1800, 1850)]
    for turn, wait_s in zip(waiting[:2], waits_s, strict=False):
        clock.now = 2700 + wait_s
        assert turn.wait_s() == 0


def test_lanes_do_not_hold_each_other_back() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    assert [send(pacer, clock, (name, Rate(1, 1))) for name in "abc"] == [1000.0] * 3
    assert send(pacer, clock, ("a", Rate(1, 1))) > 1001.0


def test_without_a_limit_nothing_waits() -> None:
    assert Pacer(HandClock()).turn(counted(("a", None))).wait_s() == 0


def test_whoever_will_not_wait_so_long_uses_nothing_up() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    slow, fast = ("slow", Rate(1, 100)), ("fast", Rate(1, 1))
    send(pacer, clock, slow)
    told = []
    for _ in range(5):
        turn = pacer.turn(counted(fast, slow))
        told.append(turn.wait_s())
        turn.end()
    assert told == [pytest.approx(100.1)] * 5
    assert send(pacer, clock, fast) == 1000.0
    clock.now += told[0]
    assert pacer.turn(counted(slow)).wait_s() == 0


def test_whoever_has_waited_goes_before_whoever_has_just_come() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    limit = ("a", Rate(1, 1))
    send(pacer, clock, limit)
    first, second = pacer.turn(counted(limit)), pacer.turn(counted(limit))
    waits = [first.wait_s(), second.wait_s()]
    assert waits == [pytest.approx(1.001), pytest.approx(2.006)]
    clock.now += waits[0]
    newcomer = pacer.turn(counted(limit))
    assert newcomer.wait_s() > 0
    assert first.wait_s() == 0


def test_after_a_standstill_those_that_waited_do_not_leave_all_at_once() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    turns = [pacer.turn(counted(("a", Rate(50, 1)))) for _ in range(16)]
    for turn in turns:
        turn.wait_s()
    clock.now += 60
    assert sum(turn.wait_s() == 0 for turn in turns) <= 1


def test_a_clock_that_goes_back_is_one_that_stands_still() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    send(pacer, clock, ("a", Rate(1, 1)))
    clock.now -= 500
    turn = pacer.turn(counted(("a", Rate(1, 1))))
    assert turn.wait_s() == pytest.approx(1.001)


def test_a_limit_survives_ten_thousand_other_urls_and_their_lanes_do_not() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    kept = ("kept", Rate(1, 1e6))
    send(pacer, clock, kept)
    most = 0
    for number in range(10_000):
        send(pacer, clock, (f"url {number}", Rate(1, 1)))
        clock.now += 0.1
        most = max(most, len(pacer))
    assert most <= 4096
    assert pacer.turn(counted(kept)).wait_s() > 900_000


def test_a_limit_is_kept_by_a_turn_that_was_given_out_before_ten_thousand_others() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    limit = ("a", Rate(1, 1))
    early = pacer.turn(counted(limit))  # and its token is renewed meanwhile
    for number in range(10_000):
        send(pacer, clock, (f"url {number}", Rate(1, 1)))
        clock.now += 0.1
    send(pacer, clock, limit)
    assert early.wait_s() > 0


def test_a_walk_over_many_urls_with_a_limit_each_is_no_slower_at_its_end() -> None:
    clock = HandClock()
    pacer = Pacer(clock)

    def cpu_s_of(numbers: range) -> float:
        began = time.process_time()
        for number in numbers:
            turn = pacer.turn(counted((f"url {number}", Rate(1, 1))))
            assert turn.wait_s() == 0
            turn.end()
            turn.let()
            clock.now += 0.005
        return time.process_time() - began

    first, *_, last = (cpu_s_of(range(begin, begin + 4000)) for begin in range(0, 12_000, 4000))
    assert last <= 10 * first


def test_to_hold_one_url_more_back_takes_no_longer_when_thousands_are() -> None:
    pacer = Pacer(HandClock())

    def cpu_s_of(numbers: range) -> float:
        began = time.process_time()
        for number in numbers:
            turn = pacer.turn(counted(one_by_one=(f"url {number}",)))
            assert turn.wait_s() == 0
            turn.end()
            turn.hold(900.0)
        return time.process_time() - began

    first, *_, last = (cpu_s_of(range(begin, begin + 4000)) for begin in range(0, 12_000, 4000))
    assert last <= 10 * first


def test_of_a_pool_only_what_was_refused_is_held_back() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    one, other = (counted(("fleet", None), one_by_one=(name,)) for name in ("page 1", "page 2"))
    refused = pacer.turn(one)
    assert refused.wait_s() == 0
    refused.end()
    refused.hold(900.0)
    assert pacer.turn(one).wait_s() == pytest.approx(900)
    assert pacer.turn(other).wait_s() == 0


def test_what_was_refused_is_held_back_however_many_others_are_asked_meanwhile() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    refused = pacer.turn(counted(one_by_one=("machine",)))
    refused.wait_s()
    refused.hold(900.0)
    for number in range(10_000):
        pacer.turn(counted(one_by_one=(f"machine {number}",))).wait_s()
    assert pacer.turn(counted(one_by_one=("machine",))).wait_s() == pytest.approx(900)
    assert len(pacer) <= 4096 + 1


def test_a_refusal_that_names_a_shorter_time_does_not_shorten_the_other() -> None:
    pacer = Pacer(HandClock())
    one, other = (pacer.turn(counted(one_by_one=("page 1",))) for _ in range(2))
    assert [one.wait_s(), other.wait_s()] == [0.0, 0.0]
    one.hold(900.0)
    other.hold(5.0)
    assert pacer.turn(counted(one_by_one=("page 1",))).wait_s() == pytest.approx(900)


def test_who_stood_in_line_for_a_url_when_it_was_refused_to_another_slows_no_other_url_down() -> None:
    """Two walks over one fleet ask for the same page at the same time."""
    clock = HandClock()
    pacer = Pacer(clock)
    fleet = ("AEMP fleet", Rate(50, 1))
    one, other = (pacer.turn(counted(fleet, one_by_one=("page 1",))) for _ in range(2))
    assert one.wait_s() == 0
    assert other.wait_s() > 0
    one.end()
    one.hold(100.0)
    assert other.wait_s() == 100.0
    times = [send(pacer, clock, fleet) for _ in range(51)]
    assert times[-1] - times[0] <= 1 / 0.97
    clock.now += 100.0
    assert other.wait_s() == 0


def test_what_was_refused_is_forgotten_when_its_time_is_over() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    for number in range(10_000):
        turn = pacer.turn(counted(one_by_one=(f"machine {number}",)))
        turn.wait_s()
        turn.hold(900.0)
        clock.now += 1.0
    assert len(pacer) <= 2 * 4096


def test_nobody_can_shut_a_limit_for_longer_than_an_hour() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    turn = pacer.turn(counted(("a", None)))
    turn.wait_s()
    turn.refuse(1e9)
    assert pacer.turn(counted(("a", None))).wait_s() == pytest.approx(3600)


def test_threads_that_ask_at_the_same_time_get_one_turn_each() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    at_once: list[Turn] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        turn = pacer.turn(counted(("a", Rate(10, 1))))
        barrier.wait()
        if turn.wait_s() == 0:
            at_once.append(turn)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(at_once) == 1


def test_clients_share_a_pacer_when_account_and_clock_are_the_same() -> None:
    clock = HandClock()
    one = pacer_of(("https://iris", "client", "user"), clock)
    assert pacer_of(("https://iris", "client", "user"), clock) is one
    assert pacer_of(("https://iris", "client", "other"), clock) is not one
    assert pacer_of(("https://iris", "client", "user"), HandClock()) is not one


def test_what_a_client_sent_counts_for_the_next_one_when_it_is_gone() -> None:
    """A triggerer closes the client of an account with the last who waits, and opens another for the next."""
    clock = HandClock()
    account, limit = ("https://iris", "client", "user"), ("events", Rate(1, 900))
    send(pacer_of(account, clock), clock, limit)
    gc.collect()
    assert pacer_of(account, clock).turn(counted(limit)).wait_s() == pytest.approx(900, abs=1)


def test_what_was_under_way_in_the_parent_and_ends_in_the_child_frees_nothing_there() -> None:
    clock = HandClock()
    pacer, limit = Pacer(clock), ("events", Rate(2, 1800))
    of_parent = [pacer.turn(counted(limit)) for _ in range(2)]
    assert [turn.wait_s() for turn in of_parent] == [0.0, 0.0]
    pacer.renew()
    for turn in of_parent:
        turn.end()
    assert [send(pacer, clock, limit) - 1000.0 for _ in range(2)] == [0.0, 0.0]
    assert send(pacer, clock, limit) - 1000.0 > 1800


def test_what_was_answered_or_given_up_before_the_fork_counts_in_the_child() -> None:
    clock = HandClock()
    pacer, limit = Pacer(clock), ("events", Rate(2, 1800))
    answered, given_up = (pacer.turn(counted(limit)) for _ in range(2))
    assert [answered.wait_s(), given_up.wait_s()] == [0.0, 0.0]
    clock.now += 1
    answered.end()
    given_up.give_up()
    pacer.renew()
    assert pacer.calls_left(counted(limit)) == 0


class Interrupted(BaseException):
    """What a signal handler raises, wherever the main thread is."""


def test_an_end_that_a_signal_interrupts_is_entered_by_the_next() -> None:
    clock = HandClock()
    pacer, limit = Pacer(clock), ("events", Rate(1, 900))
    turn = pacer.turn(counted(limit))
    assert turn.wait_s() == 0
    turn.end()
    lane = turn.place.lanes[0]
    turn.place.lanes = InterruptedOnce(turn.place.lanes)
    with pytest.raises(Interrupted):
        pacer.calls_left(counted(limit))
    pacer.calls_left(counted(limit))
    assert not lane.under_way


class InterruptedOnce(list[Lane]):
    """Lanes of a turn of which the first is not reached the first time."""

    is_over = False

    def __iter__(self) -> Iterator[Lane]:
        if not self.is_over:
            self.is_over = True
            raise Interrupted
        return super().__iter__()


class Abandoned:
    """A task that its event loop left behind: collected as garbage, it ends its turn."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._itself = self  # only the collector of garbage finds it

    def __del__(self) -> None:
        self._turn.end()


def test_a_turn_that_is_collected_as_garbage_while_the_pacer_is_at_work_ends_and_stops_nobody() -> None:
    def clock() -> float:  # asked for the time within the lock, where a collection may come as anywhere
        gc.collect()
        return time.monotonic()

    pacer, limit = Pacer(clock), counted(("events", Rate(2, 1800)))
    turn = pacer.turn(limit)
    assert turn.wait_s() == 0
    Abandoned(turn)
    del turn
    asking = threading.Thread(target=lambda: pacer.turn(limit).wait_s(), daemon=True)
    asking.start()
    asking.join(timeout=10)
    assert not asking.is_alive()
    assert pacer.calls_left(limit) == 0
