"""Limits: the ways of counting a rate, and limits that nobody published."""

from email.utils import parsedate_to_datetime

import pytest

from airflow_provider_trackunit.emulator.limits.counting import FixedWindow, Rate, SlidingWindow, TokenBucket
from tests.emulator.conftest import ASSETS, FLEET, Api

TEN_A_SECOND = Rate(10, 1.0)


def let_through(counter: SlidingWindow | FixedWindow | TokenBucket, moments: list[float]) -> list[bool]:
    """Return which of the calls at these moments get through ten a second."""
    return [counter.take(TEN_A_SECOND, moment, refused_count=False) is None for moment in moments]


EVEN = [at / 10 for at in range(100)]


@pytest.mark.parametrize(
    "counter", [SlidingWindow(), FixedWindow(), TokenBucket(1), TokenBucket(2)], ids=repr
)
def test_calls_that_are_evenly_spaced_at_the_rate_are_never_refused(
    counter: SlidingWindow | FixedWindow | TokenBucket,
) -> None:
    assert all(let_through(counter, EVEN))


def test_a_sliding_window_forgets_a_call_after_a_second_and_no_sooner() -> None:
    assert let_through(SlidingWindow(), [0.5] * 11 + [1.4, 1.5]) == [True] * 10 + [False, False, True]


def test_a_fixed_window_lets_twice_its_calls_through_at_a_border() -> None:
    assert let_through(FixedWindow(), [0.99] * 11 + [1.0] * 11) == [*[True] * 10, False] * 2


def test_a_token_bucket_lets_its_burst_through_and_then_one_at_a_time() -> None:
    moments = [0.0, 0.0, 0.0, 0.09, 0.1, 0.1, 0.2, 9.0, 9.0, 9.0]
    expected = [True, True, False, False, True, False, True, True, True, False]
    assert let_through(TokenBucket(2), moments) == expected


@pytest.mark.parametrize("counter", [SlidingWindow(), FixedWindow(), TokenBucket(2)], ids=repr)
def test_the_wait_that_is_named_is_long_enough_and_not_longer(
    counter: SlidingWindow | FixedWindow | TokenBucket,
) -> None:
    while (wait_s := counter.take(TEN_A_SECOND, 0.3, refused_count=False)) is None:
        continue
    assert counter.take(TEN_A_SECOND, 0.3 + wait_s - 0.001, refused_count=False) is not None
    assert counter.take(TEN_A_SECOND, 0.3 + wait_s, refused_count=False) is None


@pytest.mark.parametrize("counter", [SlidingWindow(), TokenBucket(2)], ids=repr)
def test_a_refused_call_that_counts_makes_the_wait_longer(counter: SlidingWindow | TokenBucket) -> None:
    while counter.take(TEN_A_SECOND, 0.0, refused_count=False) is None:
        continue
    before = counter.take(TEN_A_SECOND, 0.05, refused_count=False)
    after = counter.take(TEN_A_SECOND, 0.05, refused_count=True)
    again = counter.take(TEN_A_SECOND, 0.05, refused_count=False)
    assert before is not None
    assert again is not None
    assert again >= before
    assert after is not None


@pytest.mark.parametrize(
    ("way", "statuses"),
    [
        ("sliding_window", [200, 200, 200, 200, 429]),
        ("fixed_window", [200, 200, 200, 200, 429]),
        ("token_bucket", [200, 200, 429, 429, 429]),
    ],
)
def test_how_a_rate_is_counted_can_be_switched(api: Api, way: str, statuses: list[int]) -> None:
    api.iris.settings(count_rates_as=way, fleet_calls_per_s=4)
    # A second of the emulator is a thousand seconds of ours, whatever the machine is busy with.
    api.iris.scale_time(0.001)
    assert [api.ask(f"{FLEET}/1").status_code for _ in statuses] == statuses


def test_the_burst_of_the_token_bucket_can_be_switched(api: Api) -> None:
    api.iris.settings(count_rates_as="token_bucket", token_bucket_burst=3, fleet_calls_per_s=10)
    api.iris.scale_time(0.001)
    assert [api.ask(f"{FLEET}/1").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_a_limit_that_nobody_published_holds_for_the_paths_of_its_pattern(api: Api) -> None:
    api.iris.settings(unpublished=[{"path": "/api/asset/v1/assets*", "calls": 2, "per_s": 100}])
    asset = api.json(ASSETS)["content"][0]["id"]
    assert api.ask(f"{ASSETS}/{asset}").status_code == 200
    refused = api.ask(f"{ASSETS}?page=1")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert api.ask("/api/site/v1/sites").status_code == 200
    api.iris.advance(100)
    assert api.ask(ASSETS).status_code == 200


@pytest.mark.parametrize("hint", [None, "0", "soon", "seconds", "date", "now"])
def test_what_an_unpublished_limit_says_of_the_wait_can_be_anything(api: Api, hint: str | None) -> None:
    api.iris.settings(unpublished=[{"path": "*", "calls": 0, "per_s": 100, "retry_after": hint}])
    refused = api.ask(ASSETS)
    said = refused.headers.get("Retry-After")
    assert refused.status_code == 429
    if hint == "seconds":
        assert said == "100"
    elif hint in {"date", "now"}:
        wait = parsedate_to_datetime(str(said)) - parsedate_to_datetime(refused.headers["Date"])
        assert (wait.total_seconds() > 90) == (hint == "date")
    else:
        assert said == hint
