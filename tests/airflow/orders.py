"""An endpoint that nobody described, whose answers look like pages: what a request does there, a second one does again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow_provider_trackunit.emulator import IrisEmulator

ORDERS: Final = "/api/order/v1/orders"
PAGE_OF_ORDERS: Final = {"content": [{"id": "o"}], "totalPages": 3, "number": 0, "totalElements": 3}
MUTATION: Final = (
    "mutation($after: String) { order { edges { node { id } } pageInfo { hasNextPage endCursor } } }"
)
ORDERED: Final = {"data": {"order": {"edges": [], "pageInfo": {"hasNextPage": True, "endCursor": "c"}}}}

#: Requests that may change something, each with an answer that looks like one page of several.
CHANGING: Final = {
    "POST": ({"endpoint": ORDERS, "method": "POST", "json": {"item": 1}}, PAGE_OF_ORDERS),
    "PUT": ({"endpoint": ORDERS, "method": "PUT", "json": {"item": 1}}, PAGE_OF_ORDERS),
    "DELETE": ({"endpoint": ORDERS, "method": "DELETE"}, PAGE_OF_ORDERS),
    "by after": ({"endpoint": ORDERS, "method": "POST"}, {"content": [{"id": "o"}], "after": "more"}),
    "a mutation": ({"endpoint": "/api/graphql/", "method": "POST", "json": {"query": MUTATION}}, ORDERED),
}


def answer_with(iris: IrisEmulator, path: str, body: Any, *, times: int | None = None) -> None:
    """Let so many requests to a path, or all of them, be answered with this body."""
    iris.fault(
        path=path,
        kind="status",
        status=200,
        body=json.dumps(body),
        content_type="application/json",
        times=times,
    )
