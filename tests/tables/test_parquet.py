"""What a result says does not depend on its format: records in Parquet give the tables that the same lines give."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from airflow_provider_trackunit.iris.errors import IrisStorageError
from airflow_provider_trackunit.iris.export.formats.draft import Draft, request_member
from airflow_provider_trackunit.iris.export.formats.parquet import ParquetEncoding
from airflow_provider_trackunit.iris.export.typed.declaring import columns_for
from airflow_provider_trackunit.tables import readings, site_visits

from .results import FLEET, HISTORY, SERIES, equipment, hours, of, result

if TYPE_CHECKING:
    from pathlib import Path

MORNING = "2026-01-15T05:41:00Z"
SNAPSHOT = [
    equipment(
        "ACM1",
        CumulativeOperatingHours=hours(648.95, MORNING),
        CumulativeLoadCount={"datetime": MORNING, "Count": 3},
        EngineStatus={"datetime": MORNING, "Running": False, "EngineNumber": "1"},
        Distance={"datetime": MORNING, "Odometer": 3, "OdometerUnits": "MILE"},
        Location={"datetime": MORNING, "Latitude": 55, "Longitude": 12.5, "Altitude": 1},
        metadata={"assetId": "a"},
        engineCoolantTemperature={"datetime": MORNING, "temperature": 71.0},
        flowRate={"datetime": MORNING, "flow": 2},
    ),
    equipment("ACM1", metadata={"assetId": "b"}, CumulativeIdleHours=hours(None, MORNING)),
    equipment(None, CumulativeIdleHours=hours(1, MORNING)),
    # Values that fit no column: what is no number stays text, and a time that is none is none.
    equipment(
        " ACM2 ", CumulativeIdleHours=hours("much", MORNING), FuelUsed={"datetime": "soon", "FuelConsumed": 1}
    ),
    equipment(
        "ACM3",
        CumulativeIdleHours=hours(True, MORNING),
        cumulativeMovingHours={"hour": 2, "datetime": MORNING},
    ),
]
SERIES_RECORDS = [
    of("ACM1", "CumulativeOperatingHours", hours(1, MORNING)),
    of("ACM1", "CumulativeOperatingHours", hours(2, MORNING)),
    of("ACM1", "Distance", {"datetime": MORNING, "Odometer": 3, "OdometerUnits": "MILE"}),
    of(
        "ACM2",
        "Locations",
        {"datetime": "2026-01-15T06:41:00.123456789+01:00", "Latitude": 1, "Longitude": 2},
    ),
    of("ACM2", "redStopLamp", {"datetime": MORNING, "state": "ON"}),
]


def in_parquet(
    folder: Path, manifest: dict[str, Any], records: list[dict[str, Any]], **columns: Any
) -> dict[str, Any]:
    """Return the manifest of the same result in Parquet, as a transfer writes it."""
    items = sorted({name for record in records for name in record.get("_request", {})})
    encoding = ParquetEncoding(columns_for(manifest["endpoint"], item_names=items, **columns))
    draft = Draft()
    for record in records:
        rest = {name: value for name, value in record.items() if name != "_request"}
        item = request_member(record["_request"]) if "_request" in record else None
        draft = draft.adding(encoding, [msgspec.Raw(json.dumps(rest).encode())], item)
    (folder / "part-00000.parquet").write_bytes(encoding.join(draft.encoded(encoding).blocks))
    parts = [{"name": "part-00000.parquet", "records": len(records)}]
    return manifest | {"output_path": str(folder), "parts": parts, "format": "parquet"}


@pytest.mark.parametrize(
    ("endpoint", "records", "columns"),
    [
        (FLEET, SNAPSHOT, {}),
        (FLEET, SNAPSHOT, {"query_params": {"addExtendedData": "true"}}),
        (
            FLEET,
            SNAPSHOT,
            {"columns": {"pin": ("EquipmentHeader.PIN", "string"), "header": ("metadata", "json")}},
        ),
        (SERIES, SERIES_RECORDS, {}),
        (SERIES, SERIES_RECORDS, {"columns": {"at": ("datetime", "timestamp"), "hours": ("Hour", "double")}}),
    ],
)
def test_readings_are_the_same_from_parquet_and_from_lines(
    tmp_path: Path, endpoint: str, records: list[dict[str, Any]], columns: dict[str, Any]
) -> None:
    lines = result(tmp_path, endpoint, records)
    from_lines = readings(lines)
    assert len(from_lines) >= 5
    assert readings(in_parquet(tmp_path, lines, records, **columns)).to_pylist() == from_lines.to_pylist()


def test_visits_are_the_same_from_parquet_and_from_lines(tmp_path: Path) -> None:
    records = [
        {"siteId": "s1", "assetId": "a1", "enteredAt": MORNING, "leftAt": left_at}
        for left_at in (None, "2026-01-15T06:41:00Z")
    ]
    lines = result(tmp_path, HISTORY, records)
    assert site_visits(in_parquet(tmp_path, lines, records)).to_pylist() == site_visits(lines).to_pylist()


def test_a_part_that_is_cut_off_is_told(tmp_path: Path) -> None:
    manifest = in_parquet(tmp_path, result(tmp_path, FLEET, SNAPSHOT), SNAPSHOT)
    part = tmp_path / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(IrisStorageError, match=r"part-00000\.parquet cannot be read"):
        readings(manifest)
