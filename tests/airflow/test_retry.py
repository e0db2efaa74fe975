"""IrisRetryPolicy: what Airflow 3.3 and later does about our errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackunit._compat import AIRFLOW_VERSION
from airflow_provider_trackunit.iris.errors import (
    IrisNoAnswerError,
    IrisPermissionError,
    IrisRateLimitError,
    IrisServerError,
    IrisTokenError,
)
from airflow_provider_trackunit.retry import IrisRetryPolicy

if TYPE_CHECKING:
    from airflow.sdk.definitions.retry_policy import RetryDecision

pytestmark = pytest.mark.skipif(AIRFLOW_VERSION < (3, 3), reason="retry policies are new in Airflow 3.3")


def decide(error: BaseException) -> RetryDecision:
    return IrisRetryPolicy().evaluate(error, try_number=1, max_tries=3)


@pytest.mark.parametrize(
    ("error", "action", "delay_s"),
    [
        (IrisPermissionError("no", status=403), "fail", None),
        (IrisTokenError("no", code="invalid_client"), "fail", None),
        (IrisRateLimitError("later", status=429, retry_after=900.0), "retry", 900.0),
        (IrisServerError("later", status=503, retry_after=30.0), "retry", 30.0),
        (IrisServerError("later", status=500), "default", None),
        (IrisNoAnswerError("gone"), "default", None),
        (ValueError("not ours"), "default", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_the_error_says_what_happens_next(error: Exception, action: str, delay_s: float | None) -> None:
    decision = decide(error)
    assert decision.action.value == action
    assert (decision.retry_delay.total_seconds() if decision.retry_delay else None) == delay_s


def test_the_reason_fits_into_the_column_that_airflow_has_for_it() -> None:
    reason = decide(IrisPermissionError("x" * 2000)).reason
    assert reason is not None
    assert len(reason) <= 500


def test_the_policy_survives_serialization() -> None:
    policy = IrisRetryPolicy()
    assert isinstance(IrisRetryPolicy.deserialize(policy.serialize()), IrisRetryPolicy)
