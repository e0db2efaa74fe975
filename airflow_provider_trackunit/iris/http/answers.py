"""Judges an answer: it is what was asked for, or it is one of the errors.

Pure. The clients call :func:`check` on every answer, inside the retry loop, because some errors come with
status 200 (GraphQL, PromQL, the web page that IRIS serves where there is no API).
"""

from __future__ import annotations

import codecs
import datetime as dt
import math
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_provider_trackunit.iris.errors import (
    IrisAuthenticationError,
    IrisBadRequestError,
    IrisNotFoundError,
    IrisPermissionError,
    IrisRateLimitError,
    IrisResponseError,
    IrisServerError,
    IrisUnexpectedResponseError,
)
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON, Request, Response, broken_json

if TYPE_CHECKING:
    from collections.abc import Mapping

# A vendor's sentence is for a log line; a page of HTML or a dump is not.
_MAX_MESSAGE_CHARS: Final = 500

_PIECE_BYTES: Final = 1024 * 1024

# Ten years. What says more means never, and a number beyond all dates would break whoever counts with it.
_LONGEST_WAIT_S: Final = 10 * 365 * 24 * 3600.0


def check(
    request: Request, response: Response, *, scope: str | None = None, now_epoch_s: float | None = None
) -> None:
    """Return if the answer holds what was asked for, else raise what it is instead.

    :param scope: what the token was granted, for the message of a 401 or 403
    :param now_epoch_s: the time that a ``Retry-After`` date is compared with when the answer has no ``Date``
    :raises IrisResponseError: of the class that fits the status; also for an HTML page, for GraphQL errors
        and for a failed or partial PromQL result in an answer with status 200
    """
    if 200 <= response.status < 300:
        _check_content(request, response)
        if request.is_graphql:
            _check_graphql(request, response)
        elif "/prometheus/" in request.url:
            _check_prometheus(request, response)
        return
    raise _error_of_status(request, response, scope, now_epoch_s)


def _check_content(request: Request, response: Response) -> None:
    if response.status == 204 or not response.body:
        return
    content_type = response.headers.get("content-type", "")
    if "json" in content_type.lower() or (not content_type and response.body.lstrip()[:1] in {b"{", b"["}):
        _check_encoding(request, response)
        return
    raise _not_an_api_answer(request, response)


def _check_encoding(request: Request, response: Response) -> None:
    """Refuse text that is not UTF-8: records go into files as they came, and nobody could read those."""
    if response.body.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(response.body)
    try:
        # In pieces, because decoded text takes up to four times the memory of its bytes.
        for start in range(0, len(view), _PIECE_BYTES):
            decoder.decode(view[start : start + _PIECE_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise broken_json(request.label, response.status, error) from None


def _not_an_api_answer(request: Request, response: Response) -> IrisUnexpectedResponseError:
    kind = told(request, response.headers.get("content-type", "").split(";")[0]) or "no content type"
    return IrisUnexpectedResponseError(
        f"{request.label}: HTTP {response.status} with {kind[:80]} instead of JSON. IRIS answers with its web page "
        "where there is no API: check the path, its version and its trailing slash "
        "(/api/graphql/ needs one, other endpoints have none)",
        status=response.status,
    )


class _GraphQLErrors(msgspec.Struct):
    errors: list[dict[str, Any]] | None = None


def _check_graphql(request: Request, response: Response) -> None:
    try:
        errors = msgspec.json.decode(response.body, type=_GraphQLErrors).errors
    except BROKEN_JSON as error:
        raise broken_json(request.label, response.status, error) from None
    if not errors:
        return
    first = errors[0]
    extensions = first.get("extensions")
    extensions = extensions if isinstance(extensions, dict) else {}
    code, message = told(request, extensions.get("code")), told(request, first.get("message"))
    text = f"{request.label}: GraphQL error{f' {code}' if code else ''}: {message or 'no message'}"
    if code == "RATE_LIMITED":
        # resetIn is in milliseconds (developer hub, page "GraphQL API rate limiting").
        wait_ms = _number(extensions.get("resetIn"))
        raise IrisRateLimitError(
            f"{text}. The budget of this API user is used up",
            status=response.status,
            code=code,
            message=message,
            retry_after=None if wait_ms is None else read_wait_s(wait_ms / 1000),
        )
    if code == "QUERY_COMPLEXITY_REACHED":
        text += ". Ask for fewer fields, or for a smaller 'first'"
    kind = {"UNAUTHENTICATED": IrisAuthenticationError, "FORBIDDEN": IrisPermissionError}.get(
        code or "", IrisBadRequestError
    )
    raise kind(text, status=response.status, code=code, message=message)


class _PrometheusStatus(msgspec.Struct, rename="camel"):
    status: str | None = None
    error: str | None = None
    error_type: str | None = None
    is_partial: bool | None = None


def _check_prometheus(request: Request, response: Response) -> None:
    try:
        answer = msgspec.json.decode(response.body, type=_PrometheusStatus)
    except BROKEN_JSON as error:
        raise broken_json(request.label, response.status, error) from None
    if answer.status == "error":
        message = told(request, answer.error)
        raise IrisBadRequestError(
            f"{request.label}: the query failed: {message or 'no message'}",
            status=response.status,
            code=told(request, answer.error_type),
            message=message,
        )
    if answer.is_partial:
        # A part of the storage did not answer; the same query can be complete a moment later.
        raise IrisServerError(f"{request.label}: IRIS marks the result as partial", status=response.status)


_BY_STATUS: Final[Mapping[int, tuple[type[IrisResponseError], str]]] = {
    400: (IrisBadRequestError, "Correct the arguments named in the message"),
    401: (
        IrisAuthenticationError,
        (
            "The token was renewed once and refused again: this API may not accept this kind of token, or the API "
            "user was removed. Check the connection"
        ),
    ),
    403: (
        IrisPermissionError,
        "The token is valid but may not do this: a scope, a subscription or the visibility of this item is missing",
    ),
    404: (IrisNotFoundError, "There is no such item, or this account cannot see it"),
    429: (IrisRateLimitError, "A limit of the API is used up"),
}


def _error_of_status(
    request: Request, response: Response, scope: str | None, now_epoch_s: float | None
) -> IrisResponseError:
    status = response.status
    if 300 <= status < 400:
        return IrisUnexpectedResponseError(
            f"{request.label}: HTTP {status}, a redirect. Redirects are not followed, so that the token stays with "
            "IRIS: check the Base URL of the connection",
            status=status,
        )
    if status == 404 and "html" in response.headers.get("content-type", "").lower():
        return _not_an_api_answer(request, response)
    code, message, violations = _vendor_error(request, response)
    kind, advice = _BY_STATUS.get(status, (IrisBadRequestError, "IRIS rejected the request"))
    if status >= 500:
        kind, advice = IrisServerError, "IRIS failed; try again later"
    facts = " ".join(x for x in (code, f"({message})" if message else None) if x)
    details = "; ".join(f"{name}: {text}" for name, text in violations)
    granted = f" Granted scope: {scope}." if scope and status in {401, 403} else ""
    retry_after = read_retry_after(response.headers, now_epoch_s)
    return kind(
        f"{request.label}: HTTP {status}{f' {facts}' if facts else ''}{f' [{details}]' if details else ''}. "
        f"{advice}.{granted}",
        status=status,
        code=code,
        message=message,
        violations=violations,
        retry_after=retry_after,
    )


def _vendor_error(
    request: Request, response: Response
) -> tuple[str | None, str | None, list[tuple[str, str]]]:
    """Return code, message and violations of the documented error object; empty where a gateway answered."""
    try:
        body = msgspec.json.decode(response.body)
    except BROKEN_JSON:
        return None, None, []
    if not isinstance(body, dict):
        return None, None, []
    listed = body.get("violations")
    violations = [
        (told(request, one.get("field")) or "", told(request, one.get("message")) or "")
        for one in (listed[:20] if isinstance(listed, list) else [])
        if isinstance(one, dict)
    ]
    # A refused PromQL query has names of its own.
    names = ("errorType", "error") if "errorType" in body else ("code", "message")
    return told(request, body.get(names[0])), told(request, body.get(names[1])), violations


def told(request: Request, value: Any) -> str | None:
    """Return what the server said as one short line, without the token and the query should it repeat them."""
    if not isinstance(value, str | int) or value == "":
        return None
    # Before the text is cut, or the first half of the token could be left over.
    words = " ".join(request.without_secrets(str(value)).split())
    # What no log or database can hold (half a character, a null) is shown as something they can.
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in words)
    return text if len(text) <= _MAX_MESSAGE_CHARS else text[: _MAX_MESSAGE_CHARS - 1] + "…"


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
