"""When a request that failed may go out again: an error becomes "again, after so many seconds" or "no".

Neither sleeps nor sends: :meth:`RetryRules.repeated` is a loop of steps that a client does.
"""

from __future__ import annotations

import logging
import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import tenacity

from airflow_provider_trackunit.iris.errors import IrisError, IrisRateLimitError
from airflow_provider_trackunit.iris.http.steps import Sleep

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_provider_trackunit.iris.http.pacing.pacer import Fate
    from airflow_provider_trackunit.iris.http.steps import Step

log = logging.getLogger(__name__)

_T = TypeVar("_T")

# First wait of a retry without Retry-After, doubled each time up to the longest; both with jitter, so that
# tasks that failed together do not come back together.
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 30.0
_MOST_DOUBLED: Final = (
    5  # is more than the longest already; the thousandth power of two is no number any more
)

# After each few times that a request is refused for its rate while all others of the same limit get through, it waits twice
# as long. Where few of the others get through it says as much less: a refusal counts as their share. One that was refused
# a few times so, while a few others got through, has something else in its way than their limit: it still asks for as long
# as others get through, but its refusals hold nobody else back. (One in fifty is taken for such a one by chance, as long as
# all are refused alike. That costs next to nothing: the refusals of the others hold it back all the same.)
_FEW: Final = 4

# Where single calls count as well, each that is refused may count: no more than a few are let off, however few of the
# others get through. Two that are refused for good would else let each other off.
_MOST_LET_OFF_METERED: Final = 4

# How much of that wait comes on top of Retry-After, which all who were refused were told alike.
_ON_TOP: Final = 0.25


@dataclass(frozen=True, slots=True)
class RetryRules:
    """Whether and when a request that failed is sent again.

    :param max_attempts: how often it is sent at the most, the first time included
    :param max_wait_s: a longer wait is not slept; the error goes to the caller with its ``retry_after``
    :param safe: whether sending twice does no harm when the first one was processed after all
    :param metered: whether single calls count, so that each has to be thought of
    :param chance: gives the jitter, from 0 to 1
    :param left_s: gives the seconds that are left for all of it; a wait beyond them is not slept either
    """

    max_attempts: int
    max_wait_s: float
    safe: bool
    metered: bool = False
    chance: Callable[[], float] = field(default=random.random, repr=False)
    left_s: Callable[[], float] = field(default=lambda: math.inf, repr=False)

    def may_repeat(self, error: BaseException | None) -> bool:
        """Return whether the request may be sent again after this error.

        A request that may have been processed is repeated only when that is safe. One that a limit refused was not, unless
        a part of the answer came.
        """
        if not isinstance(error, IrisError) or not error.transient or error.retried:
            return False
        return self.safe or error.left_undone

    def wait_s(self, attempt: int, error: IrisError) -> float:
        """Return the seconds to wait after this attempt (from 1) failed with this error.

        What the answer says is the least, with jitter on top; where it says nothing, or 0, the pause is our own.
        """
        doubled = 2.0 ** min(attempt - 1, _MOST_DOUBLED)
        longest = min(_LONGEST_WAIT_S, self.max_wait_s, _FIRST_WAIT_S * doubled)
        pause_s = longest * (0.5 + self.chance() / 2)
        return max(pause_s, error.retry_after + _ON_TOP * pause_s) if error.retry_after else pause_s

    def repeated(
        self,
        attempt: Callable[[Tries], Generator[Step, Any, _T]],
        fate_of_others: Callable[[int], Fate | None] = lambda _own_refusals: None,
    ) -> Generator[Step, Any, _T]:
        """Say how to get what an attempt gives, with as many attempts as the rules allow.

        :param attempt: says how to make one, given what became of those before
        :param fate_of_others: what became of the others that share the limits of this one since it began, given how often
            it was refused; None when none got through of late. A refusal for a rate uses up no attempt while they do: the
            limit is in use, by us or by somebody else, and not in the way for good
        :raises IrisError: that of the last attempt
        """
        pauses: list[float] = []
        tries = Tries(self, fate_of_others)
        # A new loop for each request. Its sleep only notes the pause: the client that does the steps sleeps.
        loop = tenacity.Retrying(
            retry=tenacity.retry_if_exception(tries.may_go_on),
            wait=lambda _state: tries.pause_s,
            sleep=pauses.append,
            reraise=True,
        )
        for again in loop:
            while pauses:
                yield Sleep(pauses.pop())
            with again:
                return (yield from attempt(tries))
        raise AssertionError("a loop of attempts ends with a result or an error")

    def next_wait_s(self, used: int, error: IrisError, let_off: float = 0.0) -> float | None:
        """Return the wait before the next attempt, None when there is none.

        :param used: how many attempts there were
        :param let_off: how many more there were that do not count, each as the share of the others that got through
        """
        if not self.may_repeat(error) or used >= self.max_attempts:
            return None
        if (error.retry_after or 0.0) > self.max_wait_s:
            return None
        wait_s = self.wait_s(max(used, 1 + int(let_off / _FEW)), error)
        return wait_s if wait_s < self.left_s() else None


@dataclass(slots=True)
class Tries:
    """The attempts of one request so far.

    :param used: how many of them count
    :param let_off: how many do not, each as the share of the others that got through
    :param refused: how many were refused for a rate that it shares with others
    :param is_singled_out: whether it is refused again and again, and only others are not: the limit that refuses it is not
        theirs
    :param pause_s: the wait before the next; 0 before the first
    """

    rules: RetryRules
    fate_of_others: Callable[[int], Fate | None]
    used: int = 0
    let_off: float = 0.0
    refused: int = 0
    is_singled_out: bool = False
    pause_s: float = 0.0

    def may_go_on(self, error: BaseException) -> bool:
        """Enter how an attempt failed; return whether there is another, and say so in the log."""
        if not isinstance(error, IrisError):
            return False
        is_of_rate = isinstance(error, IrisRateLimitError) and error.of_rate
        is_let_off = is_of_rate and self._is_let_off()
        self.used += not is_let_off
        wait_s = self.rules.next_wait_s(self.used, error, self.let_off)
        if wait_s is None:
            return False
        self.pause_s = wait_s
        what = (
            "Others got through" if is_let_off else f"Attempt {self.used} of {self.rules.max_attempts} failed"
        )
        log.warning("%s, next in %.1f s: %s", what, wait_s, error)
        return True

    def _is_let_off(self) -> bool:
        """Enter a refusal for a rate; return whether it uses up no attempt."""
        self.refused += not self.is_singled_out
        metered = self.rules.metered
        others = (
            None if metered and self.let_off >= _MOST_LET_OFF_METERED else self.fate_of_others(self.refused)
        )
        if others is None:
            self.is_singled_out = False
            return False
        self.let_off += 1.0 if metered else others.share_let
        self.is_singled_out = not metered and min(self.let_off, others.let) >= _FEW
        return True
