"""What it means that IRIS refuses an item: passed over, left for later, or the end of the export. Pure."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from airflow_provider_trackunit.iris.errors import (
    IrisError,
    IrisNotFoundError,
    IrisPermissionError,
    IrisRateLimitError,
    IrisResponseError,
)
from airflow_provider_trackunit.iris.export.manifest import Skipped

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.export.request import ExportRequest
    from airflow_provider_trackunit.iris.export.state import State
    from airflow_provider_trackunit.iris.pages.walk import Errand

# After so many items refused for want of rights, and none that was not, the rest is not asked for.
_HOPELESS: Final = 100

# What says of an item that it cannot be had. A 5xx says so too, after all retries.
_REFUSALS: Final = frozenset({400, 403, 404, 410})

# What it means when every item was refused with the same status.
_ALL_REFUSED: Final[dict[int, tuple[type[IrisResponseError], str]]] = {
    403: (
        IrisPermissionError,
        "That is no item without rights but an account without them: check the scope and the subscription",
    ),
    404: (
        IrisNotFoundError,
        "IRIS knows none of them under this path: is it spelt right, a datapoint in it above all?",
    ),
}

_E = TypeVar("_E", bound=BaseException | None)


def may_skip(request: ExportRequest, error: IrisResponseError) -> bool:
    """Return whether an item that answers so is passed over."""
    if request.items is None or not request.skip_refused or error.status is None:
        return False
    return error.status in _REFUSALS or error.status >= 500


def skipped_by(request: ExportRequest, state: State, errand: Errand, error: IrisResponseError) -> Skipped:
    """Return what the manifest says of an item that is passed over."""
    item = (request.items or ())[errand.item]
    return Skipped(dict(item), error.status, error.code, state.frontier.walk(errand.item).records)


def too_many(request: ExportRequest, state: State, error: IrisResponseError) -> IrisResponseError | None:
    """Return the error that ends the export, None while not too many items were passed over.

    :param error: of the last of them
    """
    count, most = len(state.skipped), request.max_skipped
    if most is not None and count > most:
        last = shown(state.skipped[-1].path_params)
        text = f"{count} items were refused, more than max_skipped ({most}). The last: {last}: {error}"
        return type(error)(text, status=error.status, code=error.code, retry_after=error.retry_after)
    if count >= _HOPELESS and isinstance(error, IrisPermissionError):
        return all_refused(request, state)
    return None


def all_refused(request: ExportRequest, state: State) -> IrisResponseError | None:
    """Return the error that ends the export when every item was refused, None as soon as one was not.

    A missing right, or a name that is not spelt right, is no empty collection.
    """
    skipped, frontier = state.skipped, state.frontier
    if not skipped or len(frontier.given_up) < frontier.items_done or state.records:
        return None
    statuses = sorted({one.status or 0 for one in skipped})
    kind, hint = _ALL_REFUSED.get(
        statuses[0] if len(statuses) == 1 else 0,
        (IrisResponseError, "Check the path, the query and the rights of the account"),
    )
    return kind(
        f"{request.endpoint}: all {len(skipped)} items were refused with HTTP "
        f"{', '.join(map(str, statuses))}. {hint}",
        status=statuses[0],
        code=skipped[0].code,
    )


def is_limit_of_one_item(request: ExportRequest, errand: Errand, error: IrisResponseError) -> bool:
    """Return whether a limit holds back one item, and others can be asked for: a metered series of a fan-out."""
    windowed = request.owners is not None and request.items is not None
    return windowed and isinstance(error, IrisRateLimitError) and errand.row.pool is not None


def named(request: ExportRequest, errand: Errand, error: _E) -> _E:
    """Return an error that says which item it is of. The one that came may be that of several threads."""
    if request.items is None or not isinstance(error, IrisError):
        return error
    found = copy.copy(error)
    found.args = (f"{shown(request.items[errand.item])}: {error}", *error.args[1:])
    found.__cause__ = error.__cause__
    return found


def shown(item: Any) -> str:
    """Return an item as messages name it."""
    return msgspec.json.encode(item).decode()
