"""The emulator's own time, which can run faster than the wall clock and jump ahead.

Token expiry and every rate window are counted on it, so a test lets fifteen minutes pass without
waiting for them. The data has nothing to do with it: what a machine reported stays reproducible.
"""

import time
from collections.abc import Callable


class Clock:
    """Seconds since the emulator started: monotonic time times a factor, plus what was advanced."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._since = monotonic()
        self._before = 0.0
        self.factor = 1.0

    def now(self) -> float:
        """Return emulated seconds since the start."""
        return self._before + (self._monotonic() - self._since) * self.factor

    def scale(self, factor: float) -> None:
        """Let time pass ``factor`` times as fast from now on; what has passed stays passed."""
        if factor <= 0:
            raise ValueError("the factor of the clock must be above zero")
        self._before = self.now()
        self._since = self._monotonic()
        self.factor = factor

    def advance(self, seconds: float) -> None:
        """Jump ahead by ``seconds`` emulated seconds."""
        if seconds < 0:
            raise ValueError("the clock only goes forward")
        self._before += seconds

    def wall_seconds(self, emulated_s: float) -> float:
        """Return how long a client really has to wait until ``emulated_s`` seconds have passed."""
        return emulated_s / self.factor
