"""How Airflow 3.3 and later reads our errors: wait exactly as long as IRIS says, and never repeat the hopeless.

Earlier versions have no retry policies: there a permanent error ends the task as ``AirflowFailException``, and
the wait is the task's own ``retry_delay``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit._compat import RetryDecision, RetryPolicy, reschedule_decision
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.settings import LEAST_DEFERRAL_S, LONGEST_WAIT_S

if TYPE_CHECKING:
    from airflow_provider_trackunit._compat import Context

# Airflow stores the reason in a column of 500 characters.
_MAX_REASON_CHARS: Final = 500

# The limit that is met most often lets a call through every quarter of an hour: 96 times in the day that a try may wait.
_MOST_RESCHEDULES: Final = 100


class IrisRetryPolicy(RetryPolicy):
    """The retry policy that every operator of this provider has unless it is given another.

    A permanent error of IRIS fails the task at once. After a transient one that carries ``retry_after`` the task runs
    again after that time, unless that is more than a day: on Airflow 3.4 and later without using up a retry, for a day
    and for 100 times at the most, after which the task's own settings hold; on 3.3 within the task's ``retries``. Every
    other exception is left to the task's own settings.

    :param reschedules: False lets every wait use up a retry on Airflow 3.4 as well. The sensor has it so, because its
        ``timeout`` would begin anew with each reschedule
    """

    def __init__(self, *, reschedules: bool = True) -> None:
        self.reschedules = reschedules

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
        return self._again(exception.retry_after, reason)

    def _again(self, wait_s: float, reason: str) -> RetryDecision:
        if self.reschedules:
            rescheduled = reschedule_decision(
                # A process that starts every second for a day helps nobody.
                timedelta(seconds=max(wait_s, LEAST_DEFERRAL_S)),
                reason,
                most=_MOST_RESCHEDULES,
                within=timedelta(seconds=LONGEST_WAIT_S),
            )
            if rescheduled is not None:
                return rescheduled
        return RetryDecision.retry(timedelta(seconds=wait_s), reason)

    def serialize(self) -> dict[str, Any]:
        """Return the state of the policy."""
        return {"reschedules": self.reschedules}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> IrisRetryPolicy:
        """Return the policy that was serialized."""
        return cls(**data)
