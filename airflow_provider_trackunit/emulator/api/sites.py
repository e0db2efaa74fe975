"""The Site API: sites, one site, stay intervals, and the current sites of some assets.

Developer hub: Site API. A single site can be out of sight (403) while the list answers.
"""

from typing import Any

from starlette.responses import Response

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.api.assets import current_sites
from airflow_provider_trackunit.emulator.limits.rates import BASIC
from airflow_provider_trackunit.emulator.machines.identity import (
    asset_id,
    dice,
    index_in_uuid,
    index_of_asset,
    scattered_uuid,
)
from airflow_provider_trackunit.emulator.machines.stays import HALF_SIDE
from airflow_provider_trackunit.emulator.machines.work import DAY_S
from airflow_provider_trackunit.emulator.serving.answers import json_answer, not_found, refused, violation
from airflow_provider_trackunit.emulator.serving.paging import moment, of_numbers, of_records, page_answer
from airflow_provider_trackunit.emulator.serving.routing import Call, Route
from airflow_provider_trackunit.emulator.world import World

SITES = "/api/site/v1/sites"
# Every tenth site, the fourth first, is listed and yet not visible by its id.
UNSEEN_OF_TEN = 3
HISTORY_S = 30 * DAY_S
TYPES = ("CONSTRUCTION_SITE", "DEPOT", "WORK_PLACE", "AREA")
STATUSES = ("ACTIVE", "ACTIVE", "PLANNED", "FINISHED", "ARCHIVED")


def site(world: World, number: int) -> dict[str, Any]:
    """Return one site with its polygon."""
    bits = dice(world.seed, number, "site row")
    middle = world.stays.middle(number)
    south, north = (round(middle.latitude + side, 6) for side in (-HALF_SIDE, HALF_SIDE))
    west, east = (round(middle.longitude + side, 6) for side in (-HALF_SIDE, HALF_SIDE))
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "id": scattered_uuid(world.seed, number, "site"),
        "name": f"Site {number}",
        "type": TYPES[bits[0] % len(TYPES)],
        "status": STATUSES[bits[1] % len(STATUSES)],
        "externalReference": f"PRJ-{number}",
        "area": {"type": "Polygon", "coordinates": [ring]},
    }


def list_sites(call: Call) -> Response:
    """Answer one page of sites."""
    return page_answer(call, of_numbers(call.world, site, range(call.world.stays.sites)))


def one_site(call: Call) -> Response:
    """Answer one site, 404, or 403 for one that this account cannot see."""
    text, world = call.params["siteId"], call.world
    index = index_in_uuid(text)
    if index is None or index >= world.stays.sites or scattered_uuid(world.seed, index, "site") != text:
        raise not_found(f"Site '{text}'")
    if index % 10 == UNSEEN_OF_TEN:
        raise refused(403, "access_denied", "The site is not visible to this account")
    return json_answer(site(world, index))


def history(call: Call) -> Response:
    """Answer stay intervals, the last 30 days unless ``fromTime`` and ``toTime`` say otherwise."""
    world = call.world
    asked = call.query
    until = moment("toTime", asked["toTime"]) if "toTime" in asked else world.data_now
    since = moment("fromTime", asked["fromTime"]) if "fromTime" in asked else until - HISTORY_S
    assets = {
        name for value in asked.getlist("assetIds") for name in value.split(",")
    }  # both ways of writing a list
    numbers = world.stays.begun(since, min(until, world.data_now))
    if assets:
        stays = (_stay(world, number) for number in numbers)
        return page_answer(call, of_records([stay for stay in stays if stay["assetId"] in assets]))
    return page_answer(call, of_numbers(world, _stay, numbers))


def _stay(world: World, number: int) -> dict[str, Any]:
    stay = world.stays.stay(number)
    return {
        "siteId": scattered_uuid(world.seed, stay.site, "site"),
        "assetId": asset_id(world.seed, stay.asset),
        "enteredAt": moments.written(stay.entered),
        "leftAt": moments.written(stay.left) if stay.left <= world.data_now else None,
    }


def sites_of_assets(call: Call) -> Response:
    """Answer the current sites of the ``assetIds`` in the body; a POST that only reads."""
    asked = call.json().get("assetIds")
    if not isinstance(asked, list):
        raise violation("assetIds", str(asked), "must be a list")
    world = call.world
    known = ((text, index_of_asset(world.seed, str(text))) for text in asked)
    found = [(text, index) for text, index in known if index is not None and world.fleet.holds(index)]
    rows = [{"assetId": text, "siteIds": current_sites(world, index)} for text, index in found]
    return json_answer({"assets": rows})


SITE_ROUTES = [
    Route("GET", SITES, list_sites, "site.view", BASIC),
    Route("GET", f"{SITES}/history", history, "site.view", BASIC),
    Route("GET", f"{SITES}/{{siteId}}", one_site, "site.view", BASIC),
    Route("POST", "/api/site/v1/assets/sites", sites_of_assets, "site.view", BASIC),
]
