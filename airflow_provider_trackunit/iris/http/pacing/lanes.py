"""One limit: its documented rate if there is one, what was learned of it, and who waits. Pure: the time is an argument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.http.pacing.keeping import KeptRate
from airflow_provider_trackunit.iris.http.pacing.learning import LearnedRate

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.catalogue.limits import Rate

# Whoever waits behind others for a rate that is only learned looks again so often: it may have grown.
_LOOK_AGAIN_S: Final = 1.0


class Lane:
    """What is counted together.

    :param rate: as it is documented, None where nobody published one
    """

    def __init__(self, rate: Rate | None) -> None:
        self.kept = None if rate is None else KeptRate(rate)
        self.learned = LearnedRate(None if rate is None else rate.calls / rate.per_s)
        #: The turns that wait, whatever they are.
        self.line: list[object] = []
        self.is_metered = rate is not None and rate.metered
        self._interval_s = 0.0 if rate is None else rate.interval_s

    def earliest(self, now: float) -> float:
        """Return the moment before which no call may leave."""
        learned = self.learned.earliest(now)
        return learned if self.kept is None else max(learned, self.kept.earliest(now))

    def expected(self, turn: object, now: float) -> float:
        """Return when a turn may come, after all that stand before it."""
        before = self.line.index(turn) if turn in self.line else len(self.line)
        behind_s = before * max(self._interval_s, self.learned.interval_s)
        return self.earliest(now) + (min(behind_s, _LOOK_AGAIN_S) if self.kept is None else behind_s)

    def leave(self, turn: object, now: float) -> None:
        """Enter that a turn came."""
        self.step_out(turn)
        self.learned.leave(now)
        if self.kept is not None:
            self.kept.leave(now)

    def step_out(self, turn: object) -> None:
        """Let a turn wait no longer."""
        if turn in self.line:
            self.line.remove(turn)

    def is_idle(self, now: float) -> bool:
        """Return whether nothing is lost when the lane is forgotten."""
        kept_is_idle = self.kept is None or self.kept.is_idle(now)
        return not self.line and kept_is_idle and self.learned.is_idle(now)
