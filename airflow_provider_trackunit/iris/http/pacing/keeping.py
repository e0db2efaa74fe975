"""A documented rate, kept so that no way of counting it refuses us. Pure: the time is an argument.

A client knows when a call left and when its answer came. The server counted it at some moment in between, and nobody
says which, nor how it counts. Three rules stand for three ways of counting; a call leaves when all of them let it.

**A window**, sliding or fixed, holds no more than ``calls``. A call counts here while it is under way, and for one
window after its answer. Of the calls that a server counted within one window, take the one that left last. The others
had left before, and had it been one too many, then one of them was answered a whole window before the last one left:
it was counted a window earlier, and is not within. No delay can break this, neither of a thread nor of a network. A call
that is given up before its answer counts until one would have come, as late as the latest did of late, or after 30 ms where
none has come yet. The clock may lag behind or stand still. One that runs ahead while no time passes is no measure, but for a
thousandth of a window, by which calls count longer here: so steps of a clock may be as long.

**A bucket of two tokens**, filled at the rate. A token is taken here when an answer comes, the latest moment at which
it can have been taken there, and one is kept back for every call under way. So there are never fewer tokens there than
here, whatever is delayed. Of a call that is given up it is taken after a usual round trip: kept back for as long as
the latest answer took, two of them would stop all others. Two calls under way are enough as long as a round trip is
shorter than two intervals, or than 1.6 with some headroom. Where more than half of the last fifteen are longer, or of all so
far, more have to be under way than a bucket of two could bear at once; then, and until it has filled again, only the third
rule is left.

**Even spacing**: one call in each interval. A call that left late lets the next one leave early, by half an interval at
most. Where the second rule is gone, it is a fifth, and four fifths are left for what differs between their ways.

**What is assumed of the network** is nothing, where the shortest round trip takes up to 7 % of a window, and a quarter
of an interval of a bucket. What is longer is taken to be common to all round trips, once fifteen showed it: that moves
every count by the same time and brings no two together, so a call need not count longer for it. Without that a latency
of 0.3 s costs a quarter of a limit per second, as it does for good once an answer was quick. It is wrong where the way
there of one call and the way back of one before it take less together than any answer so far, by more than is spared:
then calls come closer together. That is so where one of the two gets quicker. Too many for a window are then no more
than those that are quicker and had left before an answer of up to 7 % showed it. Often none is, because until then a
window was given 7 % less than it holds: in random draws with one change of the network none in nine of ten. It is also
so where what the one way saves the other costs, again and again or since the way back got slower. No answer shows that,
and even spacing is what is left.

No client can do without. Say that one uses 90 % of 50 calls a second while every answer takes 0.3 s. In 1.3 s it sends 58.
Be the way there 0.3 s at first and then none, and the way back the other way round: all 58 are counted within one second, and
every answer has taken 0.3 s, as before. Whoever is not to be refused even then has to do with 50 in 1.3 s, which is 77 %. Of
a bucket of two, 13 are under way at any time; if the network holds them up and lets them go together, 11 are refused, whatever
the client does.
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sized

    from airflow_provider_trackunit.iris.catalogue.limits import Rate

# The smallest burst that a token bucket can have and still forgive a call for being early.
_TOKENS: Final = 2

# How much of an interval a call may make up for one that left late: while a bucket of two is kept by counting tokens,
# and where spacing is all there is.
_EARLY: Final = 0.5
_EARLY_BY_SPACING_ALONE: Final = 0.2

# How much of a window, and of an interval, a round trip may take before any of it is taken to be common to all. More is
# safer; less leaves more of a limit. With these a limit per second is used by 98 % at 20 ms, and by 91 % at 0.3 s; half an
# interval would cost 3 % where threads wake up 4 ms late.
_SPARED_OF_A_WINDOW: Final = 0.07
_SPARED_OF_AN_INTERVAL: Final = 0.25

# Round trips differ; so many more calls than the usual one needs may be under way.
_HEADROOM: Final = 1.25

# The usual round trip before there was one: to a server that is not far.
_FIRST_GUESS_S: Final = 0.03

# Round trips that the usual one is taken from: few, so that it follows, and odd, so that one of them is in the middle.
_REMEMBERED: Final = 15

# Whoever waits for an answer cannot know when it comes, and looks again after a quarter of an interval.
_LOOK_AGAIN: Final = 0.25
_LOOK_AGAIN_AT_MOST_S: Final = 0.05


class _RoundTrips:
    """How long answers took: the usual time, and the shortest ever."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_REMEMBERED)
        self._shortest = math.inf
        self.usual_s = _FIRST_GUESS_S

    @property
    def longest_s(self) -> float:
        """The longest of late; before there was one, the first guess."""
        return max(self._recent, default=_FIRST_GUESS_S)

    def common_beyond(self, spared_s: float) -> float:
        """Return what all round trips are taken to have in common beyond so many seconds. A few say nothing of that."""
        return max(0.0, self._shortest - spared_s) if len(self._recent) == _REMEMBERED else 0.0

    def add(self, seconds: float) -> None:
        """Enter the round trip of an answer."""
        self._shortest = min(self._shortest, seconds)
        self._recent.append(seconds)
        self.usual_s = statistics.median_low(self._recent)


class KeptRate:
    """What is under way and what was answered of one documented rate.

    :param rate: the limit; the calls of a metered one go out as they come until its window is full
    :param waited_for: the calls that left and whose end was not entered; who lets them leave keeps them
    """

    def __init__(self, rate: Rate, waited_for: Sized) -> None:
        self._rate = rate
        self._waited_for = waited_for
        # Of calls that were given up: when each is taken to have been answered, and its token to have been taken.
        self._answers_due: list[float] = []
        self._tokens_due: list[float] = []
        self._answered: deque[float] = deque(maxlen=rate.calls)
        self._round_trips = _RoundTrips()
        self._even_at = -math.inf
        self._most_tokens = _TOKENS
        self._tokens = float(_TOKENS)
        self._tokens_at = -math.inf

    def earliest(self, now: float) -> float:
        """Return the moment before which no call may leave; at that moment one may, unless others do before."""
        self._settle(now)
        window_free_at = self._window_free_at(now)
        if self._rate.metered:
            return window_free_at
        return max(window_free_at, self._even_at, self._token_at(now))

    def free_at(self, now: float, before: int) -> float:
        """Return when a window has room for one call more, after so many that wait before it."""
        self._settle(now)
        windows, ahead = divmod(before, self._rate.calls)
        return self._window_free_at(now, ahead) + windows * self._rate.window_s

    def calls_left(self, now: float) -> int:
        """Return how many calls may leave at once now, as far as what left here is all that counts."""
        self._settle(now)
        counting = [answered for answered in self._answered if answered + self._rate.window_s > now]
        return max(0, self._rate.calls - self._under_way - len(counting))

    def leave(self, now: float) -> None:
        """Enter a call that leaves now."""
        interval_s = self._rate.interval_s
        early = _EARLY if self._most_tokens == _TOKENS else _EARLY_BY_SPACING_ALONE
        self._even_at = max(self._even_at, now - early * interval_s) + interval_s

    def come_back(self, now: float, left_at: float) -> None:
        """Enter that a call was answered: it can have been counted until now."""
        self._settle(now)
        self._round_trips.add(now - left_at)
        self._enter_answer(now)
        self._take_token(now)
        # Only now: what filled until this answer filled the bucket as it was.
        self._most_tokens = self._needed_under_way

    def give_up(self, now: float, left_at: float) -> None:
        """Enter that nobody waits for an answer any more: the call can be counted until one would have come.

        Until then it is under way. How soon it was given up says nothing of the way to the server.
        """
        heapq.heappush(self._answers_due, max(now, left_at + self._round_trips.longest_s))
        heapq.heappush(self._tokens_due, max(now, left_at + self._round_trips.usual_s))
        self._settle(now)

    @property
    def _under_way(self) -> int:
        return len(self._waited_for) + len(self._answers_due)

    @property
    def _kept_back(self) -> int:
        """How many tokens are kept back for calls under way."""
        return len(self._waited_for) + len(self._tokens_due)

    def _settle(self, now: float) -> None:
        """Enter of the calls that were given up what is due. What a signal interrupts is entered again, not lost."""
        while self._answers_due and self._answers_due[0] <= now:
            self._enter_answer(self._answers_due[0])
            heapq.heappop(self._answers_due)
        while self._tokens_due and self._tokens_due[0] <= now:
            self._take_token(self._tokens_due[0])
            heapq.heappop(self._tokens_due)

    def _enter_answer(self, at: float) -> None:
        self._answered.append(max(at, self._answered[-1]) if self._answered else at)

    def _take_token(self, at: float) -> None:
        common_s = self._round_trips.common_beyond(_SPARED_OF_AN_INTERVAL * self._rate.interval_s)
        taken_at = max(at - common_s, self._tokens_at)
        self._tokens = self._tokens_then(taken_at) - 1
        self._tokens_at = taken_at

    def forget_under_way(self) -> None:
        """Count what was given up no longer: it was sent by another process."""
        self._answers_due.clear()
        self._tokens_due.clear()

    def is_idle(self, now: float) -> bool:
        """Return whether nothing that was sent matters any more."""
        self._settle(now)
        last = self._answered[-1] if self._answered else -math.inf
        return not self._under_way and last + self._rate.window_s <= now and self._even_at <= now

    def _window_free_at(self, now: float, ahead: int = 0) -> float:
        """Return when fewer than ``calls`` count: those under way, those answered within the window, and those ahead."""
        spared_s = self._rate.window_s * (math.inf if self._rate.metered else _SPARED_OF_A_WINDOW)
        common_s = self._round_trips.common_beyond(spared_s)
        # Round trips longer than a window have no more under way than it holds: who is under way always counts.
        counted_s = max(0.0, self._rate.window_s - common_s)
        may_be_answered = self._rate.calls - self._under_way - ahead
        if may_be_answered <= 0:
            return now + max(counted_s, self._look_again_s)
        if len(self._answered) < may_be_answered:
            return now
        return self._answered[-may_be_answered] + counted_s

    def _token_at(self, now: float) -> float:
        needed = 1 + self._kept_back
        if needed > self._most_tokens:
            return now + self._look_again_s
        missing = needed - self._tokens_then(now)
        return now + max(missing, 0.0) * self._rate.interval_s

    def _tokens_then(self, moment: float) -> float:
        if self._tokens_at == -math.inf:
            return float(self._most_tokens)
        filled = (moment - self._tokens_at) / self._rate.interval_s
        return min(self._most_tokens, self._tokens + filled)

    @property
    def _look_again_s(self) -> float:
        return min(_LOOK_AGAIN * self._rate.interval_s, _LOOK_AGAIN_AT_MOST_S)

    @property
    def _needed_under_way(self) -> int:
        """As many as have to be under way for the rate, and no fewer than two."""
        return max(_TOKENS, 1 + int(_HEADROOM * self._round_trips.usual_s / self._rate.interval_s))
