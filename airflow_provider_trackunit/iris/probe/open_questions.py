"""What Trackunit's documentation leaves open, each with what a probe saw of it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_trackunit.iris.probe.observing import Observation

_UNSEEN = "Not seen."


def answered(seen: Sequence[Observation], *, is_key: bool) -> dict[str, str]:
    """Return each question with its answer, as far as it was seen."""
    return {
        "Does an API key work with GraphQL, assets and asset events?": _keys(seen) if is_key else _UNSEEN,
        "Does a refusal for a limit say how long to wait?": _retry_after(seen),
        "Do members of an AEMP page begin with a capital?": _key_case(seen),
        "How large are the largest pages?": _sizes(seen),
        "Where is the asset's id in a location?": _place_of_asset(seen),
        "What is the GraphQL budget?": next(_budgets(seen), _UNSEEN),
        "Are /api and /public/api the same for service management?": _prefixes(seen),
        "Do CAN faults come in pages?": _can_faults(seen),
    }


def _of(seen: Sequence[Observation], *parts: str) -> list[Observation]:
    """Return what was asked of endpoints whose path contains one of the parts."""
    return [one for one in seen if one.outcome != "not asked" and any(part in one.endpoint for part in parts)]


def _said(one: Observation) -> str:
    return f"{one.endpoint}: {one.outcome}" + (f" ({one.status})" if one.outcome == "refused" else "")


def _keys(seen: Sequence[Observation]) -> str:
    asked = _of(seen, "/graphql/", "/asset-event/", "/api/asset/v1/assets")
    return "; ".join(_said(one) for one in asked if "{" not in one.endpoint) or _UNSEEN


def _retry_after(seen: Sequence[Observation]) -> str:
    refused = [one for one in seen if one.status == 429]
    told = sum("retry-after" in one.limits for one in refused)
    return f"{told} of {len(refused)} refusals did." if refused else "Nothing was refused for a limit."


def _key_case(seen: Sequence[Observation]) -> str:
    read = [one for one in _of(seen, "/15143/") if one.outcome == "read"]
    return f"{', '.join(read[0].envelope)}." if read else _UNSEEN


def _sizes(seen: Sequence[Observation]) -> str:
    found = {one.counts["size"] for one in seen if "size" in one.counts}
    return f"Pages of {', '.join(map(str, sorted(found)))} came." if found else _UNSEEN


def _place_of_asset(seen: Sequence[Observation]) -> str:
    read = [one for one in _of(seen, "/location/v1/locations") if one.records]
    if not read:
        return _UNSEEN
    return f"Members of a location: {', '.join(read[0].members)}; beside them: {', '.join(read[0].envelope)}."


def _budgets(seen: Sequence[Observation]) -> Iterator[str]:
    for one in _of(seen, "/graphql/"):
        cost, left = one.limits.get("rateLimit.cost"), one.limits.get("rateLimit.remaining")
        if left is not None:
            yield f"{left} points are left after a query of {cost}."


def _prefixes(seen: Sequence[Observation]) -> str:
    asked = [one for one in _of(seen, "/service-management/") if "{" not in one.endpoint]
    return "; ".join(map(_said, asked)) or _UNSEEN


def _can_faults(seen: Sequence[Observation]) -> str:
    read = [one for one in _of(seen, "/can-faults/") if one.outcome == "read"]
    return f"Members beside the records: {', '.join(read[0].envelope) or 'none'}." if read else _UNSEEN
