"""Which handler answers which path.

Paths are matched on the bytes the client sent and decoded segment by segment afterwards: a PIN may
hold a slash, and ``A%2FB`` has to stay one segment.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response

from airflow_provider_trackunit.emulator.serving.answers import refused

if TYPE_CHECKING:
    from airflow_provider_trackunit.emulator.serving.tokens import Bearer
    from airflow_provider_trackunit.emulator.world import World


@dataclass(slots=True)
class Call:
    """One request on its way through the emulator."""

    world: "World"
    method: str
    path: str
    query_string: str
    headers: Headers
    body: bytes
    params: dict[str, str] = field(default_factory=dict)
    query: QueryParams = field(default_factory=QueryParams)
    bearer: "Bearer | None" = None

    @property
    def user(self) -> str:
        """Return who is calling, as the limits per user see it."""
        return self.bearer.user if self.bearer else ""

    @property
    def origin(self) -> str:
        """Return scheme and host as the client addressed us, for absolute links."""
        return f"http://{self.headers.get('host', 'localhost')}"

    def json(self) -> dict[str, Any]:
        """Return the JSON object of the body.

        :raises RefusedError: 400 if it is none.
        """
        try:
            return msgspec.json.decode(self.body, type=dict[str, Any])
        except msgspec.MsgspecError as exc:
            raise refused(400, "malformed_body", f"The body is not a JSON object: {exc}") from exc


Handler = Callable[[Call], Response]
Limit = Callable[[Call], float | None]


def unlimited(_call: Call) -> float | None:
    """Let every call through."""
    return None


@dataclass(frozen=True, slots=True)
class Route:
    """A path template with its handler, the scope an API key needs and the limit that applies."""

    method: str
    template: str
    handler: Handler
    scope: str | None = None
    limit: Limit = unlimited
    refuses_api_keys: str | None = None
    mutates: bool = False


class Router:
    """All routes, grouped by their number of segments."""

    def __init__(self, routes: list[Route]) -> None:
        self._by_length: dict[int, list[tuple[list[str], Route]]] = {}
        for route in routes:
            segments = route.template.split("/")
            self._by_length.setdefault(len(segments), []).append((segments, route))

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route of a path and the decoded values of its placeholders.

        :raises RefusedError: 405 if the path exists but not for this method.
        """
        segments = raw_path.split("/")
        known = False
        for template, route in self._by_length.get(len(segments), []):
            params = _matched(template, segments)
            if params is None:
                continue
            if route.method == method:
                return route, params
            known = True
        if known:
            raise refused(405, "method_not_allowed", f"{method} is not supported here")
        return None


def _matched(template: list[str], segments: list[str]) -> dict[str, str] | None:
    params = {}
    for expected, given in zip(template, segments, strict=True):
        if expected.startswith("{"):
            if not given:
                return None
            params[expected[1:-1]] = unquote(given)
        elif expected != given:
            return None
    return params
