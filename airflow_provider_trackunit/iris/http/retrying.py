"""When a request that failed may go out again: an error becomes "again, after so many seconds" or "no".

Neither sleeps nor sends.
"""

from __future__ import annotations

import logging
import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import tenacity

from airflow_provider_trackunit.iris.errors import IrisError, IrisRateLimitError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

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
