"""Servers that count calls, each in its own way, and a world whose time is virtual."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Counter(Protocol):
    """Counts calls of one limit."""

    def take(self, now: float) -> bool:
        """Return whether a call that arrives now is let through."""


class TokenBucket:
    """Fills at the rate, holds ``burst`` tokens at the most, and takes one for each call."""

    def __init__(self, calls: int, per_s: float, burst: float = 2) -> None:
        self._per_s = calls / per_s
        self._burst = self._tokens = float(burst)
        self._at = -math.inf

    def take(self, now: float) -> bool:
        if self._at > -math.inf:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        # A call that is early by the error of a sum is not early.
        if self._tokens < 1 - 1e-9:
            return False
        self._tokens -= 1
        return True


class SlidingWindow:
    """Lets through as many calls as fit into any window."""

    def __init__(self, calls: int, per_s: float) -> None:
        self._calls = calls
        self._per_s = per_s
        self._taken: deque[float] = deque()

    def take(self, now: float) -> bool:
        while self._taken and self._taken[0] <= now - self._per_s:
            self._taken.popleft()
        if len(self._taken) >= self._calls:
            return False
        self._taken.append(now)
        return True


class FixedWindow:
    """Counts from 0 at the beginning of each window.

    :param phase_s: when a window begins
    """

    def __init__(self, calls: int, per_s: float, phase_s: float = 0.37) -> None:
        self._calls = calls
        self._per_s = per_s
        self._phase_s = phase_s
        self._window = -1
        self._taken = 0

    def take(self, now: float) -> bool:
        window = math.floor((now + self._phase_s) / self._per_s)
        if window != self._window:
            self._window, self._taken = window, 0
        self._taken += 1
        return self._taken <= self._calls


WAYS: dict[str, Callable[[int, float], Counter]] = {
    "token bucket of two": TokenBucket,
    "sliding window": SlidingWindow,
    "fixed window": FixedWindow,
}


class World:
    """What happens at which moment. ``now`` is its clock."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.clock = lambda: self.now

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Let something happen in so many seconds."""
        heapq.heappush(self._due, (self.now + seconds, next(self._numbers), what))

    def stand_still(self, seconds: float) -> None:
        """Let time pass in which nothing can happen: a process that is stopped."""
        self.now += seconds

    def run(self) -> None:
        """Let everything happen."""
        while self._due:
            at, _, what = heapq.heappop(self._due)
            self.now = max(self.now, at)
            what()
