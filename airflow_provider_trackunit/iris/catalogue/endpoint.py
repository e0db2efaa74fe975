"""What can be known of one endpoint: how it pages, what limits it, whether asking it changes anything."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from airflow_provider_trackunit.iris.catalogue.limits import Counted

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.catalogue.limits import Limit

_READING_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SAFE_METHODS: Final = _READING_METHODS | {"PUT", "DELETE"}

# A metered URL answers once in a quarter of an hour, and a rejected call may count: one retry and no more.
_METERED_ATTEMPTS: Final = 2

_PART_WITH_A_DIGIT: Final = re.compile(r"[^/]*\d[^/]*")

#: The ways an endpoint answers a collection: pages by number in the query, an opaque ``after``, links of AEMP with the
#: number in the path, a connection of GraphQL, everything at once, or unknown until the first answer.
Style = Literal["number", "after", "links", "relay", "whole", "recognise"]


@dataclass(frozen=True, slots=True)
class Paging:
    """How the answers of an endpoint are walked, and where its records are in them.

    :param style: the way
    :param record_key: the member that holds the list of records, dots between levels; None when the answer is the
        one record, empty when it is the only list of the page
    :param size: page size that is asked for unless the caller's query has one; None leaves it to IRIS
    :param sort: order that is asked for unless the caller's query has one; None where no order is documented
    """

    style: Style
    record_key: str | None = None
    size: int | None = None
    sort: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is known of one path.

    :param path: with ``{placeholders}``; a last part in brackets, ``[/{page}]``, may be missing; ``{*placeholder}`` stands
        for one part or more
    :param paging: how its answers are walked
    :param methods: the methods the row speaks of
    :param limits: all that apply at the same time
    :param reads: whether every method of the row only reads, a POST included
    :param window_days: the longest time that one call can ask about; None where none is documented
    :param needs: the subscription or licence that the documentation names; empty where it names none
    """

    path: str
    paging: Paging
    methods: tuple[str, ...] = ("GET",)
    limits: tuple[Limit, ...] = ()
    reads: bool = True
    window_days: int | None = None
    needs: str = field(default="", repr=False)
    source: str = field(default="", repr=False)

    def is_safe(self, method: str) -> bool:
        """Return whether sending the request twice does no harm."""
        return method in _SAFE_METHODS or (self.reads and method in self.methods)

    def only_reads(self, method: str) -> bool:
        """Return whether the request changes nothing, so that it may go out again in another form, page by page."""
        return method in _READING_METHODS or (self.reads and method in self.methods)

    def longest_walk(self, max_wait_s: float) -> int | None:
        """Return how many pages can be read one after the other before a limit stops the walk; None for any number.

        :param max_wait_s: the longest wait on the way. Limits that count single URLs stop no walk, and those with a pool
            let it go on
        """
        stopping = (
            limit.rate.calls
            for limit in self.limits
            if limit.rate.metered
            and limit.rate.per_s > max_wait_s
            and not limit.pool
            and "{url}" not in limit.bucket
        )
        return min(stopping, default=None)

    def attempts(self, wanted: int) -> int:
        """Return how often a request may be sent: as wanted, but a metered URL no more than twice."""
        return min(wanted, _METERED_ATTEMPTS) if self.is_metered else wanted

    def counted(self, call: Call) -> Counted:
        """Return what this call counts in. A path without a published rate is counted for itself, as it was written.

        Where it has no row either, a part with a digit is taken for an id, or a page: whoever writes those into the path
        asks one endpoint, and what refuses one of them refuses the next.
        """
        paced = [(self._bucket(limit, call), limit.rate) for limit in self.limits if not limit.pool]
        one_by_one = tuple(self._bucket(limit, call) for limit in self.limits if limit.pool)
        path = self.path or _PART_WITH_A_DIGIT.sub("{}", call.endpoint)
        return Counted(tuple(paced) or ((f"{call.method} {path}", None),), one_by_one)

    @property
    def is_metered(self) -> bool:
        """Whether single calls count, so that each has to be thought of."""
        return any(limit.rate.metered for limit in self.limits)

    @property
    def has_two_limits(self) -> bool:
        """Whether single calls count, and calls per second as well: a refusal can be of the one or of the other."""
        metered = {limit.rate.metered for limit in self.limits}
        return metered == {True, False}

    @property
    def pool(self) -> int | None:
        """How many calls IRIS allows beyond the rate of a metered URL or series; None where there is no such limit."""
        return min((limit.pool for limit in self.limits if limit.pool), default=None)

    def wait_after_refusal_s(self) -> float | None:
        """Return how long to wait after a 429 that does not say: the longest window, when calls are metered."""
        return max((limit.rate.per_s for limit in self.limits if limit.rate.metered), default=None)

    def sustained_interval_s(self, requests: int) -> float:
        """Return how far apart polls of so many requests (pages) have to be, if they never end.

        A pool does not count: it would be gone on the first day.
        """
        return max(
            (
                limit.rate.per_s / limit.rate.calls * (1 if "{url}" in limit.bucket else requests)
                for limit in self.limits
            ),
            default=0.0,
        )

    def _bucket(self, limit: Limit, call: Call) -> str:
        if "{" not in limit.bucket:
            return limit.bucket
        match = _pattern(self.path).fullmatch(call.path)
        return limit.bucket.format_map(
            {"url": f"{call.path}?{call.query}"} | (match.groupdict() if match else {})
        )


def fits(known: str, path: str) -> bool:
    """Return whether a path is one of a row's, with its placeholders filled or not."""
    return _pattern(known).fullmatch(path) is not None


@lru_cache(maxsize=256)
def _pattern(path: str) -> re.Pattern[str]:
    """Return what matches the finished paths of a row: one part of the path for each placeholder."""
    text = re.escape(path).replace(r"\[", "(?:").replace(r"\]", ")?")
    text = re.sub(r"\\\{\\\*(\w+)\\\}", r"(?P<\1>.+)", text)
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", text))
