"""Service management: bare objects without paging (developer hub: service management introduction)."""

from typing import Any

from starlette.responses import Response

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.limits.rates import BASIC
from airflow_provider_trackunit.emulator.machines.identity import (
    asset_id,
    index_of_asset,
    scattered_uuid,
)
from airflow_provider_trackunit.emulator.machines.work import DAY_S
from airflow_provider_trackunit.emulator.serving.answers import json_answer, violation
from airflow_provider_trackunit.emulator.serving.routing import Call, Route

STATUSES = ("PLANNED", "UPCOMING", "OVERDUE")
PLANS = 4


def list_plans(call: Call) -> Response:
    """Answer service plans."""
    return json_answer({"servicePlans": [_plan(call, at) for at in range(PLANS)]})


def _plan(call: Call, at: int) -> dict[str, Any]:
    seed, hours = call.world.seed, 250 * (at + 1)
    created = call.world.data_now - 400 * DAY_S
    service = {
        "id": scattered_uuid(seed, at, "service"),
        "name": f"{hours} h service",
        "cumulativeOperatingHoursCriteria": {"hours": hours},
        "timeCriteria": {"months": 12} if at % 2 else None,
    }
    return {
        "id": scattered_uuid(seed, at, "plan"),
        "name": f"Plan {hours} h",
        "isPublic": at % 2 == 0,
        "metadata": {
            "createdAt": moments.written(created),
            "updatedAt": moments.written(created + at * DAY_S),
        },
        "plannedServices": [service],
    }


def assets_by_status(call: Call) -> Response:
    """Answer the assets whose planned service has a status: a third of the fleet each."""
    wanted = call.params["status"]
    if wanted not in STATUSES:
        raise violation("status", wanted, f"must be one of {', '.join(STATUSES)}")
    world, rest = call.world, STATUSES.index(wanted)
    indexes = (index for index in range(rest, world.fleet.size, 3) if world.fleet.holds(index))
    return json_answer({"assetIds": [asset_id(world.seed, index) for index in indexes]})


def service_status(call: Call) -> Response:
    """Answer the planned services of one asset, named in the query."""
    text, world = call.query.get("assetId", ""), call.world
    index = index_of_asset(world.seed, text)
    if index is None:
        raise violation("assetId", text, "is not an asset")
    overdue = STATUSES[index % 3] == "OVERDUE"
    predicted = moments.written(world.data_now + (index % 90) * DAY_S)
    service: dict[str, Any] = {
        "servicePlanId": scattered_uuid(world.seed, index % PLANS, "plan"),
        "plannedServiceId": scattered_uuid(world.seed, index, "service"),
        "serviceProviderAccountId": scattered_uuid(world.seed, index, "provider") if index % 4 == 0 else None,
        "cumulativeOperatingHoursCriteria": {"criteria": {"hours": 500}, "triggered": overdue},
        "timeCriteria": {"criteria": {"months": 12}, "triggered": False} if index % 2 else None,
        "triggeredAt": moments.written(world.data_now - DAY_S) if overdue else None,
        "status": STATUSES[index % 3],
        "name": "500 h service",
        "predictionCriteria": "CUMULATIVE_OPERATING_HOURS",
        # Predictions may be cleared.
        "predictedServiceTime": predicted if index % 5 else None,
        "predictedAt": moments.written(world.data_now) if index % 5 else None,
    }
    return json_answer({"plannedServiceStatuses": [service]})


VIEW_PLANS = "account.service-management.service-plan.view"
PLANS_PATH = "/api/service-management/v2/plans"
SERVICE_ROUTES = [
    # The developer hub writes the paths of this API with both prefixes.
    Route("GET", f"{prefix}{PLANS_PATH}{rest}", handler, VIEW_PLANS, BASIC)
    for prefix in ("", "/public")
    for rest, handler in (
        ("", list_plans),
        ("/assignments/service-status/{status}/assets", assets_by_status),
        ("/assignments/service-status", service_status),
    )
]
