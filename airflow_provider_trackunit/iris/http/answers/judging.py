"""Judges an answer: it is what was asked for, or it is one of the errors.

Pure. The clients call :func:`check` on every answer, inside the retry loop, because some errors come with
status 200 (GraphQL, PromQL, the web page that IRIS serves where there is no API).
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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
from airflow_provider_trackunit.iris.http.answers.in_band import (
    check_graphql,
    check_prometheus,
    graphql_errors,
    longest_reset_s,
    was_carried_out,
)
from airflow_provider_trackunit.iris.http.answers.reading import read_retry_after, told
from airflow_provider_trackunit.iris.http.transports.trouble import Trouble, failure
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON, Request, Response, broken_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PIECE_BYTES: Final = 1024 * 1024

# The others of the 2xx may have none. A proxy that changes answers makes 203 of 200 (RFC 9110, 15.3.4).
_WITH_CONTENT: Final = frozenset({200, 203, 206})


def check(
    request: Request, response: Response, *, scope: str | None = None, now_epoch_s: float | None = None
) -> None:
    """Return if the answer holds what was asked for, else raise what it is instead.

    :param scope: what the token was granted, for the message of a 401 or 403
    :param now_epoch_s: the time that a ``Retry-After`` date is compared with when the answer has no ``Date``
    :raises IrisResponseError: of the class that fits the status; also for an HTML page, for GraphQL errors
        and for a failed or partial PromQL result in an answer with status 200
    :raises IrisNoAnswerError: when it broke off, and nothing but its text can tell
    """
    try:
        _check(request, response, scope, now_epoch_s)
    except IrisRateLimitError as error:
        # Whatever the status: errors of single fields come with 200 as a rule, and nothing says that they must.
        error.in_part = was_carried_out(request, response)
        raise


def _check(request: Request, response: Response, scope: str | None, now_epoch_s: float | None) -> None:
    if 200 <= response.status < 300:
        _check_content(request, response)
        if request.is_graphql:
            check_graphql(request, response)
        elif _is_prometheus(request):
            check_prometheus(request, response)
        return
    raise _error_of_status(request, response, scope, now_epoch_s)


def _is_prometheus(request: Request) -> bool:
    return "/prometheus/" in request.url


def _check_content(request: Request, response: Response) -> None:
    if not response.body:
        _check_absence(request, response)
        return
    if is_json(response):
        check_end(request, response)
        _check_encoding(request, response)
        return
    raise _not_an_api_answer(request, response)


def is_json(response: Response) -> bool:
    """Return whether it says that it is JSON, or says nothing and begins like it."""
    content_type = response.headers.get("content-type", "").lower()
    return "json" in content_type or (not content_type and response.body.lstrip()[:1] in {b"{", b"["})


def _check_absence(request: Request, response: Response) -> None:
    """Refuse nothing at all where something was asked for, and the answer did not say that there is nothing."""
    asks = request.method == "GET" or request.is_graphql or _is_prometheus(request)
    if asks and response.status in _WITH_CONTENT and not response.has_length:
        raise failure(request, Trouble.CUT_BODY)


def check_end(request: Request, response: Response) -> None:
    """Refuse half an answer: JSON that did not say how long it is ends where the connection does, wherever that is.

    :raises IrisNoAnswerError: when it broke off
    """
    if response.has_length:
        return
    try:
        msgspec.json.decode(response.body, type=msgspec.Raw)
    except BROKEN_JSON as error:
        if "truncated" in str(error) or response.body.rstrip()[-1:] not in {b"}", b"]"}:
            raise failure(request, Trouble.CUT_BODY) from None


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
    # The request came too slowly, or too early for the server to take the risk of it: nothing is wrong with it.
    408: (IrisServerError, "IRIS did not wait for the request; try again later"),
    425: (IrisServerError, "IRIS is not ready for the request; try again later"),
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
    said = _said(request, response)
    kind, advice = _BY_STATUS.get(status, (IrisBadRequestError, "IRIS rejected the request"))
    if status >= 500:
        kind, advice = IrisServerError, "IRIS failed; try again later"
    facts = " ".join(x for x in (said.code, f"({said.message})" if said.message else None) if x)
    details = "; ".join(f"{name}: {text}" for name, text in said.violations)
    granted = f" Granted scope: {scope}." if scope and status in {401, 403} else ""
    retry_after = read_retry_after(response.headers, now_epoch_s)
    return kind(
        f"{request.label}: HTTP {status}{f' {facts}' if facts else ''}{f' [{details}]' if details else ''}. "
        f"{advice}.{granted}",
        status=status,
        code=said.code,
        message=said.message,
        violations=said.violations,
        retry_after=said.retry_after if retry_after is None else retry_after,
    )


class _Said(NamedTuple):
    """What the body of an error says; nothing where a gateway answered."""

    code: str | None = None
    message: str | None = None
    violations: Sequence[tuple[str, str]] = ()
    retry_after: float | None = None


def _said(request: Request, response: Response) -> _Said:
    """Return what stands in the documented error object, or in that of GraphQL or PromQL."""
    try:
        body = msgspec.json.decode(response.body)
    except BROKEN_JSON:
        return _Said()
    if not isinstance(body, dict):
        return _Said()
    if request.is_graphql and "errors" in body:
        return _said_by_graphql(request, response)
    # A refused PromQL query has names of its own.
    names = ("errorType", "error") if "errorType" in body else ("code", "message")
    return _Said(
        told(request, body.get(names[0])), told(request, body.get(names[1])), _violations(request, body)
    )


def _said_by_graphql(request: Request, response: Response) -> _Said:
    try:
        errors = graphql_errors(request, response)
    except IrisUnexpectedResponseError:
        return _Said()
    return (
        _Said(errors[0].code, errors[0].message, retry_after=longest_reset_s(errors)) if errors else _Said()
    )


def _violations(request: Request, body: Mapping[str, Any]) -> list[tuple[str, str]]:
    listed = body.get("violations")
    return [
        (told(request, one.get("field")) or "", told(request, one.get("message")) or "")
        for one in (listed[:20] if isinstance(listed, list) else [])
        if isinstance(one, dict)
    ]
