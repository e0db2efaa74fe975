"""When a request may go out: the limits of the API, kept or learned, for all who share them in this process.

A :class:`Turn` says how long to wait and never sleeps: one class serves threads and event loops alike. Nothing is given
out ahead of its time. Whoever has waited asks again, and leaves at the moment at which the answer is none: a thread, a
process or a machine that stood still meanwhile finds the limits as they are then. They hold inside one process; across
processes an Airflow pool and 429 do.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_provider_trackunit.iris.http.forks import renew_after_fork
from airflow_provider_trackunit.iris.http.pacing.lanes import Lane, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_trackunit.iris.catalogue.limits import Counted

# Idle lanes are dropped once there are this many, or twice as many as were in use the last time; of the URLs that are
# counted one by one only so many are kept in mind, and those that are held back: a walk over 100 000 URLs with a limit each
# must not grow.
_MOST_REMEMBERED: Final = 4096

# A time of which less is left than a clock shows is over.
_SHORTEST_WAIT_S: Final = 1e-4

# A pause may be asked for by mistake; after so long one request tries again.
_LONGEST_HOLD_S: Final = 3600.0

# Whoever could leave if nobody stood before it looks again so soon after: they may have been cancelled, and nobody wakes it.
# So far apart are the calls of the slowest limits that are kept by spacing.
_LOOK_AGAIN_S: Final = 1.0


@dataclass(slots=True, eq=False, weakref_slot=True)
class Turn:
    """The turn of one request, in all that it counts in."""

    pacer: Pacer
    place: Place
    counted: Counted
    #: Whether the request was sent before; it stands behind nobody in a line.
    is_back: bool = False
    has_waited: bool = False
    #: Whether this URL, or series, was asked before in this process, as far back as is remembered.
    was_asked_before: bool = False
    #: After how many seconds to ask again at the latest, as of the latest look.
    look_again_s: float = 0.0

    def wait_s(self) -> float:
        """Return the seconds until its turn is likely to come; 0 when the request leaves now, which enters that it does."""
        return self.pacer.ask(self)

    def end(self) -> None:
        """Enter that the request was answered."""
        self.pacer.end(self)

    def give_up(self) -> None:
        """Enter that nobody waits for an answer any more, or that it does not leave."""
        self.place.is_given_up = True
        self.pacer.end(self)

    def take_back(self) -> None:
        """Enter that the request could not leave after all, so that nobody can have counted it."""
        self.pacer.take_back(self)

    def unask(self) -> None:
        """Enter that nobody looked at what was asked for: the URL, or series, is as if this request had not asked."""
        self.pacer.unask(self)

    def let(self) -> None:
        """Enter that no limit stopped the request."""
        self.pacer.let(self)

    def refuse(self, pause_s: float | None, jitter: float = 0.0) -> None:
        """Enter that it was refused for its rate, and hold back all that share it.

        :param pause_s: for how long, as the server said
        :param jitter: by how much that is longer, from 0 to 1
        """
        self.pacer.refuse(self, pause_s, jitter)

    def hold(self, pause_s: float) -> None:
        """Enter that it was refused because single calls count, and hold back all that are counted with it."""
        self.pacer.hold(self, pause_s)


@dataclass(frozen=True, slots=True, eq=False)
class Others:
    """The requests that share the limits of one request, since that began.

    :param before: of each limit, how many had been let through and refused until then, and refused in vain
    """

    pacer: Pacer
    before: list[tuple[Lane, int, int, int]]

    @property
    def in_vain(self) -> int:
        """How often one of them was refused since the latest that was let through, and while none had been of late."""
        return self.pacer.in_vain(self)

    def fate(self, own_refusals: int) -> Fate | None:
        """Return what became of them; None when none was let through of late, by a rate and not by single calls.

        :param own_refusals: how often the request itself was refused, which is none of theirs
        """
        return self.pacer.fate(self, own_refusals)


class Fate(NamedTuple):
    """What became of requests that share a limit."""

    let: int
    refused: int

    @property
    def share_let(self) -> float:
        """Which share of them was let through; where there were none, that of the one request whose others they are."""
        return self.let / (self.let + self.refused) if self.let + self.refused else 1.0


class Pacer:
    """Hands out the moments at which requests may leave. Safe to share between threads.

    :param clock: a monotonic clock, in seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._latest = -math.inf
        self._lanes: dict[str, Lane] = {}
        self._look_for_idle_at = _MOST_REMEMBERED
        # Of what is counted one by one: what was asked of late, and when; what was refused, and until when it is held back.
        self._asked: dict[str, float] = {}
        self._held_until: dict[str, float] = {}
        self._look_for_over_at = _MOST_REMEMBERED
        # What has ended, each with when: entered before anything else is.
        self._ended: deque[tuple[Place, float]] = deque()
        self._lock = threading.Lock()
        renew_after_fork(self)

    def __len__(self) -> int:
        """Return how much is kept in mind."""
        return len(self._lanes) + len(self._asked) + len(self._held_until)

    def renew(self) -> None:
        """Begin again in a child process: who waited or was on the way there is not here."""
        self._lock = threading.Lock()
        self._catch_up()  # what was answered before the fork was counted, and counts here too
        for lane in self._lanes.values():
            lane.forget_under_way()

    def forget(self) -> None:
        """Begin again as if nothing had been sent or refused; whoever is under way or waits counts no more for the others."""
        with self._lock:
            self._lanes.clear()
            self._asked.clear()
            self._held_until.clear()

    def turn(self, counted: Counted, *, is_back: bool = False) -> Turn:
        """Return a turn for a request that counts in these limits.

        :param is_back: whether it was sent before
        """
        turn = Turn(self, Place(), counted, is_back)
        turn.place.turn = weakref.ref(turn)
        return turn

    def others(self, counted: Counted) -> Others:
        """Return what becomes from now on of requests that count in these limits."""
        with self._lock:
            lanes = self._lanes_of(counted)
            learned = [(lane, lane.learned) for lane in lanes]
            before = [(lane, known.let_through, known.refused, known.in_vain) for lane, known in learned]
        return Others(self, before)

    def fate(self, others: Others, own_refusals: int) -> Fate | None:
        """Return what :meth:`Others.fate` says."""
        with self._lock:
            now = self._catch_up()
            fates = [
                Fate(lane.learned.let_through - let, max(lane.learned.refused - refused - own_refusals, 0))
                for lane, let, refused, _ in others.before
                if not lane.is_metered and lane.learned.is_in_use(now)
            ]
        return min(fates, key=lambda fate: fate.share_let, default=None)

    def in_vain(self, others: Others) -> int:
        """Return what :attr:`Others.in_vain` says."""
        with self._lock:
            # What had been in vain until it began does not count, unless one was let through since.
            in_vain = [
                lane.learned.in_vain - (before if lane.learned.let_through == let else 0)
                for lane, let, _, before in others.before
            ]
        return max(in_vain, default=0)

    def calls_left(self, counted: Counted) -> int | None:
        """Return how many more requests the metered limits among these let through now; None where none is metered.

        What other processes sent is not known here, and a pool of calls beyond a rate says nothing of what is left of it.
        """
        with self._lock:
            now = self._catch_up()
            lanes = self._lanes_of(counted)
            left = [
                0 if lane.learned.earliest(now) > now else lane.kept.calls_left(now)
                for lane in lanes
                if lane.kept is not None and lane.is_metered
            ]
        return min(left, default=None)

    def ask(self, turn: Turn) -> float:
        """Return the wait of a turn, as :meth:`Turn.wait_s` says."""
        with self._lock:
            now = self._catch_up()
            ask_again_at = self._leave_or_line_up(turn, now)
        return ask_again_at - now

    def end(self, turn: Turn) -> None:
        """Enter the end of a turn, as :meth:`Turn.end` says. A second time it does nothing.

        Takes no lock: a task that its event loop left behind ends its turn when it is collected as garbage, and that can
        be at any line of this class, in the very thread that holds the lock.
        """
        self._ended.append((turn.place, max(self._latest, self._clock())))

    def take_back(self, turn: Turn) -> None:
        """Enter what :meth:`Turn.take_back` says."""
        self.unask(turn)
        turn.place.left_at = None
        self.end(turn)

    def unask(self, turn: Turn) -> None:
        """Enter what :meth:`Turn.unask` says."""
        left_at = turn.place.left_at
        if left_at is None or turn.was_asked_before:
            return
        with self._lock:
            for name in turn.counted.one_by_one:
                if self._asked.get(name) == left_at:  # else others asked since
                    del self._asked[name]

    def let(self, turn: Turn) -> None:
        """Enter what :meth:`Turn.let` says."""
        with self._lock:
            now = self._catch_up()
            for lane in turn.place.lanes:
                lane.learned.let(now, waited=turn.has_waited)

    def refuse(self, turn: Turn, pause_s: float | None, jitter: float) -> None:
        """Enter what :meth:`Turn.refuse` says."""
        pause_s = None if pause_s is None else min(pause_s, _LONGEST_HOLD_S)
        with self._lock:
            now = self._catch_up()
            left_at = now if turn.place.left_at is None else turn.place.left_at
            for lane in turn.place.lanes:
                lane.learned.refuse(now, left_at, pause_s, jitter)

    def hold(self, turn: Turn, pause_s: float) -> None:
        """Enter what :meth:`Turn.hold` says."""
        with self._lock:
            now = self._catch_up()
            until = now + min(pause_s, _LONGEST_HOLD_S)
            for name in turn.counted.one_by_one:
                self._held_until[name] = max(until, self._held_until.get(name, until))
            if len(self._held_until) > self._look_for_over_at:
                # Only those that are over, however many others were asked: thousands of machines are within seconds.
                self._held_until = {name: until for name, until in self._held_until.items() if until > now}
                self._look_for_over_at = max(_MOST_REMEMBERED, 2 * len(self._held_until))
            for lane in turn.place.lanes:
                if lane.is_metered:
                    lane.learned.hold(until)

    def _leave_or_line_up(self, turn: Turn, now: float) -> float:
        """Return when to ask again; now, when the turn has come."""
        if not turn.has_waited:
            # Not when it was given out: while it was in no line, its lanes may have been dropped as idle.
            turn.place.lanes = self._lanes_of(turn.counted)
        lanes, one_by_one = turn.place.lanes, turn.counted.one_by_one
        held_until = max((self._held_until.get(name, now) for name in one_by_one), default=now)
        if held_until > now:
            # In no line, also where it stood in one when its URL was refused to another: those behind may be of other URLs.
            for lane in lanes:
                lane.step_out(turn.place)
            turn.has_waited = False
            turn.look_again_s = held_until - now
            return held_until
        only_waited = turn.has_waited and not turn.is_back
        at = max((lane.earliest(now, only_waited=only_waited) for lane in lanes), default=now)
        if at <= now and (turn.has_waited or turn.is_back or not any(lane.line for lane in lanes)):
            self._leave(turn, now)
            return now
        for lane in lanes:
            lane.give_up_lost(turn.place, now)
        self._line_up(turn)
        turn.look_again_s = at - now + _LOOK_AGAIN_S
        return max([at, now + _SHORTEST_WAIT_S, *(lane.expected(turn.place, now) for lane in lanes)])

    def _leave(self, turn: Turn, now: float) -> None:
        turn.place.left_at = now
        for lane in turn.place.lanes:
            lane.leave(turn.place, now)
        one_by_one = turn.counted.one_by_one
        turn.was_asked_before = any(name in self._asked or name in self._held_until for name in one_by_one)
        for name in one_by_one:
            self._asked.pop(name, None)  # as the latest
            self._asked[name] = now
        while len(self._asked) > _MOST_REMEMBERED:
            del self._asked[next(iter(self._asked))]

    def _line_up(self, turn: Turn) -> None:
        turn.has_waited = True
        for lane in turn.place.lanes:
            if turn.place not in lane.line:
                lane.line.append(turn.place)

    def _catch_up(self) -> float:
        """Enter what has ended, and return the time, which never goes back, whatever the clock does."""
        self._latest = max(self._latest, self._clock())
        while self._ended:
            place, at = self._ended[0]
            for lane in place.lanes:
                lane.end(place, at)
            # Only now: an exception of a signal handler on the way would lose it, and it would be under way for ever.
            self._ended.popleft()
        return self._latest

    def _lanes_of(self, counted: Counted) -> list[Lane]:
        if len(self._lanes) >= self._look_for_idle_at:
            now = self._catch_up()
            self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.is_idle(now)}
            self._look_for_idle_at = max(_MOST_REMEMBERED, 2 * len(self._lanes))
        return [
            self._lanes.get(name) or self._lanes.setdefault(name, Lane(rate)) for name, rate in counted.paced
        ]


class _Pacers:
    """The pacers of this process. They stay: what a client sent counts for the next one, though it is gone by then."""

    def __init__(self) -> None:
        self._pacers: dict[str, Pacer] = {}
        self._lock = threading.Lock()
        renew_after_fork(self)

    def renew(self) -> None:
        """Begin again in a child process."""
        self._lock = threading.Lock()

    def of(self, key: str, clock: Callable[[], float]) -> Pacer:
        """Return the one of this name."""
        with self._lock:
            pacer = self._pacers.get(key)
            if pacer is None:
                pacer = self._pacers[key] = Pacer(clock)
            return pacer

    def all(self) -> list[Pacer]:
        """Return all that were ever asked for."""
        with self._lock:
            return list(self._pacers.values())


_pacers: Final = _Pacers()


def pacer_of(account: Iterable[str], clock: Callable[[], float]) -> Pacer:
    """Return the pacer that all clients of an account in this process share, at the same time or one after another.

    :param account: what tells one account of IRIS from another
    :param clock: a monotonic clock; clients with clocks of their own do not share
    """
    key = hashlib.sha256(json.dumps([*account, id(clock)]).encode()).hexdigest()
    return _pacers.of(key, clock)


def forget_limits() -> None:
    """Let all clients of this process forget what they sent and what was refused.

    For tests, where the time of a server passes and that of its clients does not.
    """
    for pacer in _pacers.all():
        pacer.forget()
