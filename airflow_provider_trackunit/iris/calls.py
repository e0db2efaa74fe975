"""What a caller asks for, checked before anything is sent: the origin, the path, the query, the body.

Pure. It knows no endpoint, does not page, and does not build HTTP requests.
"""

from __future__ import annotations

import datetime as dt
import difflib
import ipaddress
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlsplit

from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.secrecy import Secret

#: Where IRIS is (developer hub, page "REST introduction").
BASE_URL: Final = "https://iris.trackunit.com"

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

# Sent by the client itself; a caller who sets them would break the request or replace the token.
_RESERVED_HEADERS: Final = frozenset(
    {"authorization", "host", "content-length", "transfer-encoding", "connection", "proxy-authorization"}
)

# What RFC 3986 lets stand in a path segment besides the unreserved characters.
_SEGMENT_SAFE: Final = "!$&'()*+,;=:@"
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
# The second: text between an IPv6 address and its port, which some releases of Python pass over.
_UNSAFE_IN_URL: Final = re.compile(r"[\x00-\x20\x7f\\]|^[^/]*//[^/?#]*\][^:/?#]")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_GRAPHQL_PATH: Final = re.compile(r".*/graphql/?")
_FULL_URL: Final = re.compile(r"//|[A-Za-z][A-Za-z0-9+.-]*:")

# Names that every library reads alike. An international one has a spelling in ASCII (xn--…).
_HOST_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


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


def read_origin(url: str, *, setting: str) -> str:
    """Return ``scheme://host[:port]`` of a URL that a person configured.

    A URL without a scheme is taken as ``https``. Plain ``http`` is refused for any host that is not loopback,
    because the bearer token and the credentials would cross the network in clear.

    :param setting: what the connection form calls the field, for the message
    :raises IrisConfigurationError: when the URL is unusable; the text names the field
    """
    text = Secret(url.strip())
    parts = _split(text if "://" in text else Secret(f"https://{text}"))
    if parts is None:
        # Python's own text repeats a part of the URL, which may be a part of a password.
        raise IrisConfigurationError(f"{setting}: not a URL; give it as https://host or https://host:port")
    scheme, name, port, has_credentials = parts
    if scheme not in {"http", "https"}:
        raise IrisConfigurationError(f"{setting}: the scheme must be https, not {scheme!r}")
    if not name or _UNSAFE_IN_URL.search(text):
        raise IrisConfigurationError(f"{setting}: no host in the URL, or a blank or control character in it")
    if has_credentials:
        raise IrisConfigurationError(f"{setting}: put credentials in their own fields, not in the URL")
    host = _read_host(name.rstrip("."), setting, plain=scheme == "http")
    default_port = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}" if port in {None, default_port} else f"{scheme}://{host}:{port}"


def _split(url: Secret) -> tuple[str, str | None, int | None, bool] | None:
    """Return scheme, host, port and whether there are credentials; None for what is no URL.

    A traceback can show the variables of its frames, and what ``urlsplit`` returns shows a password: it stays here.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port, parts.username is not None or parts.password is not None


def _read_host(host: str, setting: str, *, plain: bool) -> str:
    """Return a host as it stands in a URL, unless what is sent there would not be safe.

    :param plain: whether the URL is one of plain http
    """
    address = _address(host)
    if address is None and not _HOST_NAME.fullmatch(host):
        raise IrisConfigurationError(
            f"{setting}: not a host name; write an international one in ASCII (xn--…), as its owner registered it"
        )
    if plain and not _is_loopback(host, address):
        raise IrisConfigurationError(
            f"{setting}: plain http would send credentials in clear; use https (http is for loopback only)"
        )
    return f"[{host}]" if isinstance(address, ipaddress.IPv6Address) else host


def is_plain(url: str) -> bool:
    """Return whether a URL is one of plain http, which :func:`read_origin` lets through for loopback alone."""
    return url.startswith("http://")


def without_query(endpoint: str) -> str:
    """Return an endpoint as messages, manifests and lineage name it: what follows ``?`` may be confidential."""
    return re.split(r"[?#]", endpoint, maxsplit=1)[0]


def read_base_url(url: str) -> str:
    """Return the origin of the connection's base URL, which must not have a path of its own."""
    origin = read_origin(url, setting="Base URL (host)")
    rest = urlsplit(url if "://" in url else f"https://{url}")
    if rest.path.strip("/ ") or rest.query or rest.fragment:
        raise IrisConfigurationError(
            "Base URL (host): give the origin alone, such as https://iris.trackunit.com; the path belongs in the endpoint"
        )
    return origin


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the host as an address, None for a name. An address with a zone (``fe80::1%eth0``) is neither."""
    try:
        return None if "%" in host else ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    """Return whether what is sent there stays on this machine; an IPv4 address within an IPv6 one does not count.

    Python's own word for the latter changed with its releases.
    """
    if isinstance(address, ipaddress.IPv6Address):
        return int(address) == 1
    return host == "localhost" if address is None else address.is_loopback


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
    query = (*parse_qsl(query_text, keep_blank_values=True), *_query_pairs(query_params or {}))
    return Call(
        origin=origin,
        method=_method(method),
        path=_fill_path(template, path_params or {}),
        query=query,
        json=json,
        headers=_header_pairs(headers or {}),
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


def encode_json(value: Any, *, order: Literal["deterministic"] | None = None) -> bytes:
    """Return a body as bytes.

    :param order: ``"deterministic"`` where equal bodies must give equal bytes
    :raises IrisConfigurationError: when it holds what JSON cannot
    """
    # Imported here, because Airflow reads this module with every DAG file.
    import msgspec

    try:
        if not _is_finite(value):
            raise ValueError("a number in it is not finite")  # msgspec would write null
        return msgspec.json.encode(value, order=order)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise IrisConfigurationError(f"json: cannot be written as JSON ({error})") from None


def _is_finite(value: Any) -> bool:
    """Return whether all numbers within a value are ones that JSON can hold."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, list | tuple) or all(map(_is_finite, value))


def _split_endpoint(origin: str, endpoint: str) -> tuple[str, str]:
    if not isinstance(endpoint, str) or not endpoint.strip():
        raise IrisConfigurationError("endpoint: give a path such as /api/asset/v1/assets")
    text = _encodable(endpoint.strip(), "endpoint")
    if _FULL_URL.match(text):
        own = read_origin(f"https:{text}" if text.startswith("//") else text, setting="endpoint")
        if own != origin:
            raise IrisConfigurationError(
                f"endpoint: {own} is not the origin of this connection ({origin}); "
                "the token is never sent anywhere else. Give the path alone"
            )
        rest = urlsplit(text)
        text = (
            rest.path
            + (f"?{rest.query}" if rest.query else "")
            + (f"#{rest.fragment}" if rest.fragment else "")
        )
    path, _, query = text.partition("?")
    if "#" in text:
        raise IrisConfigurationError("endpoint: a '#' must be written %23, or the value given in path_params")
    if re.search(r"[\x00-\x1f\x7f\\]", path):
        raise IrisConfigurationError("endpoint: a backslash or control character in the path")
    return "/" + path.lstrip("/"), query


def _query_pairs(query_params: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    if not isinstance(query_params, Mapping):
        raise IrisConfigurationError("query_params: give a mapping of names to values")
    return tuple(
        (name, _text_of(one, f"query_params[{name!r}]"))
        for name, value in _named(query_params, "query_params").items()
        for one in _each(value)
        if one is not None
    )


def _named(values: Mapping[Any, Any], argument: str) -> dict[str, Any]:
    """Return values by names that are text and can be sent."""
    return {_text_of(name, f"a name in {argument}"): value for name, value in values.items()}


def _each(value: Any) -> Iterable[Any]:
    several = isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes)
    return value if several else (value,)


def _text_of(value: Any, argument: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise IrisConfigurationError(
                f"{argument}: a datetime without a time zone is ambiguous; make it aware"
            )
        return _utc_text(value, argument)
    if isinstance(value, str | int | float | dt.date):
        try:
            return _encodable(str(value), argument)
        except ValueError:
            raise IrisConfigurationError(f"{argument}: a number of some thousand digits") from None
    raise IrisConfigurationError(
        f"{argument}: a {type(value).__name__} cannot be sent; give text or a number"
    )


def _utc_text(moment: dt.datetime, argument: str) -> str:
    timespec = "microseconds" if moment.microsecond else "seconds"
    try:
        return moment.astimezone(dt.UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
    except OverflowError:
        raise IrisConfigurationError(f"{argument}: a moment outside of the calendar in UTC") from None


def _encodable(text: str, argument: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise IrisConfigurationError(f"{argument}: the text holds half a character (a surrogate)") from None
    return text


def _fill_path(template: str, path_params: Mapping[str, Any]) -> str:
    if not isinstance(path_params, Mapping):
        raise IrisConfigurationError("path_params: give a mapping of placeholder names to values")
    names = _PLACEHOLDER.findall(template)
    missing = [name for name in names if name not in path_params]
    unused = [name for name in _named(path_params, "path_params") if name not in names]
    if missing:
        raise IrisConfigurationError(f"path_params: no value for {', '.join(missing)} of {template}")
    if unused:
        raise IrisConfigurationError(f"path_params: {template} has no placeholder for {', '.join(unused)}")

    filled = "/".join(_segment(part, path_params) for part in template.split("/"))
    if any(part in {".", ".."} for part in filled.split("/")):
        raise IrisConfigurationError("endpoint: '.' and '..' are not allowed as parts of the path")
    return filled


def _segment(part: str, path_params: Mapping[str, Any]) -> str:
    pieces = _PLACEHOLDER.split(part)  # literal, name, literal, name, ..., literal
    literals = [quote(unquote_to_bytes(piece), safe=_SEGMENT_SAFE) for piece in pieces[::2]]
    values = [_path_value(name, path_params[name]) for name in pieces[1::2]]
    return "".join(x for pair in zip(literals, [*values, ""], strict=True) for x in pair)


def _path_value(name: str, value: Any) -> str:
    text = "" if value is None else _text_of(value, f"path_params[{name!r}]")
    if not text.strip() or text in {".", ".."}:
        raise IrisConfigurationError(f"path_params[{name!r}]: {text!r} cannot be a part of a path")
    return quote(text, safe="")


def _header_pairs(headers: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    if not isinstance(headers, Mapping):
        raise IrisConfigurationError("headers: give a mapping of names to values")
    pairs = []
    for name, value in _named(headers, "headers").items():
        text = (
            value
            if isinstance(value, str)
            else _text_of("" if value is None else value, f"headers[{name!r}]")
        )
        if name.lower() in _RESERVED_HEADERS:
            raise IrisConfigurationError(f"headers: {name} is set by the connection and cannot be given here")
        if not _HEADER_NAME.fullmatch(name) or not text.isascii() or not text.isprintable():
            raise IrisConfigurationError(f"headers: {name!r} has characters that a header cannot hold")
        if value is not None:
            pairs.append((name, text))
    return tuple(pairs)
