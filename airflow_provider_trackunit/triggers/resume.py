"""The wait for a moment, which a limit of the API names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.triggers.timing import IrisWait, event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from airflow_provider_trackunit._compat import TriggerEvent

# Tasks that wait for the same limit must not come back in the same second.
_RESUME_JITTER_S: Final = 5.0


class IrisResumeTrigger(IrisWait):
    """Fires at a moment, so that a task waits for a limit without a worker slot.

    :param resume_at_epoch_s: the moment, in seconds since the epoch; a few seconds of jitter come on top
    :param state: comes back in the event, because ``dag.test()`` drops the arguments of a deferral
    """

    def __init__(self, *, resume_at_epoch_s: float, state: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.resume_at_epoch_s = resume_at_epoch_s
        self.state = dict(state or {})

    def _arguments(self) -> dict[str, Any]:
        return {"resume_at_epoch_s": self.resume_at_epoch_s, "state": self.state}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event, ``{"status": "done", "state": {...}}``."""
        await self._sleep_until(self.resume_at_epoch_s + self.timing.chance() * _RESUME_JITTER_S)
        yield event({"status": "done", "state": self.state})
