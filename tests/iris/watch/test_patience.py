"""What a wait survives, and for how long it is told to keep away."""

import logging

import pytest

from airflow_provider_trackunit.iris.errors import (
    IrisError,
    IrisNoAnswerError,
    IrisPermissionError,
    IrisRateLimitError,
    IrisServerError,
)
from airflow_provider_trackunit.iris.watch.patience import Patience

FAILED = IrisServerError("GET /api/x: HTTP 503", status=503)


def failed_times(patience: Patience, times: int, error: IrisError = FAILED) -> None:
    for _ in range(times):
        patience.survive(error)


def test_nine_transient_failures_in_a_row_pass_and_the_tenth_is_raised() -> None:
    patience = Patience()
    failed_times(patience, 9)
    with pytest.raises(IrisServerError) as caught:
        patience.survive(FAILED)
    assert caught.value is FAILED


def test_one_good_answer_makes_the_failures_before_it_forgotten() -> None:
    patience = Patience()
    for _ in range(3):
        failed_times(patience, 9)
        patience.succeeded()
    failed_times(patience, 9)


@pytest.mark.parametrize("kind", [IrisPermissionError, IrisError])
def test_an_error_that_waiting_does_not_mend_is_raised_at_once(kind: type[IrisError]) -> None:
    with pytest.raises(kind):
        Patience().survive(kind("no"))


def test_a_request_that_our_own_pacing_held_back_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    patience = Patience()
    held_back = IrisRateLimitError("nothing was sent, 900 s to go", retry_after=900.0)
    with caplog.at_level(logging.INFO):
        assert patience.survive(held_back) == 900.0
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [("INFO", str(held_back))]
    failed_times(patience, 50, held_back)
    failed_times(patience, 9)


def test_a_refusal_by_iris_is_a_failure_that_counts() -> None:
    patience = Patience()
    refused = IrisRateLimitError("GET /api/x: HTTP 429", status=429, retry_after=60.0)
    failed_times(patience, 9, refused)
    with pytest.raises(IrisRateLimitError):
        patience.survive(refused)


@pytest.mark.parametrize(
    ("error", "keep_away_s"),
    [
        pytest.param(IrisServerError("x", status=503, retry_after=30.0), 30.0, id="IRIS said how long"),
        pytest.param(IrisServerError("x", status=503), 0.0, id="IRIS did not say"),
        pytest.param(IrisNoAnswerError("x"), 0.0, id="nothing came"),
        pytest.param(IrisRateLimitError("x"), 0.0, id="held back, nobody knows for how long"),
    ],
)
def test_it_says_how_long_to_keep_away(error: IrisError, keep_away_s: float) -> None:
    assert Patience().survive(error) == keep_away_s


def test_each_failure_is_logged_with_its_number_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    failed_times(Patience(), 2)
    texts = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len(texts) == 2
    assert texts[1] == f"Failure 2 of 10 in a row: {FAILED}"
