"""What a run reads of each item, and in which calls. Pure.

A *span* is what a run reads of one item, a *window* the piece of it that one walk asks for. Both are half-open in our
books: they hold their begin and not their end. Whether IRIS counts the end in is not documented, so a record that lies
on a seam can come twice, and never not at all. Everything is in whole seconds, as AEMP wants it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.export.manifest import utc_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.catalogue.endpoint import Endpoint

#: What the text of a request says where the begin and the end of a window belong.
FROM: Final = "{from}"
UNTIL: Final = "{until}"

# A run leaves half of what a metered series allows beyond its interval to the runs of the month that follow it.
_SHARE_OF_POOL: Final = 0.5


class Span(NamedTuple):
    """A time, from its begin and before its end, in seconds since the epoch."""

    begin_s: int
    end_s: int

    def windows(self, step_s: int | None) -> list[Span]:
        """Return the pieces that are at most ``step_s`` long, in their order; as few as can be, none of nothing."""
        if self.end_s <= self.begin_s:
            return []
        begins = range(self.begin_s, self.end_s, step_s or self.end_s - self.begin_s)
        return [Span(begin, end) for begin, end in zip(begins, [*begins[1:], self.end_s], strict=True)]


class Piece(NamedTuple):
    """One walk: which of the items it is of, and which window of it."""

    item: int
    window: Span


@dataclass(frozen=True, slots=True)
class Reach:
    """What one run may read of any item.

    :param start_s: where an item begins that was never read
    :param until_s: the end of the run
    :param lookback_s: so much before its cursor is read again, for what came late
    :param own_begin_s: where the run's own data interval begins; None when it has none
    :param step_s: the longest window; None for no limit
    :param most_windows: of one item in one run; None for no limit
    :raises IrisConfigurationError: when no run could ever get further
    """

    start_s: int
    until_s: int
    lookback_s: int = 0
    own_begin_s: int | None = None
    step_s: int | None = None
    most_windows: int | None = None

    def __post_init__(self) -> None:
        """Refuse to read for ever what was read before."""
        if self.longest_s is not None and self.lookback_s >= self.longest_s:
            raise IrisConfigurationError(
                f"lookback: a run reads {self.longest_s / 86_400:g} days of an item at the most, and would never get "
                "beyond a lookback of that length. Shorten it, or lengthen step"
            )

    @property
    def longest_s(self) -> int | None:
        """The most that one run reads of one item."""
        return None if self.step_s is None or self.most_windows is None else self.step_s * self.most_windows

    def span(self, cursor_s: int | None) -> Span:
        """Return what the run reads of an item that has been read up to its cursor; None for never.

        A run whose end is not beyond the cursor is one that was back-filled: it reads its own data interval.
        """
        known_s = self.start_s if cursor_s is None else max(cursor_s, self.start_s)
        if known_s < self.until_s:
            begin_s = known_s - self.lookback_s
        else:
            begin_s = self.until_s if self.own_begin_s is None else self.own_begin_s
        begin_s = min(max(begin_s, self.start_s), self.until_s)
        longest_s = self.until_s if self.longest_s is None else self.longest_s
        return Span(begin_s, min(self.until_s, begin_s + longest_s))


def pieces(spans: Sequence[Span], step_s: int | None) -> list[Piece]:
    """Return all windows of all items: the first of each, then the second of each, and so on.

    So an item that cannot be had is known before a second call of it is made, and calls that count in the same bucket
    are far apart.
    """
    windows = [span.windows(step_s) for span in spans]
    deepest = max(map(len, windows), default=0)
    return [
        Piece(item, of_item[depth])
        for depth in range(deepest)
        for item, of_item in enumerate(windows)
        if depth < len(of_item)
    ]


def step_of(row: Endpoint, wanted_s: int | None) -> int | None:
    """Return how long a window of an endpoint is at the most: as wanted, else what IRIS answers; None for no limit.

    :raises IrisConfigurationError: when that is longer than what IRIS answers
    """
    longest_s = None if row.window_days is None else row.window_days * 86_400
    if wanted_s is None:
        return longest_s
    if longest_s is not None and wanted_s > longest_s:
        raise IrisConfigurationError(
            f"step: IRIS answers {row.window_days} days of this endpoint at the most"
        )
    return wanted_s


def most_windows_of(row: Endpoint) -> int | None:
    """Return how many windows of one item a run asks for at the most; None where calls are not metered one by one."""
    pool = row.pool
    return None if pool is None else math.floor(pool * _SHARE_OF_POOL) + 1


def speaks_of_windows(call: Call) -> bool:
    """Return whether a request says where both ends of a window belong."""
    said = str([call.path, call.query, call.json])
    return all(text in said or quote(text) in said for text in (FROM, UNTIL))


def within(call: Call, window: Span) -> Call:
    """Return the call of one window, its ends written as ISO 8601 in UTC."""
    ends, in_path = _ends(window)
    return replace(
        call,
        path=_filled(call.path, in_path),
        query=tuple((name, _filled(value, ends)) for name, value in call.query),
        json=_filled(call.json, ends),
        endpoint=_filled(call.endpoint, ends),
    )


@lru_cache
def _ends(window: Span) -> tuple[dict[str, str], dict[str, str]]:
    """Return what stands for what in texts, and in a path, where braces are percent-encoded. Most items share it."""
    ends = {FROM: utc_text(window.begin_s), UNTIL: utc_text(window.end_s)}
    return ends, {quote(text): end for text, end in ends.items()}


def _filled(value: Any, ends: dict[str, str]) -> Any:
    """Return a value with its texts filled in."""
    if isinstance(value, dict):
        return {name: _filled(one, ends) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(one, ends) for one in value]
    if isinstance(value, str):
        for text, end in ends.items():
            value = value.replace(text, end)
    return value
