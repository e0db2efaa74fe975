"""Reads the members of an answer without decoding its records."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from airflow_provider_trackunit.iris.errors import IrisPaginationError
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON, broken_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_trackunit.iris.calls import Call

_T = TypeVar("_T")

# The name of a member as APIs write them; anything else in its place is not repeated in a message.
_MEMBER_NAME: Final = re.compile(r"[A-Za-z_]{1,40}")

#: No count or page number has more digits; Python refuses to read a number of some thousand.
MAX_DIGITS: Final = 18


def read_members(call: Call, body: bytes) -> dict[str, msgspec.Raw]:
    """Return the top-level members of an answer, undecoded. Empty for an answer that is no object."""
    body = on_one_line(call, body)
    if body.lstrip().startswith(b"{"):
        return decode_as(call, body, dict[str, msgspec.Raw])
    if body.strip():
        decode_as(call, body, msgspec.Raw)
    return {}


def on_one_line(call: Call, body: bytes) -> bytes:
    """Return JSON without line breaks between its values, so that a record can stand on one line of a file as it is."""
    if b"\n" not in body and b"\r" not in body:
        return body
    try:
        return msgspec.json.format(body, indent=-1)
    except BROKEN_JSON as error:
        raise broken_json(call.label, 200, error) from None


def decode_as(call: Call, body: bytes | msgspec.Raw, kind: type[_T]) -> _T:
    """Return JSON decoded as a type; the errors say that the page of this call is broken."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise IrisPaginationError(f"{call.endpoint}: a page is not shaped as one ({error})") from None
    except BROKEN_JSON as error:
        raise broken_json(call.label, 200, error) from None


def read_records(call: Call, members: Mapping[str, msgspec.Raw], key: str) -> list[msgspec.Raw]:
    """Return the list of records: the member that is documented, else the only list there is."""
    found = members.get(key)
    if found is None:
        lists = [raw for name, raw in members.items() if name.lower() != "links" and opens_with(raw, b"[")]
        if len(lists) != 1:
            names = ", ".join(sorted(filter(_MEMBER_NAME.fullmatch, members))[:10]) or "none"
            raise IrisPaginationError(
                f"{call.endpoint}: no list of records in the page (its members: {names})"
            )
        found = lists[0]
    return decode_as(call, found, list[msgspec.Raw])


def whole_number(members: Mapping[str, msgspec.Raw], key: str) -> int | None:
    """Return a member that is a whole number of zero or more, else None."""
    text = bytes(members.get(key, msgspec.Raw(b""))).strip()
    return int(text) if text.isdigit() and len(text) <= MAX_DIGITS else None


def text(call: Call, members: Mapping[str, msgspec.Raw], key: str) -> str | None:
    """Return a member that is text with something in it, or a number, as text; else None."""
    raw = members.get(key)
    value = None if raw is None else decode_as(call, raw, object)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def opens_with(raw: msgspec.Raw, mark: bytes) -> bool:
    """Return whether an undecoded value begins with this one byte: ``{`` for an object, ``[`` for a list."""
    return memoryview(raw)[:1] == mark
