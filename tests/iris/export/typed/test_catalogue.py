"""What the emulator answers fills the columns of the catalogue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.iris.catalogue.columns.known import TABLES, find_table
from airflow_provider_trackunit.iris.catalogue.datapoints import DATAPOINTS, FAULTS, STANDARD
from airflow_provider_trackunit.iris.export.typed.declaring import REST
from airflow_provider_trackunit.iris.export.typed.taking import Taker

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from airflow_provider_trackunit.iris.catalogue.columns.column import Table
    from airflow_provider_trackunit.iris.client import IrisClient

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
SERIES = FLEET + "/Equipment/ID/{pin}/%s/{startTime}/{endTime}"
DAYS = {"startTime": "2026-01-11T00:00:00Z", "endTime": "2026-01-15T00:00:00Z"}
WEEK = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-08T00:00:00Z"}
EVENTS = {"fromTime": "2026-01-14T00:00:00Z", "toTime": "2026-01-15T00:00:00Z"}
PLANS = "/api/service-management/v2/plans"


@pytest.fixture
def read(client: IrisClient) -> Callable[..., list[msgspec.Raw]]:
    """Return a reader of an endpoint's records."""
    return lambda endpoint, **request: [
        raw for page in client.pages(endpoint, **request) for raw in page.raw_records
    ]


def table_of(path: str, *query: tuple[str, str]) -> Table:
    table = find_table(path, query)
    assert table is not None
    return table


def unfilled(table: Table, records: list[msgspec.Raw]) -> set[str]:
    """Return the names of the columns that no record fills; every value has to fit."""
    taken = Taker([*table.columns, REST]).take(records)
    assert taken.misfits == ()
    return {
        column.name
        for number, column in enumerate(table.columns)
        if all(value is None for value in taken.column(number))
    }


CAN_FAULTS = {"canFaultsRequest": {"machineIds": "{machines}", "interval": WEEK}}


@pytest.mark.parametrize(
    ("endpoint", "request_arguments"),
    [
        ("/api/asset/v1/assets", {}),
        ("/api/asset/v2/assets", {}),
        ("/api/location/v1/locations", {}),
        ("/public/api/eventlog/v3/asset-event/log", {"method": "POST", "json": EVENTS}),
        ("/public/api/can-faults/faults", {"method": "POST", "json": CAN_FAULTS}),
        ("/api/alerts/v1/configurations", {}),
        ("/api/site/v1/sites", {}),
        ("/api/site/v1/sites/history", {}),
        (PLANS, {}),
        (f"{PLANS}/assignments/service-status", {"query_params": {"assetId": "{asset}"}}),
        (f"{PLANS}/assignments/service-status/OVERDUE/assets", {}),
        ("/public/api/operator/operators", {}),
        ("/api/custom-fields/v1/values", {"query_params": {"entityId": "{asset}"}}),
    ],
)
def test_every_column_is_filled_by_what_the_emulator_sends(
    endpoint: str, request_arguments: dict[str, Any], client: IrisClient, read: Any
) -> None:
    table, template = table_of(endpoint), json.dumps(request_arguments)
    # Some things, such as an overdue service, are only true of some assets.
    assets = machines(client) if "{asset}" in template else [""]
    ids = json.dumps([int(asset[-12:]) for asset in machines(client)])
    filled = [json.loads(template.replace("{asset}", one).replace('"{machines}"', ids)) for one in assets]
    records = [raw for request in filled for raw in read(endpoint, **request)]
    assert unfilled(table, records) == set()


def machines(client: IrisClient) -> list[str]:
    """Return the first machines of the fleet; their ids end in the numbers that older endpoints know them by."""
    found = [one["id"] for one in client.records("/api/asset/v1/assets") if one["assetType"] == "MACHINE"]
    return found[:6]


def test_the_snapshot_fills_the_columns_of_its_blocks(read: Any) -> None:
    records = read(FLEET, query_params={"addMetadata": "true", "addExtendedData": "true"})
    table = table_of(FLEET, ("addExtendedData", "true"))
    assert unfilled(table, records) == set()


def pins(client: IrisClient) -> list[str]:
    headers = [one["EquipmentHeader"] for one in client.records(FLEET)]
    return [header["PIN"] for header in headers if "PIN" in header]


@pytest.mark.parametrize("datapoint", [*STANDARD, FAULTS], ids=lambda one: one.series)
def test_a_series_of_the_standard_fills_its_columns(datapoint: Any, client: IrisClient, read: Any) -> None:
    endpoint = SERIES % datapoint.series
    table = table_of(endpoint)
    records: list[msgspec.Raw] = []
    # A machine has some of the blocks, and not all.
    for pin in pins(client):
        records += read(endpoint, path_params={"pin": pin, **DAYS})
        if not unfilled(table, records):
            break
    assert unfilled(table, records) == set()
    assert unfilled(table_of(SERIES % "{datapoint}"), records).isdisjoint(
        {column.name for column in table.columns}
    )


@pytest.mark.parametrize("upper", ["lower", "upper"])
def test_the_case_of_the_first_letter_makes_no_difference(upper: str, iris_emulator: Any, read: Any) -> None:
    iris_emulator.settings(aemp_key_case=upper)
    records = read(FLEET, query_params={"addMetadata": "true", "addExtendedData": "true"})
    table = table_of(FLEET, ("addExtendedData", "true"))
    assert {"pin", "asset_id", "engine_coolant_temperature", "battery_potential"}.isdisjoint(
        unfilled(table, records)
    )


def test_no_table_is_left_out() -> None:
    here = {
        "Assets",
        "Locations",
        "Asset events",
        "CAN faults",
        "Alert configurations",
        "Sites",
        "Site history",
    }
    here |= {
        "Service plans",
        "Service status",
        "Assets by service status",
        "Operators",
        "Custom field values",
    }
    aemp = {table.title for table in TABLES if "AEMP" in table.title}
    assert {table.title for table in TABLES} == here | aemp
    assert len(aemp) == 3 + len(DATAPOINTS)
