"""What day it is: the wall clock of this process, which goes on by itself within a run and is set from run to run."""

from __future__ import annotations

import time

_monotonic = time.monotonic


class Calendar:
    """A wall clock that can be set.

    :param now_s: where it begins, in seconds since the epoch
    """

    def __init__(self, now_s: float) -> None:
        self.set(now_s)

    def set(self, now_s: float) -> None:
        """Let it be that moment."""
        self._set_to_s, self._set_at_s = now_s, _monotonic()

    def now_s(self) -> float:
        """Return the seconds since the epoch."""
        return self._set_to_s + _monotonic() - self._set_at_s

    def install(self) -> None:
        """Let this process live by it. To be called before anything of the provider is imported."""
        vars(time).update(time=self.now_s)
