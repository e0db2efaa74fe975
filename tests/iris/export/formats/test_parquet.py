"""Records become Parquet: every reader finds the same rows, every part has the same schema, and no value is guessed."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import dataset
from pyarrow import parquet as pq

from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisUnexpectedResponseError
from airflow_provider_trackunit.iris.export.formats.draft import Draft, request_member
from airflow_provider_trackunit.iris.export.formats.parquet import ParquetEncoding
from airflow_provider_trackunit.iris.export.typed.declaring import columns_for

if TYPE_CHECKING:
    from pathlib import Path

DECLARED = {
    "id": ("id", "string"),
    "running": ("engine.running", "boolean"),
    "count": ("count", "int64"),
    "hours": ("hours.value", "double"),
    "read_at": ("hours.at", "timestamp"),
    "day": ("day", "date"),
    "devices": ("devices", "json"),
}
RECORD: dict[str, Any] = {
    "id": "ä-1",
    "engine": {"running": False},
    "count": 9007199254740993,
    "hours": {"value": 648.95, "at": "2026-01-15T05:58:11.123456Z"},
    "day": "2026-01-15",
    "devices": [{"id": "199214"}],
    "new": {"member": 1.5},
}
EMPTY = {"id": "b"}


def raws(*records: Any) -> list[msgspec.Raw]:
    return [msgspec.Raw(msgspec.json.encode(record)) for record in records]


def encoding(declared: dict[str, tuple[str, str]] = DECLARED, **arguments: Any) -> ParquetEncoding:
    return ParquetEncoding(columns_for("/", columns=declared), **arguments)


def finished(kind: ParquetEncoding, draft: Draft) -> bytes:
    return kind.join(draft.encoded(kind).blocks)


def part(*records: Any, **arguments: Any) -> bytes:
    kind = encoding(**arguments)
    return finished(kind, Draft().adding(kind, raws(*records)))


def rows(data: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "part-00000.parquet"
    path.write_bytes(part(RECORD, EMPTY))
    return path


def test_duckdb_reads_every_type(file: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(
            "SELECT id, running, count, hours, read_at::VARCHAR, day::VARCHAR, devices::JSON->0->>'id', _extra::JSON->'new' "
            "FROM read_parquet(?) ORDER BY id DESC",
            [str(file)],
        ).fetchall()
    assert found == [
        (
            "ä-1",
            False,
            9007199254740993,
            648.95,
            "2026-01-15 05:58:11.123456+00",
            "2026-01-15",
            "199214",
            '{"member":1.5}',
        ),
        ("b", None, None, None, None, None, None, None),
    ]


def test_pandas_reads_every_type(file: Path) -> None:
    frame = pd.read_parquet(file, dtype_backend="pyarrow")
    first, second = frame.to_dict("records")
    assert first["count"] == 9007199254740993
    assert first["read_at"] == pd.Timestamp("2026-01-15T05:58:11.123456Z")
    assert bool(first["running"]) is False
    assert [name for name in frame if not pd.isna(second[name])] == ["id"]


def test_a_dataset_of_many_parts_has_one_schema_also_where_a_column_is_empty(tmp_path: Path) -> None:
    for number, record in enumerate((EMPTY, RECORD, EMPTY)):
        (tmp_path / f"part-{number}.parquet").write_bytes(part(record))
    found = dataset.dataset(tmp_path).to_table(columns=["id", "hours"], filter=dataset.field("hours") > 1)
    assert found.to_pylist() == [{"id": "ä-1", "hours": 648.95}]


def schema_bytes(data: bytes) -> bytes:
    return bytes(pq.read_schema(io.BytesIO(data)).serialize())


def test_the_schema_has_the_same_bytes_in_every_part_whatever_is_in_it() -> None:
    nonsense = [{"id": 5, "hours": "x", "count": 1.5, "more": [1]}, 7, None]
    parts = [part(RECORD), part(EMPTY), part(*nonsense), part(*[RECORD] * 3000), encoding().join([])]
    assert len({schema_bytes(data) for data in parts}) == 1


@pytest.mark.parametrize(
    ("endpoint", "query"),
    [
        ("/api/asset/v1/assets", {}),
        ("/public/api/aemp/v2/15143/-3/Fleet", {"addExtendedData": True}),
        ("/public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}/{datapoint}/{from}/{until}", {}),
    ],
)
def test_the_file_has_the_columns_of_the_catalogue_with_types_and_units(
    endpoint: str, query: dict[str, Any]
) -> None:
    columns = columns_for(endpoint, query)
    kind = ParquetEncoding(columns)
    assert [(one.name, one.type, one.unit) for one in kind.form.columns or ()] == [
        (one.name, one.type, one.unit) for one in columns
    ]
    schema = pq.read_schema(io.BytesIO(kind.join([])))
    for column, field in zip(columns, schema, strict=True):
        assert field.name == column.name
        assert field.nullable
        assert field.metadata[b"type"].decode() == column.type
        assert field.metadata.get(b"unit", b"").decode() == (column.unit or "")
    assert schema.field("_extra").type == pa.string()
    assert {str(field.type) for field in schema if field.metadata[b"type"] == b"timestamp"} <= {
        "timestamp[us, tz=UTC]"
    }


def test_the_same_records_make_the_same_bytes() -> None:
    assert part(RECORD, EMPTY) == part(RECORD, EMPTY)


def test_pages_of_any_size_make_the_rows_in_order_in_few_row_groups() -> None:
    kind, draft, numbers = encoding(), Draft(), iter(range(100_000))
    for size in (1, 0, 1, 2, 3000, *[1000] * 15, 1):
        draft = draft.adding(kind, raws(*({"count": next(numbers), "pad": "x" * 500} for _ in range(size))))
    data = finished(kind, draft)
    assert [row["count"] for row in rows(data)] == list(range(draft.records))
    assert 2 <= pq.read_metadata(io.BytesIO(data)).num_row_groups <= 4


def test_many_records_of_few_bytes_are_not_held_as_columns_all_at_once() -> None:
    kind = ParquetEncoding(columns_for("/public/api/aemp/v2/15143/-3/Fleet", {"addExtendedData": True}))
    before = pa.total_allocated_bytes()
    block = kind.encode(b"{}\n" * 20_000, None)  # as Arrow, 25 MB
    assert pa.total_allocated_bytes() - before < 4 * 2**20
    groups = pq.read_metadata(io.BytesIO(kind.join([block])))
    rows_of_groups = [groups.row_group(at).num_rows for at in range(groups.num_row_groups)]
    assert sum(rows_of_groups) == 20_000
    assert max(rows_of_groups) < 5_000


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", None])
def test_every_compression_is_in_the_file_and_is_read_back(compression: str | None) -> None:
    data = part(RECORD, compression=compression)
    chunk = pq.read_metadata(io.BytesIO(data)).row_group(0).column(0)
    assert chunk.compression == (compression or "uncompressed").upper()
    assert rows(data)[0]["id"] == "ä-1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"compression": "zip"}, "compression"), ({"on_bad_value": "skip"}, "on_bad_value")],
)
def test_an_argument_that_is_not_known_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(IrisConfigurationError, match=message):
        encoding(**arguments)


# -- values that do not fit


def test_a_value_that_does_not_fit_is_null_counted_and_kept() -> None:
    kind = encoding()
    draft = Draft().adding(kind, raws({"id": "a", "count": 1.5}, {"id": 7, "hours": {"value": True}}))
    draft = draft.encoded(kind).adding(kind, raws({"count": "2"})).encoded(kind)
    assert draft.bad_values() == {"id": 1, "count": 2, "hours": 1}
    assert [(row["id"], row["count"], json.loads(row["_extra"])) for row in rows(finished(kind, draft))] == [
        ("a", None, {"count": 1.5}),
        (None, None, {"id": 7, "hours": {"value": True}}),
        (None, None, {"count": "2"}),
    ]


OWN = {"id": ("id", "string"), "hours": ("hour.value", "double"), "day": ("day", "date")}


def test_a_path_that_leads_nowhere_is_told_with_its_column(caplog: pytest.LogCaptureFixture) -> None:
    kind = encoding(OWN)
    draft = Draft().adding(kind, raws(RECORD, {"id": "b", "day": None})).encoded(kind)
    kind.judge(draft.filled(), draft.records)
    (told,) = caplog.messages
    assert told.startswith("columns['hours']: none of the 2 records has anything at hour.value.")
    found = rows(finished(kind, draft))
    assert [row["hours"] for row in found] == [None, None]
    assert json.loads(found[0]["_extra"])["hours"] == RECORD["hours"]


@pytest.mark.parametrize(
    ("own", "filled", "records"),
    [(OWN, {"id", "hours", "day"}, 1000), (OWN, set(), 0), (None, set(), 1000)],
    ids=["all are found", "no record", "columns of the catalogue"],
)
def test_nothing_is_wrong_with_columns_that_are_found_or_have_a_source(
    caplog: pytest.LogCaptureFixture, own: Any, filled: set[str], records: int
) -> None:
    declared = columns_for("/api/asset/v1/assets", columns=own, item_names=["assetId"])
    kind = ParquetEncoding(declared, "fail")
    kind.judge(filled, records)
    assert caplog.messages == []


def test_on_request_it_is_an_error_where_there_are_records_enough_to_be_sure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kind = encoding(OWN, on_bad_value="fail")
    kind.judge({"id"}, 99)
    assert "columns['hours']" in caplog.text
    with pytest.raises(
        IrisUnexpectedResponseError, match=r"columns\['hours'\].*; columns\['day'\].*100 records"
    ):
        kind.judge({"id"}, 100)


def test_on_request_it_is_an_error_that_names_column_type_and_record_and_never_the_value() -> None:
    kind = encoding(on_bad_value="fail")
    draft = Draft().adding(kind, raws(RECORD)).encoded(kind)
    with pytest.raises(IrisUnexpectedResponseError) as failed:
        draft.adding(kind, raws(EMPTY, {"id": "x", "hours": {"value": "s3cret"}})).encoded(kind)
    text = str(failed.value)
    for told in ("'hours'", "double", "record 3 of", "a string", "hours.value"):
        assert told in text
    assert "s3cret" not in text
    assert not failed.value.transient


# -- the item of a fan-out


def test_the_values_of_an_item_are_texts_in_columns_of_their_own() -> None:
    columns = columns_for("/", columns={"id": ("value", "string")}, item_names=["pin", "machineId"])
    kind = ParquetEncoding(columns)
    draft = Draft().adding(kind, raws("a"), request_member({"pin": 'Ä "1"', "machineId": 1500000}))
    draft = draft.adding(kind, raws({"value": "b"}), request_member({"pin": "B", "day": "2026-01-15"}))
    assert rows(finished(kind, draft)) == [
        {"id": "a", "_request_pin": 'Ä "1"', "_request_machineId": "1500000", "_extra": None},
        {
            "id": "b",
            "_request_pin": "B",
            "_request_machineId": None,
            "_extra": '{"_request":{"day":"2026-01-15"}}',
        },
    ]


# -- without pyarrow

WITHOUT = """
import sys
sys.modules["pyarrow"] = None
from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.export.formats.parquet import ParquetEncoding
from airflow_provider_trackunit.iris.export.typed.declaring import columns_for
columns = columns_for("/api/asset/v1/assets")
try:
    ParquetEncoding(columns)
except IrisConfigurationError as error:
    print(error)
"""


def test_without_pyarrow_the_error_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert "pip install 'airflow-provider-trackunit[parquet]'" in done.stdout


def test_the_module_is_loaded_without_pyarrow_until_an_encoding_is_made() -> None:
    code = (
        "import sys, airflow_provider_trackunit.iris.export.formats.parquet; "
        "print([name for name in sys.modules if name.split('.')[0] in {'pyarrow', 'numpy', 'pandas'}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout.strip() == "[]"
