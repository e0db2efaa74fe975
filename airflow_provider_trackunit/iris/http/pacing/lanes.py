"""One limit: its documented rate if there is one, what was learned of it, and who waits. Pure: the time is an argument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from airflow_provider_trackunit.iris.catalogue.limits import MAX_CONCURRENCY
from airflow_provider_trackunit.iris.http.pacing.keeping import KeptRate
from airflow_provider_trackunit.iris.http.pacing.learning import LearnedRate

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.catalogue.limits import Rate

# Whoever waits behind others for a rate that is only learned looks again so often: it may have grown.
_LOOK_AGAIN_S: Final = 1.0

# Where no rate is known, no more than the default number of calls may be under way until so many were let through: a
# limit that nobody published then refuses those, and not all that somebody wanted at once. It costs two round trips, once.
_CAUTIOUS_AT_ONCE: Final = MAX_CONCURRENCY
_CAUTIOUS_CALLS: Final = 24

# Whoever waits for one of those to come back looks again so often, later behind others.
_LOOK_FOR_ROOM_S: Final = 0.01
_LOOK_FOR_ROOM_AT_MOST_S: Final = 0.1


class Leaving(Protocol):
    """What a lane knows of a turn."""

    left_at: float | None
    is_given_up: bool


class Lane:
    """What is counted together.

    :param rate: as it is documented, None where nobody published one
    """

    def __init__(self, rate: Rate | None) -> None:
        self.kept = None if rate is None else KeptRate(rate)
        self.learned = LearnedRate(None if rate is None else rate.calls / rate.per_s)
        self.line: list[Leaving] = []
        self.under_way: set[Leaving] = set()
        self.is_metered = rate is not None and rate.metered
        self._interval_s = 0.0 if rate is None else rate.interval_s

    def earliest(self, now: float) -> float:
        """Return the moment before which no call may leave."""
        learned = self.learned.earliest(now)
        if self.kept is not None:
            return max(learned, self.kept.earliest(now))
        return max(learned, now + _LOOK_FOR_ROOM_S) if self._is_cautious else learned

    def expected(self, turn: Leaving, now: float) -> float:
        """Return when a turn may come, after all that stand before it."""
        before = self.line.index(turn) if turn in self.line else len(self.line)
        behind_s = before * max(self._interval_s, self.learned.interval_s)
        if self.kept is None:
            behind_s = min(behind_s, _LOOK_AGAIN_S)
        if self._is_cautious:
            by_room_s = before / _CAUTIOUS_AT_ONCE * _LOOK_FOR_ROOM_S
            behind_s = max(behind_s, min(by_room_s, _LOOK_FOR_ROOM_AT_MOST_S))
        return self.earliest(now) + behind_s

    def leave(self, turn: Leaving, now: float) -> None:
        """Enter that a turn came."""
        self.step_out(turn)
        self.under_way.add(turn)
        self.learned.leave(now)
        if self.kept is not None:
            self.kept.leave(now)

    def end(self, turn: Leaving, now: float) -> None:
        """Enter that a turn was answered, was given up, or does not come. A second time it does nothing."""
        self.step_out(turn)
        if turn not in self.under_way:
            return
        self.under_way.remove(turn)
        if self.kept is not None and turn.left_at is not None:
            enter = self.kept.give_up if turn.is_given_up else self.kept.come_back
            enter(now, turn.left_at)

    def forget_under_way(self) -> None:
        """Let nobody wait, and nobody be under way: they are in another process, whoever ends their turns here."""
        self.line.clear()
        self.under_way.clear()
        if self.kept is not None:
            self.kept.forget_under_way()

    def step_out(self, turn: Leaving) -> None:
        """Let a turn wait no longer."""
        if turn in self.line:
            self.line.remove(turn)

    def is_idle(self, now: float) -> bool:
        """Return whether nothing is lost when the lane is forgotten."""
        kept_is_idle = self.kept is None or self.kept.is_idle(now)
        return not self.line and not self.under_way and kept_is_idle and self.learned.is_idle(now)

    @property
    def _is_cautious(self) -> bool:
        """Whether as many calls are under way as may be while nothing is known of a limit."""
        untried = self.kept is None and self.learned.let_through < _CAUTIOUS_CALLS
        return untried and len(self.under_way) >= _CAUTIOUS_AT_ONCE
