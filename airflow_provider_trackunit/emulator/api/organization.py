"""The smaller collections: groups, customers, custom fields, alert rules, operators.

Developer hub: organization, customer, custom fields, alerts and access management APIs. The list
paths of customers and alert configurations are the likely ones.
"""

from typing import Any
from uuid import uuid4

from starlette.responses import Response

from airflow_provider_trackunit.emulator.limits.rates import ALERTS, BASIC, OPERATORS
from airflow_provider_trackunit.emulator.machines.identity import dice, index_in_uuid, scattered_uuid
from airflow_provider_trackunit.emulator.serving.answers import json_answer, not_found, violation
from airflow_provider_trackunit.emulator.serving.paging import (
    Collection,
    cursor_answer,
    of_records,
    order_asked_for,
    page_answer,
    put_in_order,
)
from airflow_provider_trackunit.emulator.serving.routing import Call, Route
from airflow_provider_trackunit.emulator.world import World

GROUPS = 12
ALERT_TYPES = ("GEOFENCE", "FUEL_LEVEL", "OVERSPEED", "LOW_BATTERY")
FIELD_TYPES = ("STRING", "NUMBER", "BOOLEAN", "DATE", "DROPDOWN", "MONETARY", "URL")
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


def customer(world: World, at: int) -> dict[str, Any]:
    """Return one customer."""
    name = f"Customer {dice(world.seed, at, 'customer').hex()[:4]}"
    reference = f"C-{1000 + at}"
    return {"id": scattered_uuid(world.seed, at, "customer"), "name": name, "externalReference": reference}


def customer_count(world: World) -> int:
    """Return how many customers the account has."""
    return max(3, world.fleet.size // 100)


def list_customers(call: Call) -> Response:
    """Answer customers."""
    return page_answer(
        call, of_records([customer(call.world, at) for at in range(customer_count(call.world))])
    )


def one_customer(call: Call) -> Response:
    """Answer one customer."""
    at = index_in_uuid(call.params["customerId"])
    if at is None or customer(call.world, at)["id"] != call.params["customerId"]:
        raise not_found(f"Customer '{call.params['customerId']}'")
    return json_answer(customer(call.world, at))


def add_customer(call: Call) -> Response:
    """Answer ``POST``: 201 with the customer, which is not kept."""
    given = call.json()
    if not given.get("name"):
        raise violation("name", "", "must not be empty")
    return json_answer({"id": str(uuid4())} | given, 201)


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
        for at, kind in enumerate(FIELD_TYPES)
    ]
    return page_answer(call, of_records(rows))


def list_values(call: Call) -> Response:
    """Answer the custom field values of the entity in ``entityId``."""
    entity = call.query.get("entityId")
    if not entity:
        raise violation("entityId", "", "must not be empty")
    rows = [
        {
            "id": _id(call, at, f"value {entity}"),
            "entityId": entity,
            "definitionId": _id(call, at, "field"),
            "value": f"value {at}",
            "lastIncompatibleValue": None,
        }
        for at in range(3)
    ]
    return page_answer(call, of_records(rows))


def set_values(_call: Call) -> Response:
    """Answer ``POST …/set-values/``, which is documented with its trailing slash."""
    return json_answer({})


def list_alert_configurations(call: Call) -> Response:
    """Answer alert rules; the object named after the type holds its options."""
    rows = [
        {"id": _id(call, at, "alert"), "name": f"Rule {at}", "alertType": kind, "enabled": at % 2 == 0}
        for at, kind in enumerate(ALERT_TYPES)
    ]
    return page_answer(call, of_records(rows))


def list_operators(call: Call) -> Response:
    """Answer operators after a cursor."""
    world = call.world

    def read(start: int, stop: int) -> list[bytes]:
        return [world.record(_operator, at) for at in range(start, stop)]

    count = max(3, world.fleet.size // 10)
    return cursor_answer(call, Collection(count, read), OPERATOR_LIMIT, OPERATOR_MAX_LIMIT)


def _operator(world: World, at: int) -> dict[str, Any]:
    return {
        "id": scattered_uuid(world.seed, at, "operator"),
        "accountId": None if at % 4 == 0 else scattered_uuid(world.seed, at, "account"),
        "name": f"Operator {at}",
        "email": f"operator{at}@emulator.invalid",
        "status": "INVITED" if at % 4 else "ACTIVE",
    }


CUSTOMER_SCOPE, FIELD_SCOPE = "account.customer.manage", "account.custom-fields.manage"
CUSTOMERS, FIELDS = "/api/customer/v1/customers", "/api/custom-fields/v1"
DIRECTORY_ROUTES = [
    Route("GET", "/api/organization/v1/groups", list_groups, "account.group.manage", BASIC),
    Route("GET", CUSTOMERS, list_customers, CUSTOMER_SCOPE, BASIC),
    Route("POST", CUSTOMERS, add_customer, CUSTOMER_SCOPE, BASIC, mutates=True),
    Route("GET", f"{CUSTOMERS}/{{customerId}}", one_customer, CUSTOMER_SCOPE, BASIC),
    Route("GET", f"{FIELDS}/definitions", list_definitions, FIELD_SCOPE, BASIC),
    Route("GET", f"{FIELDS}/values", list_values, FIELD_SCOPE, BASIC),
    Route("POST", f"{FIELDS}/set-values/", set_values, FIELD_SCOPE, BASIC, mutates=True),
    Route("GET", "/api/alerts/v1/configurations", list_alert_configurations, "account.alert.view", ALERTS),
    Route(
        "GET", "/public/api/operator/operators", list_operators, "account.access-management.manage", OPERATORS
    ),
]
