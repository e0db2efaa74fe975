"""The two envelopes that most collections share: page and size, and the cursor of operators.

What every walk has in common stands here too: empty pages in the middle, an order that is asked for, cursors
that grow old.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import Response

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.serving.answers import JSON, encoded, refused, violation
from airflow_provider_trackunit.emulator.serving.routing import Call

if TYPE_CHECKING:
    from airflow_provider_trackunit.emulator.world import World

DEFAULT_SIZE = 20
MAX_SIZE = 1000
# Any number that shares no factor with most sizes of a collection moves its order well.
SHIFT = 37


@dataclass(frozen=True, slots=True)
class Collection:
    """A list that is read by position: how many there are, and some of them as JSON."""

    count: int
    read: Callable[[int, int], Sequence[bytes]]

    def slice(self, start: int, stop: int, *, endless: bool) -> Sequence[bytes]:
        """Return records; a collection that never ends begins again from its start."""
        if endless and self.count:
            length = stop - start
            start %= self.count
            stop = start + length
        return self.read(min(start, self.count), min(stop, self.count))

    def turned(self, by: int) -> "Collection":
        """Return the same records, beginning ``by`` further on."""
        if not self.count:
            return self

        def read(start: int, stop: int) -> list[bytes]:
            begin = (start + by) % self.count
            end = begin + stop - start
            return [*self.read(begin, min(end, self.count)), *self.read(0, max(0, end - self.count))]

        return Collection(self.count, read)


def of_records(records: Sequence[object]) -> Collection:
    """Return a collection of records that are already built."""
    return Collection(len(records), lambda start, stop: [encoded(row) for row in records[start:stop]])


def of_numbers(world: "World", build: Callable[..., object], numbers: Sequence[int]) -> Collection:
    """Return a collection with one record for each number, built when it is read and kept while there is room."""
    return Collection(
        len(numbers), lambda start, stop: [world.record(build, number) for number in numbers[start:stop]]
    )


def number(call: Call, name: str, default: int, lowest: int, highest: int | None) -> int:
    """Return a whole number of the query.

    :raises RefusedError: 400 ``constraint_violation`` if it is none or out of range.
    """
    text = call.query.get(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise violation(name, text, "must be a whole number")
    if int(text) < lowest:
        raise violation(name, text, f"must be greater than or equal to {lowest}")
    if highest is not None and int(text) > highest:
        raise violation(name, text, f"must be less than or equal to {highest}")
    return int(text)


def moment(name: str, text: str) -> float:
    """Return a moment of the request, in epoch seconds.

    :raises RefusedError: 400 ``constraint_violation`` if it is none.
    """
    try:
        return moments.read(text)
    except ValueError as exc:
        raise violation(name, text, "is not an ISO 8601 timestamp") from exc


def page_answer(call: Call, collection: Collection) -> Response:
    """Answer with one page in the REST envelope (developer hub: pagination)."""
    page, size = number(call, "page", 0, 0, None), number(call, "size", DEFAULT_SIZE, 1, MAX_SIZE)
    settings = call.world.settings
    if settings.unsorted_order_changes and "sort" not in call.query:
        collection = collection.turned(next(call.world.turns) * SHIFT)
    full_pages = -(-collection.count // size)
    total_pages = pages_with_gaps(full_pages, settings.empty_page_every) or settings.empty_total_pages
    if settings.endless_pages:
        total_pages = page + 2
    refuse_beyond(call, page, total_pages)
    full_page = page_between_gaps(page, settings.empty_page_every)
    records: Sequence[bytes] = ()
    if full_page is not None:
        start = full_page * size
        records = collection.slice(start, start + size, endless=settings.endless_pages)
    head = (
        f'{{"totalPages":{total_pages},"totalElements":{collection.count},"number":{page},'
        f'"size":{size},"numberOfElements":{len(records)},"content":['
    )
    return Response(b"".join((head.encode(), b",".join(records), b"]}")), media_type=JSON)


def page_between_gaps(page: int, every: int | None) -> int | None:
    """Return which page of records is behind page ``page`` (from 0), or None for one that is empty.

    Every ``every``-th page is empty, and the records go on behind it.
    """
    if every is None:
        return page
    return None if (page + 1) % every == 0 else page - page // every


def pages_with_gaps(full_pages: int, every: int | None) -> int:
    """Return how many pages there are with the empty ones; the last one is never empty."""
    return full_pages if every is None or not full_pages else full_pages + (full_pages - 1) // (every - 1)


def refuse_beyond(call: Call, page: int, pages: int) -> None:
    """Refuse a page (from 0) behind the last one, if that is switched on."""
    status = call.world.settings.beyond_last_status
    if page >= max(1, pages) and status != 200:
        raise refused(status, "page_out_of_range", f"There are {pages} pages")


def order_asked_for(call: Call, names: Sequence[str]) -> list[tuple[str, bool]]:
    """Return the properties of ``sort=name,-description``, each with whether it descends.

    :raises RefusedError: 400 for a property that is none of ``names``.
    """
    found = []
    for key in call.query.get("sort", "").split(","):
        # A plus sign that is not quoted comes as a blank.
        name = key.lstrip("+- ")
        if name and name not in names:
            raise violation("sort", key, "is not a property")
        if name:
            found.append((name, key.startswith("-")))
    return found


def put_in_order(rows: list[Any], order: list[tuple[str, bool]], member: Callable[[Any, str], Any]) -> None:
    """Sort rows in place; a row without the member comes first."""
    for name, descends in reversed(order):
        rows.sort(key=lambda row, name=name: _sortable(member(row, name)), reverse=descends)  # type: ignore[misc]


def _sortable(value: Any) -> tuple[bool, Any]:
    return value is not None, value


class Position(NamedTuple):
    """What a cursor stands for: the next record, and whether the empty page before it has been given."""

    at: int
    behind_gap: bool = False


def cursor_answer(call: Call, collection: Collection, default_limit: int, max_limit: int) -> Response:
    """Answer with the records after a cursor (developer hub: pagination, operators)."""
    limit = number(call, "limit", default_limit, 1, max_limit)
    after = call.query.get("after")
    where = Position(0) if after is None else position(call.world, after)
    settings, start = call.world.settings, where.at
    empty = gap_comes(call.world, where, limit)
    records = [] if empty else collection.slice(start, start + limit, endless=settings.endless_pages)
    head = {"before": cursor(call.world, Position(start)) if start else None, "limit": limit}
    following = Position(start, behind_gap=True) if empty else Position(start + limit)
    if settings.endless_pages or following.at < collection.count:
        head["after"] = after if settings.stuck_cursor and after else cursor(call.world, following)
    return Response(
        b"".join((encoded(head)[:-1], b',"content":[', b",".join(records), b"]}")), media_type=JSON
    )


def gap_comes(world: "World", where: Position, size: int) -> bool:
    """Tell whether the page at a cursor is one that comes empty."""
    every = world.settings.empty_page_every
    return every is not None and not where.behind_gap and where.at > 0 and where.at // size % (every - 1) == 0


def cursor(world: "World", where: Position) -> str:
    """Return an opaque cursor for a position."""
    text = f"at:{where.at}" + "!" * where.behind_gap
    # Without a lifetime the same position always has the same cursor, so that answers can be compared.
    if world.settings.cursor_lifetime_s is not None:
        text += f"@{world.clock.now():.3f}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def position(world: "World", text: str) -> Position:
    """Return the position of a cursor.

    :raises RefusedError: 400 if it was not made by :func:`cursor`; as switched on if it is too old.
    """
    try:
        plain = base64.urlsafe_b64decode(text).decode()
    except (binascii.Error, ValueError):
        plain = ""
    found = re.fullmatch(r"at:(\d+)(!?)(?:@(\d+\.\d+))?", plain)
    if found is None:
        raise violation("after", text, "is not a cursor")
    lifetime_s = world.settings.cursor_lifetime_s
    if lifetime_s is not None and world.clock.now() - float(found[3] or 0) > lifetime_s:
        raise refused(world.settings.old_cursor_status, "cursor_expired", "The cursor is no longer valid")
    return Position(int(found[1]), bool(found[2]))
