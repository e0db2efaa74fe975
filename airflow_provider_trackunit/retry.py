"""How Airflow 3.3 and later reads our errors: wait exactly as long as IRIS says, and never repeat the hopeless.

Earlier versions have no retry policies: there a permanent error ends the task as ``AirflowFailException``, and
the wait is the task's own ``retry_delay``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit._compat import RetryDecision, RetryPolicy
from airflow_provider_trackunit.deferral import LONGEST_WAIT_S
from airflow_provider_trackunit.iris.errors import IrisError

if TYPE_CHECKING:
    from airflow_provider_trackunit._compat import Context

# Airflow stores the reason in a column of 500 characters.
_MAX_REASON_CHARS = 500


class IrisRetryPolicy(RetryPolicy):
    """The retry policy that every operator of this provider has unless it is given another.

    A permanent error of IRIS fails the task at once. A transient one that carries ``retry_after`` is retried
    after that time, within the task's ``retries``, unless that is more than a day. Every other exception is left
    to the task's own settings.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Return what to do about the exception that ended a try."""
        if not isinstance(exception, IrisError):
            return RetryDecision.default()
        reason = str(exception)[:_MAX_REASON_CHARS]
        if not exception.transient:
            return RetryDecision.fail(reason)
        if exception.retry_after is None or exception.retry_after > LONGEST_WAIT_S:
            return RetryDecision.default()
        return RetryDecision.retry(timedelta(seconds=exception.retry_after), reason)

    def serialize(self) -> dict[str, Any]:
        """Return the state of the policy, which has none."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> IrisRetryPolicy:
        """Return the policy that was serialized."""
        return cls()
