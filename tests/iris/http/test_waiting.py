"""Whether and when a request that failed may leave again."""

import itertools
from collections.abc import Generator
from typing import Any

import pytest

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
from airflow_provider_trackunit.iris.http.pacing.pacer import Fate
from airflow_provider_trackunit.iris.http.retrying import RetryRules, Tries
from airflow_provider_trackunit.iris.http.steps import Sleep, Step

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
        pytest.param(1, IrisRateLimitError("e", retry_after=7), 7.125, 7.25, id="Retry-After is a floor"),
        pytest.param(1, IrisRateLimitError("e", retry_after=0), 0.5, 1.0, id="no pause at all is none"),
        pytest.param(2, IrisServerError("e", retry_after=0), 1.0, 2.0, id="and grows"),
        pytest.param(4, IrisRateLimitError("e", retry_after=1), 4.0, 8.0, id="the longer of both"),
        pytest.param(1, IrisRateLimitError("e", retry_after=900), 900.125, 900.25, id="not cut down"),
    ],
)
def test_a_wait_is_at_least_what_the_answer_says_and_has_jitter(
    attempt: int, error: IrisError, least: float, most: float
) -> None:
    lowest = RetryRules(4, 120.0, safe=True, chance=lambda: 0.0)
    highest = RetryRules(4, 120.0, safe=True, chance=lambda: 1.0)
    waits = [lowest.wait_s(attempt, error), highest.wait_s(attempt, error)]
    assert waits == [least, most]


@pytest.mark.parametrize("attempt", [6, 1_000, 100_000])
def test_however_many_attempts_there_were_the_pause_is_half_a_minute(attempt: int) -> None:
    rules = RetryRules(1_000_000, 120.0, safe=True, chance=lambda: 1.0)
    assert rules.wait_s(attempt, IrisServerError("e", status=503)) == 30.0


def test_what_was_retried_for_all_who_wait_for_it_is_not_tried_again_by_each() -> None:
    error = IrisServerError("token endpoint", status=503)
    error.retried = True
    assert not RetryRules(4, 120.0, safe=True).may_repeat(error)


def test_a_wait_without_retry_after_is_never_longer_than_allowed() -> None:
    rules = RetryRules(9, 3.0, safe=True, chance=lambda: 1.0)
    assert rules.wait_s(8, IrisServerError("e")) == 3.0


def attempts(rules: RetryRules, *outcomes: Any, in_use: bool = False) -> tuple[int, list[float], Any]:
    """Return how often a call was made, what was slept, and what came of it.

    :param in_use: whether other requests of its limits got through of late
    """
    made, left = [], list(outcomes)

    def attempt(_tries: Tries) -> Generator[Step, Any, Any]:
        made.append(1)
        yield from ()
        outcome = left.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    slept: list[float] = []
    steps = rules.repeated(attempt, lambda _own_refusals: Fate(9, 0) if in_use else None)
    try:
        while True:
            step = next(steps)
            assert isinstance(step, Sleep)
            slept.append(step.seconds)
    except StopIteration as end:
        return len(made), slept, end.value
    except IrisError as error:
        return len(made), slept, error


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
        pytest.param(2, [LATER, "ok"], 2, [120.25], "ok", id="a wait just allowed"),
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


REFUSED = IrisRateLimitError("refused", status=429)
REFUSED.of_rate = True


def test_a_refusal_uses_up_no_attempt_while_others_get_through() -> None:
    rules = RetryRules(2, 120.0, safe=True, chance=lambda: 1.0)
    assert attempts(rules, REFUSED, REFUSED, REFUSED, "ok", in_use=True) == (4, [1.0] * 3, "ok")


def test_a_request_that_is_refused_again_and_again_waits_longer_and_is_not_given_up_while_others_get_through() -> (
    None
):
    rules = RetryRules(2, 120.0, safe=True, chance=lambda: 1.0)
    made, slept, result = attempts(rules, *[REFUSED] * 1000, "ok", in_use=True)
    assert (made, result) == (1001, "ok")
    assert slept == sorted(slept)
    assert (slept[:4], slept[-1]) == ([1.0, 1.0, 1.0, 2.0], 30.0)


@pytest.mark.parametrize(
    ("error", "in_use", "slept"),
    [
        pytest.param(REFUSED, False, 1.0, id="nothing gets through"),
        pytest.param(FAILED, True, 1.0, id="an error that is no refusal"),
        pytest.param(IrisRateLimitError("held back"), True, 1.0, id="a request that was not sent"),
        pytest.param(
            IrisRateLimitError("metered", status=429, retry_after=61.0), True, 61.25, id="a metered call"
        ),
    ],
)
def test_everything_else_uses_up_an_attempt(error: IrisError, in_use: bool, slept: float) -> None:
    rules = RetryRules(2, 120.0, safe=True, chance=lambda: 1.0)
    assert attempts(rules, error, error, "ok", in_use=in_use) == (2, [slept], error)


def test_each_retry_is_logged_with_attempt_wait_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    attempts(RetryRules(4, 120.0, safe=True, chance=lambda: 1.0), FAILED, "ok")
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "Attempt 1 of 4 failed, next in 1.0 s: failed")
    ]
