"""The ASGI application: one request from the raw path to the answer.

The order is the vendor's, as far as it shows: unknown path, token, scope, limit, then the API
itself. Faults come before all of them, because gateways do.
"""

import asyncio
import gzip
import time
from email.utils import formatdate
from fnmatch import fnmatchcase
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_trackunit.emulator.api.aemp.pages import AEMP_ROUTES
from airflow_provider_trackunit.emulator.api.assets import ASSET_ROUTES
from airflow_provider_trackunit.emulator.api.customers import CUSTOMER_ROUTES
from airflow_provider_trackunit.emulator.api.events import EVENT_ROUTES
from airflow_provider_trackunit.emulator.api.graphql.endpoint import GRAPHQL_ROUTES, PATH_WITHOUT_SLASH
from airflow_provider_trackunit.emulator.api.health import HEALTH_ROUTES
from airflow_provider_trackunit.emulator.api.locations import LOCATION_ROUTES
from airflow_provider_trackunit.emulator.api.oauth import OAUTH_ROUTES
from airflow_provider_trackunit.emulator.api.organization import ORGANIZATION_ROUTES
from airflow_provider_trackunit.emulator.api.reports import REPORT_ROUTES
from airflow_provider_trackunit.emulator.api.service import SERVICE_ROUTES
from airflow_provider_trackunit.emulator.api.sites import SITE_ROUTES
from airflow_provider_trackunit.emulator.api.timeseries.prometheus import TIME_SERIES_ROUTES
from airflow_provider_trackunit.emulator.control import control
from airflow_provider_trackunit.emulator.faults.breakage import respoken, send_spoiled, spoiled_answer
from airflow_provider_trackunit.emulator.faults.hostile import hostile_answer
from airflow_provider_trackunit.emulator.faults.rules import PROCESSED, Fault
from airflow_provider_trackunit.emulator.limits.rates import unpublished
from airflow_provider_trackunit.emulator.serving import answers
from airflow_provider_trackunit.emulator.serving.answers import RefusedError
from airflow_provider_trackunit.emulator.serving.journal import LOGGED_BODY_BYTES, LOGGED_HEADERS
from airflow_provider_trackunit.emulator.serving.routing import Call, Route, Router
from airflow_provider_trackunit.emulator.serving.tokens import Bearer
from airflow_provider_trackunit.emulator.world import World

API_ROUTES: list[Route] = [
    *ASSET_ROUTES,
    *AEMP_ROUTES,
    *SITE_ROUTES,
    *LOCATION_ROUTES,
    *EVENT_ROUTES,
    *HEALTH_ROUTES,
    *CUSTOMER_ROUTES,
    *ORGANIZATION_ROUTES,
    *REPORT_ROUTES,
    *SERVICE_ROUTES,
    *TIME_SERIES_ROUTES,
    *GRAPHQL_ROUTES,
]
CONTROL_PREFIX = "/_emulator/"
FAST_GZIP = 1


class EmulatorApp:
    """The application for one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._oauth = Router(OAUTH_ROUTES)
        self._api = Router(API_ROUTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; nothing else is spoken."""
        if scope["type"] != "http":
            return
        call = await self._read(scope, receive)
        if call.path.startswith(CONTROL_PREFIX):
            await control(call)(scope, receive, send)
            return
        entry = _entry(call)
        journal = self.world.journal
        journal.opened(entry)
        status: int | None = None
        try:
            status = await self._serve(call, entry, (scope, receive, send))
        finally:
            journal.closed(entry, status)

    async def _read(self, scope: Scope, receive: Receive) -> Call:
        query = scope["query_string"].decode("latin-1")
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        has_body = length not in {"", "0"} or "transfer-encoding" in headers
        return Call(
            world=self.world,
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query_string=query,
            headers=headers,
            body=await Request(scope, receive).body() if has_body else b"",
            query=QueryParams(query),
        )

    async def _serve(
        self, call: Call, entry: dict[str, Any], asgi: tuple[Scope, Receive, Send]
    ) -> int | None:
        """Send the answer and return its status, or None for a connection that was cut."""
        trick = hostile_answer(call)
        if trick is not None:
            await trick(*asgi)
            return trick.status_code
        target = f"{call.path}?{call.query_string}" if call.query_string else call.path
        fault = self.world.faults.due(call.method, target)
        if fault is not None:
            entry["fault"] = fault.kind
            self.world.journal.faults += 1
            await asyncio.sleep(fault.delay_s)
        if fault is None or fault.kind in PROCESSED:
            response = compressed(call, respoken(fault, await self._answer(call, entry)))
        else:
            response = self._unprocessed(call, fault)
        # To the moment: a client takes a Retry-After that is a date for the time from this one to it.
        response.headers["Date"] = formatdate(time.time(), usegmt=True)
        if fault is not None:
            return await send_spoiled(fault, response, asgi)
        await response(*asgi)
        return response.status_code

    def _unprocessed(self, call: Call, fault: Fault) -> Response:
        if fault.kind == "revoke":
            self.world.tokens.revoke(_token(call))
            return _unauthorized("The access token was revoked")
        return spoiled_answer(fault)

    async def _answer(self, call: Call, entry: dict[str, Any]) -> Response:
        try:
            return await self._routed(call, entry)
        except RefusedError as refusal:
            return refusal.response

    async def _routed(self, call: Call, entry: dict[str, Any]) -> Response:
        oauth = self._oauth.find(call.method, call.path)
        if oauth is not None:
            return oauth[0].handler(call)
        if self.world.settings.latency_ms:
            await asyncio.sleep(self.world.settings.latency_ms / 1000)
        found = self._api.find(call.method, call.path)
        if found is None:
            without_slash = call.path == PATH_WITHOUT_SLASH
            return answers.spa_page(404 if without_slash else self.world.settings.unknown_path_status)
        route, call.params = found
        call.bearer = self._bearer(call, route)
        entry["token"] = call.bearer.id
        refuse_for_account(call)
        refusal = refused_by_a_limit(call, route) if self.world.settings.limits_on else None
        if refusal is not None:
            return refusal
        response = route.handler(call)
        if route.mutates:
            self.world.journal.mutations[f"{call.method} {call.path}"] += 1
        return response

    def _bearer(self, call: Call, route: Route) -> Bearer:
        bearer = self.world.tokens.find(_token(call), self.world.clock.now())
        if bearer is None:
            known = self.world.tokens.known(_token(call)) is not None
            raise RefusedError(
                _unauthorized("The access token expired" if known else "The access token is invalid")
            )
        if bearer.scopes is None:
            return bearer
        if route.refuses_api_keys and getattr(self.world.settings, route.refuses_api_keys):
            raise RefusedError(_unauthorized("The access token is not accepted here"))
        if route.scope is not None and route.scope not in bearer.scopes:
            raise answers.refused(403, "access_denied", f"The scope '{route.scope}' is missing")
        return bearer


def refuse_for_account(call: Call) -> None:
    """Refuse what the switches say that this account may not read.

    :raises RefusedError: if so.
    """
    for one in call.world.settings.refused_paths:
        if one.method == call.method and fnmatchcase(call.path, one.path):
            raise answers.refused(one.status, "access_denied", "This account may not read it")


def refused_by_a_limit(call: Call, route: Route) -> Response | None:
    """Return the 429 of the limit that refuses this call, or None."""
    world, settings = call.world, call.world.settings
    header = unpublished(call, time.time())
    if header is not None:
        return answers.limit_reached(settings.limit_body, header)
    wait_s = route.limit(call)
    if wait_s is None:
        return None
    header = answers.retry_header(settings.retry_after, world.clock.wall_seconds(wait_s), time.time())
    return answers.limit_reached(settings.limit_body, header)


def compressed(call: Call, response: Response) -> Response:
    """Return the answer as gzip, if the client accepts it and the switch covers this path."""
    covered = call.world.settings.gzip
    if covered == "none" or (covered == "metrics" and not call.path.endswith("/metrics")):
        return response
    if "gzip" not in call.headers.get("accept-encoding", "") or not response.body:
        return response
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    body = gzip.compress(bytes(response.body), FAST_GZIP, mtime=0)
    return Response(body, response.status_code, headers | {"content-encoding": "gzip"})


def _unauthorized(message: str) -> Response:
    return answers.error(401, "unauthorized", message)


def _token(call: Call) -> str:
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _entry(call: Call) -> dict[str, Any]:
    small = 0 < len(call.body) <= LOGGED_BODY_BYTES and not call.path.startswith("/token")
    headers = {name: call.headers[name] for name in LOGGED_HEADERS if name in call.headers}
    bearer = call.world.tokens.known(_token(call))
    return {
        "method": call.method,
        "path": call.path,
        "query": call.query_string,
        "headers": headers,
        "body": call.body.decode(errors="replace") if small else None,
        "at": round(call.world.clock.now(), 3),
        "token": bearer.id if bearer else None,
        "status": None,
    }
