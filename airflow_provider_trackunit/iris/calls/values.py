"""Values as they are sent: in the query, in the path, in the headers and in the body. Pure."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import quote, unquote_to_bytes

from airflow_provider_trackunit.iris.errors import IrisConfigurationError

# Sent by the client itself; a caller who sets them would break the request or replace the token.
_RESERVED_HEADERS: Final = frozenset(
    {"authorization", "host", "content-length", "transfer-encoding", "connection", "proxy-authorization"}
)

# What RFC 3986 lets stand in a path segment besides the unreserved characters.
_SEGMENT_SAFE: Final = "!$&'()*+,;=:@"
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
# JSON can name one half of a pair; no encoding can send it, and the error of one that tries holds the whole text.
_HALF_A_CHARACTER: Final = re.compile("[\ud800-\udfff]")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


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


def query_pairs(query_params: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a query, in the order in which they are sent.

    :raises IrisConfigurationError: when a name or a value cannot be sent
    """
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
        try:
            return utc_text(value, "microseconds" if value.microsecond else "seconds")
        except OverflowError:
            raise IrisConfigurationError(f"{argument}: a moment outside of the calendar in UTC") from None
    if isinstance(value, str | int | float | dt.date):
        try:
            return encodable(str(value), argument)
        except ValueError:
            raise IrisConfigurationError(f"{argument}: a number of some thousand digits") from None
    raise IrisConfigurationError(
        f"{argument}: a {type(value).__name__} cannot be sent; give text or a number"
    )


def utc_text(moment: dt.datetime, timespec: str = "seconds") -> str:
    """Return a moment the way IRIS writes it: ISO 8601 in UTC."""
    return moment.astimezone(dt.UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def is_encodable(text: str) -> bool:
    """Return whether a text can be sent: one with half a character (a surrogate) cannot."""
    return _HALF_A_CHARACTER.search(text) is None


def encodable(text: str, argument: str) -> str:
    """Return a text that can be sent.

    :raises IrisConfigurationError: when it cannot
    """
    if not is_encodable(text):
        raise IrisConfigurationError(f"{argument}: the text holds half a character (a surrogate)")
    return text


def fill_path(template: str, path_params: Mapping[str, Any]) -> str:
    """Return a path with its placeholders filled, percent-encoded.

    :raises IrisConfigurationError: when a value is missing, not used, or no part of a path
    """
    if not isinstance(path_params, Mapping):
        raise IrisConfigurationError("path_params: give a mapping of placeholder names to values")
    literals, names = _parts_of(template)
    missing = [name for name in names if name not in path_params]
    unused = [name for name in _named(path_params, "path_params") if name not in names]
    if missing:
        raise IrisConfigurationError(f"path_params: no value for {', '.join(missing)} of {template}")
    if unused:
        raise IrisConfigurationError(f"path_params: {template} has no placeholder for {', '.join(unused)}")

    values = [_path_value(name, path_params[name]) for name in names]
    filled = "".join(x for pair in zip(literals, [*values, ""], strict=True) for x in pair)
    if any(part in {".", ".."} for part in filled.split("/")):
        raise IrisConfigurationError("endpoint: '.' and '..' are not allowed as parts of the path")
    return filled


@lru_cache(maxsize=256)  # that of each machine of a fleet is the same
def _parts_of(template: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what stands around the placeholders, percent-encoded, and their names."""
    pieces = _PLACEHOLDER.split(template)  # literal, name, literal, name, ..., literal
    literals = (
        "/".join(quote(unquote_to_bytes(part), safe=_SEGMENT_SAFE) for part in literal.split("/"))
        for literal in pieces[::2]
    )
    return tuple(literals), tuple(pieces[1::2])


def _path_value(name: str, value: Any) -> str:
    text = "" if value is None else _text_of(value, f"path_params[{name!r}]")
    if not text.strip() or text in {".", ".."}:
        raise IrisConfigurationError(f"path_params[{name!r}]: {text!r} cannot be a part of a path")
    return quote(text, safe="")


def header_pairs(headers: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the caller's own headers.

    :raises IrisConfigurationError: when one cannot be sent, or is set by the client
    """
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
