"""What every wait has: a clock, a way to be written down, and an end.

Where time comes from is the class attribute ``timing``; a test may put its own :class:`Timing` there.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow_provider_trackunit._compat import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_provider_trackunit.iris.errors import IrisError

# Events go through the metadata database.
_MOST_MESSAGE_CHARS: Final = 2_000

_PACKAGE: Final = __name__.rpartition(".")[0]


@dataclass(frozen=True)
class Timing:
    """A clock of seconds since the epoch, a way to sleep, and jitter from 0 to 1."""

    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


class IrisWait(BaseTrigger):
    """What the triggers have in common: where time comes from, and how they are written down."""

    timing: ClassVar[Timing] = Timing()

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # untyped in Airflow

    def _arguments(self) -> dict[str, Any]:
        raise NotImplementedError

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the path of the class and the arguments that make an equal trigger."""
        return f"{_PACKAGE}.{type(self).__name__}", self._arguments()

    async def _sleep_until(self, epoch_s: float) -> None:
        """Sleep until a moment of the wall clock, which a loop's own clock does not follow for hours.

        A wall clock that is set back makes the wait no longer than it was at its beginning.
        """
        left_s = epoch_s - self.timing.clock()
        while left_s > 0:
            slept_s = min(left_s, 60.0)
            await self.timing.sleep(slept_s)
            left_s = min(left_s - slept_s, epoch_s - self.timing.clock())


def told(error: IrisError) -> dict[str, str]:
    """Return what an event says of an error."""
    return {"error": type(error).__name__, "message": str(error)[:_MOST_MESSAGE_CHARS]}


def event(payload: dict[str, Any]) -> TriggerEvent:
    """Return an event of Airflow's."""
    return TriggerEvent(payload)  # type: ignore[no-untyped-call] # untyped in Airflow
