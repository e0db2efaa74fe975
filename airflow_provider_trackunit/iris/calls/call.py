"""What a caller asks of one endpoint, checked before anything is sent. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_trackunit.iris.calls.origins import read_origin
from airflow_provider_trackunit.iris.calls.values import (
    encodable,
    encode_json,
    fill_path,
    header_pairs,
    query_pairs,
)
from airflow_provider_trackunit.iris.errors import IrisConfigurationError

_ARGUMENTS: Final = ("endpoint", "method", "path_params", "query_params", "json", "headers")

# What other clients and Airflow's own HTTP provider call them.
_NAMES_ELSEWHERE: Final[Mapping[str, str]] = {
    "params": "query_params",
    "query": "query_params",
    "data": "json",
    "body": "json",
    "url": "endpoint",
    "path": "endpoint",
    "conn_id": "trackunit_conn_id",
    "http_conn_id": "trackunit_conn_id",
}

_GRAPHQL_PATH: Final = re.compile(r".*/graphql/?")
_FULL_URL: Final = re.compile(r"//|[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller asks of one endpoint, checked, before it is paged.

    :param origin: ``https://host[:port]``, the only place the request can go
    :param method: upper case
    :param path: finished and percent-encoded, beginning with ``/``
    :param query: pairs in the order they are sent
    :param json: the body, or None for no body
    :param headers: the caller's own headers
    :param endpoint: the path as the caller wrote it (placeholders not filled), for messages
    """

    origin: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    json: Any = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    endpoint: str = ""

    @property
    def label(self) -> str:
        """How messages name it, such as ``GET /api/asset/v1/assets``."""
        return f"{self.method} {self.endpoint or self.path}"

    @property
    def is_graphql(self) -> bool:
        """Whether it goes to GraphQL, whose answers can be errors with status 200.

        The path says so and not the body: other endpoints take a body with a ``query`` as well.
        """
        return _GRAPHQL_PATH.fullmatch(self.path) is not None

    @property
    def graphql_query(self) -> str:
        """The text of the query that is sent to GraphQL, empty where none is."""
        body = self.json if self.method == "POST" and self.is_graphql else None
        query = body.get("query") if isinstance(body, Mapping) else None
        return query if isinstance(query, str) else ""

    def with_query(self, **values: str) -> Call:
        """Return the same call with these query values, each in the place of a former value of its name."""
        kept = tuple((name, value) for name, value in self.query if name not in values)
        return replace(self, query=kept + tuple(values.items()))


def without_query(endpoint: str) -> str:
    """Return an endpoint as messages, manifests and lineage name it: what follows ``?`` may be confidential."""
    return re.split(r"[?#]", endpoint, maxsplit=1)[0]


def make_call(
    origin: str,
    endpoint: str,
    *,
    method: str = "GET",
    path_params: Mapping[str, Any] | None = None,
    query_params: Mapping[str, Any] | None = None,
    json: Any = None,
    headers: Mapping[str, Any] | None = None,
    **unknown: Any,
) -> Call:
    """Return the checked call for an endpoint of IRIS.

    :param origin: the connection's origin, from :func:`read_origin`
    :param endpoint: a path with or without placeholders, ``/api/asset/v1/assets/{assetId}``, or a full URL on
        the connection's own origin
    :param path_params: a value for every placeholder; percent-encoded whole, so a PIN may hold blanks or slashes
    :param query_params: None values are left out, lists repeat the name, booleans are ``true`` and ``false``,
        aware datetimes are ISO 8601 in UTC
    :param json: the body; None sends none
    :param headers: extra headers; None values are left out, ``Authorization`` is the connection's own
    :raises IrisConfigurationError: when an argument is unusable; the text names it
    """
    if unknown:
        name = next(iter(unknown))
        raise IrisConfigurationError(f"{name}: there is no such argument. {meant_by(name)}".strip())
    template, query_text = _split_endpoint(origin, endpoint)
    if json is not None:
        encode_json(json)
    query = (*parse_qsl(query_text, keep_blank_values=True), *query_pairs(query_params or {}))
    return Call(
        origin=origin,
        method=_method(method),
        path=fill_path(template, path_params or {}),
        query=query,
        json=json,
        headers=header_pairs(headers or {}),
        endpoint=template,
    )


def meant_by(name: str, others: Iterable[str] = ()) -> str:
    """Return what to write in the place of an argument that does not exist, empty when nobody can tell.

    :param others: what can be given besides the arguments of a request
    """
    meant = _NAMES_ELSEWHERE.get(name.lower())
    close = difflib.get_close_matches(name, [*_ARGUMENTS, *others], n=1, cutoff=0.75)
    meant = meant or next(iter(close), None)
    return f"Write {meant}" if meant else ""


def _method(method: Any) -> str:
    text = method.strip().upper() if isinstance(method, str) else ""
    if not re.fullmatch(r"[A-Z]+", text):
        shown = repr(method) if isinstance(method, str) else f"a {type(method).__name__}"
        raise IrisConfigurationError(f"method: {shown} is not an HTTP method")
    return text


def _split_endpoint(origin: str, endpoint: str) -> tuple[str, str]:
    if not isinstance(endpoint, str) or not endpoint.strip():
        raise IrisConfigurationError("endpoint: give a path such as /api/asset/v1/assets")
    text = encodable(endpoint.strip(), "endpoint")
    if _FULL_URL.match(text):
        own = read_origin(f"https:{text}" if text.startswith("//") else text, setting="endpoint")
        if own != origin:
            raise IrisConfigurationError(
                f"endpoint: {own} is not the origin of this connection ({origin}); "
                "the token is never sent anywhere else. Give the path alone"
            )
        text = urlsplit(text)._replace(scheme="", netloc="").geturl()
    path, _, query = text.partition("?")
    if "#" in text:
        raise IrisConfigurationError("endpoint: a '#' must be written %23, or the value given in path_params")
    if re.search(r"[\x00-\x1f\x7f\\]", path):
        raise IrisConfigurationError("endpoint: a backslash or control character in the path")
    return "/" + path.lstrip("/"), query
