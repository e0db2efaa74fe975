"""What a server says of itself, read with care: a sentence for people, a number of seconds. Pure."""

from __future__ import annotations

import datetime as dt
import math
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.iris.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_trackunit.iris.http.wire import Request

# A vendor's sentence is for a log line; a page of HTML or a dump is not.
_MAX_MESSAGE_CHARS: Final = 500

# Ten years. What says more means never, and a number beyond all dates would break whoever counts with it.
_LONGEST_WAIT_S: Final = 10 * 365 * 24 * 3600.0


def told(request: Request, value: Any) -> str | None:
    """Return what the server said as one short line, without the token and the query should it repeat them."""
    if not isinstance(value, str | int) or value == "":
        return None
    # Before the text is cut, or the first half of the token could be left over.
    return one_line(request.without_secrets(str(value)), _MAX_MESSAGE_CHARS)


def read_wait_s(value: Any) -> float | None:
    """Return a number of seconds to wait, however it was written: none below zero, none beyond all limits."""
    number = _number(value)
    return None if number is None else min(max(number, 0.0), _LONGEST_WAIT_S)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def read_retry_after(headers: Mapping[str, str], now_epoch_s: float | None = None) -> float | None:
    """Return the seconds that ``Retry-After`` says to wait, as a number or as a date; None when it says nothing usable.

    A date is compared with the answer's own ``Date``, so that a wrong clock on either side does no harm.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    seconds = read_wait_s(text)
    if seconds is not None:
        return seconds
    until = _epoch_s(text)
    now = _epoch_s(headers.get("date", ""))
    now = now_epoch_s if now is None else now
    return None if until is None or now is None else read_wait_s(until - now)


def _epoch_s(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        # "-0000" is UTC too (RFC 5322, 3.3), and not the time zone of this machine.
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
