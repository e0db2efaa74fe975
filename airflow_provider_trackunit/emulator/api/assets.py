"""The Assets API: lists of v1 and v2, one asset, and the calls that change one.

Developer hub: Assets API and its changelog; the record is that of the service management introduction.
"""

from typing import Any
from uuid import uuid4

from starlette.responses import Response

from airflow_provider_trackunit.emulator.api.aemp.rows import asset_name, external_reference
from airflow_provider_trackunit.emulator.machines import identity
from airflow_provider_trackunit.emulator.machines.fleet import ALL_ASSETS, BLOCK, TOOL_DIGIT, VEHICLE_DIGIT
from airflow_provider_trackunit.emulator.serving.answers import json_answer, no_content, not_found, refused
from airflow_provider_trackunit.emulator.serving.paging import (
    Collection,
    of_records,
    order_asked_for,
    page_answer,
    put_in_order,
)
from airflow_provider_trackunit.emulator.serving.routing import Call, Route
from airflow_provider_trackunit.emulator.world import World

ASSETS = "/api/asset/{version}/assets"
OWNER = "7045120f-5ee7-4613-9977-7e2d8b01ce8c"
WRITABLE = ("name", "externalReference", "brand", "model", "serialNumber", "productionYear", "type")
SORTABLE = (
    "id",
    "name",
    "externalReference",
    "brand",
    "model",
    "serialNumber",
    "productionYear",
    "createdAt",
)
CATEGORIES = {
    "MACHINE": ("Excavator/Mini", "Excavator/Crawler", "Wheel Loader/Compact", "Telehandler/Rotating"),
    "VEHICLE": ("Truck/Tipper", "Van/Service"),
    "TOOL": ("Breaker/Hydraulic", "Laser/Rotating"),
}


def asset(world: World, index: int, version: str) -> dict[str, Any]:
    """Return one asset; the type VEHICLE exists from v2 on."""
    seed = world.seed
    brand, model = identity.brand_and_model(seed, index)
    kind = _kind(index, version)
    bits = identity.dice(seed, index)
    record = {
        "id": identity.asset_id(seed, index),
        "assetType": kind,
        "type": CATEGORIES[kind][bits[3] % len(CATEGORIES[kind])],
        "name": asset_name(seed, index),
        "externalReference": external_reference(index),
        "brand": brand,
        "model": model,
        "serialNumber": world.names.serial_number(index) or "",
        "productionYear": 2010 + bits[15] % 15,
        "productionDate": None if bits[16] % 2 else f"20{10 + bits[15] % 15}-0{1 + bits[17] % 9}-15",
        "ownerAccountId": OWNER,
        "createdAt": None if bits[18] % 3 == 0 else f"20{21 + bits[19] % 5}-03-0{1 + bits[20] % 9}T09:12:44Z",
        "hidden": index in world.fleet.hidden,
        "permissions": {"edit": bits[21] % 2 == 0},
        "telematicsDevices": _devices(seed, index),
    }
    return record | _unlisted(world, index, bits.hex()) | world.asset_edits.get(index, {})


def _unlisted(world: World, index: int, bits: str) -> dict[str, Any]:
    """Return members no page documents: additive changes arrive unannounced (developer hub: versioning)."""
    return {
        "image": {"url": f"https://images.emulator.invalid/{bits}/{index}.jpg", "source": "CATALOGUE"},
        "siteIds": current_sites(world, index),
        "tags": [f"crew-{bits[:2]}", f"depot-{bits[2:4]}", "2026 season"],
    }


def current_sites(world: World, index: int) -> list[str]:
    """Return the ids of the sites an asset is on now: one, or none."""
    site = world.stays.site_at(index, world.data_now)
    return [] if site is None else [identity.scattered_uuid(world.seed, site, "site")]


def _kind(index: int, version: str) -> str:
    digit = index % BLOCK
    if digit == TOOL_DIGIT:
        return "TOOL"
    return "VEHICLE" if digit == VEHICLE_DIGIT and version != "v1" else "MACHINE"


def _devices(seed: int, index: int) -> list[dict[str, str]]:
    serials = identity.device_serials(seed, index)
    return [
        {"id": str(199_000 + index * 4 + at), "serialNumber": serial} for at, serial in enumerate(serials)
    ]


def list_assets(call: Call) -> Response:
    """Answer one page of assets, in the order of ``sort``; ``includeHidden=true`` lists the hidden ones as well."""
    world, version = call.world, call.params["version"]
    hidden_too = call.query.get("includeHidden") == "true"
    order = order_asked_for(call, SORTABLE)

    def indexes(start: int, stop: int) -> list[int]:
        return world.fleet.indexes(start, stop, ALL_ASSETS, hidden_too=hidden_too)

    count = world.fleet.count(ALL_ASSETS, hidden_too=hidden_too)
    sorted_ones = _sorted(world, indexes(0, count), order, version) if order else None

    def read(start: int, stop: int) -> list[bytes]:
        found = indexes(start, stop) if sorted_ones is None else sorted_ones[start:stop]
        return [world.record(asset, index, version) for index in found]

    return page_answer(call, Collection(count, read))


def _sorted(world: World, indexes: list[int], order: list[tuple[str, bool]], version: str) -> list[int]:
    key = (len(indexes), tuple(order), version)
    if key not in world.orders:
        put_in_order(indexes, order, lambda index, name: _member(world, index, version, name))
        world.orders[key] = indexes
    return world.orders[key]


def _member(world: World, index: int, version: str, name: str) -> Any:
    # A large fleet is asked for in the order of its ids most of all, and those cost no asset.
    return identity.asset_id(world.seed, index) if name == "id" else asset(world, index, version)[name]


def index_of(call: Call) -> int:
    """Return the number of the asset in the path.

    :raises RefusedError: 404 if there is none, or it is not visible now.
    """
    text = call.params["assetId"]
    index = identity.index_of_asset(call.world.seed, text)
    if index is None or not call.world.fleet.holds(index):
        raise not_found(f"Asset '{text}'")
    return index


def one_asset(call: Call) -> Response:
    """Answer one asset."""
    added = call.world.added_assets.get(call.params["assetId"])
    if added is not None:
        return json_answer(added)
    return json_answer(asset(call.world, index_of(call), call.params["version"]))


def change_asset(call: Call) -> Response:
    """Answer ``PATCH``: set some members of an asset and return it."""
    index, changes = index_of(call), call.json()
    refuse_unknown(changes)
    call.world.asset_edits.setdefault(index, {}).update(changes)
    call.world.forget_records()
    return json_answer(asset(call.world, index, call.params["version"]))


def refuse_unknown(changes: dict[str, Any]) -> None:
    """Refuse members that cannot be written."""
    for name in changes:
        if name not in WRITABLE:
            raise refused(400, "unknown_property", f"'{name}' cannot be changed")


def onboard(call: Call) -> Response:
    """Answer ``POST …/onboard``: 201 with a new asset. Machines cannot be onboarded this way."""
    wanted = call.json()
    if wanted.get("assetType", "OTHER") == "MACHINE":
        raise refused(400, "machine_not_supported", "Assets of type MACHINE cannot be onboarded")
    added = {"id": str(uuid4()), "assetType": "OTHER", "ownerAccountId": OWNER, **wanted}
    call.world.added_assets[str(added["id"])] = added
    return json_answer(added, 201)


def offboard(call: Call) -> Response:
    """Answer ``POST …/{assetId}/offboard``: 204."""
    if call.world.added_assets.pop(call.params["assetId"], None) is None:
        call.world.fleet.hide([index_of(call)])
        call.world.forget_records()
    return no_content()


def shares(call: Call) -> Response:
    """Answer whom an asset is shared with."""
    asset_id = identity.asset_id(call.world.seed, index_of(call))
    return page_answer(call, of_records([{"assetId": asset_id, "accountId": OWNER, "type": "OWNER"}]))


def machine(call: Call) -> Response:
    """Answer the legacy machine by its integer id."""
    text = call.params["machineId"]
    index = (int(text) - identity.FIRST_MACHINE_ID) // identity.MACHINE_ID_STEP if text.isdecimal() else -1
    if not call.world.fleet.holds(index) or str(identity.machine_id(index)) != text:
        raise not_found(f"Machine '{text}'")
    record = asset(call.world, index, "v1")
    taken = {name: record[name] for name in ("brand", "externalReference", "model", "name", "productionDate")}
    device = record["telematicsDevices"][0] if record["telematicsDevices"] else None
    rest = {"machineId": int(text), "category": record["type"], "ownedBy": OWNER, "unit": device}
    return json_answer(taken | rest | {"readOnlyFields": [], "score": 0, "vin": record["serialNumber"]})


VIEW, MANAGE = "asset.view", "account.asset.manage"
ASSET_ROUTES = [
    Route("POST", f"{ASSETS}/onboard", onboard, MANAGE, mutates=True),
    Route("GET", ASSETS, list_assets, VIEW),
    Route("GET", f"{ASSETS}/{{assetId}}", one_asset, VIEW),
    Route("PATCH", f"{ASSETS}/{{assetId}}", change_asset, MANAGE, mutates=True),
    Route("POST", f"{ASSETS}/{{assetId}}/offboard", offboard, MANAGE, mutates=True),
    Route("GET", f"{ASSETS}/{{assetId}}/shares", shares, VIEW),
    Route("GET", "/public/api/machine/machines/{machineId}", machine, VIEW),
    Route("GET", "/public/api/machine/machines/{machineId}/extended-information", machine, VIEW),
]
