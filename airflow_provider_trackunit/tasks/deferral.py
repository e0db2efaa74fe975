"""Giving the worker slot back until a limit lets a task go on: when it is worth it, and what it carries along.

A deferred task comes back as a new operator, in a new process. What it has to know travels in the event, as a
small JSON object; Airflow's own ``kwargs`` of a deferral are lost in ``dag.test()``.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.iris import errors
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.settings import LEAST_DEFERRAL_S, LONGEST_WAIT_S
from airflow_provider_trackunit.tasks.triggerer import warn_if_none_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_trackunit._compat import BaseOperator

# A limit lets a task go on after one wait, or two when others use it as well. More is a task that wants more than
# the limit ever gives.
_MOST_DEFERRALS: Final = 10

# How long after its moment a trigger that never reported is given up by Airflow.
_BACKSTOP_S: Final = 600.0

#: About three thousand years, and far from where intervals of Python end.
ENDLESS_S: Final = 1e11

# Airflow 2.11 ends a deferred task at its execution_timeout. Ours comes first, and says why.
_AHEAD_OF_AIRFLOW_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Deferrals:
    """What a task carries from one deferral to the next.

    :param deadline_epoch_s: when its ``execution_timeout``, counted from its first start, is over; None for never
    :param count: how often it was deferred
    :param state: of the operator itself; plain JSON, small
    """

    deadline_epoch_s: float | None = None
    count: int = 0
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def begin(cls, operator: BaseOperator) -> Deferrals:
        """Return those of a task that starts now."""
        return cls(deadline_epoch_s=execution_deadline(operator))

    @classmethod
    def of_event(cls, event: Any) -> Deferrals:
        """Return those of a task that was resumed.

        :raises ValueError: when the event is none of ours
        """
        import msgspec

        try:
            return msgspec.convert(validated(event, "done")["state"], cls)
        except msgspec.ValidationError as error:
            raise ValueError(f"The task was resumed with a state it does not know: {error}") from None


def execution_deadline(operator: BaseOperator) -> float | None:
    """Return when the ``execution_timeout`` of a task that starts now is over, None when it has none."""
    limit: timedelta | None = operator.execution_timeout
    return None if limit is None else time.time() + limit.total_seconds() - _AHEAD_OF_AIRFLOW_S


def defer_while_limited(
    operator: BaseOperator,
    error: IrisError,
    deferrals: Deferrals,
    *,
    max_wait_s: float,
    safe: bool,
    state: Mapping[str, Any] | None = None,
) -> None:
    """Defer the task until the moment that the error names; its ``resume`` then gets the context and the event.

    It returns where a deferral makes no sense, for the caller to raise.

    :param max_wait_s: the longest wait that is slept on the worker
    :param safe: whether the request may be sent again even if it was processed
    :param state: comes back as ``Deferrals.of_event(event).state``
    """
    from airflow_provider_trackunit.triggers import IrisResumeTrigger

    wait_s = error.retry_after
    if not error.transient or not (safe or error.left_undone) or wait_s is None:
        return
    if wait_s <= max_wait_s or not LEAST_DEFERRAL_S <= wait_s <= LONGEST_WAIT_S:
        return
    if deferrals.count >= _MOST_DEFERRALS:
        return
    resume_at = time.time() + wait_s
    if deferrals.deadline_epoch_s is not None and resume_at > deferrals.deadline_epoch_s:
        return
    operator.log.info("The worker slot is given back for %.0f s: %s", wait_s, error)
    carried = Deferrals(deferrals.deadline_epoch_s, deferrals.count + 1, dict(state or {}))
    warn_if_none_runs(operator)
    operator.defer(
        trigger=IrisResumeTrigger(resume_at_epoch_s=resume_at, state=asdict(carried)),
        method_name="resume",
        timeout=backstop(resume_at),
    )


def backstop(until_epoch_s: float) -> timedelta:
    """Return after what time Airflow gives up a trigger that should have reported at a moment."""
    return timedelta(seconds=min(max(0.0, until_epoch_s - time.time()), ENDLESS_S) + _BACKSTOP_S)


def validated(event: Any, *statuses: str) -> Mapping[str, Any]:
    """Return an event that a trigger of ours sent. Anything else fails the task; it never counts as success.

    :raises ValueError: not an AirflowException, which a sensor with ``soft_fail`` would turn into "skipped"
    """
    if not isinstance(event, dict):
        raise ValueError(  # noqa: TRY004 (one kind of error for all bad events)
            f"The task was resumed without an event of its trigger (got {type(event).__name__})"
        )
    if event.get("status") not in statuses or not isinstance(event.get("state"), dict):
        raise ValueError(
            f"The task was resumed with an event it does not know: status {event.get('status')!r}"
        )
    return event


def error_of(event: Mapping[str, Any]) -> IrisError:
    """Return the error that ended a trigger, as the class it was there."""
    from airflow_provider_trackunit.hooks.lending import UnreadableConnectionError

    of_hooks = {UnreadableConnectionError.__name__: UnreadableConnectionError}
    kind = {**vars(errors), **of_hooks}.get(str(event.get("error")))
    if not (isinstance(kind, type) and issubclass(kind, IrisError)):
        kind = IrisError
    error = kind(str(event.get("message") or "The trigger failed without saying why"))
    error.retry_after = _seconds(event.get("retry_after"))
    return error


def deadline_of(state: Mapping[str, Any]) -> float:
    """Return the deadline that a sensor gave its trigger.

    :raises ValueError: when there is none in the state, so that the sensor never gave it
    """
    deadline = _seconds(state.get("deadline_epoch_s"))
    if deadline is None:
        raise ValueError("The task was resumed with a state it does not know: without a deadline")
    return deadline


def _seconds(value: Any) -> float | None:
    """Return a time that can be counted with, None for anything else."""
    countable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= ENDLESS_S
    return float(value) if countable else None
