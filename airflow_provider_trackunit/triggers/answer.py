"""The wait for an answer that meets a condition."""

from __future__ import annotations

import json as jsonlib
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.hooks.lending import UnreadableConnectionError
from airflow_provider_trackunit.iris.calls import without_query
from airflow_provider_trackunit.iris.errors import IrisError, IrisNotFoundError, IrisTokenError
from airflow_provider_trackunit.iris.watch.patience import Patience
from airflow_provider_trackunit.triggers.polling import PollingTrigger, connected
from airflow_provider_trackunit.triggers.timing import event, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from airflow_provider_trackunit._compat import TriggerEvent
    from airflow_provider_trackunit.iris.aio import AsyncIrisClient
    from airflow_provider_trackunit.iris.watch.conditions import Condition

# Events go through the metadata database. What is larger is read again by the task.
_MOST_VALUE_CHARS: Final = 32_000


class IrisTrigger(PollingTrigger):
    """Waits until an endpoint of Trackunit IRIS answers with what is waited for.

    It ends with one event: ``{"status": "done", "value": ...}``, ``{"status": "timeout"}`` or
    ``{"status": "error", "error": "IrisPermissionError", "message": ..., "retry_after": ...}``, each with the
    ``state`` it was given. A value too large for an event is left out.

    The first poll comes after one to two intervals: the task has looked before it was deferred, and a thousand
    triggers that start together spread their polls. The last one comes at the deadline.

    The arguments are those of :class:`~.polling.PollingTrigger`, and:

    :param condition: a JMESPath expression over the decoded body; without one, anything in the answer will do
    :param deadline_epoch_s: when to give up, in seconds since the epoch; None for never
    :param not_before_epoch_s: no poll before this, because IRIS said so
    :param state: comes back in the event
    """

    def __init__(
        self,
        *,
        condition: str | None = None,
        deadline_epoch_s: float | None = None,
        not_before_epoch_s: float = 0.0,
        state: Mapping[str, Any] | None = None,
        **polling: Any,
    ) -> None:
        super().__init__(**polling)
        self.condition = condition
        self.deadline_epoch_s = deadline_epoch_s
        self.not_before_epoch_s = not_before_epoch_s
        self.state = dict(state or {})

    def _arguments(self) -> dict[str, Any]:
        return {
            **super()._arguments(),
            "condition": self.condition,
            "deadline_epoch_s": self.deadline_epoch_s,
            "not_before_epoch_s": self.not_before_epoch_s,
            "state": self.state,
        }

    @property
    def _deadline(self) -> float:
        return float("inf") if self.deadline_epoch_s is None else self.deadline_epoch_s

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event."""
        try:
            outcome = await self._outcome()
        except IrisError as error:
            outcome = {"status": "error", **told(error), "retry_after": error.retry_after}
        yield event({**outcome, "state": self.state})

    async def _outcome(self) -> dict[str, Any]:
        """Return how the wait ended; it begins once the connection can be read, and again when its secret was replaced.

        :raises UnreadableConnectionError: when Airflow did not give the connection ten times in a row. It did when the
            task began, so the next try of the task may get it
        """
        patience = Patience()
        while True:
            try:
                async with connected(self.trackunit_conn_id, self.call_settings) as client:
                    patience.succeeded()
                    outcome = await self._wait(client)
                if outcome is not None:
                    return outcome
            except UnreadableConnectionError as error:
                if self.timing.clock() >= self._deadline:
                    return {"status": "timeout"}
                patience.survive(error)
            await self._sleep_until(min(self.timing.clock() + self.poll_interval_s, self._deadline))

    async def _wait(self, client: AsyncIrisClient) -> dict[str, Any] | None:
        """Return how the wait ended; None when the connection has to be read again."""
        from airflow_provider_trackunit.iris.watch.conditions import Condition

        condition = Condition(self.condition) if self.condition else None
        patience = Patience()
        due = self.timing.clock() + self.poll_interval_s * (1 + self.timing.chance())
        not_before = self.not_before_epoch_s
        worked = False
        while True:
            await self._sleep_until(min(max(due, not_before), self._deadline))
            if self._deadline < not_before:
                return {"status": "timeout"}
            try:
                found, wait_s = await self._poll(client, condition, patience)
            except IrisTokenError:
                if not worked:
                    raise
                # A secret that worked was replaced, and the connection most likely names the new one.
                return None
            worked = True
            if found:
                return {"status": "done", **_value(found)}
            now = self.timing.clock()
            if now >= self._deadline:
                return {"status": "timeout"}
            not_before = now + wait_s
            # The rhythm is kept; beats that a slow answer or a sleeping machine missed are left out. It begins anew with a
            # clock that was set back.
            due += self.poll_interval_s * (1 + max(0.0, now - due) // self.poll_interval_s)
            due = min(due, now + self.poll_interval_s)

    async def _poll(
        self, client: AsyncIrisClient, condition: Condition | None, patience: Patience
    ) -> tuple[Any, float]:
        """Return what was found, or how long to keep away."""
        from airflow_provider_trackunit.iris.watch.conditions import look, sight

        try:
            page = await client.first_page(self.endpoint, **self.request)
            found = look(page, condition)
            said = sight(found, condition)
        except IrisNotFoundError:
            found, said = None, "not there yet (HTTP 404)"
        except IrisError as error:
            return None, patience.survive(error)
        self.log.info("%s: %s", without_query(self.endpoint), said)
        patience.succeeded()
        return found, 0.0


def _value(found: Any) -> dict[str, Any]:
    """Return what was found as a part of an event, nothing when it is too large for one."""
    return {"value": found} if len(jsonlib.dumps(found)) <= _MOST_VALUE_CHARS else {}
