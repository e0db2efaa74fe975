"""Counting calls: in three ways for a rate, and by URL with a pool of extra calls for AEMP.

How the vendor counts a rate is not published, so each way in use is here. All of them answer None for "go
ahead", or the emulated seconds until the same call would be let through. Nothing here sleeps.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

# Moments are floats: a call that is due now must not be late by a rounding.
SLACK_S = 1e-9


class Rate(NamedTuple):
    """So many calls in so many seconds."""

    calls: int
    per_s: float


class Counter(Protocol):
    """One way of counting, for one key."""

    def take(self, rate: Rate, now: float, *, refused_count: bool) -> float | None:
        """Count a call at ``now``; with ``refused_count`` one that is refused is counted as well."""


@dataclass(slots=True)
class SlidingWindow:
    """A call is let through if fewer than the rate's were in the last ``per_s`` seconds."""

    taken: deque[float] = field(default_factory=deque)

    def take(self, rate: Rate, now: float, *, refused_count: bool) -> float | None:
        """Count a call."""
        while self.taken and self.taken[0] <= now - rate.per_s + SLACK_S:
            self.taken.popleft()
        if len(self.taken) < rate.calls:
            self.taken.append(now)
            return None
        if refused_count and self.taken:
            self.taken.popleft()
            self.taken.append(now)
        return self.taken[0] + rate.per_s - now if self.taken else rate.per_s


@dataclass(slots=True)
class FixedWindow:
    """The same within windows that begin at multiples of ``per_s``: two windows' calls may come side by side."""

    number: int = -1
    taken: int = 0

    def take(self, rate: Rate, now: float, *, refused_count: bool) -> float | None:
        """Count a call; a refused one changes nothing, because the window ends when it ends."""
        number = int((now + SLACK_S) // rate.per_s)
        if number != self.number:
            self.number, self.taken = number, 0
        if self.taken < rate.calls:
            self.taken += 1
            return None
        return (number + 1) * rate.per_s - now


@dataclass(slots=True)
class TokenBucket:
    """A bucket of ``burst`` tokens that fills at the rate, one token a call."""

    burst: int
    # When the bucket is full again, which says how many tokens are in it now.
    full_at: float = float("-inf")

    def take(self, rate: Rate, now: float, *, refused_count: bool) -> float | None:
        """Count a call; a refused one that counts keeps the bucket empty for longer."""
        if rate.calls == 0:
            return rate.per_s
        token_s = rate.per_s / rate.calls
        full_at = max(self.full_at, now)
        wait_s = full_at - now - (self.burst - 1) * token_s
        if wait_s <= SLACK_S:
            self.full_at = full_at + token_s
            return None
        if refused_count:
            self.full_at = min(full_at + token_s, now + (self.burst + 1) * token_s)
            return self.full_at - now - (self.burst - 1) * token_s
        return wait_s


WAYS: dict[str, Callable[[int], Counter]] = {
    "sliding_window": lambda _burst: SlidingWindow(),
    "fixed_window": lambda _burst: FixedWindow(),
    "token_bucket": TokenBucket,
}


@dataclass(slots=True)
class UrlBucket:
    """One AEMP URL: when it was last let through, and when its extra calls were spent."""

    last: float = float("-inf")
    spent: deque[float] = field(default_factory=deque)

    def take(self, interval_s: float, pool: Rate, now: float, *, refused_count: bool) -> float | None:
        """Let an AEMP call through: once per interval, else from the pool of extra calls.

        A spent extra call returns after its own time (developer hub, AEMP 2.0 API: 50 extra calls,
        each back after 30 days). It does not move the interval.
        """
        while self.spent and self.spent[0] <= now - pool.per_s:
            self.spent.popleft()
        if now - self.last >= interval_s:
            self.last = now
            return None
        if len(self.spent) < pool.calls:
            self.spent.append(now)
            return None
        if refused_count:
            self.last = now
        return self.last + interval_s - now


class Allowances:
    """Everything that is counted in one emulator, by key."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, ...], Counter] = {}
        self._urls: dict[str, UrlBucket] = {}

    def counter(self, way: str, burst: int, key: tuple[str, ...]) -> Counter:
        """Return what counts the calls of a key in the given way; ``burst`` is the token bucket's."""
        whole = (way, str(burst), *key)
        if whole not in self._counters:
            self._counters[whole] = WAYS[way](burst)
        return self._counters[whole]

    def url(self, url: str) -> UrlBucket:
        """Return the bucket of an AEMP URL."""
        return self._urls.setdefault(url, UrlBucket())
