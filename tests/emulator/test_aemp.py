"""The AEMP feed: pages and links, formats, names in the path, the rule of one call per URL."""

from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest

from airflow_provider_trackunit.emulator.machines.datapoints import READERS, STANDARD, list_key
from airflow_provider_trackunit.emulator.machines.extension import EXTENDED
from tests.emulator.conftest import ASSETS, FLEET, Api

WINDOW = "2026-01-01T00:00:00Z/2026-01-15T00:00:00Z"


def rels(page: dict[str, Any]) -> dict[str, str]:
    return {link["rel"]: link["href"] for link in page["links"]}


def series(pin: str, datapoint: str = "CumulativeOperatingHours", window: str = WINDOW, page: int = 1) -> str:
    return f"{FLEET}/Equipment/ID/{quote(pin, safe='')}/{datapoint}/{window}/{page}"


def first_pin(api: Api) -> str:
    rows = api.json(f"{FLEET}/1?addMetadata=true")["equipment"]
    return str(next(row["EquipmentHeader"]["PIN"] for row in rows if row["EquipmentHeader"].get("PIN")))


def test_the_snapshot_is_walked_by_its_links_in_pages_of_a_hundred(api: Api) -> None:
    first = api.json(f"{FLEET}/1")
    assert len(first["equipment"]) == 100
    assert rels(first) == {
        "self": f"{api.iris.url}{FLEET}/1",
        "next": f"{api.iris.url}{FLEET}/2",
        "last": f"{api.iris.url}{FLEET}/2",
    }
    last = api.json(f"{FLEET}/2")
    assert len(last["equipment"]) == 100
    assert "next" not in rels(last)
    assert rels(last)["prev"].endswith("/1")


def test_page_zero_is_an_index_without_equipment(api: Api) -> None:
    page = api.json(f"{FLEET}/0")
    assert page["equipment"] == []
    assert rels(page)["next"].endswith("/1")


def test_tools_are_not_on_the_feed_and_off_rent_assets_only_on_demand(api: Api) -> None:
    assert api.json(ASSETS)["totalElements"] == 250
    api.iris.settings(links_repeat_query=True)
    last = rels(api.json(f"{FLEET}/1?includeOffRentAssets=true"))["last"]
    assert last == f"{api.iris.url}{FLEET}/3?includeOffRentAssets=true"


def test_metadata_joins_the_row_with_its_asset(api: Api) -> None:
    row = api.json(f"{FLEET}/1?addMetadata=true&addExtendedData=true")["equipment"][0]
    asset = api.json(f"{ASSETS}/{row['metadata']['assetId']}")
    assert asset["serialNumber"] == row["EquipmentHeader"]["SerialNumber"]
    assert asset["telematicsDevices"][0]["serialNumber"] == row["metadata"]["telematicSerialNumber"]
    assert set(row["engineCoolantTemperature"]) == {"temperature", "datetime"}


@pytest.mark.parametrize("accept", ["*/*", "application/xml", ""])
def test_xml_is_the_format_unless_json_is_asked_for(api: Api, accept: str) -> None:
    response = api.ask(f"{FLEET}/1?addMetadata=true", headers={"Accept": accept})
    assert response.headers["content-type"] == "application/xml"
    root = ET.fromstring(response.content)  # noqa: S314 - our own emulator wrote it
    space = "{http://standards.iso.org/iso/15143/-3}"
    assert root.tag == f"{space}Fleet"
    assert len(root.findall(f"{space}Equipment")) == 100
    assert root.find(f"{space}Equipment/{space}Location").get("datetime")  # type: ignore[union-attr]
    assert root.find(f"{space}Links/{space}rel").text == "self"  # type: ignore[union-attr]
    assert root.find(f"{space}Equipment/{space}Metadata/{space}AssetId") is not None


def test_a_url_answers_once_per_quarter_of_an_hour_when_the_pool_is_empty(api: Api) -> None:
    api.iris.settings(aemp_pool_calls=0)
    assert api.ask(f"{FLEET}/1").status_code == 200
    assert api.ask(f"{FLEET}/2").status_code == 200
    refused = api.ask(f"{FLEET}/1")
    assert refused.status_code == 429
    assert 890 <= int(refused.headers["Retry-After"]) <= 900
    api.iris.advance(900)
    assert api.ask(f"{FLEET}/1").status_code == 200


def test_the_pool_gives_extra_calls_that_come_back_after_thirty_days(api: Api) -> None:
    api.iris.settings(aemp_pool_calls=2, token_lifetime_s=10**9)
    token = api.password_grant().json()["access_token"]
    statuses = [api.ask(f"{FLEET}/1", token=token).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    api.iris.advance(900)
    assert [api.ask(f"{FLEET}/1", token=token).status_code for _ in range(2)] == [200, 429]
    api.iris.advance(30 * 86_400)
    assert [api.ask(f"{FLEET}/1", token=token).status_code for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize(("in_bucket", "status"), [(True, 200), (False, 429)])
def test_whether_the_query_opens_a_bucket_of_its_own_can_be_switched(
    api: Api, in_bucket: bool, status: int
) -> None:
    api.iris.settings(aemp_pool_calls=0, aemp_url_includes_query=in_bucket)
    api.ask(f"{FLEET}/1")
    assert api.ask(f"{FLEET}/1?addMetadata=true").status_code == status


@pytest.mark.parametrize(("bucket", "status"), [("series", 429), ("page", 429), ("url", 200)])
def test_other_dates_of_a_series_open_no_new_bucket(api: Api, bucket: str, status: int) -> None:
    api.iris.settings(aemp_pool_calls=0, series_bucket=bucket)
    pin = first_pin(api)
    other = "2025-12-01T00:00:00Z/2025-12-10T00:00:00Z"
    assert api.ask(series(pin)).status_code == 200
    assert api.ask(series(pin, window=other)).status_code == status
    assert api.ask(series(pin, "Distance")).status_code == 200


def test_the_fleet_is_limited_per_second_as_well(api: Api) -> None:
    api.iris.settings(fleet_calls_per_s=1)
    assert [api.ask(f"{FLEET}/{page}").status_code for page in (1, 2)] == [200, 429]
    api.iris.advance(1)
    assert api.ask(f"{FLEET}/2").status_code == 200


def test_a_dense_series_has_several_pages_without_gaps(api: Api) -> None:
    pin = first_pin(api)
    page, rows = api.json(series(pin, "Locations")), []
    while True:
        rows += page["location"]
        following = rels(page).get("next")
        if following is None:
            break
        page = api.json(following.removeprefix(api.iris.url))
    times = [row["datetime"] for row in rows]
    assert len(rows) == 14 * 24 * 6
    assert times == sorted(set(times))
    assert set(rows[0]) == {"datetime", "Latitude", "Longitude", "Altitude", "AltitudeUnits"}


@pytest.mark.parametrize(
    ("datapoint", "key", "members"),
    [
        ("CumulativeOperatingHours", "cumulativeOperatingHours", {"datetime", "Hour"}),
        ("Distance", "distance", {"datetime", "Odometer", "OdometerUnits"}),
        (
            "Faults",
            "faultCode",
            {"datetime", "CodeIdentifier", "CodeDescription", "CodeSeverity", "CodeSource"},
        ),
        ("EngineSpeed", "engineSpeed", {"datetime", "speed", "speedUnits"}),
    ],
)
def test_each_datapoint_has_its_list_key(api: Api, datapoint: str, key: str, members: set[str]) -> None:
    assert set(api.json(series(first_pin(api), datapoint))[key][0]) == members


def test_every_block_and_every_datapoint_is_reported_by_some_machine(api: Api) -> None:
    api.iris.settings(aemp_url_interval_s=None)
    rows = [row for page in (1, 2) for row in api.json(f"{FLEET}/{page}?addExtendedData=true")["equipment"]]
    blocks = {name for row in rows for name in row}
    assert blocks >= {"Location" if name == "Locations" else name for name in STANDARD}
    assert blocks >= {name[0].lower() + name[1:] for name in EXTENDED}
    # The developer hub counts 93, two of which the standard's series have as well.
    assert len(STANDARD) == 16
    assert len(EXTENDED) == 93
    pins = [row["EquipmentHeader"]["PIN"] for row in rows if "PIN" in row["EquipmentHeader"]]
    week = "2026-01-08T00:00:00Z/2026-01-15T00:00:00Z"
    for datapoint in READERS:
        pages = (api.json(series(pin, datapoint, week)) for pin in pins)
        assert any(page[list_key(datapoint)] for page in pages), datapoint


def test_a_machine_reports_in_its_series_what_it_reports_in_the_snapshot(api: Api) -> None:
    api.iris.settings(aemp_url_interval_s=None)
    for row in api.json(f"{FLEET}/1")["equipment"][:12]:
        pin = row["EquipmentHeader"].get("PIN")
        for datapoint in STANDARD if pin else ():
            rows = api.json(series(pin, datapoint, "2026-01-14T18:00:00Z/2026-01-15T06:00:00Z"))[
                list_key(datapoint)
            ]
            block = row.get("Location" if datapoint == "Locations" else datapoint)
            assert rows[-1:] == ([block] if block else []), (pin, datapoint)


def test_an_empty_history_is_an_empty_list(api: Api) -> None:
    header = api.json(f"{FLEET}/1")["equipment"][0]["EquipmentHeader"]
    assert api.json(series(header["PIN"], "CumulativeIdleHours"))["cumulativeIdleHours"] == []


def test_the_snapshot_shows_the_last_sample_of_the_series(api: Api) -> None:
    rows = api.json(f"{FLEET}/1")["equipment"]
    row = next(row for row in rows if "CumulativeOperatingHours" in row and "PIN" in row["EquipmentHeader"])
    window = "2026-01-10T00:00:00Z/2026-01-15T06:00:00Z"
    samples = api.json(series(row["EquipmentHeader"]["PIN"], window=window))["cumulativeOperatingHours"]
    assert samples[-1] == row["CumulativeOperatingHours"]


@pytest.mark.parametrize(
    ("window", "code"),
    [
        ("2026-01-01T00:00:00Z/2026-01-15T00:00:01Z", "time_window_too_long"),
        ("2026-01-15T00:00:00Z/2026-01-01T00:00:00Z", "constraint_violation"),
        ("2026-01-01/2026-01-02", "constraint_violation"),
        ("2026-01-01T00:00:000Z/2026-01-02T00:00:00Z", "constraint_violation"),
    ],
)
def test_a_window_that_cannot_be_served_is_refused(api: Api, window: str, code: str) -> None:
    response = api.ask(series(first_pin(api), window=window))
    assert (response.status_code, response.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    "pin",
    ["EX 17 0000001", "A/B/0000002", "NO#0000003", "50%25-0000004", "KØGE-BÆLTE-0000005", "SN0000006", "3000028",
     "TRAILING-0000011 ", "WHAT?0000012", "PLUS+0000013"],
)  # fmt: skip
def test_equipment_is_found_by_pin_serial_or_device_serial_however_awkward(api: Api, pin: str) -> None:
    rows = api.json(f"{FLEET}/Equipment/ID/{quote(pin, safe='')}")["equipment"]
    assert pin in {rows[0]["EquipmentHeader"].get("PIN"), rows[0]["EquipmentHeader"]["SerialNumber"]}
    assert api.ask(series(pin)).status_code == 200


def test_an_unquoted_slash_is_another_path(api: Api) -> None:
    response = api.ask(f"{FLEET}/Equipment/ID/A/B/0000002")
    assert response.headers["content-type"].startswith("text/html")


def test_unknown_equipment_is_not_found(api: Api) -> None:
    response = api.ask(f"{FLEET}/Equipment/ID/NOBODY0000001")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("switch", "expected"),
    [
        ("itself", "/Fleet/1"),
        ("foreign", "https://iris.example.net/public/api/aemp/v2/15143/-3/Fleet/2"),
        ("dotdot", "/../"),
        ("missing", None),
    ],
)
def test_the_next_link_can_be_made_hostile(api: Api, switch: str, expected: str | None) -> None:
    api.iris.settings(next_link=switch)
    found = rels(api.json(f"{FLEET}/1")).get("next")
    assert found is None if expected is None else expected in str(found)


def test_pages_can_go_on_for_ever(api: Api) -> None:
    api.iris.settings(endless_pages=True)
    page = api.json(f"{FLEET}/777")
    assert len(page["equipment"]) == 100
    assert rels(page)["next"].endswith("/778")


@pytest.mark.parametrize("layout", ["pretty", "lines"])
def test_json_can_hold_line_breaks(api: Api, layout: str) -> None:
    api.iris.settings(json_layout=layout)
    response = api.ask(f"{FLEET}/1")
    assert len(response.json()["equipment"]) == 100
    assert b"\n" in response.content


def test_keys_can_be_upper_case(api: Api) -> None:
    api.iris.settings(aemp_key_case="upper")
    assert {"Equipment", "Links"} < set(api.json(f"{FLEET}/1"))
