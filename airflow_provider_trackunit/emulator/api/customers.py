"""Customers, their contacts, and the assets that are assigned to them (developer hub: customer API).

The list paths are the likely ones.
"""

from typing import Any
from uuid import uuid4

from starlette.responses import Response

from airflow_provider_trackunit.emulator.limits.rates import BASIC
from airflow_provider_trackunit.emulator.machines.identity import (
    asset_id,
    dice,
    index_in_uuid,
    scattered_uuid,
)
from airflow_provider_trackunit.emulator.serving.answers import json_answer, not_found, violation
from airflow_provider_trackunit.emulator.serving.paging import of_numbers, of_records, page_answer
from airflow_provider_trackunit.emulator.serving.routing import Call, Route
from airflow_provider_trackunit.emulator.world import World

CUSTOMERS = "/api/customer/v1/customers"
SCOPE = "account.customer.manage"
ASSETS_EACH = 100
CONTACTS_EACH = 2


def customer(world: World, at: int) -> dict[str, Any]:
    """Return one customer."""
    name = f"Customer {dice(world.seed, at, 'customer').hex()[:4]}"
    reference = f"C-{1000 + at}"
    return {"id": scattered_uuid(world.seed, at, "customer"), "name": name, "externalReference": reference}


def customer_count(world: World) -> int:
    """Return how many customers the account has."""
    return max(3, world.fleet.size // ASSETS_EACH)


def list_customers(call: Call) -> Response:
    """Answer customers."""
    return page_answer(call, of_numbers(call.world, customer, range(customer_count(call.world))))


def one_customer(call: Call) -> Response:
    """Answer one customer."""
    return json_answer(customer(call.world, _number(call)))


def add_customer(call: Call) -> Response:
    """Answer ``POST``: 201 with the customer, which is not kept."""
    given = call.json()
    if not given.get("name"):
        raise violation("name", "", "must not be empty")
    return json_answer({"id": str(uuid4())} | given, 201)


def list_contacts(call: Call) -> Response:
    """Answer the contacts of a customer."""
    return page_answer(call, of_records([_contact(call, at) for at in range(CONTACTS_EACH)]))


def one_contact(call: Call) -> Response:
    """Answer one contact of a customer."""
    wanted = call.params["contactId"]
    found = [row for at in range(CONTACTS_EACH) if (row := _contact(call, at))["id"] == wanted]
    if not found:
        raise not_found(f"Contact '{wanted}'")
    return json_answer(found[0])


def list_assets_of_customer(call: Call) -> Response:
    """Answer the assets that are assigned to a customer: a hundred each, as far as there are so many."""
    world, first = call.world, _number(call) * ASSETS_EACH
    indexes = [index for index in range(first, first + ASSETS_EACH) if world.fleet.holds(index)]
    return page_answer(call, of_records([{"assetId": asset_id(world.seed, index)} for index in indexes]))


def _number(call: Call) -> int:
    text = call.params["customerId"]
    at = index_in_uuid(text)
    if at is None or at >= customer_count(call.world) or customer(call.world, at)["id"] != text:
        raise not_found(f"Customer '{text}'")
    return at


def _contact(call: Call, at: int) -> dict[str, Any]:
    number = _number(call) * CONTACTS_EACH + at
    return {
        "id": scattered_uuid(call.world.seed, number, "contact"),
        "name": f"Contact {number}",
        "email": f"contact{number}@emulator.invalid",
        "phone": None,
    }


CUSTOMER_ROUTES = [
    Route("GET", CUSTOMERS, list_customers, SCOPE, BASIC),
    Route("POST", CUSTOMERS, add_customer, SCOPE, BASIC, mutates=True),
    Route("GET", f"{CUSTOMERS}/{{customerId}}", one_customer, SCOPE, BASIC),
    Route("GET", f"{CUSTOMERS}/{{customerId}}/contacts", list_contacts, SCOPE, BASIC),
    Route("GET", f"{CUSTOMERS}/{{customerId}}/contacts/{{contactId}}", one_contact, SCOPE, BASIC),
    Route("GET", f"{CUSTOMERS}/{{customerId}}/assets", list_assets_of_customer, SCOPE, BASIC),
]
