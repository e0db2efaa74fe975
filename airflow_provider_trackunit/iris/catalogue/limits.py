"""How fast an endpoint may be asked, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: How many requests may be on their way at once unless the caller says otherwise. Measured (``make bench``): with answers
#: of 50 ms a transfer takes two fifths less time with 8 than with 4, and from there to 16 a quarter less. More is for who
#: knows the limits: of one that nobody published as many calls are refused as are on their way when it is met, and 8 are
#: fewer than one in ten of a hundred. With 8 the fleet reaches its 50 a second while an answer takes no longer than 160 ms.
MAX_CONCURRENCY: Final = 8

# Two requests of a limit further apart than this cannot be spread evenly without stalling a short walk, so
# they go out as they come until the window is full.
_METERED_INTERVAL_S: Final = 60.0

# The clock of a server runs faster or slower than ours, by a twentieth of a percent at the most that a time service
# corrects (500 ppm); twice that is kept.
_CLOCKS_DIFFER: Final = 0.001

# Calls are spaced a little wider than the limit says, so that what a token bucket lost to a delay comes back.
_WIDER: Final = 0.005


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls in so many seconds."""

    calls: int
    per_s: float

    @property
    def window_s(self) -> float:
        """How long a call counts, on a clock that may be faster than the server's."""
        return self.per_s * (1 + _CLOCKS_DIFFER)

    @property
    def interval_s(self) -> float:
        """How far apart calls are that are spread evenly."""
        return self.per_s / self.calls * (1 + _WIDER)

    @property
    def metered(self) -> bool:
        """Whether single calls count: a limit like two in half an hour, where every call has to be thought of."""
        return self.per_s / self.calls >= _METERED_INTERVAL_S


@dataclass(frozen=True, slots=True)
class Limit:
    """One documented limit.

    :param bucket: what is counted together; placeholders are parts of the path, ``{url}`` is the whole URL
    :param pool: calls that IRIS allows beyond the rate. A limit with a pool does not hold requests back; it
        says how long to wait once IRIS does
    """

    bucket: str
    rate: Rate
    pool: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """What one call counts in.

    :param paced: the limits that hold it back, each with its rate; None where nobody published one
    :param one_by_one: the URL, or the series, that has a pool of calls: it is held back only once it was refused
    """

    paced: tuple[tuple[str, Rate | None], ...]
    one_by_one: tuple[str, ...] = ()
