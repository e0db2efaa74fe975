"""What came of every request of an export, and what is asked for next: the state, moved forward one answer at a time.

An answer is a page, whose records come into the draft, or an error: then the item is passed over, left to a later run,
or the export ends. What is fetched how, and what is stored when, is not known here.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisError, IrisResponseError
from airflow_provider_trackunit.iris.export.formats.draft import request_member
from airflow_provider_trackunit.iris.export.refusals import (
    all_refused,
    is_limit_of_one_item,
    may_skip,
    named,
    shown,
    skipped_by,
    too_many,
)
from airflow_provider_trackunit.iris.pages.guard import Guard
from airflow_provider_trackunit.iris.pages.walk import tell_difference
from airflow_provider_trackunit.iris.watch.watermark import newest, read_marks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow_provider_trackunit.iris.export.request import ExportRequest
    from airflow_provider_trackunit.iris.export.state import State
    from airflow_provider_trackunit.iris.pages.crew import Arrival, Crew
    from airflow_provider_trackunit.iris.pages.page import Page
    from airflow_provider_trackunit.iris.pages.walk import Errand

log = logging.getLogger(__name__)

# After so many items met their limit, and none answered, it is no limit of single items.
_ALL_LIMITED: Final = 10

# A cursor that IRIS does not know any more.
_POSITION_REFUSED: Final = frozenset({400, 404, 410})

# How many items that are passed over, or left for later, get a line of their own in the log.
_MOST_NAMED_IN_LOG: Final = 10


class PositionRefusedError(Exception):
    """IRIS does not know the position any more that an earlier try left."""


class Gathering:
    """The answers of one export, from a state on.

    :param state: where to begin; the attribute is where the export stands, replaced in one assignment by each step
    :param clock: a monotonic clock, in seconds
    """

    def __init__(self, request: ExportRequest, state: State, clock: Callable[[], float]) -> None:
        self._request = request
        self._clock = clock
        self._walks = request.walks_by_owner()
        self.state = state
        self._taken_up = {walk.item for walk in state.frontier.open if walk.came}
        self._guards: dict[int, Guard] = {}
        self._answered = False
        self._held: set[int] = set()
        self._limited: dict[int, BaseException] = {}
        self._passed_over = {
            walk for given_up in state.frontier.given_up for walk in self._walks_beside(given_up.item)
        }

    @property
    def limited(self) -> BaseException | None:
        """What the last of the items met whose limit is waited for, None when there is none."""
        return next(reversed(self._limited.values()), None)

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to ask for."""
        return self.state.frontier.is_finished(self._request.calls)

    def ask(self, crew: Crew) -> None:
        """Ask for as much as may be under way."""
        frontier, errands = self.state.frontier.ask(
            self._request.calls,
            crew.under_way,
            crew.free,
            held=self._held,
            passed_over=self._passed_over,
        )
        self.state = replace(self.state, frontier=frontier)
        for errand in errands:
            crew.ask(errand)

    def take(self, arrival: Arrival) -> BaseException | None:
        """Enter what came of an errand; return the error that ends the export, if it is one."""
        errand, error = arrival.errand, arrival.error
        if not self.state.frontier.wants(errand):
            return None  # the walk turned out to end before it
        if arrival.page is not None:
            try:
                self._add(errand, arrival.page)
            except IrisError as wrong:
                return named(self._request, errand, wrong)
            return None
        return self._take_error(errand, error)

    def _add(self, errand: Errand, page: Page) -> None:
        page = self._request.admitted(errand.call, page)
        self._guards.setdefault(errand.item, Guard(errand.call)).check(errand.cursor, page)
        items = self._request.items
        state = self.state.with_page(
            errand,
            page,
            ahead=self._request.max_concurrency,
            encoding=self._request.encoding,
            request=None if items is None else request_member(items[errand.item]),
            newest=self._newest_with(page),
            now_s=self._clock(),
        )
        before = self.state.frontier.walk(errand.item)
        self.state = state
        self._answered = True
        self._taken_up.discard(errand.item)
        if all(walk.item != errand.item for walk in state.frontier.open):
            self._guards.pop(errand.item, None)
            tell_difference(errand.call, before.with_page(errand, page, 0))

    def _newest_with(self, page: Page) -> str | int | float | None:
        """Return the greatest value of the field in a page and in all before it."""
        if self._request.field is None or not page.raw_records:
            return self.state.newest
        found = [mark.value for mark in read_marks(page, self._request.field)]
        if not found and not self.state.records:
            raise IrisConfigurationError(
                f"field: no record of the first page of {self._request.endpoint} has a value there that can be ordered"
            )
        before = [] if self.state.newest is None else [self.state.newest]
        return newest([*before, *found])

    # -- items that are refused, and items that met a limit of their own

    def _take_error(self, errand: Errand, error: BaseException | None) -> BaseException | None:
        if isinstance(error, IrisResponseError):
            if errand.item in self._taken_up and error.status in _POSITION_REFUSED:
                return PositionRefusedError(str(error))
            if may_skip(self._request, error):
                return self._skip(errand, error)
            if is_limit_of_one_item(self._request, errand, error):
                return self._set_aside(errand, error)
        return named(self._request, errand, error)

    def _skip(self, errand: Errand, error: IrisResponseError) -> BaseException | None:
        """Note an item as passed over; return the error that ends the export, if there are too many."""
        skipped = skipped_by(self._request, self.state, errand, error)
        walks = self._walks_beside(errand.item)
        self._passed_over.update(walks)
        self.state = self.state.with_skipped(walks, skipped, now_s=self._clock())
        self._guards.pop(errand.item, None)
        if len(self.state.skipped) <= _MOST_NAMED_IN_LOG:
            log.warning("Passed over %s: %s", shown(skipped.path_params), error)
        return self._reconsidered(too_many(self._request, self.state, error))

    def _reconsidered(self, error: IrisResponseError | None) -> IrisResponseError | None:
        """Let the next try ask for everything again, if there is an error: rights may be mended by then."""
        if error is not None:
            self.state = self.state.reconsidered()
        return error

    def refuse_all_refused(self) -> None:
        """End the export if every item was refused.

        :raises IrisResponseError: then
        """
        error = self._reconsidered(all_refused(self._request, self.state))
        if error is not None:
            raise error

    def _set_aside(self, errand: Errand, error: IrisResponseError) -> BaseException | None:
        """Leave an item that has a complete window to a later run; ask for nothing more of any other for now.

        An item without one is waited for: however little its limit gives, every run brings it on by one window.
        Return the error that ends the export, if no other item answers either.
        """
        told = named(self._request, errand, error)
        walks = self._walks_beside(errand.item)
        if not self.state.frontier.is_done(min(walks)):
            self._held.update(walks)
            self._limited[self._request.owner(errand.item)] = told
            return told if len(self._limited) >= _ALL_LIMITED and not self._answered else None
        self._passed_over.update(walks)
        self.state = self.state.with_postponed(walks, now_s=self._clock())
        if self.state.postponed <= _MOST_NAMED_IN_LOG:
            log.info("Left to the next run: %s", told)
        return None

    def _walks_beside(self, walk: int) -> Collection[int]:
        """Return the numbers of all calls of the item that a call is one of."""
        return self._walks[self._request.owner(walk)]
