"""The REST collections: envelopes, sizes, cursors, and single records."""

from typing import Any

import pytest

from tests.emulator.conftest import ASSETS, Api

ENVELOPED = [
    ASSETS,
    "/api/asset/v2/assets",
    "/api/site/v1/sites",
    "/api/site/v1/sites/history",
    "/api/location/v1/locations",
    "/api/organization/v1/groups",
    "/api/customer/v1/customers",
    "/api/custom-fields/v1/definitions",
    "/api/custom-fields/v1/values?entityId=7",
    "/api/alerts/v1/configurations",
    "/api/organization/v1/accounts/terms-and-conditions",
    "/api/fleet-data-health/v1beta1/issues",
    "/api/emissions/v2/emissions/daily",
]


def walked(api: Api, path: str, size: int) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    page = 0
    while True:
        answer = api.json(path, params={"page": page, "size": size})
        assert answer["numberOfElements"] == len(answer["content"])
        records += answer["content"]
        page += 1
        if page >= answer["totalPages"]:
            assert len(records) == answer["totalElements"]
            return records


@pytest.mark.parametrize("path", ENVELOPED)
def test_every_collection_is_complete_and_has_twenty_records_a_page_by_default(api: Api, path: str) -> None:
    api.iris.settings(location_calls_per_s=None)
    first = api.json(path)
    assert (first["number"], first["size"]) == (0, 20)
    records = walked(api, path, 50)
    assert records[:20] == first["content"]
    assert len({str(record) for record in records}) == len(records)


@pytest.mark.parametrize("query", ["size=1001", "size=0", "size=many", "page=-1", "page=x"])
def test_a_page_that_cannot_be_is_a_constraint_violation(api: Api, query: str) -> None:
    response = api.ask(f"{ASSETS}?{query}")
    assert (response.status_code, response.json()["code"]) == (400, "constraint_violation")
    assert response.json()["violations"][0]["field"] == query.partition("=")[0]


def test_a_page_behind_the_last_one_is_empty(api: Api) -> None:
    assert api.json(f"{ASSETS}?page=99&size=100")["content"] == []


def test_vehicles_exist_in_the_second_version_only(api: Api) -> None:
    kinds = {
        version: {record["assetType"] for record in walked(api, f"/api/asset/{version}/assets", 1000)}
        for version in ("v1", "v2")
    }
    assert kinds == {"v1": {"MACHINE", "TOOL"}, "v2": {"MACHINE", "TOOL", "VEHICLE"}}


def test_every_listed_asset_is_found_by_its_id(api: Api) -> None:
    for record in api.json(f"{ASSETS}?size=60")["content"]:
        assert api.json(f"{ASSETS}/{record['id']}") == record


@pytest.mark.parametrize(
    "asset_id", ["nonsense", "00000000-0000-0000-0000-000001500001", "00000000-0000-0000-0000-000009999999"]
)
def test_an_unknown_asset_is_not_found(api: Api, asset_id: str) -> None:
    assert api.ask(f"{ASSETS}/{asset_id}").status_code == 404


def test_the_same_seed_gives_the_same_data(api: Api) -> None:
    before = api.ask(f"{ASSETS}?size=250").content
    api.iris.reset()
    token = api.password_grant().json()["access_token"]
    assert api.ask(f"{ASSETS}?size=250", token=token).content == before


def test_the_fleet_can_change_in_the_middle_of_a_walk(api: Api) -> None:
    first = api.json(f"{ASSETS}?size=100")
    gone = api.json(f"{ASSETS}?size=100&page=1")["content"][0]
    api.iris.fleet(hide=[3, 100], grow=10)
    assert first["totalElements"] == 250
    second = api.json(f"{ASSETS}?size=100&page=1")
    assert second["totalElements"] == 258
    assert second["content"][0]["telematicsDevices"] != gone["telematicsDevices"]
    assert api.ask(f"{ASSETS}/{gone['id']}").status_code == 404
    assert gone["id"] in {r["id"] for r in walked(api, f"{ASSETS}?includeHidden=true", 1000)}
    api.iris.fleet(show=[3, 100], shrink=10)
    assert api.json(ASSETS)["totalElements"] == 250


def test_a_write_is_counted_and_read_back(api: Api) -> None:
    path = f"{ASSETS}/{api.json(ASSETS)['content'][0]['id']}"
    assert api.json(path, "PATCH", json={"name": "Renamed"})["name"] == "Renamed"
    assert api.json(ASSETS)["content"][0]["name"] == "Renamed"
    assert api.ask(path, "PATCH", json={"owner": "me"}).json()["code"] == "unknown_property"
    created = api.ask(f"{ASSETS}/onboard", "POST", json={"name": "New", "assetType": "TOOL"})
    assert created.status_code == 201
    removed = api.ask(f"{ASSETS}/{created.json()['id']}/offboard", "POST")
    assert (removed.status_code, removed.content) == (204, b"")
    assert list(api.iris.stats()["mutations"].values()) == [1, 1, 1]


def test_a_location_is_a_feature_with_longitude_first(api: Api) -> None:
    feature = api.json("/api/location/v1/locations")["content"][0]
    longitude, latitude, _ = feature["geometry"]["coordinates"]
    assert longitude < 20 < latitude
    assert api.json(f"/api/location/v1/locations/{feature['assetId']}") == feature


def test_a_location_page_answers_once_a_second(api: Api) -> None:
    path = "/api/location/v1/locations"
    assert [api.ask(f"{path}?page={page}").status_code for page in (0, 1, 1)] == [200, 200, 429]
    api.iris.advance(1)
    assert api.ask(f"{path}?page=1").status_code == 200


def test_some_sites_are_listed_but_not_visible(api: Api) -> None:
    sites = api.json("/api/site/v1/sites")["content"]
    statuses = [api.ask(f"/api/site/v1/sites/{site['id']}").status_code for site in sites]
    assert statuses == [200, 200, 200, 403, 200]


def test_site_history_takes_assets_and_a_period(api: Api) -> None:
    path = "/api/site/v1/sites/history"
    period = {"fromTime": "2026-01-10T00:00:00Z", "toTime": "2026-01-15T06:00:00Z", "size": "1000"}
    rows = api.json(path, params=period)["content"]
    assert all("2026-01-10T00:00:00Z" <= row["enteredAt"] <= "2026-01-15T06:00:00Z" for row in rows)
    assert rows[0]["leftAt"]
    assert rows[-1]["leftAt"] is None
    wanted = rows[0]["assetId"]
    assert {row["assetId"] for row in api.json(path, params=period | {"assetIds": wanted})["content"]} == {
        wanted
    }


def test_current_sites_of_assets_are_a_post_that_reads(api: Api) -> None:
    ids = [record["id"] for record in api.json(ASSETS)["content"][:2]]
    rows = api.json("/api/site/v1/assets/sites", "POST", json={"assetIds": ids})["assets"]
    assert [row["assetId"] for row in rows] == ids
    assert api.iris.stats()["mutations"] == {}


def test_groups_can_be_sorted(api: Api) -> None:
    rows = api.json("/api/organization/v1/groups", params={"sort": "description,-name"})["content"]
    assert [(row["description"], row["name"]) for row in rows[:2]] == [
        ("Crew 0", "Group 09"),
        ("Crew 0", "Group 06"),
    ]


def test_operators_are_read_with_a_cursor(api: Api) -> None:
    path, found, after = "/public/api/operator/operators", [], None
    while True:
        answer = api.json(path, params={"limit": 10} | ({"after": after} if after else {}))
        found += answer["content"]
        after = answer.get("after")
        if after is None:
            break
    assert len({row["id"] for row in found}) == len(found) == 25
    assert api.ask(path, params={"after": "nonsense"}).status_code == 400


def test_a_cursor_can_be_stuck(api: Api) -> None:
    path = "/public/api/operator/operators?limit=5"
    api.iris.settings(stuck_cursor=True)
    after = api.json(path)["after"]
    assert api.json(path, params={"after": after})["after"] == after


def test_pages_can_go_on_for_ever(api: Api) -> None:
    api.iris.settings(endless_pages=True)
    page = api.json(f"{ASSETS}?page=5000&size=100")
    assert page["totalPages"] == 5002
    assert len(page["content"]) == 100


def test_an_empty_collection_may_have_no_pages(api: Api) -> None:
    api.iris.fleet(shrink=250)
    assert api.json(ASSETS)["totalPages"] == 0
    api.iris.settings(empty_total_pages=1)
    assert api.json(ASSETS)["totalPages"] == 1


def test_an_unknown_path_is_the_html_of_the_manager(api: Api) -> None:
    response = api.ask("/api/asset/v9/nothing/here")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    api.iris.settings(unknown_path_status=404)
    assert api.ask("/api/position/v2/positions").status_code == 404


def test_service_management_answers_bare_objects_under_both_prefixes(api: Api) -> None:
    for prefix in ("/api", "/public/api"):
        base = f"{prefix}/service-management/v2/plans"
        assert api.json(base)["servicePlans"]
        overdue = api.json(f"{base}/assignments/service-status/OVERDUE/assets")["assetIds"]
        status = api.json(f"{base}/assignments/service-status?assetId={overdue[0]}")
        assert status["plannedServiceStatuses"][0]["status"] == "OVERDUE"


def test_can_faults_want_integer_machine_ids(api: Api) -> None:
    interval = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-08T00:00:00Z"}
    body = {"canFaultsRequest": {"machineIds": [1_500_000], "interval": interval}}
    assert len(api.json("/public/api/can-faults/faults", "POST", json=body)["canFaults"]) >= 4
    body["canFaultsRequest"]["machineIds"] = ["00000000-0000-0000-0000-000001500000"]
    assert api.ask("/public/api/can-faults/faults", "POST", json=body).status_code == 400
    assert api.json("/public/api/machine/machines/1500000")["machineId"] == 1_500_000


@pytest.mark.parametrize(
    ("lists", "key"),
    [
        ("/api/customer/v1/customers", "id"),
        ("/api/alerts/v1/configurations", "id"),
        ("/api/fleet-data-health/v1beta1/issues", "id"),
    ],
)
def test_what_is_listed_is_found_by_its_id_and_nothing_else_is(api: Api, lists: str, key: str) -> None:
    for row in api.json(lists)["content"]:
        assert api.json(f"{lists}/{row[key]}") == row
    assert api.ask(f"{lists}/nonsense").status_code == 404


def test_a_customer_has_contacts_and_assets(api: Api) -> None:
    customer = f"/api/customer/v1/customers/{api.json('/api/customer/v1/customers')['content'][1]['id']}"
    contacts = api.json(f"{customer}/contacts")["content"]
    assert api.json(f"{customer}/contacts/{contacts[0]['id']}") == contacts[0]
    assets = walked(api, f"{customer}/assets", 50)
    assert len(assets) == 100
    assert api.ask(f"{ASSETS}/{assets[0]['assetId']}").status_code == 200


def test_custom_fields_have_values_of_every_type_and_remember_what_was_dropped(api: Api) -> None:
    rows = api.json("/api/custom-fields/v1/values?entityId=7")["content"]
    types = {type(row["value"]) for row in rows}
    assert types == {type(None), float, bool, str, list, dict}
    assert [row["lastIncompatibleValue"] for row in rows if row["value"] is None] == ["North yard"]


def test_faults_are_summed_up_by_code_and_told_by_unit(api: Api) -> None:
    interval = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-15T00:00:00Z"}
    body = {"canFaultsRequest": {"machineIds": [1_500_000, 1_500_007], "interval": interval}}
    faults = api.json("/public/api/can-faults/faults", "POST", json=body)["canFaults"]
    summed = api.json("/public/api/can-faults/faults-summary", "POST", json=body)["canFaultsSummary"]
    assert sum(code["count"] for code in summed) == len(faults)
    path = "/public/api/can-faults/get-unit-active-faults"
    assert (
        api.json(f"{path}?unitId=750000")["list"]
        == api.json(path, "POST", json={"unitIds": [750000]})["list"]
    )
    assert api.ask(path).status_code == 400


def test_issues_of_an_asset_are_those_of_the_list(api: Api) -> None:
    issue = api.json("/api/fleet-data-health/v1beta1/issues")["content"][1]
    assert api.json(f"/api/fleet-data-health/v1beta1/assets/{issue['assetId']}/issues")["content"] == [issue]


def test_emissions_follow_from_what_was_burnt(api: Api) -> None:
    base = "/api/emissions/v2"
    day, month = (api.json(f"{base}/emissions/{period}")["content"][0] for period in ("daily", "monthly"))
    assert 0 <= day["fuelLitres"] < month["fuelLitres"]
    assert api.json(f"{base}/emissions/monthly/kpis", "POST", json={})["co2Kilograms"] > 0
    assert api.json(f"{base}/sites/7/emissions/monthly")["content"]


def test_compaction_tells_of_trips(api: Api) -> None:
    base = "/api/compaction/v1/compactions"
    trip = api.json(f"{base}/trips", "POST", json={})["trips"][0]
    assert api.json(f"{base}/trips/{trip['id']}") == trip
    assert len(api.json(f"{base}/trips/{trip['id']}/compactions")["compactions"]) == 5
    assert api.ask(f"{base}/trips/nonsense").status_code == 404


def test_service_plans_and_statuses_fill_every_member_somewhere(api: Api) -> None:
    base = "/api/service-management/v2/plans"
    plans = api.json(base)["servicePlans"]
    assert {plan["isPublic"] for plan in plans} == {True, False}
    assert plans[0]["plannedServices"][0]["cumulativeOperatingHoursCriteria"]
    ids = [row["id"] for row in api.json(f"{ASSETS}?size=20")["content"]]
    found = [
        api.json(f"{base}/assignments/service-status?assetId={at}")["plannedServiceStatuses"][0] for at in ids
    ]
    assert all(any(status[member] is not None for status in found) for member in found[0])
