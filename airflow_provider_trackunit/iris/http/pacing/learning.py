"""A rate that nobody published, learned from refusals. Pure: the time is an argument.

Off until the first refusal: what is not known to be limited is not slowed down. The first refusal tells how much was
let through until then, and how long to keep away; both together are a first guess of the rate, by which calls are then
spaced. It grows again along a cubic: fast at first, hardly where it was refused, ever faster beyond, so that a limit
that went away is forgotten within a minute. Only calls that had to wait for it make it grow: idleness teaches
nothing, and neither does an error.

A bucket that holds little lets few calls through at once, whatever its rate. So a guess from a few calls is only where a
search begins: twice as much is tried again and again until it is refused, and what was borne before is the second guess.

Several calls are under way when the first of them is refused. They are one refusal: what left before a cut cuts no
further. Nor does what is refused before another call was let through: the pause was too short, which says nothing of the
rate. Until then calls leave at the least of all rates, so that no herd asks in vain.

The figures below were chosen by simulation of servers that count in a window or as a token bucket, from 2 to 200 calls
a second; ``tests/virtual_time/test_learning.py`` holds what they have to reach.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

# What is left of the refused rate after a refusal. Less costs time, more costs refusals.
_CUT: Final = 0.9

# A rate that was refused is taken to be at least this share of what was tried, however little came through since: a
# single refusal can be somebody else's doing.
_LEAST_SHARE: Final = 0.8

# Time in use, and calls, until the rate is again what it was when it was refused. A first guess is soon put to the
# test; later there have to be many calls to each refusal.
_FIRST_REGROWTH: Final = (2.0, 8)
_REGROWTH: Final = (8.0, 24)

# How much faster than the refused rate it is after twice that time.
_BEYOND: Final = 0.5

# A rate so much beyond the refused one was not its limit, or is no more. From there on half as much again is tried
# each time this was borne.
_REFUTED: Final = 1.25
_FAST_GROWTH: Final = (1.0, 4)

# So many calls let through before the first refusal tell the rate; behind fewer there can be a small bucket. The search
# begins above the guess, and goes up by this factor each time more calls were borne than such a bucket can have held.
_TELLING: Final = 16
_SEARCH: Final = 2.0

# No rate is cut below one call in two seconds: what is slower is the business of Retry-After.
_LEAST_PER_S: Final = 0.5

# A longer pause is that of a budget, and says nothing about a rate.
LONGEST_PAUSE_OF_A_RATE_S: Final = 60.0

# The pause after a refusal that names none, or a shorter one: the shortest window that is documented anywhere, and twice
# as long after each refusal with no answer in between.
_OWN_PAUSE_S: Final = 1.0
_LONGEST_OWN_PAUSE_S: Final = 30.0

# By how much of it, or of a second, a pause is longer at the most that follows another with no answer in between. Who
# comes back at an even pace can meet a bucket that somebody else empties at an even pace when it is empty, every time.
_ON_TOP: Final = 0.25

# After a pause that is longer than our own longest, those that were refused go before those that only waited, for so long:
# they come back with jitter. Where such a time has a budget of a single call, who only waited would take it each time. Not
# where they just did so in vain: two that are refused for good would let nobody else ask.
_REFUSED_FIRST_S: Final = 0.5

# A limit that lets a call through so often is in use, and not in the way for good: the longest window that is likely where
# nobody says how long to keep away. Who is told to keep away longer may find several times that somebody else came first.
_OF_LATE_S: Final = 600.0
_PAUSES_OF_LATE: Final = 5

# The first guess is made from the answers of one such window, and no more of them than this.
_GUESSED_FROM_S: Final = 1.0
_REMEMBERED: Final = 1000

# A call that left late lets the next one leave early, by so little that a window of two calls does not notice.
_EARLY: Final = 0.25
_EARLY_AT_MOST_S: Final = 0.005


class LearnedRate:
    """What was let through and refused of the calls that share a limit.

    :param published_per_s: the rate by which calls are spaced anyway. What refuses them is somebody else's use of the
        same limit, or a delay on the way that brought some of them together; the first guess is half of it
    """

    def __init__(self, published_per_s: float | None = None) -> None:
        self.let_through = 0
        self.refused = 0
        #: How often calls were refused since one was let through, and while none had been of late.
        self.in_vain = 0
        self._published_per_s = published_per_s
        self._per_s = math.inf
        self._refused_per_s = math.inf
        self._regrowth_s = math.inf
        self._in_use_s = 0.0
        self._cut_at = -math.inf
        self._let_through_at_cut = 0
        # Whether nothing was let through since the latest cut, and calls were refused again: the pause was too short.
        self._is_in_vain = False
        self._even_at = -math.inf
        self._held_until = -math.inf
        # Whether those that were refused go first after this pause.
        self._is_refused_first = False
        self._own_pause_s = 0.0
        # The latest pause since a call was let through.
        self._pause_s = 0.0
        self._paused_at = -math.inf
        # How many calls a small bucket can have held, while its rate is searched; else 0.
        self._bucket = 0
        self._borne = 0
        self._answered: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def interval_s(self) -> float:
        """How far apart calls are; 0 while nothing was refused."""
        return 1 / self._per_s

    def earliest(self, now: float, *, only_waited: bool = False) -> float:
        """Return the moment before which no call may leave.

        :param only_waited: whether it stood in the line and was not refused. When the pause is over it learns that others
            go first, and not before: whether a wait is too long does not depend on them
        """
        held_until = self._held_until
        if only_waited and self._is_refused_first and held_until <= now:
            held_until += _REFUSED_FIRST_S
        return max(now, held_until, self._even_at)

    def leave(self, now: float) -> None:
        """Enter a call that leaves now."""
        if self._is_in_vain:
            self._even_at = now + 1 / _LEAST_PER_S
        elif self._per_s < math.inf:
            early_s = min(_EARLY * self.interval_s, _EARLY_AT_MOST_S)
            self._even_at = max(self._even_at, now - early_s) + self.interval_s

    def hold(self, until: float) -> None:
        """Let nothing leave before this moment."""
        self._held_until = max(self._held_until, until)

    def let(self, now: float, *, waited: bool) -> None:
        """Enter that a call was let through.

        :param waited: whether it had to wait, and so shows that the rate is in use
        """
        before = self._answered[-1] if self._answered else now
        self._answered.append(now)
        self.let_through += 1
        if self._is_in_vain:
            self._is_in_vain, self._even_at = False, now
        self._own_pause_s = 0.0
        self._pause_s = 0.0
        self.in_vain = 0
        if waited and self._per_s < math.inf:
            self._in_use_s += min(now - before, 2 * self.interval_s)
            if self._bucket:
                self._search()
            else:
                self._grow()

    def refuse(self, now: float, left_at: float, pause_s: float | None, jitter: float = 0.0) -> float:
        """Enter a refusal, and return how long nothing leaves now, as far as the refusal is the reason.

        :param left_at: when the refused call left
        :param pause_s: how long to keep away, as the server said
        :param jitter: by how much that is longer, from 0 to 1, once a pause was in vain
        """
        self.refused += 1
        is_new = left_at > self._paused_at
        if is_new:
            self._own_pause_s = min(max(2 * self._own_pause_s, _OWN_PAUSE_S), _LONGEST_OWN_PAUSE_S)
        if pause_s is None or pause_s < _OWN_PAUSE_S:
            pause_s = max(self._own_pause_s, _OWN_PAUSE_S)
        self.hold(now + pause_s)
        if is_new:
            self._is_in_vain = self._cut_at > -math.inf and self.let_through == self._let_through_at_cut
            if pause_s <= LONGEST_PAUSE_OF_A_RATE_S and not self._is_in_vain:
                self._cut(now, pause_s)
            self._note_pause(now, pause_s, jitter)
        return pause_s

    def is_in_use(self, now: float) -> bool:
        """Return whether a call was let through of late: the limit is one that is shared, and not in the way for good.

        Of late is ten minutes, or five times as long as the latest pause.
        """
        of_late_s = max(_OF_LATE_S, _PAUSES_OF_LATE * self._pause_s)
        return bool(self._answered) and now - self._answered[-1] <= of_late_s

    def _note_pause(self, now: float, pause_s: float, jitter: float) -> None:
        was_first_in_vain = self._is_refused_first and self._pause_s > 0
        self._is_refused_first = pause_s > _LONGEST_OWN_PAUSE_S and not was_first_in_vain
        if self._pause_s:
            self.hold(max(now + pause_s, self._even_at) + jitter * _ON_TOP * min(pause_s, 1.0))
        self._paused_at = now
        self._pause_s = pause_s
        self.in_vain += not self.is_in_use(now)

    def is_idle(self, now: float) -> bool:
        """Return whether nothing was learned, or what was learned is too old to matter."""
        if self._per_s == math.inf:
            return self._held_until <= now
        last = max(self._answered[-1] if self._answered else -math.inf, self._cut_at)
        return max(self._held_until, last + LONGEST_PAUSE_OF_A_RATE_S) <= now

    def _search(self) -> None:
        """Try more once more calls were borne than the bucket can have held."""
        self._borne += 1
        if self._borne > self._bucket:
            self._per_s *= _SEARCH
            self._borne = 0

    def _grow(self) -> None:
        """Grow towards the refused rate, stay about it for a while, and go beyond."""
        beyond = self._in_use_s / self._regrowth_s - 1
        growth = 1 + (_BEYOND if beyond > 0 else 1 - _CUT) * beyond**3
        self._per_s = max(self._refused_per_s * growth, _LEAST_PER_S)
        if growth > _REFUTED:
            self._refused_per_s, (at_least_s, calls) = self._per_s, _FAST_GROWTH
            self._in_use_s = self._regrowth_s = max(at_least_s, calls / self._per_s)

    def _cut(self, now: float, pause_s: float) -> None:
        is_first = self._per_s == math.inf
        found_per_s = self._first_guess(now, pause_s) if is_first else self._refuted(now)
        at_least_s, calls = _FIRST_REGROWTH if is_first else _REGROWTH
        self._refused_per_s = max(found_per_s, _LEAST_PER_S)
        self._regrowth_s = max(at_least_s, calls / self._refused_per_s)
        self._per_s = max(_CUT * self._refused_per_s, _LEAST_PER_S)
        self._in_use_s = 0.0
        self._cut_at, self._let_through_at_cut = now, self.let_through
        if is_first and self._published_per_s is None and self.let_through < _TELLING:
            self._bucket = max(1, self.let_through)
            self._per_s *= _SEARCH

    def _first_guess(self, now: float, pause_s: float) -> float:
        """Return the rate at which calls were let through; they came in a burst, so the pause that follows counts."""
        if self._published_per_s is not None:
            return self._published_per_s / 2
        recent = [at for at in self._answered if at > now - _GUESSED_FROM_S]
        return len(recent) / max(now - recent[0] + pause_s, _GUESSED_FROM_S) if recent else 0.0

    def _refuted(self, now: float) -> float:
        """Return the rate that was too high: what came through since the last cut, or near what was tried.

        At the end of a search, what was borne before.
        """
        if self._bucket:
            self._bucket = 0
            return self._per_s / _SEARCH
        came_per_s = (self.let_through - self._let_through_at_cut) / (now - self._cut_at)
        return min(self._per_s, max(came_per_s, _LEAST_SHARE * self._per_s))
