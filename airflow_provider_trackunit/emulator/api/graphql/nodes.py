"""The objects behind GraphQL: assets, sites and customers as trees of plain values.

A member that takes arguments is a function of them. The global ``id`` is prefixed; the raw
``assetId`` and ``siteId`` stand beside it (developer hub: GraphQL API pages).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.api.assets import asset
from airflow_provider_trackunit.emulator.api.customers import customer
from airflow_provider_trackunit.emulator.api.locations import feature
from airflow_provider_trackunit.emulator.api.sites import site as site_record
from airflow_provider_trackunit.emulator.machines.identity import dice
from airflow_provider_trackunit.emulator.serving.paging import Position, cursor
from airflow_provider_trackunit.emulator.world import World

DEFAULT_FIRST = 20
PLAIN = ("name", "brand", "model", "serialNumber", "createdAt", "assetType", "type", "externalReference")


@dataclass(frozen=True, slots=True)
class Nodes:
    """A list behind a connection, read by position."""

    count: int
    read: Callable[[int, int], Sequence[dict[str, Any]]]


def asset_node(world: World, index: int) -> dict[str, Any]:
    """Return one asset."""
    record = asset(world, index, "v2")
    bits = dice(world.seed, index)
    site = world.stays.site_at(index, world.data_now)
    return {
        **{name: record[name] for name in PLAIN},
        "id": f"___Asset___{record['id']}",
        "assetId": record["id"],
        "lastSeen": _position(world, index)["properties"]["updatedAt"],
        "customFields": [{"key": f"field_{at}", "value": f"value {bits[at]}"} for at in range(2)],
        "image": record["image"],
        "telematicsDevices": record["telematicsDevices"],
        "sites": [] if site is None else [_named_site(world, site)],
        "status": _status(world, bits),
        "insights": _insights(world, index, bits),
        "locations": {"latest": _position(world, index)},
        "events": {"active": partial(_events, world, index, bits[25] % 4)},
    }


def _named_site(world: World, at: int) -> dict[str, Any]:
    found = site_node(world, at)
    return {"id": found["id"], "siteId": found["siteId"], "name": found["name"]}


def _status(world: World, bits: bytes) -> dict[str, Any]:
    attention = {
        "criticalEventCount": bits[26] % 3,
        "lowEventCount": bits[27] % 5,
        "lastEventTime": moments.written(world.data_now - bits[28] * 3600),
    }
    activity = ("ACTIVE", "IDLE", "OFF")[bits[29] % 3]
    return {
        "activity": activity,
        "criticality": ("CRITICAL", "LOW", "NONE")[bits[30] % 3],
        "attention": attention,
    }


def _insights(world: World, index: int, bits: bytes) -> dict[str, Any]:
    latest = world.feed.latest(index, ["CumulativeOperatingHours"], world.data_now)
    hours = latest.get("CumulativeOperatingHours", {}).get("Hour")
    return {
        "fuelLevel": bits[31] % 101,
        "batteryStateOfChargePercent": None,
        "cumulativeOperatingHours": lambda _arguments: hours,
        "totalRunningHours": hours,
    }


def _position(world: World, index: int) -> dict[str, Any]:
    found = feature(world, index)
    properties = found["properties"]
    shown = {"address": properties["locationAddress"], "updatedAt": properties["updatedAt"]}
    return {"geometry": found["geometry"], "properties": shown}


def _events(world: World, index: int, count: int, arguments: dict[str, Any]) -> dict[str, Any]:
    def read(start: int, stop: int) -> list[dict[str, Any]]:
        return [
            {"id": f"___Event___{index}-{at}", "type": "ALERT", "status": "OPEN"} for at in range(start, stop)
        ]

    return connection(world, Nodes(count, read), 0, arguments.get("first") or DEFAULT_FIRST)


def site_node(world: World, at: int) -> dict[str, Any]:
    """Return one site."""
    record = site_record(world, at)
    taken = {name: record[name] for name in ("name", "type", "status", "externalReference")}
    return taken | {"id": f"___Site___{record['id']}", "siteId": record["id"]}


def customer_node(world: World, at: int) -> dict[str, Any]:
    """Return one customer."""
    record = customer(world, at)
    return record | {"id": f"___Customer___{record['id']}", "customerId": record["id"]}


def connection(world: World, nodes: Nodes, start: int, first: int) -> dict[str, Any]:
    """Return a Relay connection of ``first`` nodes from ``start`` on."""
    stop = min(start + first, nodes.count)
    found = nodes.read(start, stop) if start < stop else []
    cursors = [cursor(world, Position(start + at + 1)) for at in range(len(found))]
    info = {
        "hasNextPage": stop < nodes.count,
        "hasPreviousPage": start > 0,
        "startCursor": cursors[0] if cursors else None,
        "endCursor": cursors[-1] if cursors else None,
        "count": nodes.count,
    }
    edges = [{"cursor": mark, "node": node} for mark, node in zip(cursors, found, strict=True)]
    return {"edges": edges, "pageInfo": info}
