"""How fast an endpoint may be asked, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Two requests of a limit further apart than this cannot be spread evenly without stalling a short walk, so
# they go out as they come until the window is full.
_METERED_INTERVAL_S: Final = 60.0

# Requests are counted when they leave here and again when they arrive there, so the window is kept longer than the
# documented one: by a fiftieth, and by no less than the time by which one request can be held up more than another.
# A pause of a garbage collector is the longest that was seen on an idle machine, a tenth of a second.
_LEAST_MARGIN_S: Final = 0.1
_MARGIN_PER_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls in so many seconds."""

    calls: int
    per_s: float

    @property
    def window_s(self) -> float:
        """How long a call counts here."""
        return self.per_s + max(self.per_s * _MARGIN_PER_S, _LEAST_MARGIN_S)

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
