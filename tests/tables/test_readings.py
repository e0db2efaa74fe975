"""Records of AEMP become readings: which machine, what, when and how much, and which of several stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_trackunit.iris.export.formats.parquet import ParquetEncoding
from airflow_provider_trackunit.iris.export.typed.declaring import columns_for
from airflow_provider_trackunit.tables import readings
from airflow_provider_trackunit.tables.schemas import READINGS

from .results import FLEET, SERIES, SITES, equipment, hours, of, result, utc

MORNING = "2026-01-15T05:41:00Z"
HOURS = "CumulativeOperatingHours"


def rows(*manifests: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = readings(list(manifests)).to_pylist()
    return found


def told(*manifests: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(row["asset"], row["metric"], row["value"], row["flags"]) for row in rows(*manifests)]


def test_every_block_of_a_snapshot_is_a_reading_at_its_own_time(tmp_path: Path) -> None:
    record = equipment(
        "ACM1",
        CumulativeOperatingHours=hours(648.95, "2026-01-15T05:41:00Z"),
        Distance={"OdometerUnits": "KILOMETRE", "Odometer": 812.4, "datetime": "2026-01-14T16:02:00Z"},
    )
    assert rows(result(tmp_path, FLEET, [record])) == [
        {
            "asset": "ACM1",
            "metric": "CumulativeOperatingHours",
            "observed_at": utc("2026-01-15T05:41:00"),
            "value": 648.95,
            "text": None,
            "unit": "h",
            "source": "snapshot",
            "flags": [],
        },
        {
            "asset": "ACM1",
            "metric": "Distance",
            "observed_at": utc("2026-01-14T16:02:00"),
            "value": 812.4,
            "text": None,
            "unit": "KILOMETRE",
            "source": "snapshot",
            "flags": [],
        },
    ]


BLOCKS: list[tuple[str, dict[str, Any], list[tuple[Any, ...]]]] = [
    ("CumulativeIdleHours", {"Hour": 0}, [("CumulativeIdleHours", 0.0, None, "h")]),
    ("cumulativeIdleHours", {"hour": 1.5}, [("CumulativeIdleHours", 1.5, None, "h")]),
    (
        "FuelUsed",
        {"FuelUnits": " litre ", "FuelConsumed": 7312.5},
        [("FuelUsed", 7312.5, None, "LITRE")],
    ),
    (
        "FuelRemaining",
        {"FuelTankCapacityUnits": "LITRE", "FuelTankCapacity": 90, "Percent": 63},
        [("FuelRemaining", 63.0, None, "%")],
    ),
    ("CumulativeLoadCount", {"Count": 3}, [("CumulativeLoadCount", 3.0, None, None)]),
    ("EngineStatus", {"EngineNumber": "1", "Running": False}, [("EngineStatus", None, "false", None)]),
    ("engineCoolantTemperature", {"temperature": 71.0}, [("EngineCoolantTemperature", 71.0, None, None)]),
    ("engineSpeed", {"value": 1, "speedUnits": "RPM", "speed": 900}, [("EngineSpeed", 900.0, None, "RPM")]),
    ("batteryPotential", {"batteryPotential": 12.9}, [("BatteryPotential", 12.9, None, None)]),
    ("redStopLamp", {"state": "ON"}, [("RedStopLamp", None, "ON", None)]),
    # A block that nobody has described yet: what is neither time nor unit is its value.
    ("flowRate", {"flowRateUnits": "l/h", "flow": 2}, [("FlowRate", 2.0, None, "L/H")]),
    ("flowRate", {"value": 2}, [("FlowRate", 2.0, None, None)]),
    (
        "Location",
        {"Latitude": 55.6761, "Longitude": 12.5683, "Altitude": 14.0, "AltitudeUnits": "METRE"},
        [("Latitude", 55.6761, None, "degree"), ("Longitude", 12.5683, None, "degree")],
    ),
    # Only the altitude is known where both are 0; on the equator or the meridian one of them is.
    ("Location", {"Latitude": 0, "Longitude": 0.0, "Altitude": 14.0}, []),
    (
        "Location",
        {"Latitude": 0, "Longitude": 12.5},
        [("Latitude", 0.0, None, "degree"), ("Longitude", 12.5, None, "degree")],
    ),
    ("Location", {"Latitude": 55.6761}, []),
    ("Location", {"Latitude": "55.6", "Longitude": 12.5}, []),
    # No value is no reading; what is no number is text.
    ("CumulativeIdleHours", {"Hour": None}, []),
    ("CumulativeIdleHours", {}, []),
    ("CumulativeIdleHours", {"Hour": "12.5"}, [("CumulativeIdleHours", None, "12.5", "h")]),
    ("CumulativeIdleHours", {"Hour": [1]}, [("CumulativeIdleHours", None, "[1]", "h")]),
    ("CumulativeIdleHours", {"Hour": True}, [("CumulativeIdleHours", None, "true", "h")]),
    # The one character that PostgreSQL cannot store is left out.
    ("redStopLamp", {"state": "O\0N"}, [("RedStopLamp", None, "ON", None)]),
]


@pytest.mark.parametrize(("name", "block", "expected"), BLOCKS)
def test_what_a_block_says(
    tmp_path: Path, name: str, block: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    snapshot = result(tmp_path, FLEET, [equipment("ACM1", **{name: {"datetime": MORNING, **block}})])
    found = [(row["metric"], row["value"], row["text"], row["unit"]) for row in rows(snapshot)]
    assert found == expected


def test_a_number_beyond_all_doubles_is_kept_as_text(tmp_path: Path) -> None:
    snapshot = result(tmp_path, FLEET, [equipment("ACM1", CumulativeIdleHours=hours(10**400, MORNING))])
    (row,) = rows(snapshot)
    assert (row["value"], row["text"]) == (None, str(10**400))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-15T05:41:00Z", "2026-01-15T05:41:00"),
        ("2026-01-15T05:41:00", "2026-01-15T05:41:00"),
        ("2026-01-15T06:41:00+01:00", "2026-01-15T05:41:00"),
        ("2026-01-15T05:41:00.1234567Z", "2026-01-15T05:41:00.123456"),
        # Nobody knows when: so servers say it.
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("1970-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59.9999999Z", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("yesterday", None),
        (1_768_455_660, None),
        (None, None),
    ],
)
def test_times_are_read_in_every_form_and_kept_to_the_microsecond(
    tmp_path: Path, text: Any, expected: str | None
) -> None:
    snapshot = result(tmp_path, FLEET, [equipment("ACM1", CumulativeIdleHours=hours(1, text))])
    assert [row["observed_at"] for row in rows(snapshot)] == ([utc(expected)] if expected else [])


@pytest.mark.parametrize(
    ("header", "asset"),
    [
        ({"PIN": " ACM1 ", "SerialNumber": "S1"}, "ACM1"),
        ({"PIN": "", "SerialNumber": "S1", "EquipmentID": "EX-17"}, "S1"),
        ({"PIN": None, "serialNumber": " ", "equipmentID": "EX-17"}, "EX-17"),
        ({"pin": 8841}, "8841"),
    ],
)
def test_a_machine_is_named_by_its_pin_else_its_serial_number_else_its_equipment_id(
    tmp_path: Path, header: dict[str, Any], asset: str
) -> None:
    record = {"EquipmentHeader": header, "CumulativeIdleHours": hours(1, MORNING)}
    assert [row["asset"] for row in rows(result(tmp_path, FLEET, [record]))] == [asset]


def test_a_machine_without_any_name_gives_no_reading_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = [
        equipment(None, CumulativeIdleHours=hours(1, MORNING)),
        {"CumulativeIdleHours": hours(1, MORNING)},
    ]
    assert rows(result(tmp_path, FLEET, records)) == []
    assert "2 records name no machine" in caplog.text


def test_a_series_belongs_to_the_machine_and_datapoint_that_were_asked_for(tmp_path: Path) -> None:
    series = [of(" ACM1 ", HOURS, hours(1, MORNING)), of("ACM2", "Locations", {"datetime": MORNING})]
    series[1] |= {"Latitude": 55.0, "Longitude": 12.0}
    found = [(row["asset"], row["metric"], row["source"]) for row in rows(result(tmp_path, SERIES, series))]
    assert found == [
        ("ACM1", HOURS, "series"),
        ("ACM2", "Latitude", "series"),
        ("ACM2", "Longitude", "series"),
    ]


def test_a_series_may_name_machine_and_datapoint_in_its_path(tmp_path: Path) -> None:
    path = SERIES.replace("{pin}", "AC%2FM1").replace("{datapoint}", "Distance")
    record = {"datetime": MORNING, "Odometer": 3, "OdometerUnits": "KILOMETRE"}
    assert told(result(tmp_path, path, [record])) == [("AC/M1", "Distance", 3.0, [])]


def test_faults_are_events_and_no_readings(tmp_path: Path) -> None:
    assert (
        rows(result(tmp_path, SERIES, [of("ACM1", "Faults", {"datetime": MORNING, "CodeIdentifier": "1"})]))
        == []
    )


def test_of_two_results_the_one_that_finished_last_stands_in_whatever_order_they_are_given(
    tmp_path: Path,
) -> None:
    older = result(tmp_path, FLEET, [equipment("ACM1", **{HOURS: hours(9, MORNING)})], "2026-01-15T06:00:00Z")
    newer = result(tmp_path, SERIES, [of("ACM1", HOURS, hours(8, MORNING))], "2026-01-15T07:00:00+00:30")
    newest = result(tmp_path, SERIES, [of("ACM1", HOURS, hours(7, MORNING))], "2026-01-15T06:45:00Z")
    assert told(older, newer) == told(newer, older) == [("ACM1", HOURS, 8.0, [])]
    assert told(newest, older, newer) == [("ACM1", HOURS, 7.0, [])]


def test_of_two_results_that_finished_at_once_the_later_given_stands(tmp_path: Path) -> None:
    one, other = (result(tmp_path, SERIES, [of("ACM1", HOURS, hours(value, MORNING))]) for value in (2, 1))
    assert told(one, other) == [("ACM1", HOURS, 1.0, [])]
    assert told(other, one) == [("ACM1", HOURS, 2.0, [])]


def test_twice_in_one_result_is_one_reading_and_of_a_counter_the_larger(tmp_path: Path) -> None:
    twice = [of("ACM1", HOURS, hours(value, MORNING)) for value in (5, 9, 7)]
    assert told(result(tmp_path, SERIES, twice)) == [("ACM1", HOURS, 9.0, ["conflict"])]
    same = [of("ACM1", HOURS, hours(5, MORNING)) for _ in range(5)]
    assert told(result(tmp_path, SERIES, same)) == [("ACM1", HOURS, 5.0, [])]


def test_of_what_is_no_counter_the_later_stands_and_a_position_stays_together(tmp_path: Path) -> None:
    places = [
        of("ACM1", "Locations", {"datetime": MORNING, "Latitude": one, "Longitude": 70 - one})
        for one in (50, 10)
    ]
    assert told(result(tmp_path, SERIES, places)) == [
        ("ACM1", "Latitude", 10.0, ["conflict"]),
        ("ACM1", "Longitude", 60.0, ["conflict"]),
    ]


def test_an_older_result_makes_no_conflict_and_takes_none_away(tmp_path: Path) -> None:
    older = result(
        tmp_path, SERIES, [of("ACM1", HOURS, hours(v, MORNING)) for v in (1, 2)], "2026-01-15T05:00:00Z"
    )
    newer = result(tmp_path, SERIES, [of("ACM1", HOURS, hours(3, MORNING))])
    assert told(older, newer) == [("ACM1", HOURS, 3.0, [])]
    newest = result(
        tmp_path, SERIES, [of("ACM1", HOURS, hours(v, MORNING)) for v in (5, 4)], "2026-01-16T00:00:00Z"
    )
    assert told(older, newer, newest) == [("ACM1", HOURS, 5.0, ["conflict"])]


def test_a_snapshot_that_finished_last_stands_though_it_has_one_of_two_readings(tmp_path: Path) -> None:
    series = result(
        tmp_path, SERIES, [of("ACM1", HOURS, hours(v, MORNING)) for v in (9, 8)], "2026-01-15T05:45:00Z"
    )
    snapshot = result(tmp_path, FLEET, [equipment("ACM1", **{HOURS: hours(8, MORNING)})])
    assert told(series) == [("ACM1", HOURS, 9.0, ["conflict"])]
    assert told(series, snapshot) == [("ACM1", HOURS, 8.0, [])]
    assert told(snapshot, series | {"finished_at": "2026-01-16T05:00:00Z"}) == told(series)


def test_a_reading_is_from_the_future_when_it_is_more_than_five_minutes_after_its_result(
    tmp_path: Path,
) -> None:
    times = ["2026-01-15T06:05:02Z", "2026-01-15T06:05:02.000001Z"]
    series = result(tmp_path, SERIES, [of("ACM1", HOURS, hours(1, at)) for at in times])
    assert [flags for *_, flags in told(series)] == [[], ["future"]]
    later = result(tmp_path, SERIES, [of("ACM1", HOURS, hours(1, times[1]))], "2026-01-15T07:00:00Z")
    assert [flags for *_, flags in told(series, later)] == [[], []]


def test_two_machines_of_one_snapshot_with_one_pin_are_flagged(tmp_path: Path) -> None:
    def fleet(*models: str) -> dict[str, Any]:
        records = [equipment("ACM1", CumulativeIdleHours=hours(1, MORNING)) for _ in models]
        for record, model in zip(records, models, strict=True):
            record["EquipmentHeader"]["Model"] = model
        return result(tmp_path, FLEET, [*records, equipment("ACM2", CumulativeIdleHours=hours(1, MORNING))])

    assert [flags for *_, flags in told(fleet("X20", "X30"))] == [["shared_id"], []]
    # A fleet that changed while it was read has a machine twice.
    assert [flags for *_, flags in told(fleet("X20", "X20"))] == [[], []]
    # Each in a snapshot of its own: renamed, or moved to another device.
    assert [flags for *_, flags in told(fleet("X20"), fleet("X30"))] == [[], []]


def test_trackunits_own_ids_tell_machines_apart_where_the_snapshot_has_them(tmp_path: Path) -> None:
    def fleet(*assets: str) -> dict[str, Any]:
        return result(
            tmp_path,
            FLEET,
            [
                equipment("ACM1", CumulativeIdleHours=hours(1, MORNING), metadata={"assetId": asset})
                for asset in assets
            ],
        )

    assert [flags for *_, flags in told(fleet("a", "b"))] == [["shared_id"]]
    assert [flags for *_, flags in told(fleet("a", "a"))] == [[]]


def test_no_results_and_empty_results_make_an_empty_table_of_the_same_schema(tmp_path: Path) -> None:
    empty = [readings([]), readings(result(tmp_path, FLEET, [])), readings(result(tmp_path, SERIES, []))]
    full = readings(result(tmp_path, FLEET, [equipment("ACM1", CumulativeIdleHours=hours(1, MORNING))]))
    for table in [*empty, full]:
        assert table.schema.equals(READINGS, check_metadata=True)
    assert [len(table) for table in empty] == [0, 0, 0]


def test_one_manifest_many_and_a_sequence_that_is_read_once_are_all_taken(tmp_path: Path) -> None:
    one = result(tmp_path, FLEET, [equipment("ACM1", CumulativeIdleHours=hours(1, MORNING))])
    assert readings(one) == readings([one]) == readings(one for _ in range(2))


def test_readings_of_many_batches_are_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_trackunit.tables.sources.BATCH", 2)
    records = [of("ACM1", HOURS, hours(number, f"2026-01-15T00:{number:02d}:00Z")) for number in range(20)]
    many = readings(result(tmp_path, SERIES, [*records, *records[:5]]))
    assert many["value"].to_pylist() == [float(number) for number in range(20)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give the manifest of a transfer"),
        (["file:///lake/_manifest.json"], "give the manifest of a transfer"),
        ({"endpoint": FLEET, "output_path": "x", "parts": [], "finished_at": "soon"}, "finished_at"),
    ],
)
def test_what_is_no_manifest_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        readings(given)


@pytest.mark.parametrize("endpoint", [SITES, "/public/api/aemp/v2/15143/-3/Fleet/Equipment", "/Fleet/1"])
def test_a_result_of_another_endpoint_is_refused(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(ValueError, match="neither a snapshot nor a series"):
        readings(result(tmp_path, endpoint, []))


def test_a_series_without_its_items_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\{pin\} was"):
        readings(result(tmp_path, SERIES, [hours(1, MORNING)]))


@pytest.mark.parametrize("number", ["1e400", "9" * 5000])
@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_one_absurd_number_is_no_reading_and_the_others_are_read(
    tmp_path: Path, number: str, file_format: str
) -> None:
    text = f'{{"EquipmentHeader":{{"PIN":"A"}},"CumulativeIdleHours":{{"Hour":{number},"datetime":"{MORNING}"}}}}'
    good = equipment("A", CumulativeIdleHours=hours(3, "2026-01-15T05:42:00Z"))
    manifest = result(tmp_path, FLEET, [])
    folder = Path(manifest["output_path"])
    if file_format == "jsonl":
        (folder / "part-0.jsonl").write_text(f"{text}\n{json.dumps(good)}\n")
    else:
        encoding = ParquetEncoding(columns_for(FLEET))
        lines = f"{text}\n{json.dumps(good)}\n".encode()
        (folder / "part-0.parquet").write_bytes(encoding.join([encoding.encode(lines, None)]))
    parts = [{"name": f"part-0.{file_format}", "records": 2}]
    assert told(manifest | {"parts": parts, "format": file_format}) == [("A", "CumulativeIdleHours", 3.0, [])]


def test_what_no_machine_can_have_counted_is_text_and_what_is_next_to_nothing_is_zero(tmp_path: Path) -> None:
    records = [
        equipment("A", Distance={"datetime": MORNING, "Odometer": value, "OdometerUnits": "MILE"})
        for value in (1e101, 5e-324, -1e-200)
    ]
    found = [rows(result(tmp_path, FLEET, [record]))[0] for record in records]
    assert [(row["value"], row["text"]) for row in found] == [(None, "1e101"), (0.0, None), (0.0, None)]


def test_a_line_that_is_no_record_is_told(tmp_path: Path) -> None:
    manifest = result(tmp_path, FLEET, [])
    (tmp_path / manifest["output_path"] / "part-0.jsonl").write_text('{"EquipmentHeader": {}}\n[]\n')
    with pytest.raises(ValueError, match=r"Fleet/1: a record is a list"):
        readings(manifest | {"parts": [{"name": "part-0.jsonl", "records": 2}]})


def test_the_table_says_its_units_and_its_key() -> None:
    assert isinstance(READINGS, pa.Schema)
    assert READINGS.metadata == {b"key": b"asset,metric,observed_at"}
