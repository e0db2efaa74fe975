"""What is wrong with machines: faults on the CAN bus, the rules of alerts, issues of the data (beta).

Developer hub: CAN faults, alerts and fleet data health APIs. Their records are not all published; theirs are the
likely ones, and so is the first part of the path of issues.
"""

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.api.assets import index_of
from airflow_provider_trackunit.emulator.limits.rates import ALERTS, BASIC
from airflow_provider_trackunit.emulator.machines.identity import (
    FIRST_MACHINE_ID,
    MACHINE_ID_STEP,
    asset_id,
    dice,
    machine_id,
    scattered_uuid,
)
from airflow_provider_trackunit.emulator.machines.work import DAY_S
from airflow_provider_trackunit.emulator.serving.answers import json_answer, not_found, violation
from airflow_provider_trackunit.emulator.serving.paging import of_records, page_answer
from airflow_provider_trackunit.emulator.serving.routing import Call, Route

# A machine reports one fault on most days; two days of a week pass without.
QUIET_DAYS = (2, 5)
# What each kind of alert is set to; one member is filled, that of the type.
ALERT_DETAILS: dict[str, dict[str, Any]] = {
    "GEOFENCE": {"geofence": {"onEnter": True, "onLeave": True}},
    "FUEL_LEVEL": {"fuelLevel": {"belowPercent": 15}},
    "OVERSPEED": {"overspeed": {"aboveKilometresPerHour": 25}},
    "LOW_BATTERY": {"lowBattery": {"belowVolts": 11.8}},
}
ISSUE_TYPES = {
    "INSTALL_AND_CONFIGURATION_HEALTH": "NO_CAN_DATA_WIRING",
    "COVERAGE_ISSUES": "LOW_GPS_COVERAGE",
    "DEVICE_BATTERY_ISSUES": "LOW_BATTERY",
    "NON_REPORTING_UNIT": "DATA_NOT_RECEIVED",
}


def can_faults(call: Call) -> Response:
    """Answer the faults of integer machine ids within an interval; a POST that only reads."""
    return json_answer({"canFaults": list(_faults_asked_for(call))})


def can_faults_summary(call: Call) -> Response:
    """Answer how often each fault came within an interval; a POST that only reads."""
    codes: dict[tuple[int, int, int], dict[str, Any]] = {}
    for fault in _faults_asked_for(call):
        code = {name: fault[name] for name in ("spn", "fmi", "sa")}
        seen = codes.setdefault(
            (fault["spn"], fault["fmi"], fault["sa"]),
            {**code, "count": 0, "firstTimestamp": fault["timestamp"]},
        )
        seen |= {"count": seen["count"] + 1, "lastTimestamp": fault["timestamp"]}
    return json_answer({"canFaultsSummary": list(codes.values())})


def unit_active_faults(call: Call) -> Response:
    """Answer the faults of the last day by unit, in the shape of the classic API."""
    asked = call.json().get("unitIds") if call.method == "POST" else call.query.getlist("unitId")
    if not asked:
        raise violation("unitId", "", "must not be empty")
    day = int(call.world.data_now // DAY_S)
    # A unit has half the number of its machine.
    machines = {unit: machine for unit in map(int, asked) for machine in (2 * unit, 2 * unit + 1)}
    faults = [{"unitId": unit, **_fault(call, machine, day)} for unit, machine in machines.items()]
    return json_answer({"list": faults})


def _faults_asked_for(call: Call) -> Iterator[dict[str, Any]]:
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
    return (row for row in faults if since <= moments.read(row["timestamp"]) <= until)


def _exists(call: Call, machine: object) -> bool:
    if not isinstance(machine, int):
        raise violation("canFaultsRequest.machineIds", str(machine), "must be a whole number")
    index = (machine - FIRST_MACHINE_ID) // MACHINE_ID_STEP
    return call.world.fleet.holds(index) and machine_id(index) == machine


def _fault(call: Call, machine: int, day: int) -> dict[str, Any]:
    bits = dice(call.world.seed, machine, f"can fault {day}")
    moment = moments.written(day * DAY_S + int.from_bytes(bits[:4]) % DAY_S)
    return {"machineId": machine, "spn": 100 + bits[4], "fmi": bits[5] % 20, "sa": 0, "timestamp": moment}


def list_alert_configurations(call: Call) -> Response:
    """Answer alert rules."""
    return page_answer(call, of_records(_alerts(call)))


def one_alert_configuration(call: Call) -> Response:
    """Answer one alert rule."""
    return json_answer(_one_of(_alerts(call), call.params["alertConfigurationId"]))


def _alerts(call: Call) -> list[dict[str, Any]]:
    return [
        {
            "id": scattered_uuid(call.world.seed, at, "alert"),
            "name": f"Rule {at}",
            "alertType": kind,
            "enabled": at % 2 == 0,
            "configurationDetails": details,
        }
        for at, (kind, details) in enumerate(ALERT_DETAILS.items())
    ]


def list_issues(call: Call) -> Response:
    """Answer the issues of the whole fleet's data: one of each machine in twenty."""
    indexes = (index for index in range(0, call.world.fleet.size, 20) if call.world.fleet.holds(index))
    return page_answer(call, of_records([_issue(call, index) for index in indexes]))


def list_issues_of_asset(call: Call) -> Response:
    """Answer the issues of one asset's data."""
    index = index_of(call)
    return page_answer(call, of_records([] if index % 20 else [_issue(call, index)]))


def one_issue(call: Call) -> Response:
    """Answer one issue."""
    issues = [_issue(call, index) for index in range(0, call.world.fleet.size, 20)]
    return json_answer(_one_of(issues, call.params["issueId"]))


def _issue(call: Call, index: int) -> dict[str, Any]:
    world = call.world
    category, kind = list(ISSUE_TYPES.items())[index // 20 % len(ISSUE_TYPES)]
    created = world.data_now - (2 + index % 50) * DAY_S
    resolved = index // 20 % 3 == 0
    return {
        "id": scattered_uuid(world.seed, index, "issue"),
        "assetId": asset_id(world.seed, index),
        "category": category,
        "type": kind,
        "state": "RESOLVED" if resolved else "OPEN",
        "createdAt": moments.written(created),
        "resolvedAt": moments.written(created + DAY_S) if resolved else None,
    }


def _one_of(rows: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    found = next((row for row in rows if row["id"] == wanted), None)
    if found is None:
        raise not_found(f"'{wanted}'")
    return found


CAN_FAULTS, ALERT_RULES = "/public/api/can-faults", "/api/alerts/v1/configurations"
ISSUES = "/api/fleet-data-health/v1beta1"
VIEW_ALERTS = "account.alert.view"
HEALTH_ROUTES = [
    Route("POST", f"{CAN_FAULTS}/faults", can_faults, "asset.view", BASIC),
    Route("POST", f"{CAN_FAULTS}/faults-summary", can_faults_summary, "asset.view", BASIC),
    *(
        Route(method, f"{CAN_FAULTS}/get-unit-active-faults", unit_active_faults, "asset.view", BASIC)
        for method in ("GET", "POST")
    ),
    Route("GET", ALERT_RULES, list_alert_configurations, VIEW_ALERTS, ALERTS),
    Route("GET", f"{ALERT_RULES}/{{alertConfigurationId}}", one_alert_configuration, VIEW_ALERTS, ALERTS),
    Route("GET", f"{ISSUES}/issues", list_issues, "asset.view", BASIC),
    Route("GET", f"{ISSUES}/issues/{{issueId}}", one_issue, "asset.view", BASIC),
    Route("GET", f"{ISSUES}/assets/{{assetId}}/issues", list_issues_of_asset, "asset.view", BASIC),
]
