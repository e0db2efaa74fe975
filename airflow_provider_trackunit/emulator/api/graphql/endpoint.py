"""The GraphQL endpoint ``/api/graphql/``: connections under a complexity budget.

Errors come with HTTP 200. A query above the points of one query is refused for good; one above what
is left of the ten minutes is told, in milliseconds, when to come back (developer hub: GraphQL API).
Without its trailing slash the path is the Manager application, not the API.
"""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from airflow_provider_trackunit.emulator.api.customers import customer_count
from airflow_provider_trackunit.emulator.api.graphql.document import DocumentError, Field, read_query
from airflow_provider_trackunit.emulator.api.graphql.nodes import (
    DEFAULT_FIRST,
    Nodes,
    asset_node,
    connection,
    customer_node,
    site_node,
)
from airflow_provider_trackunit.emulator.machines.identity import index_of_asset
from airflow_provider_trackunit.emulator.serving.answers import RefusedError, json_answer
from airflow_provider_trackunit.emulator.serving.paging import Position, cursor, gap_comes, position
from airflow_provider_trackunit.emulator.serving.routing import Call, Route
from airflow_provider_trackunit.emulator.world import World

WINDOW_S = 600.0
UNLIMITED_POINTS = 10**9


class QueryError(Exception):
    """A query that is answered with ``errors``."""

    def __init__(self, message: str, code: str, **details: Any) -> None:
        super().__init__(message)
        self.answer = {"errors": [{"message": message, "extensions": {"code": code, **details}}]}


def graphql(call: Call) -> Response:
    """Answer one query."""
    asked = call.json()
    try:
        fields = read_query(str(asked.get("query") or ""), asked.get("variables") or {})
        budget = _spend(call, max(1, sum(cost(field) for field in fields)))
        data = {field.alias: _root(call, field, budget) for field in fields}
    except DocumentError as exc:
        return json_answer(QueryError(str(exc), "GRAPHQL_VALIDATION_FAILED").answer)
    except QueryError as exc:
        return json_answer(exc.answer)
    return json_answer({"data": data})


def cost(field: Field) -> int:
    """Return the complexity of a field: what is below a connection counts once per record."""
    if not field.selections:
        return 1
    first = int(field.arguments.get("first") or field.arguments.get("last") or DEFAULT_FIRST)
    return sum(
        cost(selection) * (first if selection.name == "edges" else 1) for selection in field.selections
    )


def _spend(call: Call, points: int) -> dict[str, Any]:
    """Take points from the user's ten minutes and return what ``rateLimit`` reports."""
    world, settings = call.world, call.world.settings
    highest, total = settings.graphql_points_per_query, settings.graphql_points_per_10_min
    if highest is not None and points > highest:
        raise QueryError(f"The query complexity {points} is above {highest}", "QUERY_COMPLEXITY_REACHED")
    now = world.clock.now()
    since, spent = world.graphql_spent.get(call.user, (now, 0))
    if now - since >= WINDOW_S:
        since, spent = now, 0
    reset_ms = int(world.clock.wall_seconds(since + WINDOW_S - now) * 1000) + 1
    if settings.limits_on and total is not None:
        if spent + points > total:
            raise QueryError("Rate limit exceeded", "RATE_LIMITED", cost=points, resetIn=reset_ms)
        world.graphql_spent[call.user] = (since, spent + points)
    left = UNLIMITED_POINTS if total is None else max(0, total - spent - points)
    return {"cost": points, "remaining": left, "resetIn": reset_ms}


def _root(call: Call, field: Field, budget: dict[str, Any]) -> Any:
    if field.name == "rateLimit":
        return _selected(budget, field)
    if field.name == "asset":
        return _selected(_one_asset(call, field), field)
    listed = LISTS.get(field.name)
    if listed is None:
        raise _unknown(field.name, "Query")
    return _selected(_page(call, field, listed(call.world)), field)


def _one_asset(call: Call, field: Field) -> dict[str, Any] | None:
    world = call.world
    wanted = str(field.arguments.get("id", "")).removeprefix("___Asset___")
    index = index_of_asset(world.seed, wanted)
    return asset_node(world, index) if index is not None and world.fleet.holds(index) else None


def _page(call: Call, field: Field, nodes: Nodes) -> dict[str, Any]:
    first, last = field.arguments.get("first"), field.arguments.get("last")
    if "before" in field.arguments or last is not None:
        stop = (
            _position(call, field.arguments["before"]).at - 1
            if field.arguments.get("before")
            else nodes.count
        )
        start = max(0, stop - int(last or DEFAULT_FIRST))
        return connection(call.world, nodes, start, stop - start)
    after = field.arguments.get("after")
    where = _position(call, after) if after else Position(0)
    size = int(first or DEFAULT_FIRST)
    if where.at < nodes.count and gap_comes(call.world, where, size):
        return _empty_page(call, nodes, where.at)
    page = connection(call.world, nodes, where.at, size)
    settings = call.world.settings
    if settings.endless_pages:
        page["pageInfo"]["hasNextPage"] = True
        page["pageInfo"]["endCursor"] = page["pageInfo"]["endCursor"] or after
    if settings.stuck_cursor and after:
        page["pageInfo"]["endCursor"] = after
    return page


def _empty_page(call: Call, nodes: Nodes, at: int) -> dict[str, Any]:
    """Return a page without nodes that is not the end."""
    page = connection(call.world, nodes, at, 0)
    page["pageInfo"]["endCursor"] = cursor(call.world, Position(at, behind_gap=True))
    return page


def _position(call: Call, text: str) -> Position:
    try:
        return position(call.world, str(text))
    except RefusedError as exc:
        raise QueryError(f"'{text}' is not a cursor", "GRAPHQL_VALIDATION_FAILED") from exc


def _selected(value: Any, field: Field) -> Any:
    """Return the members of a value that the query selects, under their aliases."""
    if isinstance(value, list):
        return [_selected(item, field) for item in value]
    if not isinstance(value, dict):
        return value
    if not field.selections:
        raise QueryError(f"'{field.name}' needs a selection", "GRAPHQL_VALIDATION_FAILED")
    return {selection.alias: _member(value, selection, field.name) for selection in field.selections}


def _member(value: dict[str, Any], selection: Field, parent: str) -> Any:
    if selection.name == "__typename":
        return parent[0].upper() + parent[1:]
    if selection.name not in value:
        raise _unknown(selection.name, parent)
    member = value[selection.name]
    return _selected(member(selection.arguments) if callable(member) else member, selection)


def _unknown(name: str, parent: str) -> QueryError:
    return QueryError(f"Cannot query field '{name}' on '{parent}'", "GRAPHQL_VALIDATION_FAILED")


def _assets(world: World) -> Nodes:
    def read(start: int, stop: int) -> list[dict[str, Any]]:
        return [asset_node(world, index) for index in world.fleet.indexes(start, stop)]

    return Nodes(world.fleet.count(), read)


def _sites(world: World) -> Nodes:
    return Nodes(world.stays.sites, lambda start, stop: [site_node(world, at) for at in range(start, stop)])


def _customers(world: World) -> Nodes:
    count = customer_count(world)
    return Nodes(count, lambda start, stop: [customer_node(world, at) for at in range(start, stop)])


LISTS: dict[str, Callable[[World], Nodes]] = {"assets": _assets, "sites": _sites, "customers": _customers}
PATH_WITHOUT_SLASH = "/api/graphql"
GRAPHQL_ROUTES = [
    Route(
        "POST", f"{PATH_WITHOUT_SLASH}/", graphql, "asset.view", refuses_api_keys="graphql_refuse_api_keys"
    ),
]
