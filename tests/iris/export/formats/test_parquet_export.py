"""A transfer in Parquet brings what the same transfer brings in JSON Lines, and says it in its manifest."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow import parquet as pq

from airflow_provider_trackunit.iris.errors import IrisUnexpectedResponseError
from airflow_provider_trackunit.iris.export.export import Export
from airflow_provider_trackunit.iris.export.formats.parquet import ParquetEncoding
from airflow_provider_trackunit.iris.export.typed.declaring import columns_for
from tests.iris.export.conftest import ASSETS, FLEET, HOURS, MakeRequest, new_client, pins, survivors
from tests.iris.export.stores import MemoryStore, result_of

if TYPE_CHECKING:
    from airflow_provider_trackunit.emulator import IrisEmulator

Rows = list[dict[str, Any]]


def typed_result_of(files: dict[str, bytes]) -> tuple[dict[str, Any], Rows]:
    """Return the manifest and all rows, after checking that every part has the schema of the first."""
    manifest = json.loads(files["_manifest.json"])
    tables = [pq.read_table(io.BytesIO(files[part["name"]])) for part in manifest["parts"]]
    assert [table.num_rows for table in tables] == [part["records"] for part in manifest["parts"]]
    assert len({bytes(table.schema.serialize()) for table in tables}) <= 1
    return manifest, [row for table in tables for row in table.to_pylist()]


def test_a_fleet_in_parquet_is_the_fleet_in_json_lines(iris: IrisEmulator, wanted: MakeRequest) -> None:
    lines, typed = MemoryStore(), MemoryStore()
    Export(new_client(iris), wanted(), lines).run()
    Export(new_client(iris), wanted(encoding=ParquetEncoding(columns_for(ASSETS))), typed).run()
    manifest, rows = typed_result_of(typed.files)
    _, records = result_of(lines.files)
    assert len(manifest["parts"]) > 3
    assert [part["records"] for part in manifest["parts"]] == [
        part["records"] for part in result_of(lines.files)[0]["parts"]
    ]
    assert manifest["format"] == "parquet"
    assert manifest["columns"][8] == {"name": "production_year", "type": "int64", "unit": None}
    assert manifest["bad_values"] == {}
    for row, record in zip(rows, records, strict=True):
        assert (row["id"], row["production_year"]) == (record["id"], record["productionYear"])
        assert json.loads(row["telematics_devices"]) == record["telematicsDevices"]
        assert json.loads(row["_extra"]) == {name: record[name] for name in ("image", "siteIds", "tags")}


def test_killed_after_any_write_the_next_try_completes_it_with_every_record_once(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    # A column that was found before the kill alone is found: else "fail" would fail it.
    encoding = ParquetEncoding(columns_for(ASSETS, columns={"id": ("id", "string")}), "fail")
    request = wanted(query={"size": 500}, encoding=encoding, part_bytes=1)
    whole = MemoryStore()
    Export(new_client(iris), request, whole).run()
    expected = [row["id"] for row in typed_result_of(whole.files)[1]]
    assert len(set(expected)) == 1000
    for files in survivors(iris, request, "after"):
        Export(new_client(iris), request, MemoryStore(files)).run()
        assert [row["id"] for row in typed_result_of(files)[1]] == expected


def test_rows_of_a_fan_out_carry_their_item(iris: IrisEmulator, wanted: MakeRequest) -> None:
    items = pins(iris, 5)
    encoding = ParquetEncoding(columns_for(HOURS, item_names=["pin"]))
    store = MemoryStore()
    Export(new_client(iris), wanted(HOURS, items=items, encoding=encoding), store).run()
    manifest, rows = typed_result_of(store.files)
    assert [one["name"] for one in manifest["columns"]] == ["datetime", "hour", "_request_pin", "_extra"]
    assert {row["_request_pin"] for row in rows} == {item["pin"] for item in items}
    assert all(isinstance(row["hour"], float) and row["_extra"] is None for row in rows)


def test_values_that_do_not_fit_are_counted_in_the_manifest(iris: IrisEmulator, wanted: MakeRequest) -> None:
    columns = columns_for(ASSETS, columns={"id": ("id", "string"), "year": ("productionYear", "date")})
    store = MemoryStore()
    Export(new_client(iris), wanted(encoding=ParquetEncoding(columns)), store).run()
    manifest, rows = typed_result_of(store.files)
    assert manifest["bad_values"] == {"year": 1000}
    assert all(row["year"] is None and "productionYear" in json.loads(row["_extra"]) for row in rows)


def test_on_request_they_fail_the_export_and_no_result_is_published(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    columns = columns_for(ASSETS, columns={"id": ("id", "string"), "year": ("productionYear", "date")})
    store = MemoryStore()
    with pytest.raises(IrisUnexpectedResponseError, match="'year' is declared as date"):
        Export(new_client(iris), wanted(encoding=ParquetEncoding(columns, "fail")), store).run()
    assert "_manifest.json" not in store.files


def test_a_wrong_path_is_told_once_for_the_whole_result_and_loses_nothing(
    iris: IrisEmulator, wanted: MakeRequest, caplog: pytest.LogCaptureFixture
) -> None:
    columns = columns_for(ASSETS, columns={"id": ("id", "string"), "made": ("productionYaer", "int64")})
    store = MemoryStore()
    Export(new_client(iris), wanted(encoding=ParquetEncoding(columns)), store).run()
    (told,) = [one for one in caplog.messages if "columns[" in one]
    assert told.startswith("columns['made']: none of the 1000 records has anything at productionYaer.")
    manifest, rows = typed_result_of(store.files)
    assert len(manifest["parts"]) > 3
    assert all(row["made"] is None and "productionYear" in json.loads(row["_extra"]) for row in rows)


def test_on_request_a_wrong_path_is_an_error_nothing_is_published_and_the_mended_run_is_right(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    def export(path: str) -> Export:
        columns = columns_for(ASSETS, columns={"id": ("id", "string"), "made": (path, "int64")})
        return Export(new_client(iris), wanted(encoding=ParquetEncoding(columns, "fail")), store)

    store = MemoryStore()
    with pytest.raises(
        IrisUnexpectedResponseError, match=r"columns\['made'\]: none of the 1000 .* Mend the path"
    ) as wrong:
        export("productionYaer").run()
    assert not wrong.value.transient
    assert "_manifest.json" not in store.files
    asked = iris.stats()["requests"]
    with pytest.raises(IrisUnexpectedResponseError, match=r"columns\['made'\]: none of the 1000"):
        export("productionYaer").run()
    assert iris.stats()["requests"] - asked <= 1, (
        "what came was kept: there is no more to ask for than a token"
    )
    export("productionYear").run()
    manifest, rows = typed_result_of(store.files)
    assert (manifest["records"], len({row["id"] for row in rows})) == (1000, 1000)
    assert all(isinstance(row["made"], int) for row in rows)


def test_a_wrong_path_of_a_fan_out_leaves_nothing_more_behind_with_each_try(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    items = [*pins(iris, 8), {"pin": "no-such-machine"}]

    def export(path: str) -> Export:
        columns = columns_for("/", columns={"hour": (path, "double")}, item_names=["pin"])
        encoding = ParquetEncoding(columns, "fail")
        request = wanted(HOURS, items=items, skip_refused=True, encoding=encoding)
        return Export(new_client(iris), request, store)

    store = MemoryStore()
    with pytest.raises(IrisUnexpectedResponseError, match=r"^columns\['hour'\]"):
        export("Huor").run()
    left = set(store.files)
    with pytest.raises(IrisUnexpectedResponseError, match=r"^columns\['hour'\]"):
        export("Huor").run()
    assert set(store.files) == left
    assert export("Hour").run().skipped_count == 1
    assert all(isinstance(row["hour"], float) for row in typed_result_of(store.files)[1])


def test_an_empty_fleet_is_a_result_without_parts_that_knows_its_columns(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    store = MemoryStore()
    iris.fleet(shrink=1000)
    Export(new_client(iris), wanted(FLEET, encoding=ParquetEncoding(columns_for(FLEET))), store).run()
    manifest, rows = typed_result_of(store.files)
    assert (rows, manifest["records"]) == ([], 0)
    assert len(manifest["columns"]) == 57
