"""Where an export stands, as one value. Pure.

A step makes a new state, and whoever keeps it puts the new one in the place of the old in one assignment: an
interruption, wherever it comes, leaves the one or the other, and both tell the truth.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.export.formats.draft import Draft
from airflow_provider_trackunit.iris.pages.frontier import Frontier

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airflow_provider_trackunit.iris.export.formats.draft import Encoding
    from airflow_provider_trackunit.iris.export.manifest import Part, Skipped
    from airflow_provider_trackunit.iris.pages.page import Page
    from airflow_provider_trackunit.iris.pages.walk import Errand


@dataclass(frozen=True, slots=True)
class State:
    """Everything that an export has reached.

    :param frontier: the pages that are still to come
    :param parts: what is stored
    :param draft: the records that came and are not
    :param skipped: the items that were passed over
    :param postponed: how many items met their limit and are left to a later run
    :param bad_values: how many values of each column did not fit, in the stored parts
    :param filled: the columns that something was found for, in the stored parts
    :param newest: the greatest value of the field that was asked for
    :param windows_file: the name of the file that says what of each item is read
    :param unsaved_since_s: when the first thing came that no checkpoint knows, on the clock of the export
    """

    frontier: Frontier = field(default_factory=Frontier)
    parts: tuple[Part, ...] = ()
    draft: Draft = field(default_factory=Draft)
    skipped: tuple[Skipped, ...] = ()
    postponed: int = 0
    bad_values: Mapping[str, int] = field(default_factory=dict)
    filled: frozenset[str] = frozenset()
    newest: str | int | float | None = None
    windows_file: str | None = None
    unsaved_since_s: float | None = None

    @property
    def records(self) -> int:
        """How many records have come."""
        return sum(part.records for part in self.parts) + self.draft.records

    def with_page(
        self,
        errand: Errand,
        page: Page,
        *,
        ahead: int,
        encoding: Encoding,
        request: bytes | None,
        newest: str | float | None = None,
        now_s: float,
    ) -> State:
        """Return the state after a page has come: its records are in the draft, and it is not to do any more.

        :param newest: with it, and all before
        """
        return replace(
            self,
            frontier=self.frontier.with_page(errand, page, ahead=ahead),
            draft=self.draft.adding(encoding, page.raw_records, request),
            newest=newest,
            unsaved_since_s=self._since(now_s),
        )

    def with_skipped(self, walks: Collection[int], skipped: Skipped, *, now_s: float) -> State:
        """Return the state with an item given up, as far as its walks are open."""
        return replace(
            self,
            frontier=self.frontier.without(walks),
            skipped=(*self.skipped, skipped),
            unsaved_since_s=self._since(now_s),
        )

    def with_postponed(self, walks: Collection[int], *, now_s: float) -> State:
        """Return the state with the rest of an item left to a later run."""
        return replace(
            self,
            frontier=self.frontier.without(walks),
            postponed=self.postponed + 1,
            unsaved_since_s=self._since(now_s),
        )

    def reconsidered(self) -> State:
        """Return the state with all that was passed over to do again."""
        return replace(self, frontier=self.frontier.reopened(), skipped=(), postponed=0)

    def with_part(self, part: Part, draft: Draft) -> State:
        """Return the state after what was in the draft, all of it encoded, was stored as a part."""
        return replace(
            self,
            parts=(*self.parts, part),
            bad_values=Counter(self.bad_values) + draft.bad_values(),
            filled=self.filled | draft.filled(),
        ).kept()

    def kept(self) -> State:
        """Return the state with all that came in parts, and in a checkpoint."""
        return replace(self, draft=Draft(), unsaved_since_s=None)

    def _since(self, now_s: float) -> float:
        return now_s if self.unsaved_since_s is None else self.unsaved_since_s
