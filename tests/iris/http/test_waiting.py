"""When a request may leave, and whether and when one that failed may leave again."""

import itertools
import random
import threading
from typing import Any

import pytest

from airflow_provider_trackunit.iris.catalogue.limits import Rate
from airflow_provider_trackunit.iris.errors import (
    IrisAuthenticationError,
    IrisBadRequestError,
    IrisConfigurationError,
    IrisError,
    IrisNoAnswerError,
    IrisNotFoundError,
    IrisPaginationError,
    IrisPermissionError,
    IrisRateLimitError,
    IrisServerError,
    IrisTokenError,
    IrisUnexpectedResponseError,
)
from airflow_provider_trackunit.iris.http.pacing import Pacer
from airflow_provider_trackunit.iris.http.retrying import RetryRules
from tests.iris.conftest import HandClock

FOREVER_S = 1e9


def most_in_any_window(times: list[float], window_s: float) -> int:
    """Return how many of these moments lie in the fullest window that is open at one end."""
    times = sorted(times)
    return max(sum(1 for other in times if start <= other < start + window_s) for start in times)


def leave(pacer: Pacer, clock: HandClock, *limits: tuple[str, Rate], at_most_s: float = FOREVER_S) -> float:
    """Return the moment at which a request that is asked for now may leave."""
    wait_s = pacer.reserve(limits, at_most_s)
    assert wait_s >= 0
    return clock.now + wait_s


RATES = [Rate(1, 1), Rate(2, 1), Rate(50, 1), Rate(100, 1), Rate(60, 60), Rate(2, 1800), Rate(1, 900)]


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{rate.calls} in {rate.per_s} s")
@pytest.mark.parametrize("pause", [0.0, 0.3, 0.9, 2.0], ids=lambda pause: f"pauses of {pause} windows")
def test_there_are_never_more_calls_in_a_window_than_the_limit_says(rate: Rate, pause: float) -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    times = []
    for number in range(rate.calls * 4 + 3):
        times.append(leave(pacer, clock, ("a", rate)))
        # Now and then nobody asks for a while, after which a burst must not be carried over.
        clock.now += pause * rate.per_s if number % rate.calls == 0 else 0.0
    assert most_in_any_window(times, rate.per_s) <= rate.calls


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{rate.calls} in {rate.per_s} s")
@pytest.mark.parametrize("seed", range(4))
def test_requests_that_are_held_up_on_the_way_for_a_tenth_of_a_second_break_no_limit(
    rate: Rate, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret is drawn
    clock = HandClock()
    pacer = Pacer(clock)
    arrivals = []
    for _ in range(rate.calls * 4 + 3):
        clock.sleep(pacer.reserve([("a", rate)], FOREVER_S))
        arrivals.append(clock.now + chance.choice([0.0, 0.0999]))
    assert most_in_any_window(arrivals, rate.per_s) <= rate.calls


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{rate.calls} in {rate.per_s} s")
def test_nine_tenths_of_a_limit_are_used(rate: Rate) -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    began = clock.now
    for _ in range(rate.calls * 20 + 1):
        clock.sleep(pacer.reserve([("a", rate)], FOREVER_S))
    assert 20 * rate.per_s / (clock.now - began) >= 0.9


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{rate.calls} in {rate.per_s} s")
def test_a_caller_who_sleeps_what_it_is_told_keeps_the_limit(rate: Rate) -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    times = []
    for _ in range(rate.calls * 3 + 1):
        clock.sleep(pacer.reserve([("a", rate)], FOREVER_S))
        times.append(clock.now)
    assert most_in_any_window(times, rate.per_s) <= rate.calls


@pytest.mark.parametrize("seed", range(20))
def test_limits_that_overlap_are_all_kept_whoever_counts_in_them(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - no secret is drawn
    clock = HandClock()
    pacer = Pacer(clock)
    rates = {"shared": Rate(2, 200), "own": Rate(1, 700), "even": Rate(3, 20)}
    times: dict[str, list[float]] = {name: [] for name in rates}
    for _ in range(120):
        names = dice.sample(sorted(rates), dice.randint(1, 3))
        at = leave(pacer, clock, *((name, rates[name]) for name in names))
        for name in names:
            times[name].append(at)
        clock.now += dice.choice([0.0, 1.0, 50.0, 400.0])
    for name, rate in rates.items():
        assert most_in_any_window(times[name], rate.per_s) <= rate.calls


def test_requests_are_spread_evenly_behind_a_burst_of_a_fifth_of_a_second() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    times = [leave(pacer, clock, ("a", Rate(50, 1))) - clock.now for _ in range(40)]
    assert times[:11] == pytest.approx([0.0] * 11)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times[11:])]
    assert gaps == pytest.approx([0.02] * len(gaps))


def test_a_metered_limit_is_not_spread_but_used_as_it_comes() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    waits = [pacer.reserve([("events", Rate(2, 1800))], FOREVER_S) for _ in range(3)]
    assert waits[:2] == [0.0, 0.0]
    assert 1800 < waits[2] <= 1800 * 1.05


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


def test_buckets_do_not_hold_each_other_back() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    assert [pacer.reserve([(name, Rate(1, 1))], FOREVER_S) for name in "abc"] == [0.0, 0.0, 0.0]
    assert pacer.reserve([("a", Rate(1, 1))], FOREVER_S) > 1.0


def test_without_a_limit_nothing_waits() -> None:
    assert Pacer(HandClock()).reserve([], 0.0) == 0.0


def test_a_wait_that_is_too_long_reserves_nothing() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    limit = [("a", Rate(1, 100))]
    assert pacer.reserve(limit, 10.0) == 0.0
    told = [pacer.reserve(limit, 10.0) for _ in range(5)]
    assert told == [pytest.approx(102.0)] * 5
    clock.now += told[0]
    assert pacer.reserve(limit, 10.0) == 0.0


def test_one_limit_that_would_take_too_long_uses_up_nothing_of_the_other() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    slow, fast = ("slow", Rate(1, 100)), ("fast", Rate(1, 1))
    pacer.reserve([slow], 10.0)
    assert pacer.reserve([fast, slow], 10.0) > 10.0
    assert pacer.reserve([fast], 10.0) == 0.0


def test_a_bucket_on_hold_lets_nothing_out_until_the_end_of_it() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    limit = [("a", Rate(100, 1))]
    pacer.hold(limit, 30.0)
    pacer.hold(limit, 5.0)
    assert pacer.reserve(limit, 100.0) == pytest.approx(30.0)
    assert pacer.reserve([("b", Rate(100, 1))], 100.0) == 0.0
    clock.now += 30.0
    assert pacer.reserve(limit, 100.0) <= 0.02


def test_a_limit_survives_ten_thousand_other_urls_and_their_buckets_do_not() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    kept = [("kept", Rate(1, 1e6))]
    pacer.reserve(kept, 0.0)
    most = 0
    for number in range(10_000):
        pacer.reserve([(f"url {number}", Rate(1, 1))], 0.0)
        clock.now += 0.01
        most = max(most, len(pacer))
    assert most <= 4096
    assert pacer.reserve(kept, 0.0) > 900_000


def test_a_bucket_can_be_put_on_hold_when_there_are_too_many_and_idle_ones_go() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    for number in range(4096):
        pacer.reserve([(f"url {number}", Rate(1, 1))], 0.0)
    held = [("held", Rate(1, 1))]
    clock.now += 10.0
    pacer.hold(held, 30.0)
    assert len(pacer) == 1
    assert pacer.reserve(held, 100.0) == pytest.approx(30.0)


def test_threads_share_one_allowance() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    waits: list[float] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        waits.extend(pacer.reserve([("a", Rate(10, 1))], FOREVER_S) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waits) == 160
    assert most_in_any_window(waits, 1.0) <= 10


ALWAYS, IF_SAFE, NEVER = "always", "if safe", "never"


@pytest.mark.parametrize(
    ("error", "repeated"),
    [
        pytest.param(IrisServerError("e", status=500), IF_SAFE, id="500"),
        pytest.param(IrisServerError("e", status=503, retry_after=1), IF_SAFE, id="503 with Retry-After"),
        pytest.param(IrisNoAnswerError("e"), IF_SAFE, id="no answer after sending"),
        pytest.param(IrisNoAnswerError("e", sent=False), ALWAYS, id="never sent"),
        pytest.param(IrisRateLimitError("e", status=429), ALWAYS, id="429 was not processed"),
        pytest.param(IrisError("e"), NEVER, id="any other"),
        pytest.param(IrisConfigurationError("e"), NEVER, id="configuration"),
        pytest.param(IrisTokenError("e"), NEVER, id="token"),
        pytest.param(IrisBadRequestError("e", status=400), NEVER, id="400"),
        pytest.param(IrisAuthenticationError("e", status=401), NEVER, id="401"),
        pytest.param(IrisPermissionError("e", status=403), NEVER, id="403"),
        pytest.param(IrisNotFoundError("e", status=404), NEVER, id="404"),
        pytest.param(IrisUnexpectedResponseError("e", status=200), NEVER, id="unexpected"),
        pytest.param(IrisPaginationError("e"), NEVER, id="pagination"),
        pytest.param(ValueError("e"), NEVER, id="an error of another kind"),
        pytest.param(KeyboardInterrupt(), NEVER, id="an interrupt"),
        pytest.param(None, NEVER, id="no error"),
    ],
)
@pytest.mark.parametrize("safe", [True, False], ids=["safe", "unsafe"])
def test_a_request_is_repeated_only_when_that_helps_and_does_no_harm(
    error: BaseException | None, repeated: str, safe: bool
) -> None:
    rules = RetryRules(4, 120.0, safe=safe)
    assert rules.may_repeat(error) is (repeated == ALWAYS or (repeated == IF_SAFE and safe))


def test_a_token_request_that_failed_is_repeated_whatever_needed_it() -> None:
    error = IrisServerError("token endpoint", status=503)
    error.sent = False
    assert RetryRules(4, 120.0, safe=False).may_repeat(error)


@pytest.mark.parametrize(
    ("attempt", "error", "least", "most"),
    [
        pytest.param(1, IrisServerError("e"), 0.5, 1.0, id="first"),
        pytest.param(2, IrisServerError("e"), 1.0, 2.0, id="second"),
        pytest.param(3, IrisServerError("e"), 2.0, 4.0, id="third"),
        pytest.param(20, IrisServerError("e"), 15.0, 30.0, id="never above the longest"),
        pytest.param(1, IrisRateLimitError("e", retry_after=7), 7.0, 7.0, id="Retry-After as it is"),
        pytest.param(1, IrisServerError("e", retry_after=0), 0.0, 0.0, id="at once"),
        pytest.param(1, IrisRateLimitError("e", retry_after=900), 900.0, 900.0, id="not cut down"),
    ],
)
def test_a_wait_is_what_the_answer_says_else_doubled_with_jitter(
    attempt: int, error: IrisError, least: float, most: float
) -> None:
    lowest = RetryRules(4, 120.0, safe=True, chance=lambda: 0.0)
    highest = RetryRules(4, 120.0, safe=True, chance=lambda: 1.0)
    waits = [lowest.wait_s(attempt, error), highest.wait_s(attempt, error)]
    assert waits == [least, most]


def test_a_wait_without_retry_after_is_never_longer_than_allowed() -> None:
    rules = RetryRules(9, 3.0, safe=True, chance=lambda: 1.0)
    assert rules.wait_s(8, IrisServerError("e")) == 3.0


def attempts(rules: RetryRules, *outcomes: Any) -> tuple[int, list[float], Any]:
    """Return how often a call was made, what was slept, and what came of it."""
    made, slept, left = [], list[float](), list(outcomes)

    def call() -> Any:
        made.append(1)
        outcome = left.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    try:
        result = rules.retrying(slept.append)(call)
    except IrisError as error:
        result = error
    return len(made), slept, result


FAILED, LATER, TOO_LATE = (
    IrisServerError("failed"),
    IrisRateLimitError("later", retry_after=120.0),
    IrisRateLimitError("too late", retry_after=120.5),
)


@pytest.mark.parametrize(
    ("max_attempts", "outcomes", "made", "slept", "result"),
    [
        pytest.param(4, ["ok"], 1, [], "ok", id="at once"),
        pytest.param(4, [FAILED, FAILED, "ok"], 3, [1.0, 2.0], "ok", id="at last"),
        pytest.param(3, [FAILED] * 3, 3, [1.0, 2.0], FAILED, id="attempts used up: the error itself"),
        pytest.param(1, [FAILED], 1, [], FAILED, id="one attempt is no retry"),
        pytest.param(2, [LATER, "ok"], 2, [120.0], "ok", id="a wait just allowed"),
        pytest.param(4, [TOO_LATE, "ok"], 1, [], TOO_LATE, id="a wait too long is not slept"),
        pytest.param(4, [FAILED, TOO_LATE, "ok"], 2, [1.0], TOO_LATE, id="a wait too long later on"),
    ],
)
def test_the_loop_ends_with_an_answer_or_with_the_error_itself(
    max_attempts: int, outcomes: list[Any], made: int, slept: list[float], result: Any
) -> None:
    rules = RetryRules(max_attempts, 120.0, safe=True, chance=lambda: 1.0)
    assert attempts(rules, *outcomes) == (made, slept, result)


@pytest.mark.parametrize("jitter", [*itertools.product([0.0, 1.0], repeat=3)])
def test_the_wait_that_is_slept_is_the_one_that_was_found_short_enough(jitter: tuple[float, ...]) -> None:
    chances = itertools.cycle(jitter)
    rules = RetryRules(4, 120.0, safe=True, chance=lambda: next(chances), left_s=lambda: 0.75)
    assert attempts(rules, FAILED, "ok") in [(1, [], FAILED), (2, [0.5], "ok")]


def test_each_retry_is_logged_with_attempt_wait_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    attempts(RetryRules(4, 120.0, safe=True, chance=lambda: 1.0), FAILED, "ok")
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "Attempt 1 of 4 failed, next in 1.0 s: failed")
    ]
