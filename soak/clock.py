"""Simulated time, the same in every process: real monotonic time, so many times as fast.

A process that calls :func:`install` lives in simulated time from then on: what it reads from ``time``, how long
it sleeps, the timers of its event loops and the timeouts of its sockets. The provider knows nothing of it; its
modules are imported afterwards and take the clock that they find. The emulator scales its own clock by the same
factor, so that both ends agree on what a second is.

``datetime.now()`` stays real: it is written in C. The provider uses it for what a person reads.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import time
from dataclasses import dataclass

_monotonic = time.monotonic
_sleep = time.sleep
_set_timeout = socket.socket.settimeout


@dataclass(frozen=True, slots=True)
class Clock:
    """Simulated time.

    :param factor: simulated seconds in a real one
    :param origin_s: the beginning of the day on the real monotonic clock, which all processes of a machine share
    :param epoch_s: what ``time.time()`` says then
    """

    factor: float
    origin_s: float
    epoch_s: float

    @classmethod
    def starting_in(cls, real_s: float, factor: float, epoch_s: float) -> Clock:
        """Return the clock of a day that begins in so many real seconds."""
        return cls(factor, _monotonic() + real_s, epoch_s)

    def now_s(self) -> float:
        """Return the simulated seconds since the beginning."""
        return (_monotonic() - self.origin_s) * self.factor

    def epoch_now_s(self) -> float:
        """Return the simulated seconds since the epoch."""
        return self.epoch_s + self.now_s()

    def arguments(self) -> list[str]:
        """Return this clock for the command line of a process."""
        return [str(self.factor), str(self.origin_s), str(self.epoch_s)]

    @classmethod
    def of_arguments(cls, arguments: list[str]) -> Clock:
        """Return the clock of a command line."""
        factor, origin_s, epoch_s = map(float, arguments)
        return cls(factor, origin_s, epoch_s)


def install(clock: Clock) -> None:
    """Let this process live in simulated time. To be called before anything of the provider is imported."""

    def sleep(seconds: float) -> None:
        _sleep(seconds / clock.factor)

    def set_timeout(self: socket.socket, seconds: float | None, /) -> None:
        _set_timeout(self, None if seconds is None else seconds / clock.factor)

    vars(time).update(time=clock.epoch_now_s, monotonic=lambda: _monotonic() * clock.factor, sleep=sleep)
    socket.socket.settimeout = set_timeout  # type: ignore[method-assign, assignment]


class _Selector(selectors.DefaultSelector):
    """Waits as long as simulated seconds last."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self._factor = factor

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout and timeout / self._factor)


def new_loop(clock: Clock) -> asyncio.AbstractEventLoop:
    """Return an event loop whose seconds are simulated ones; it reads ``time.monotonic`` by itself."""
    return asyncio.SelectorEventLoop(_Selector(clock.factor))
