"""The Location API: the latest position of every asset that has one, as GeoJSON features.

The envelope and the place of the asset id are the likely ones; the developer hub's location page
says paginated GeoJSON and shows no sample.
"""

from typing import Any

from starlette.responses import Response

from airflow_provider_trackunit.emulator.api.assets import index_of
from airflow_provider_trackunit.emulator.limits.rates import LOCATION_ASSET, LOCATION_PAGE
from airflow_provider_trackunit.emulator.machines import identity
from airflow_provider_trackunit.emulator.machines.fleet import BLOCK, LOCATED
from airflow_provider_trackunit.emulator.serving.answers import json_answer, not_found
from airflow_provider_trackunit.emulator.serving.paging import Collection, page_answer
from airflow_provider_trackunit.emulator.serving.routing import Call, Route
from airflow_provider_trackunit.emulator.world import World

LOCATIONS = "/api/location/v1/locations"
CITIES = (
    ("Havnegade", "1058", "Copenhagen"),
    ("Skolegade", "8000", "Aarhus"),
    ("Kongensgade", "5000", "Odense"),
)
# A machine that has not reported for weeks.
NEVER_LOCATED = {"datetime": None, "Latitude": 0.0, "Longitude": 0.0, "Altitude": 0.0}


def feature(world: World, index: int) -> dict[str, Any]:
    """Return the latest position of one asset; longitude comes first, as GeoJSON has it."""
    position = world.feed.latest(index, ["Locations"], world.data_now).get("Locations", NEVER_LOCATED)
    coordinates = [position[name] for name in ("Longitude", "Latitude", "Altitude")]
    bits = identity.dice(world.seed, index)
    street, zip_code, city = CITIES[bits[22] % len(CITIES)]
    address = {"streetAddress": f"{street} {bits[23]}", "zipCode": zip_code, "city": city, "country": "DK"}
    return {
        "type": "Feature",
        "assetId": identity.asset_id(world.seed, index),
        "geometry": {"type": "Point", "coordinates": coordinates},
        "properties": {
            "accuracy": 5.0,
            "heading": bits[24],
            "speed": 0.0,
            "updatedAt": position["datetime"],
            "locationAddress": address,
        },
    }


def list_locations(call: Call) -> Response:
    """Answer one page of positions."""
    world = call.world

    def read(start: int, stop: int) -> list[bytes]:
        return [world.record(feature, index) for index in world.fleet.indexes(start, stop, LOCATED)]

    return page_answer(call, Collection(world.fleet.count(LOCATED), read))


def one_location(call: Call) -> Response:
    """Answer the position of one asset; 404 for one that has none."""
    index = index_of(call)
    if index % BLOCK not in LOCATED:
        raise not_found(f"Location of asset '{call.params['assetId']}'")
    return json_answer(feature(call.world, index))


LOCATION_ROUTES = [
    Route("GET", LOCATIONS, list_locations, "asset.view", LOCATION_PAGE),
    Route("GET", f"{LOCATIONS}/{{assetId}}", one_location, "asset.view", LOCATION_ASSET),
]
