"""When a request may go out, and when it may go out again.

:class:`Pacer` spreads requests over the limits of the API and says how long to wait; :class:`RetryRules` turn
an error into "again, after so many seconds" or "no". Neither sleeps or sends: one class serves threads and
event loops alike. Limits hold inside one process; across processes an Airflow pool and 429 do.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import tenacity

from airflow_provider_trackunit.iris.errors import IrisError, IrisRateLimitError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

log = logging.getLogger(__name__)

# Two requests of a limit further apart than this cannot be spread evenly without stalling a short walk, so
# they go out as they come until the window is full.
_METERED_INTERVAL_S: Final = 60.0

# A burst of a fifth of a second's allowance keeps the line busy while pages are written.
_BURST_S: Final = 0.2

# Requests are counted when they leave here and again when they arrive there, so the window is kept longer than the
# documented one: by a fiftieth, and by no less than the time by which one request can be held up more than another.
# A pause of a garbage collector is the longest that was seen on an idle machine, a tenth of a second.
_LEAST_MARGIN_S: Final = 0.1
_MARGIN_PER_S: Final = 0.02

# Idle buckets are dropped once there are this many: a walk over 100 000 URLs with a limit each must not grow.
_MAX_BUCKETS: Final = 4096


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls in so many seconds."""

    calls: int
    per_s: float

    @property
    def window_s(self) -> float:
        """How long a call counts here."""
        return self.per_s + max(self.per_s * _MARGIN_PER_S, _LEAST_MARGIN_S)

    @property
    def metered(self) -> bool:
        """Whether single calls count: a limit like two in half an hour, where every call has to be thought of."""
        return self.per_s / self.calls >= _METERED_INTERVAL_S


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


# First wait of a retry without Retry-After, doubled each time up to the longest; both with jitter, so that
# tasks that failed together do not come back together.
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class RetryRules:
    """Whether and when a request that failed is sent again.

    :param max_attempts: how often it is sent at the most, the first time included
    :param max_wait_s: a longer wait is not slept; the error goes to the caller with its ``retry_after``
    :param safe: whether sending twice does no harm when the first one was processed after all
    :param chance: gives the jitter, from 0 to 1
    :param left_s: gives the seconds that are left for all of it; a wait beyond them is not slept either
    """

    max_attempts: int
    max_wait_s: float
    safe: bool
    chance: Callable[[], float] = field(default=random.random, repr=False)
    left_s: Callable[[], float] = field(default=lambda: math.inf, repr=False)

    def may_repeat(self, error: BaseException | None) -> bool:
        """Return whether the request may be sent again after this error.

        A request that may have been processed is repeated only when that is safe. A 429 was not processed.
        """
        if not isinstance(error, IrisError) or not error.transient:
            return False
        return self.safe or not error.sent or isinstance(error, IrisRateLimitError)

    def wait_s(self, attempt: int, error: BaseException | None) -> float:
        """Return the seconds to wait after this attempt (from 1) failed with this error."""
        if isinstance(error, IrisError) and error.retry_after is not None:
            return error.retry_after
        longest = min(_LONGEST_WAIT_S, self.max_wait_s, _FIRST_WAIT_S * 2.0 ** (attempt - 1))
        return longest * (0.5 + self.chance() / 2)

    def retrying(self, sleep: Callable[[float], None]) -> tenacity.Retrying:
        """Return a new loop for threads. One loop serves one request."""
        return tenacity.Retrying(sleep=sleep, reraise=True, **self._conditions())

    def async_retrying(self, sleep: Callable[[float], Awaitable[None]]) -> tenacity.AsyncRetrying:
        """Return a new loop for an event loop. One loop serves one request."""
        return tenacity.AsyncRetrying(sleep=sleep, reraise=True, **self._conditions())

    def _conditions(self) -> dict[str, Any]:
        waits: dict[int, float] = {}

        def wait_s(state: tenacity.RetryCallState) -> float:
            # Drawn once for each attempt: what is slept must be what was found short enough.
            attempt = state.attempt_number
            return waits.setdefault(attempt, self.wait_s(attempt, _error_of(state)))

        return {
            "retry": lambda state: self.may_repeat(_error_of(state)),
            "stop": lambda state: (
                state.attempt_number >= self.max_attempts
                or wait_s(state) > self.max_wait_s
                or wait_s(state) >= self.left_s()
            ),
            "wait": wait_s,
            "before_sleep": self._announce,
        }

    def _announce(self, state: tenacity.RetryCallState) -> None:
        error = _error_of(state)
        log.warning(
            "Attempt %d of %d failed, next in %.1f s: %s",
            state.attempt_number,
            self.max_attempts,
            state.next_action.sleep if state.next_action else 0.0,
            error,
        )


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
