"""Service management and CAN faults: bare objects without paging.

Developer hub: service management introduction, CAN faults API. The records of CAN faults are not
published; theirs are the likely ones.
"""

from typing import Any

from starlette.responses import Response

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.limits.rates import BASIC
from airflow_provider_trackunit.emulator.machines.identity import (
    FIRST_MACHINE_ID,
    MACHINE_ID_STEP,
    asset_id,
    dice,
    index_of_asset,
    machine_id,
    scattered_uuid,
)
from airflow_provider_trackunit.emulator.machines.work import DAY_S
from airflow_provider_trackunit.emulator.serving.answers import json_answer, violation
from airflow_provider_trackunit.emulator.serving.routing import Call, Route

STATUSES = ("PLANNED", "UPCOMING", "OVERDUE")
PLANS = 4
# A machine reports one fault on most days; two days of a week pass without.
QUIET_DAYS = (2, 5)


def list_plans(call: Call) -> Response:
    """Answer service plans."""
    seed = call.world.seed
    plans = [
        {"id": scattered_uuid(seed, at, "plan"), "name": f"Plan {250 * (at + 1)} h"} for at in range(PLANS)
    ]
    return json_answer({"servicePlans": plans})


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
        "serviceProviderAccountId": None,
        "cumulativeOperatingHoursCriteria": {"criteria": {"hours": 500}, "triggered": overdue},
        "timeCriteria": None,
        "triggeredAt": moments.written(world.data_now - DAY_S) if overdue else None,
        "status": STATUSES[index % 3],
        "name": "500 h service",
        "predictionCriteria": "CUMULATIVE_OPERATING_HOURS",
        # Predictions may be cleared.
        "predictedServiceTime": predicted if index % 5 else None,
        "predictedAt": moments.written(world.data_now) if index % 5 else None,
    }
    return json_answer({"plannedServiceStatuses": [service]})


def can_faults(call: Call) -> Response:
    """Answer the faults of integer machine ids within an interval; a POST that only reads."""
    wanted = call.json().get("canFaultsRequest")
    if not isinstance(wanted, dict) or not isinstance(wanted.get("machineIds"), list):
        raise violation("canFaultsRequest.machineIds", "", "must not be empty")
    interval = wanted.get("interval") or {}
    try:
        since, until = moments.read(str(interval.get("from"))), moments.read(str(interval.get("to")))
    except ValueError as exc:
        raise violation("canFaultsRequest.interval", str(interval), "is not an interval") from exc
    days = range(int(since // DAY_S), int(until // DAY_S) + 1)
    machines = [machine for machine in wanted["machineIds"] if _exists(call, machine)]
    faults = (_fault(call, machine, day) for machine in machines for day in days if day % 7 not in QUIET_DAYS)
    kept = [row for row in faults if since <= moments.read(row["timestamp"]) <= until]
    return json_answer({"canFaults": kept})


def _exists(call: Call, machine: object) -> bool:
    if not isinstance(machine, int):
        raise violation("canFaultsRequest.machineIds", str(machine), "must be a whole number")
    index = (machine - FIRST_MACHINE_ID) // MACHINE_ID_STEP
    return call.world.fleet.holds(index) and machine_id(index) == machine


def _fault(call: Call, machine: int, day: int) -> dict[str, Any]:
    bits = dice(call.world.seed, machine, f"can fault {day}")
    moment = moments.written(day * DAY_S + int.from_bytes(bits[:4]) % DAY_S)
    return {"machineId": machine, "spn": 100 + bits[4], "fmi": bits[5] % 20, "sa": 0, "timestamp": moment}


VIEW_PLANS = "account.service-management.service-plan.view"
ASSIGNMENTS = "/api/service-management/v2/plans/assignments"
SERVICE_ROUTES = [
    # The developer hub writes the paths of this API with both prefixes.
    *(
        Route("GET", f"{prefix}/api/service-management/v2/plans", list_plans, VIEW_PLANS, BASIC)
        for prefix in ("", "/public")
    ),
    *(
        Route(
            "GET",
            f"{prefix}{ASSIGNMENTS}/service-status/{{status}}/assets",
            assets_by_status,
            VIEW_PLANS,
            BASIC,
        )
        for prefix in ("", "/public")
    ),
    *(
        Route("GET", f"{prefix}{ASSIGNMENTS}/service-status", service_status, VIEW_PLANS, BASIC)
        for prefix in ("", "/public")
    ),
    Route("POST", "/public/api/can-faults/faults", can_faults, "asset.view", BASIC),
]
