"""Sliding windows, and the AEMP rule of one call per URL with a pool of extra calls.

:func:`Windows.take` and :func:`Windows.take_url` answer None for "go ahead" or the emulated seconds
until the same call would be let through. Nothing here sleeps.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class UrlBucket:
    """One AEMP URL: when it was last let through, and when its extra calls were spent."""

    last: float = float("-inf")
    spent: deque[float] = field(default_factory=deque)


class Windows:
    """All rate windows of one emulator, by key."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, ...], deque[float]] = {}
        self._urls: dict[str, UrlBucket] = {}

    def take(
        self, key: tuple[str, ...], calls: int, window_s: float, now: float, *, refused_count: bool = False
    ) -> float | None:
        """Let a call through if fewer than ``calls`` were made in the last ``window_s`` seconds."""
        taken = self._windows.setdefault(key, deque())
        while taken and taken[0] <= now - window_s:
            taken.popleft()
        if len(taken) < calls:
            taken.append(now)
            return None
        if refused_count and taken:
            taken.popleft()
            taken.append(now)
        return taken[0] + window_s - now if taken else window_s

    def take_url(
        self,
        url: str,
        interval_s: float,
        pool: tuple[int, float],
        now: float,
        *,
        refused_count: bool = False,
    ) -> float | None:
        """Let an AEMP call through: once per interval, else from the pool of extra calls.

        A spent extra call returns after its own time (developer hub, AEMP 2.0 API: 50 extra calls,
        each back after 30 days). It does not move the interval.
        """
        bucket = self._urls.setdefault(url, UrlBucket())
        pool_calls, return_s = pool
        while bucket.spent and bucket.spent[0] <= now - return_s:
            bucket.spent.popleft()
        if now - bucket.last >= interval_s:
            bucket.last = now
            return None
        if len(bucket.spent) < pool_calls:
            bucket.spent.append(now)
            return None
        if refused_count:
            bucket.last = now
        return bucket.last + interval_s - now
