"""The two envelopes that most collections share: page and size, and the cursor of operators."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.responses import Response

from airflow_provider_trackunit.emulator.serving.answers import JSON, encoded, violation
from airflow_provider_trackunit.emulator.serving.routing import Call

DEFAULT_SIZE = 20
MAX_SIZE = 1000


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


def of_records(records: Sequence[object]) -> Collection:
    """Return a collection of records that are already built."""
    return Collection(len(records), lambda start, stop: [encoded(row) for row in records[start:stop]])


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


def page_answer(call: Call, collection: Collection) -> Response:
    """Answer with one page in the REST envelope (developer hub: pagination)."""
    page, size = number(call, "page", 0, 0, None), number(call, "size", DEFAULT_SIZE, 1, MAX_SIZE)
    settings = call.world.settings
    records = collection.slice(page * size, (page + 1) * size, endless=settings.endless_pages)
    total_pages = -(-collection.count // size) or settings.empty_total_pages
    if settings.endless_pages:
        total_pages = page + 2
    head = (
        f'{{"totalPages":{total_pages},"totalElements":{collection.count},"number":{page},'
        f'"size":{size},"numberOfElements":{len(records)},"content":['
    )
    return Response(b"".join((head.encode(), b",".join(records), b"]}")), media_type=JSON)


def cursor_answer(call: Call, collection: Collection, default_limit: int, max_limit: int) -> Response:
    """Answer with the records after a cursor (developer hub: pagination, operators)."""
    limit = number(call, "limit", default_limit, 1, max_limit)
    after = call.query.get("after")
    start = 0 if after is None else position(after)
    settings = call.world.settings
    records = collection.slice(start, start + limit, endless=settings.endless_pages)
    head = {"before": cursor(start) if start else None, "limit": limit}
    if settings.endless_pages or start + limit < collection.count:
        head["after"] = after if settings.stuck_cursor and after else cursor(start + limit)
    return Response(
        b"".join((encoded(head)[:-1], b',"content":[', b",".join(records), b"]}")), media_type=JSON
    )


def cursor(at: int) -> str:
    """Return an opaque cursor for a position."""
    return base64.urlsafe_b64encode(f"at:{at}".encode()).decode()


def position(text: str) -> int:
    """Return the position of a cursor.

    :raises RefusedError: 400 if it was not made by :func:`cursor`.
    """
    try:
        plain = base64.urlsafe_b64decode(text).decode()
    except (binascii.Error, ValueError):
        plain = ""
    if not plain.startswith("at:") or not plain[3:].isdecimal():
        raise violation("after", text, "is not a cursor")
    return int(plain[3:])
