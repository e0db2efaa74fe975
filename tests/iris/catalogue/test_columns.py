"""The columns of the catalogue fit the endpoints and each other."""

from __future__ import annotations

import re

import pytest

from airflow_provider_trackunit.iris.catalogue.columns.column import TYPES, Column, Table, snake_case
from airflow_provider_trackunit.iris.catalogue.columns.known import TABLES, find_table
from airflow_provider_trackunit.iris.catalogue.datapoints import DATAPOINTS, EXTENDED, STANDARD
from airflow_provider_trackunit.iris.catalogue.endpoint import fits
from airflow_provider_trackunit.iris.catalogue.endpoints import ENDPOINTS

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
SERIES = FLEET + "/Equipment/ID/{pin}/%s/{startTime}/{endTime}"
EACH = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)


def columns_of(path: str, *query: tuple[str, str]) -> dict[str, Column]:
    table = find_table(path, query)
    assert table is not None
    return {column.name: column for column in table.columns}


@EACH
def test_a_table_is_of_an_endpoint_that_the_catalogue_has(table: Table) -> None:
    for path in table.paths:
        finished = path.replace("[", "").replace("]", "")
        assert any(fits(row.path, finished) for row in ENDPOINTS), path


@EACH
def test_every_column_says_what_it_is_and_where_it_is_known_from(table: Table) -> None:
    for column in table.columns:
        assert column.type in TYPES
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
        assert column.description, column.name
        assert column.source, column.name


@EACH
def test_no_two_columns_of_a_table_have_the_same_name_or_place(table: Table) -> None:
    names = [column.name for column in table.columns]
    places = [column.path for column in table.columns]
    assert len(set(names)) == len(names)
    assert len({place.lower() if table.columns[0].any_case else place for place in places}) == len(places)


@EACH
def test_every_table_is_found_by_its_own_paths_with_and_without_the_optional_part(table: Table) -> None:
    query = [table.query] if table.query else []
    for path in table.paths:
        for finished in (path.replace("[", "").replace("]", ""), path.split("[")[0]):
            assert find_table(finished, query) is table


def test_the_snapshot_has_the_header_and_the_sixteen_blocks_of_the_standard_each_with_its_time() -> None:
    columns = columns_of(FLEET)
    assert len(STANDARD) == 16
    blocks = {column.path.split(".")[0] for column in columns.values()} - {"EquipmentHeader", "metadata"}
    assert blocks == {one.block for one in STANDARD}
    moments = {column.path for column in columns.values() if column.type == "timestamp"}
    assert moments == {"EquipmentHeader.UnitInstallDateTime", *(f"{block}.datetime" for block in blocks)}


def test_extended_data_adds_the_elements_of_the_vendors_schema_behind_those_of_the_standard() -> None:
    plain, extended = columns_of(f"{FLEET}/1"), columns_of(f"{FLEET}/1", ("addExtendedData", "true"))
    assert len(EXTENDED) == 93
    assert list(extended)[: len(plain)] == list(plain)
    added = [extended[name].path.split(".")[0] for name in list(extended)[len(plain) :]]
    assert list(dict.fromkeys(added)) == [one.block for one in EXTENDED]


@pytest.mark.parametrize("datapoint", DATAPOINTS, ids=lambda one: one.series)
def test_a_series_has_the_columns_of_its_datapoint_all_of_them_among_those_of_any(datapoint: object) -> None:
    own = columns_of(SERIES % datapoint.series)  # type: ignore[attr-defined]
    members = datapoint.members  # type: ignore[attr-defined]
    assert [column.path for column in own.values()] == ["datetime", *(member.name for member in members)]
    any_of_them = columns_of(SERIES % "{datapoint}")
    assert {name: any_of_them[name].type for name in own} == {
        name: column.type for name, column in own.items()
    }


@pytest.mark.parametrize(
    ("path", "name", "place", "kind", "unit"),
    [
        (FLEET, "cumulative_operating_hours", "CumulativeOperatingHours.Hour", "double", "h"),
        (FLEET, "cumulative_load_count", "CumulativeLoadCount.Count", "int64", None),
        (FLEET, "distance", "Distance.Odometer", "double", None),
        (FLEET, "distance_units", "Distance.OdometerUnits", "string", None),
        (FLEET, "fuel_remaining_percent", "FuelRemaining.Percent", "double", "%"),
        (
            FLEET,
            "fuel_remaining_fuel_tank_capacity_units",
            "FuelRemaining.FuelTankCapacityUnits",
            "string",
            None,
        ),
        (FLEET, "engine_status", "EngineStatus.Running", "boolean", None),
        (FLEET, "location_latitude", "Location.Latitude", "double", "degree"),
        (FLEET, "unit_id", "metadata.unitId", "string", None),
        (SERIES % "Locations", "altitude_units", "AltitudeUnits", "string", None),
        (SERIES % "Faults", "code_severity", "CodeSeverity", "string", None),
        (SERIES % "EngineSpeed", "speed", "Speed", "double", None),
        ("/api/location/v1/locations", "speed_km_per_h", "properties.speed", "double", "km/h"),
        ("/api/asset/v2/assets", "production_year", "productionYear", "int64", None),
    ],
)
def test_the_main_columns_are_called_placed_and_typed_so(
    path: str, name: str, place: str, kind: str, unit: str | None
) -> None:
    column = columns_of(path)[name]
    assert (column.path, column.type, column.unit) == (place, kind, unit)


@pytest.mark.parametrize("unit", ["%", "h", "kWh", "m", "km/h"])
def test_a_unit_that_is_always_the_same_is_in_the_name_of_the_column(unit: str) -> None:
    words = {"%": "percent", "h": "hour", "kWh": "kw", "m": "_m", "km/h": "km_per_h"}
    found = [one for table in TABLES for one in table.columns if one.unit == unit]
    assert found
    assert [one.name for one in found if words[unit] not in one.name] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ownerAccountId", "owner_account_id"),
        ("AcPhaseL1NeutralRMSVoltage", "ac_phase_l1_neutral_rms_voltage"),
        ("DEFRemaining", "def_remaining"),
        ("AverageLoadFactorLast24", "average_load_factor_last24"),
    ],
)
def test_names_of_the_vendor_become_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


@pytest.mark.parametrize(
    "path", ["/api/graphql/", "/api/asset/v9/assets", "/public/api/can-faults/faults-summary"]
)
def test_what_is_not_published_has_no_table(path: str) -> None:
    assert find_table(path) is None
