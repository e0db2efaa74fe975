"""Wait until an answer of IRIS holds what was hoped for."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit._compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    execute_sensor,
)
from airflow_provider_trackunit.iris.errors import IrisError, IrisNotFoundError
from airflow_provider_trackunit.iris.watch.patience import Patience
from airflow_provider_trackunit.retry import IrisRetryPolicy
from airflow_provider_trackunit.settings import LEAST_DEFERRAL_S
from airflow_provider_trackunit.tasks.calling import REQUEST_FIELDS, CallsEndpoint
from airflow_provider_trackunit.tasks.deferral import (
    ENDLESS_S,
    backstop,
    deadline_of,
    error_of,
    execution_deadline,
    validated,
)
from airflow_provider_trackunit.tasks.triggerer import warn_if_none_runs

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from airflow_provider_trackunit._compat import Context, RetryPolicy

# Spreading requests over a limit per second takes up to a second; that is no reason to give up a poke.
_LEAST_WAIT_S = 1.0


class IrisSensor(CallsEndpoint, BaseSensorOperator):
    """Waits until an endpoint of Trackunit IRIS answers with what is waited for.

    Each poke is one request: of a collection it reads the first page. 404 means "not yet". A transient error is
    logged and survived, up to ten in a row; an error that no retry can mend fails the task at once.

    The value of the condition goes to XCom. Without a condition it is the record itself for an endpoint that
    answers with one, and for a collection the number of records.

    The arguments of the request, the connection, the settings of a call and ``retry_policy`` are those of
    :class:`~.tasks.calling.CallsEndpoint`; a wait is slept for about a poke interval at the most, because the sensor itself
    knows how to wait. With ``deferrable`` it waits in the triggerer, without a worker slot, after a first poke on the
    worker; polls are then at least 10 seconds apart. The other argument:

    :param condition: a JMESPath expression over the decoded body; the wait is over when its value is true in the
        sense of Python: not null, false, zero or empty (templated). Without one the wait is over when the answer
        holds at least one record, or is an object that is not empty
    """

    template_fields: Sequence[str] = (*REQUEST_FIELDS, "condition")

    def __init__(self, *, condition: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.condition = condition
        self._not_before = 0.0

    def _own_retry_policy(self) -> RetryPolicy:
        return IrisRetryPolicy(reschedules=False)

    def _longest_sleep_s(self) -> float:
        return max(self.poke_interval, _LEAST_WAIT_S)

    @cached_property
    def _patience(self) -> Patience:
        return Patience()

    def execute(self, context: Context) -> Any:
        """Return what was found; waits here, or in the triggerer with ``deferrable``."""
        if not self.deferrable:
            return execute_sensor(self, context)
        limit = execution_deadline(self)
        ends_at = min(time.time() + self.timeout, ENDLESS_S)
        by_task = limit is not None and limit < ends_at
        return self._look_and_defer(
            context, {"deadline_epoch_s": limit if by_task else ends_at, "by_task": by_task}
        )

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Return what the trigger found, or raise what it reports, as the sensor does in its other modes.

        :raises AirflowSensorTimeout: when ``timeout`` is over
        :raises AirflowTaskTimeout: when ``execution_timeout`` is over
        :raises AirflowSkipException: instead of those and of permanent errors, with ``soft_fail``
        :raises AirflowFailException: for an error that no retry can mend
        :raises IrisError: after ten transient errors in a row
        :raises ValueError: when the event is none of this sensor's trigger
        """
        event = validated(event, "done", "timeout", "error")
        state = event["state"]
        if event["status"] == "done" and "value" in event:
            return event["value"]
        if event["status"] == "done":
            # Too large for an event.
            return self._look_and_defer(context, state)
        with self._failing_as_in_other_modes():
            if event["status"] == "error":
                return self._ended_by(error_of(event), state)
            if state.get("by_task"):
                raise AirflowTaskTimeout(f"{self.endpoint_name}: execution_timeout is over")
            raise AirflowSensorTimeout(f"{self.endpoint_name}: timeout of {self.timeout:.0f} s is over")

    def _ended_by(self, error: IrisError, state: Mapping[str, Any]) -> Any:
        if error.transient and self.silent_fail:
            self.log.error("The wait goes on (silent_fail) after: %s", error)
            return self._defer(state)
        with self.permanent_errors_fail():
            raise error

    def _look_and_defer(self, context: Context, state: Mapping[str, Any]) -> Any:
        """Look once here; wait on in the triggerer, or here when the time left is too short for a deferral."""
        with self._failing_as_in_other_modes():
            result = self.poke(context)
        if result.is_done:
            return result.xcom_value
        left_s = deadline_of(state) - time.time()
        if left_s >= LEAST_DEFERRAL_S:
            return self._defer(state)
        time.sleep(max(0.0, min(self.poke_interval, left_s)))
        self.timeout = max(0.0, left_s - self.poke_interval)
        return execute_sensor(self, context)

    def _defer(self, state: Mapping[str, Any]) -> None:
        from airflow_provider_trackunit.triggers import IrisTrigger

        trigger = IrisTrigger(
            endpoint=self.endpoint,
            **self.request_arguments(),
            condition=self.condition,
            trackunit_conn_id=self.trackunit_conn_id,
            **self.call_settings.arguments(),
            poll_interval_s=self.poke_interval,
            deadline_epoch_s=deadline_of(state),
            not_before_epoch_s=time.time() + max(0.0, self._not_before - time.monotonic()),
            state=state,
        )
        self.log.info("Waiting in the triggerer, every %.0f s", trigger.poll_interval_s)
        warn_if_none_runs(self)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=backstop(deadline_of(state)))

    @contextmanager
    def _failing_as_in_other_modes(self) -> Iterator[None]:
        """Turn failures into skips exactly where a sensor does that when it pokes."""
        try:
            yield
        except (AirflowSensorTimeout, AirflowTaskTimeout, AirflowFailException) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped, not failed: {error}") from error
            raise
        except IrisError as error:
            if self.never_fail:
                raise AirflowSkipException(f"Skipped, not failed: {error}") from error
            raise

    def poke(self, context: Context) -> PokeReturnValue:
        """Return whether the wait is over, and what was found.

        :raises AirflowFailException: for an error that no retry can mend, a malformed condition included
        :raises IrisError: after ten transient errors in a row
        """
        if time.monotonic() < self._not_before:
            return PokeReturnValue(is_done=False)
        with self.permanent_errors_fail():
            try:
                found = self._look()
            except IrisNotFoundError:
                self.log.info("%s: not there yet (HTTP 404)", self.endpoint_name)
                found = None
            except IrisError as error:
                self._survive(error)
                return PokeReturnValue(is_done=False)
        self._patience.succeeded()
        return PokeReturnValue(is_done=bool(found), xcom_value=found)

    def _look(self) -> Any:
        from airflow_provider_trackunit.iris.watch.conditions import Condition, look, sight

        condition = Condition(self.condition) if self.condition else None
        page = self.hook.first_page(self.endpoint, **self.request_arguments())
        found = look(page, condition)
        self.log.info("%s: %s", self.endpoint_name, sight(found, condition))
        return found

    def _survive(self, error: IrisError) -> None:
        """Let a transient error pass as "not yet", and keep away as long as IRIS said."""
        wait_s = self._patience.survive(error)
        if wait_s > self.poke_interval:
            self._not_before = time.monotonic() + wait_s

    def _get_next_poke_interval(
        self, started_at: dt.datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Return how long Airflow waits before the next poke: in reschedule mode no shorter than IRIS said.

        :raises AirflowSensorTimeout: when that is beyond the timeout, where Airflow looks only once the sensor is back
        """
        interval_s = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        wait_s = self._not_before - time.monotonic()
        if not self.reschedule or wait_s <= interval_s:
            return interval_s
        if wait_s > self.timeout - run_duration():
            with self._failing_as_in_other_modes():
                raise AirflowSensorTimeout(
                    f"{self.endpoint_name}: IRIS has to be left alone for {wait_s:.0f} s, which is longer than what is "
                    f"left of the timeout of {self.timeout:.0f} s"
                )
        return wait_s
