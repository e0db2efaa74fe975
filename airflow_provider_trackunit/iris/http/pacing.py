"""When a request may go out: the limits of the API, spread over time, for all who share a client.

:class:`Pacer` says how long to wait and never sleeps: one class serves threads and event loops alike. Limits hold
inside one process; across processes an Airflow pool and 429 do.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_trackunit.iris.catalogue.limits import Rate

# A burst of a fifth of a second's allowance keeps the line busy while pages are written.
_BURST_S: Final = 0.2

# Idle buckets are dropped once there are this many: a walk over 100 000 URLs with a limit each must not grow.
_MAX_BUCKETS: Final = 4096


@dataclass(slots=True)
class _Bucket:
    """What one limit has let through: the times of the last calls, at most as many as one window allows."""

    times: deque[float]
    next_even_at: float = 0.0
    held_until: float = 0.0
    idle_at: float = 0.0


class Pacer:
    """Hands out the moments at which requests may leave. Safe to share between threads.

    Never more than ``calls`` in any ``per_s`` seconds of a bucket; within that, evenly spread with a burst of at
    most a fifth of a second's allowance.

    :param clock: a monotonic clock, in seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many buckets are kept in mind."""
        return len(self._buckets)

    def reserve(self, limits: Iterable[tuple[str, Rate]], at_most_s: float) -> float:
        """Return the seconds to wait before the request may leave.

        :param limits: the buckets the request counts in, each with its rate
        :param at_most_s: beyond this nothing is reserved, because the caller will not wait that long
        """
        wanted = [(name, rate) for name, rate in limits]
        with self._lock:
            now = self._clock()
            buckets = [(self._bucket(name, rate, now), rate) for name, rate in wanted]
            leave_at = max((self._earliest(bucket, rate, now) for bucket, rate in buckets), default=now)
            if leave_at - now <= at_most_s:
                for bucket, rate in buckets:
                    self._count(bucket, rate, leave_at)
        return leave_at - now

    def hold(self, limits: Iterable[tuple[str, Rate]], seconds: float) -> None:
        """Let nothing leave in these buckets for a while, because IRIS said so."""
        with self._lock:
            now = self._clock()
            for name, rate in limits:
                bucket = self._bucket(name, rate, now)
                bucket.held_until = max(bucket.held_until, now + seconds)
                bucket.idle_at = max(bucket.idle_at, bucket.held_until)

    def _bucket(self, name: str, rate: Rate, now: float) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= _MAX_BUCKETS:
                self._buckets = {key: one for key, one in self._buckets.items() if one.idle_at > now}
            bucket = self._buckets[name] = _Bucket(times=deque(maxlen=rate.calls))
        return bucket

    @staticmethod
    def _earliest(bucket: _Bucket, rate: Rate, now: float) -> float:
        full = len(bucket.times) == rate.calls
        window_free_at = bucket.times[0] + rate.window_s if full else now
        even_at = now if rate.metered else bucket.next_even_at - _BURST_S
        return max(now, window_free_at, even_at, bucket.held_until)

    @staticmethod
    def _count(bucket: _Bucket, rate: Rate, leave_at: float) -> None:
        bucket.times.append(leave_at)
        bucket.next_even_at = max(bucket.next_even_at, leave_at) + rate.per_s / rate.calls
        bucket.idle_at = max(bucket.idle_at, leave_at + rate.window_s)
