"""Reads cursors that came from outside: from a caller, or from a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.calls import is_encodable
from airflow_provider_trackunit.iris.errors import IrisConfigurationError

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.pages.page import Cursor


def page_of(cursor: Cursor, key: str, first: int) -> int:
    """Return the page number of a cursor.

    :raises IrisConfigurationError: when it is not one that this way of paging gave
    """
    page, of = cursor.get(key), cursor.get("of")
    if type(page) is not int or page < first or not (of is None or type(of) is int):
        raise foreign_cursor()
    return page


def text_of(cursor: Cursor, key: str) -> str | None:
    """Return the opaque text of a cursor, None at the beginning.

    :raises IrisConfigurationError: when it is not one that this way of paging gave
    """
    value = cursor.get(key, 0)
    if value is None:
        return None
    # What cannot be sent cannot have come either.
    if not isinstance(value, str) or not is_encodable(value):
        raise foreign_cursor()
    return value


def foreign_cursor() -> IrisConfigurationError:
    """Return the error for a cursor that cannot have come from a page of this endpoint."""
    return IrisConfigurationError(
        "cursor: it is not one of this endpoint; give what a page of it had as its next, or None to begin"
    )
