"""What was seen, as the switches of an emulator that answers alike. Pure.

The names are those of the emulator's settings; a test holds the two together, because neither imports the other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_trackunit.iris.http.tokens import Token
    from airflow_provider_trackunit.iris.probe.observing import Observation


def switches(seen: Sequence[Observation], token: Token, *, is_key: bool) -> dict[str, Any]:
    """Return the switches that differ with the account; what was not seen is left as it comes.

    :param is_key: whether the token is that of an API key
    """
    found: dict[str, Any] = dict(_of_token(token, is_key=is_key))
    found |= dict(_of_aemp([one for one in seen if "/15143/" in one.endpoint and one.outcome == "read"]))
    found |= dict(_of_refusals([one for one in seen if one.status == 429]))
    found["refused_paths"] = [
        {"path": _pattern(one.endpoint), "method": one.method, "status": one.status}
        for one in seen
        if one.outcome == "refused" and one.status in {401, 403, 404} and "{" not in one.endpoint
    ]
    if any(one.compressed and not one.endpoint.endswith("/metrics") for one in seen):
        found["gzip"] = "all"
    return found


def _of_token(token: Token, *, is_key: bool) -> Iterator[tuple[str, Any]]:
    yield ("key_token_lifetime_s" if is_key else "token_lifetime_s"), round(token.expires_in_s)
    if is_key:
        yield "api_key_scopes", token.scope


def _of_aemp(read: Sequence[Observation]) -> Iterator[tuple[str, Any]]:
    if not read:
        return
    yield "aemp_key_case", "upper" if any("Links" in one.envelope for one in read) else "lower"
    yield "json_layout", "pretty" if any(one.layout == "pretty" for one in read) else "compact"
    links = [one.links for one in read if one.links is not None]
    if any(one.repeat_query for one in links):
        yield "links_repeat_query", True
    if links and not any("last" in one.rels for one in links):
        yield "last_link", False


def _of_refusals(refused: Sequence[Observation]) -> Iterator[tuple[str, Any]]:
    if not refused:
        return
    said = [one.limits.get("retry-after") for one in refused]
    yield "retry_after", "date" if "date" in said else "seconds" if any(said) else "none"
    kinds = {one.content_type for one in refused}
    yield "limit_body", "json" if "application/json" in kinds else "html" if "text/html" in kinds else "text"


def _pattern(path: str) -> str:
    """Return a path as the emulator takes it: a star for what may be missing."""
    return re.sub(r"\[/\{page\}\]", "/*", path)
