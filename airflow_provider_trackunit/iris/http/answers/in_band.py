"""Errors that come with status 200: those of GraphQL, and those of the Time Series API (PromQL). Pure.

All errors of a GraphQL answer are looked at, because each is of one field of the query: the first can be the least.
Where there is any, the answer is an error as a whole, whatever data came along with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_provider_trackunit.iris.errors import (
    IrisAuthenticationError,
    IrisBadRequestError,
    IrisPermissionError,
    IrisRateLimitError,
    IrisResponseError,
    IrisServerError,
    IrisUnexpectedResponseError,
)
from airflow_provider_trackunit.iris.http.answers.reading import read_wait_s, told
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON, Request, Response, broken_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_UNAUTHENTICATED: Final = "UNAUTHENTICATED"
_RATE_LIMITED: Final = "RATE_LIMITED"

# What decides where several came, before those whose code is not known. A token that is renewed and a budget that
# fills up again come first, because the query did not run, or not all of it; what is refused for good comes before what
# may pass.
# RATE_LIMITED and QUERY_COMPLEXITY_REACHED are on the developer hub (page "GraphQL API rate limiting"); UNAUTHENTICATED and
# GRAPHQL_VALIDATION_FAILED were seen; the others belong to the same set of names, that of Apollo Server.
_KINDS: Final[Mapping[str, type[IrisResponseError]]] = {
    _UNAUTHENTICATED: IrisAuthenticationError,
    _RATE_LIMITED: IrisRateLimitError,
    "FORBIDDEN": IrisPermissionError,
    "QUERY_COMPLEXITY_REACHED": IrisBadRequestError,
    "GRAPHQL_VALIDATION_FAILED": IrisBadRequestError,
    "GRAPHQL_PARSE_FAILED": IrisBadRequestError,
    "BAD_USER_INPUT": IrisBadRequestError,
    "INTERNAL_SERVER_ERROR": IrisServerError,
}
_RANKS: Final = {code: rank for rank, code in enumerate(_KINDS)}

_ADVICE: Final[Mapping[str, str]] = {
    _RATE_LIMITED: ". The budget of this API user is used up",
    "QUERY_COMPLEXITY_REACHED": ". Ask for fewer fields, or for a smaller 'first'",
}

# Those of Prometheus that say nothing about the query itself (prometheus.io, "HTTP API", format of errors).
_PASSING_ERROR_TYPES: Final = frozenset({"timeout", "canceled", "unavailable", "internal"})


@dataclass(frozen=True, slots=True)
class GraphQLError:
    """One of the errors of an answer.

    :param resets_in_s: when the budget is full again; None when it does not say
    """

    code: str | None
    message: str | None
    resets_in_s: float | None

    @classmethod
    def of(cls, request: Request, error: Mapping[str, Any]) -> GraphQLError:
        """Return what a member of ``errors`` says."""
        extensions = error.get("extensions")
        extensions = extensions if isinstance(extensions, dict) else {}
        # In milliseconds (developer hub, page "GraphQL API rate limiting").
        resets_in_ms = read_wait_s(extensions.get("resetIn"))
        return cls(
            told(request, extensions.get("code")),
            told(request, error.get("message")),
            None if resets_in_ms is None else resets_in_ms / 1000,
        )

    @property
    def rank(self) -> int:
        """Its place among those that came; the lowest decides."""
        return _RANKS.get(self.code or "", len(_RANKS))


class _GraphQLAnswer(msgspec.Struct):
    errors: list[dict[str, Any]] | None = None


class _GraphQLData(msgspec.Struct):
    data: dict[str, msgspec.Raw]


def graphql_errors(request: Request, response: Response) -> list[GraphQLError]:
    """Return the errors of an answer of GraphQL, the one that decides first.

    :raises IrisUnexpectedResponseError: when it is not shaped as one
    """
    try:
        errors = msgspec.json.decode(response.body, type=_GraphQLAnswer).errors or []
    except BROKEN_JSON as error:
        raise broken_json(request.label, response.status, error) from None
    return sorted((GraphQLError.of(request, one) for one in errors), key=lambda error: error.rank)


def refuses_token(request: Request, response: Response) -> bool:
    """Return whether the answer says that the token is not valid (any more), so that a new one may help."""
    if response.status == 401:
        return True
    if not request.is_graphql or _UNAUTHENTICATED.encode() not in response.body:
        return False
    try:
        return any(error.code == _UNAUTHENTICATED for error in graphql_errors(request, response))
    except IrisUnexpectedResponseError:
        return False


def was_carried_out(request: Request, response: Response) -> bool:
    """Return whether a part of a GraphQL answer was carried out, although there are errors in it.

    What refuses a query before it runs brings no data, and errors that name no field (GraphQL, "Response").
    """
    if not request.is_graphql:
        return False
    try:
        answer = msgspec.json.decode(response.body)
    except BROKEN_JSON:
        return False
    if not isinstance(answer, dict):
        return False
    # Whatever their shapes: what is not understood may have been carried out.
    data, errors = answer.get("data"), answer.get("errors")
    fields = data.values() if isinstance(data, dict) else (data,)
    failed = errors if isinstance(errors, list) else ()
    return any(field is not None for field in fields) or any(
        isinstance(one, dict) and one.get("path") for one in failed
    )


def check_graphql(request: Request, response: Response) -> None:
    """Return if GraphQL answered with data and without an error, else raise the error that decides.

    :raises IrisUnexpectedResponseError: when it brings neither, which GraphQL never does ("Response format")
    """
    errors = graphql_errors(request, response)
    if not errors:
        _check_data(request, response)
        return
    code, message = errors[0].code, errors[0].message
    text = f"{request.label}: GraphQL error{f' {code}' if code else ''}: {message or 'no message'}"
    kind = _KINDS.get(code or "", IrisBadRequestError)
    raise kind(
        f"{text}{_ADVICE.get(code or '', '')}{_others(errors)}",
        status=response.status,
        code=code,
        message=message,
        retry_after=longest_reset_s(errors) if kind is IrisRateLimitError else None,
    )


def _check_data(request: Request, response: Response) -> None:
    try:
        msgspec.json.decode(response.body, type=_GraphQLData)
    except BROKEN_JSON:
        raise IrisUnexpectedResponseError(
            f"{request.label}: the answer brings neither data nor errors, and is none of GraphQL",
            status=response.status,
        ) from None


def longest_reset_s(errors: Sequence[GraphQLError]) -> float | None:
    """Return when the budget is full again by the word of all errors, None when none says."""
    return max((error.resets_in_s for error in errors if error.resets_in_s is not None), default=None)


def _others(errors: Sequence[GraphQLError]) -> str:
    return f" (the first of {len(errors)} errors)" if len(errors) > 1 else ""


class _PrometheusAnswer(msgspec.Struct, rename="camel"):
    status: str | None = None
    error: str | None = None
    error_type: str | None = None
    is_partial: bool | None = None


def check_prometheus(request: Request, response: Response) -> None:
    """Return if a PromQL query succeeded and its result is whole, else raise what it is instead."""
    try:
        answer = msgspec.json.decode(response.body, type=_PrometheusAnswer)
    except BROKEN_JSON as error:
        raise broken_json(request.label, response.status, error) from None
    if answer.status == "error":
        raise _failed_query(request, response.status, answer)
    if answer.is_partial:
        # A part of the storage did not answer; the same query can be complete a moment later.
        raise IrisServerError(f"{request.label}: IRIS marks the result as partial", status=response.status)
    if answer.status != "success":
        raise IrisUnexpectedResponseError(
            f"{request.label}: the answer does not say that the query succeeded", status=response.status
        )


def _failed_query(request: Request, status: int, answer: _PrometheusAnswer) -> IrisResponseError:
    message = told(request, answer.error)
    kind = IrisServerError if answer.error_type in _PASSING_ERROR_TYPES else IrisBadRequestError
    return kind(
        f"{request.label}: the query failed: {message or 'no message'}",
        status=status,
        code=told(request, answer.error_type),
        message=message,
    )
