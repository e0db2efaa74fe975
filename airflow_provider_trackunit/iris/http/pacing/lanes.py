"""One limit: its documented rate if there is one, what was learned of it, and who waits. Pure: the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.catalogue.limits import MAX_CONCURRENCY
from airflow_provider_trackunit.iris.http.pacing.keeping import KeptRate
from airflow_provider_trackunit.iris.http.pacing.learning import LearnedRate

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.iris.catalogue.limits import Rate

# Whoever waits behind others for a rate that is only learned looks again so often: it may have grown. A longer wait, which
# can be too long to be slept, would be our own guess.
_LOOK_AGAIN_S: Final = 1.0

# Where no rate is known, no more than the default number of calls may be under way until so many were let through: a
# limit that nobody published then refuses those, and not all that somebody wanted at once. It costs two round trips, once.
_CAUTIOUS_AT_ONCE: Final = MAX_CONCURRENCY
_CAUTIOUS_CALLS: Final = 24

# Whoever waits for one of those to come back looks again so often, later behind others.
_LOOK_FOR_ROOM_S: Final = 0.01
_LOOK_FOR_ROOM_AT_MOST_S: Final = 0.1


@dataclass(slots=True, eq=False)
class Place:
    """The place of one request in its lanes: in their lines, then among those under way.

    :param lanes: none before it is first asked whether it may leave
    :param turn: gives whoever ends it; None once nobody can
    :param left_at: None before it left, and once it is known that it did not reach anybody
    """

    lanes: list[Lane] = field(default_factory=list)
    turn: Callable[[], object | None] = lambda: None
    left_at: float | None = None
    #: Whether it ended without an answer.
    is_given_up: bool = False


class Lane:
    """What is counted together.

    :param rate: as it is documented, None where nobody published one
    """

    def __init__(self, rate: Rate | None) -> None:
        self.learned = LearnedRate(None if rate is None else rate.calls / rate.per_s)
        self.line: list[Place] = []
        self.under_way: set[Place] = set()
        self.kept = None if rate is None else KeptRate(rate, self.under_way)
        self.is_metered = rate is not None and rate.metered
        self._interval_s = 0.0 if rate is None else rate.interval_s

    def earliest(self, now: float, *, only_waited: bool = False) -> float:
        """Return the moment before which no call may leave, as :meth:`LearnedRate.earliest` says."""
        learned = self.learned.earliest(now, only_waited=only_waited)
        if self.kept is not None:
            return max(learned, self.kept.earliest(now))
        return max(learned, now + _LOOK_FOR_ROOM_S) if self._is_cautious else learned

    def expected(self, place: Place, now: float) -> float:
        """Return when one may leave, after all that stand before it."""
        before = self.line.index(place) if place in self.line else len(self.line)
        if self.kept is not None and self.is_metered:
            # Its calls are not spread: as many as the window holds leave at the same moment.
            return max(self.earliest(now), self.kept.free_at(now, before))
        behind_s = max(before * self._interval_s, min(before * self.learned.interval_s, _LOOK_AGAIN_S))
        if self._is_cautious:
            by_room_s = before / _CAUTIOUS_AT_ONCE * _LOOK_FOR_ROOM_S
            behind_s = max(behind_s, min(by_room_s, _LOOK_FOR_ROOM_AT_MOST_S))
        return self.earliest(now) + behind_s

    def leave(self, place: Place, now: float) -> None:
        """Enter that one leaves."""
        self.under_way.add(place)
        self.step_out(place)
        self.learned.leave(now)
        if self.kept is not None:
            self.kept.leave(now)

    def end(self, place: Place, now: float) -> None:
        """Enter that one was answered, was given up, or does not leave. A second time it does nothing.

        What a signal interrupts on the way is entered again: that counts a call twice for a while, and none too few.
        """
        self.step_out(place)
        if place not in self.under_way:
            return
        if self.kept is not None and place.left_at is not None:
            enter = self.kept.give_up if place.is_given_up else self.kept.come_back
            enter(now, place.left_at)
        self.under_way.remove(place)

    def give_up_lost(self, whose: Place, now: float) -> None:
        """Give up those that nobody is there to end: the handler of a signal raised where it was to be entered.

        The first who waits looks for them: a thousand need not look at each other.
        """
        if self.line and self.line[0] is not whose and self.line[0].turn() is not None:
            return
        for place in [one for one in (*self.line, *self.under_way) if one.turn() is None]:
            place.is_given_up = True
            self.end(place, now)

    def forget_under_way(self) -> None:
        """Let nobody wait, and nobody be under way: they are in another process, whoever ends their turns here."""
        self.line.clear()
        self.under_way.clear()
        if self.kept is not None:
            self.kept.forget_under_way()

    def step_out(self, place: Place) -> None:
        """Let one wait no longer."""
        if place in self.line:
            self.line.remove(place)

    def is_idle(self, now: float) -> bool:
        """Return whether nothing is lost when the lane is forgotten."""
        kept_is_idle = self.kept is None or self.kept.is_idle(now)
        return not self.line and not self.under_way and kept_is_idle and self.learned.is_idle(now)

    @property
    def _is_cautious(self) -> bool:
        """Whether as many calls are under way as may be while nothing is known of a limit."""
        untried = self.kept is None and self.learned.let_through < _CAUTIOUS_CALLS
        return untried and len(self.under_way) >= _CAUTIOUS_AT_ONCE
