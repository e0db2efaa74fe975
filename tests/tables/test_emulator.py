"""Tables of what a whole emulated fleet sends, which shares no code with them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.tables import machine_days, readings, site_visits
from tests.iris.export.conftest import new_client

from .results import FLEET, HISTORY, SERIES, SITES, result

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator

COUNTERS = ("CumulativeOperatingHours", "CumulativeIdleHours", "Distance")


def test_every_block_of_a_fleet_with_a_time_and_a_name_is_a_reading(
    iris_emulator: IrisEmulator, tmp_path: Path
) -> None:
    query = {"addMetadata": "true", "addExtendedData": "true"}
    records = list(new_client(iris_emulator).records(FLEET.removesuffix("/1"), query_params=query))
    table = readings(result(tmp_path, FLEET, records, "2100-01-01T00:00:00Z", per_part=50))
    blocks = [(name, block) for record in records for name, block in record.items() if "datetime" in block]
    positions = sum(name == "Location" for name, _ in blocks)
    assert len(table) == len(blocks) + positions > 100
    # What is no number, such as the state of a lamp, is text.
    rows = table.select(["value", "text"]).to_pylist()
    assert [row for row in rows if (row["value"] is None) == (row["text"] is None)] == []


def test_series_and_snapshot_of_a_fleet_make_days_without_a_negative_gain(
    iris_emulator: IrisEmulator, tmp_path: Path
) -> None:
    client = new_client(iris_emulator)
    snapshot = list(client.records(FLEET.removesuffix("/1")))
    until = max(
        dt.datetime.fromisoformat(record["Location"]["datetime"])
        for record in snapshot
        if "Location" in record
    ).replace(hour=0, minute=0, second=0)
    since = until - dt.timedelta(days=4)
    records: list[dict[str, Any]] = []
    pins = [record["EquipmentHeader"]["PIN"] for record in snapshot if record["EquipmentHeader"].get("PIN")][
        :8
    ]
    for pin in pins:
        for datapoint in COUNTERS:
            window = {"from": f"{since:%Y-%m-%dT%H:%M:%SZ}", "until": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
            item = {"pin": pin, "datapoint": datapoint}
            records += [
                {"_request": item, **row} for row in client.records(SERIES, path_params={**item, **window})
            ]
    series = result(tmp_path, SERIES, records, f"{until.isoformat()}", per_part=100)
    days = machine_days(
        readings([result(tmp_path, FLEET, snapshot, "2100-01-01T00:00:00Z"), series])
    ).to_pylist()
    asked = {pin.strip() for pin in pins}  # some have blanks around them
    whole = [row for row in days if row["asset"] in asked and since.date() < row["day"] < until.date()]
    assert len(whole) == 3 * len(pins)
    # Not every machine has every counter.
    gains = [
        row[name] for row in whole for name in ("operating_hours", "distance_km") if row[name] is not None
    ]
    assert len(gains) > len(whole)
    assert min(gains) >= 0
    assert sum(gains) > 0
    assert {flag for row in whole for flag in row["flags"]} <= {"shared_id"}


def test_every_stay_of_the_history_is_a_visit_on_a_site_with_a_name(
    iris_emulator: IrisEmulator, tmp_path: Path
) -> None:
    client = new_client(iris_emulator)
    stays, sites = list(client.records(HISTORY)), list(client.records(SITES))
    visits = site_visits([result(tmp_path, HISTORY, stays, per_part=500), result(tmp_path, SITES, sites)])
    keys = {(stay["assetId"], stay["siteId"], stay["enteredAt"]) for stay in stays}
    assert len(visits) == len(keys) > 0
    assert visits["site_name"].null_count == 0
    assert visits["seconds"].null_count == visits["left_at"].null_count
