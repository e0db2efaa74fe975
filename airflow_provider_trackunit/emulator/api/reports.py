"""Emissions and compaction: APIs whose paths are told in public and whose records are not.

Developer hub: emissions API v2 (the first part of its path is not published either) and compaction API. The records
are invented; that there is an answer, its envelope and its limit are what a client can be tried on.
"""

from typing import Any

from starlette.responses import Response

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.limits.rates import BASIC, EMISSIONS
from airflow_provider_trackunit.emulator.machines.identity import asset_id, index_in_uuid, scattered_uuid
from airflow_provider_trackunit.emulator.machines.work import DAY_S, machine
from airflow_provider_trackunit.emulator.serving.answers import json_answer, not_found
from airflow_provider_trackunit.emulator.serving.paging import Collection, page_answer
from airflow_provider_trackunit.emulator.serving.routing import Call, Route
from airflow_provider_trackunit.emulator.world import World

PERIODS_DAYS = {"period": 30, "monthly": 30, "lifetime": 3650, "daily": 1}
# What a litre of diesel emits, as everybody reckons.
KG_CO2_A_LITRE = 2.68
TRIPS = 5


def list_emissions(call: Call) -> Response:
    """Answer the emissions of each machine over the period that the path names."""
    return _emissions(call, PERIODS_DAYS[call.path.rpartition("emissions/")[2].split("/")[0]])


def list_emissions_of_site(call: Call) -> Response:
    """Answer the same for a site; which machines were on it is not told."""
    return _emissions(call, PERIODS_DAYS["monthly"])


def _emissions(call: Call, days: int) -> Response:
    world = call.world

    def read(start: int, stop: int) -> list[bytes]:
        return [world.record(_emission, index, days) for index in world.fleet.indexes(start, stop)]

    return page_answer(call, Collection(world.fleet.count(), read))


def _emission(world: World, index: int, days: int) -> dict[str, Any]:
    worker, until = machine(world.seed, index), world.data_now
    litres = worker.counters(until).less(worker.counters(until - days * DAY_S)).fuel_litres
    return {
        "assetId": asset_id(world.seed, index),
        "co2Kilograms": round(litres * KG_CO2_A_LITRE, 2),
        "fuelLitres": round(litres, 2),
        "dataSourceScore": 50 + index % 50,
    }


def summary(call: Call) -> Response:
    """Answer the whole fleet in one object."""
    rows = (_emission(call.world, index, 30) for index in call.world.fleet.indexes(0, 100))
    return json_answer({"co2Kilograms": round(sum(row["co2Kilograms"] for row in rows), 2)})


def list_trips(call: Call) -> Response:
    """Answer the trips of rollers; a POST that only reads."""
    return json_answer({"trips": [_trip(call.world, at) for at in range(TRIPS)]})


def one_trip(call: Call) -> Response:
    """Answer one trip."""
    return json_answer(_asked_trip(call))


def compactions(call: Call) -> Response:
    """Answer the passes of one trip."""
    _asked_trip(call)
    return json_answer({"compactions": [{"passes": at + 1, "squareMetres": 40 - 6 * at} for at in range(5)]})


def _asked_trip(call: Call) -> dict[str, Any]:
    at = index_in_uuid(call.params["tripId"])
    if at is None or at >= TRIPS or _trip(call.world, at)["id"] != call.params["tripId"]:
        raise not_found(f"Trip '{call.params['tripId']}'")
    return _trip(call.world, at)


def _trip(world: World, at: int) -> dict[str, Any]:
    begin = world.data_now - (at + 1) * DAY_S
    return {
        "id": scattered_uuid(world.seed, at, "trip"),
        "assetId": asset_id(world.seed, at),
        "startTime": moments.written(begin),
        "endTime": moments.written(begin + 3600),
    }


def list_searches(_call: Call) -> Response:
    """Answer that there are no searches."""
    return json_answer({"searches": []})


def one_search(call: Call) -> Response:
    """Answer 404."""
    raise not_found(f"Search '{call.params['searchUUID']}'")


EMISSIONS_API, COMPACTION_API = "/api/emissions/v2", "/api/compaction/v1/compactions"
EMISSION_PATHS = {
    **{f"emissions/{period}": list_emissions for period in PERIODS_DAYS},
    **{f"emissions/{period}/{name}": summary for period in PERIODS_DAYS for name in ("kpis", "summary")},
    "sites/{siteId}/emissions": list_emissions_of_site,
    "sites/{siteId}/emissions/monthly": list_emissions_of_site,
    "sites/{siteId}/emissions/monthly/summary": summary,
}
REPORT_ROUTES = [
    *(
        Route(method, f"{EMISSIONS_API}/{path}", handler, "asset.view", EMISSIONS)
        for path, handler in EMISSION_PATHS.items()
        for method in ("GET", "POST")
    ),
    Route("POST", f"{COMPACTION_API}/trips", list_trips, "asset.view", BASIC),
    Route("GET", f"{COMPACTION_API}/trips/{{tripId}}", one_trip, "asset.view", BASIC),
    Route("GET", f"{COMPACTION_API}/trips/{{tripId}}/filter", one_trip, "asset.view", BASIC),
    Route("GET", f"{COMPACTION_API}/trips/{{tripId}}/compactions", compactions, "asset.view", BASIC),
    Route(
        "GET", f"{COMPACTION_API}/trips/{{tripId}}/compactions/summarized", compactions, "asset.view", BASIC
    ),
    Route("GET", f"{COMPACTION_API}/searches", list_searches, "asset.view", BASIC),
    Route("GET", f"{COMPACTION_API}/searches/{{searchUUID}}", one_search, "asset.view", BASIC),
]
