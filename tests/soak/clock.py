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

_monotonic = time.monotonic
_sleep = time.sleep
_set_timeout = socket.socket.settimeout


class Clock:
    """Simulated time.

    :param factor: simulated seconds in a real one
    :param epoch_s: what ``time.time()`` says at the beginning of the day
    """

    def __init__(self, factor: float, epoch_s: float) -> None:
        self.factor = factor
        self._epoch_s = epoch_s
        self._origin_s = _monotonic()

    def begin(self, origin_s: float | None = None) -> float:
        """Let the day begin, now or at a real moment that another process names; return the moment.

        It is of the monotonic clock, which all processes of a machine share.
        """
        self._origin_s = _monotonic() if origin_s is None else origin_s
        return self._origin_s

    def now_s(self) -> float:
        """Return the simulated seconds since the beginning."""
        return (_monotonic() - self._origin_s) * self.factor

    def epoch_now_s(self) -> float:
        """Return the simulated seconds since the epoch."""
        return self._epoch_s + self.now_s()

    def arguments(self) -> list[str]:
        """Return this clock for the command line of a process."""
        return [str(self.factor), str(self._epoch_s)]

    @classmethod
    def of_arguments(cls, arguments: list[str]) -> Clock:
        """Return the clock of a command line."""
        return cls(*map(float, arguments))


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
