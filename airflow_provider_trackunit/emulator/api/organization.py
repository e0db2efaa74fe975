"""What an account keeps: groups, consents, custom fields, operators.

Developer hub: organization, terms and conditions, custom fields and access management APIs. The path of consents is
the likely one.
"""

from typing import Any

from starlette.responses import Response

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.limits.rates import BASIC, OPERATORS
from airflow_provider_trackunit.emulator.machines.identity import scattered_uuid
from airflow_provider_trackunit.emulator.machines.work import DAY_S
from airflow_provider_trackunit.emulator.serving.answers import json_answer, violation
from airflow_provider_trackunit.emulator.serving.paging import (
    cursor_answer,
    of_numbers,
    of_records,
    order_asked_for,
    page_answer,
    put_in_order,
)
from airflow_provider_trackunit.emulator.serving.routing import Call, Route
from airflow_provider_trackunit.emulator.world import World

GROUPS = 12
ACCOUNTS = 3
# A value of each type of field.
FIELD_VALUES: dict[str, Any] = {
    "STRING": "North yard",
    "NUMBER": 12.5,
    "BOOLEAN": True,
    "DATE": "2026-02-01",
    "DROPDOWN": ["rented"],
    "MONETARY": {"amount": 1250.0, "currency": "EUR"},
    "URL": "https://erp.emulator.invalid/8841",
}
OPERATOR_LIMIT = 100
OPERATOR_MAX_LIMIT = 1000


def list_groups(call: Call) -> Response:
    """Answer groups; ``sort=name,-description`` is honoured."""
    rows = [
        {"id": _id(call, at, "group"), "name": f"Group {at:02d}", "description": f"Crew {at % 3}"}
        for at in range(GROUPS)
    ]
    put_in_order(rows, order_asked_for(call, list(rows[0])), lambda row, name: row[name])
    return page_answer(call, of_records(rows))


def _id(call: Call, at: int, what: str) -> str:
    return scattered_uuid(call.world.seed, at, what)


def list_consents(call: Call) -> Response:
    """Answer which account has agreed to the terms and conditions."""
    rows = [
        {
            "accountId": _id(call, at, "account"),
            "accepted": at % 2 == 0,
            "acceptedAt": moments.written(call.world.data_now - 90 * DAY_S) if at % 2 == 0 else None,
        }
        for at in range(ACCOUNTS)
    ]
    return page_answer(call, of_records(rows))


def list_definitions(call: Call) -> Response:
    """Answer the definitions of custom fields."""
    rows = [
        {
            "id": _id(call, at, "field"),
            "key": f"field_{at}",
            "title": f"Field {at}",
            "type": kind,
            "entityType": "ASSET",
            "scope": "ACCOUNT",
        }
        for at, kind in enumerate(FIELD_VALUES)
    ]
    return page_answer(call, of_records(rows))


def list_values(call: Call) -> Response:
    """Answer the custom field values of the entity in ``entityId``; what a changed definition drops is kept beside."""
    entity = call.query.get("entityId")
    if not entity:
        raise violation("entityId", "", "must not be empty")
    rows = [
        {
            "id": _id(call, at, f"value {entity}"),
            "entityId": entity,
            "definitionId": _id(call, at, "field"),
            "value": value if at else None,
            "lastIncompatibleValue": None if at else value,
        }
        for at, value in enumerate(FIELD_VALUES.values())
    ]
    return page_answer(call, of_records(rows))


def set_values(_call: Call) -> Response:
    """Answer ``POST …/set-values/``, which is documented with its trailing slash."""
    return json_answer({})


def list_operators(call: Call) -> Response:
    """Answer operators after a cursor."""
    operators = of_numbers(call.world, _operator, range(max(3, call.world.fleet.size // 10)))
    return cursor_answer(call, operators, OPERATOR_LIMIT, OPERATOR_MAX_LIMIT)


def _operator(world: World, at: int) -> dict[str, Any]:
    return {
        "id": scattered_uuid(world.seed, at, "operator"),
        "accountId": None if at % 4 == 0 else scattered_uuid(world.seed, at, "account"),
        "name": f"Operator {at}",
        "email": f"operator{at}@emulator.invalid",
        "status": "INVITED" if at % 4 else "ACTIVE",
    }


FIELD_SCOPE = "account.custom-fields.manage"
ORGANIZATION, FIELDS = "/api/organization/v1", "/api/custom-fields/v1"
OPERATOR_SCOPE = "account.access-management.manage"
ORGANIZATION_ROUTES = [
    Route("GET", f"{ORGANIZATION}/groups", list_groups, "account.group.manage", BASIC),
    Route("GET", f"{ORGANIZATION}/accounts/terms-and-conditions", list_consents, "account.manage", BASIC),
    Route("GET", f"{FIELDS}/definitions", list_definitions, FIELD_SCOPE, BASIC),
    Route("GET", f"{FIELDS}/values", list_values, FIELD_SCOPE, BASIC),
    Route("POST", f"{FIELDS}/set-values/", set_values, FIELD_SCOPE, BASIC, mutates=True),
    Route("GET", "/public/api/operator/operators", list_operators, OPERATOR_SCOPE, OPERATORS),
]
