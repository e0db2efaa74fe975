"""Which columns an export gets, and what is refused before anything is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.export.typed.declaring import columns_for
from airflow_provider_trackunit.iris.export.typed.paths import read_path

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"


def names(*arguments: Any, **named: Any) -> list[str]:
    return [column.name for column in columns_for(*arguments, **named)]


@pytest.mark.parametrize(
    "endpoint",
    ["/api/asset/v1/assets", "api/asset/v1/assets", "https://iris.trackunit.com/api/asset/v1/assets?size=5"],
)
def test_the_catalogue_is_found_however_the_endpoint_is_written(endpoint: str) -> None:
    assert names(endpoint)[:2] == ["id", "asset_type"]


def test_the_rest_comes_last_and_the_values_of_the_item_before_it() -> None:
    found = names("/api/custom-fields/v1/values", item_names=["entityId"])
    assert found[-2:] == ["_request_entityId", "_extra"]


def test_a_record_that_is_no_object_is_in_value_where_it_carries_its_item() -> None:
    path = "/api/service-management/v2/plans/assignments/service-status/{status}/assets"
    assert columns_for(path)[0].path == "@"
    assert columns_for(path, item_names=["status"])[0].path == "value"


@pytest.mark.parametrize("query", [{"addExtendedData": True}, {"addExtendedData": "true"}])
def test_extended_data_in_the_query_adds_its_columns(query: dict[str, Any]) -> None:
    assert "engine_speed" in names(FLEET, query)
    assert "engine_speed" in names(f"{FLEET}?addExtendedData=true")
    assert "engine_speed" not in names(FLEET, {"addExtendedData": False})


def test_a_datapoint_that_is_left_open_has_the_columns_of_all_and_a_named_one_its_own() -> None:
    path = FLEET + "/Equipment/ID/{pin}/%s/{from}/{until}"
    assert names(path % "FuelUsed", item_names=["pin"]) == [
        "datetime",
        "fuel_consumed",
        "fuel_units",
        "_request_pin",
        "_extra",
    ]
    assert {"hour", "odometer", "latitude"} < set(names(path % "{datapoint}"))


def test_named_columns_are_those_and_no_others() -> None:
    found = columns_for(
        FLEET, columns={"pin": ("EquipmentHeader.PIN", "string"), "all": ["Location", "json"]}
    )
    assert [(one.name, one.path, one.type) for one in found] == [
        ("pin", "EquipmentHeader.PIN", "string"),
        ("all", "Location", "json"),
        ("_extra", "", "json"),
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "give a mapping"),
        (["id"], "give a mapping"),
        ({"id": "id"}, "give (path, type)"),
        ({"id": ("id",)}, "give (path, type)"),
        ({"id": ("id", None)}, "give (path, type)"),
        ({"id": ("id", "text")}, "'text' is not a type"),
        ({"id": ("", "string")}, "not a path"),
        ({"id": ("a..b", "string")}, "not a path"),
        ({"id": ("a.b.", "string")}, "not a path"),
        ({"id": ("a[-1]", "string")}, "not a path"),
        ({"id": ("a[*].b", "string")}, "not a path"),
        ({"id": ("length(a)", "string")}, "not a path"),
        ({"id": ('"a', "string")}, "not a path"),
        ({"": ("id", "string")}, "name of a column"),
        ({1: ("id", "string")}, "name of a column"),
        ({"a\nb": ("id", "string")}, "name of a column"),
        ({"_extra": ("id", "string")}, "there twice"),
        ({"_REQUEST_PIN": ("id", "string")}, "there twice"),
        ({"pin": ("a", "string"), "PIN": ("b", "string")}, "there twice"),
        ({"one": ("a.b", "string"), "two": ("a.b", "json")}, "the same value"),
        ({"one": ("a", "json"), "two": ("a.b", "string")}, "the same value"),
        ({"one": ("a.b", "string"), "two": ("a", "json")}, "the same value"),
        ({"one": ("@", "json"), "two": ("a", "json")}, "the same value"),
        ({"one": ("a[0]", "string"), "two": ("a.b", "string")}, "the same value"),
        ({"one": ("Hour", "double"), "two": ("hour", "double")}, "the same value"),
        ({"one": ("at.Hour", "double"), "two": ("At", "json")}, "the same value"),
        ({"one": ("_request.pin", "string")}, "the same value"),
        ({"one": ("@", "json")}, "the same value"),
    ],
)
def test_columns_that_cannot_be_written_are_refused_at_once(columns: Any, message: str) -> None:
    with pytest.raises(IrisConfigurationError) as refused:
        columns_for(FLEET, columns=columns, item_names=["pin"])
    assert message in str(refused.value)


def test_two_members_that_differ_in_a_capital_are_two_where_the_endpoint_is_not_of_aemp() -> None:
    columns = {"one": ("Hour", "double"), "two": ("hour", "double")}
    assert names("/api/asset/v1/assets", columns=columns) == ["one", "two", "_extra"]


def test_an_endpoint_without_columns_says_what_to_do() -> None:
    with pytest.raises(IrisConfigurationError, match="name them"):
        columns_for("/api/unknown/v1/things")


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("@", ()),
        ("id", ("id",)),
        ("a.b.c", ("a", "b", "c")),
        ("geometry.coordinates[0]", ("geometry", "coordinates", 0)),
        ("[1].id", (1, "id")),
        ("a[0][12]", ("a", 0, 12)),
        ('a."engine model"."x.\\"y"', ("a", "engine model", 'x."y')),
    ],
)
def test_a_path_names_one_place(path: str, steps: tuple[str | int, ...]) -> None:
    assert read_path(path) == steps
