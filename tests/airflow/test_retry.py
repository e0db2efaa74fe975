"""IrisRetryPolicy: what Airflow 3.3 and later does about our errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from airflow_provider_trackunit.sensors import IrisSensor

if TYPE_CHECKING:
    from airflow.sdk.definitions.retry_policy import RetryDecision

pytestmark = pytest.mark.skipif(AIRFLOW_VERSION < (3, 3), reason="retry policies are new in Airflow 3.3")

#: Airflow 3.4 and later can run a task again without using up one of its retries.
AGAIN = "reschedule" if AIRFLOW_VERSION >= (3, 4) else "retry"


def decide(error: BaseException) -> RetryDecision:
    return IrisRetryPolicy().evaluate(error, try_number=1, max_tries=3)


@pytest.mark.parametrize(
    ("error", "action", "delay_s"),
    [
        (IrisPermissionError("no", status=403), "fail", None),
        (IrisTokenError("no", code="invalid_client"), "fail", None),
        (IrisRateLimitError("later", status=429, retry_after=900.0), AGAIN, 900.0),
        (IrisServerError("later", status=503, retry_after=30.0), AGAIN, 30.0),
        (IrisRateLimitError("tomorrow", status=429, retry_after=86_401.0), "default", None),
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


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 4), reason="reschedules are new in Airflow 3.4")
def test_a_reschedule_is_bounded_and_never_sooner_than_half_a_minute() -> None:
    decision: Any = decide(IrisServerError("later", status=503, retry_after=1.0))
    assert decision.retry_delay.total_seconds() == 30
    assert decision.max_reschedules == 100
    assert decision.reschedule_timeout.total_seconds() == 86_400


def test_a_sensor_uses_up_a_retry_because_a_reschedule_would_begin_its_timeout_anew() -> None:
    policy: Any = IrisSensor(task_id="wait", endpoint="/api/asset/v1/assets").retry_policy
    decision = policy.evaluate(IrisRateLimitError("later", retry_after=900.0), try_number=1, max_tries=3)
    assert (decision.action.value, decision.retry_delay.total_seconds()) == ("retry", 900)


def test_the_reason_fits_into_the_column_that_airflow_has_for_it() -> None:
    reason = decide(IrisPermissionError("x" * 2000)).reason
    assert reason is not None
    assert len(reason) <= 500


def test_the_policy_survives_serialization() -> None:
    policy = IrisRetryPolicy(reschedules=False)
    assert IrisRetryPolicy.deserialize(policy.serialize()).reschedules is False
