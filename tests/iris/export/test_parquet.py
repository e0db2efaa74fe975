"""Records become Parquet: every reader finds the same rows, every part the same schema, and nothing half done."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import dataset
from pyarrow import parquet as pq

from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisUnexpectedResponseError
from airflow_provider_trackunit.iris.export import parquet
from airflow_provider_trackunit.iris.export.parquet import ParquetBuffer
from airflow_provider_trackunit.iris.export.parts import PartBuffer, request_member
from airflow_provider_trackunit.iris.export.typed import taking, values
from airflow_provider_trackunit.iris.export.typed.declaring import columns_for

if TYPE_CHECKING:
    from types import FrameType

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


def new(declared: dict[str, tuple[str, str]] = DECLARED, **arguments: Any) -> ParquetBuffer:
    return ParquetBuffer(columns_for("/", columns=declared), **arguments)


def part(*records: Any, **arguments: Any) -> bytes:
    buffer = new(**arguments)
    buffer.add(raws(*records))
    return buffer.finish()


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
    parts = [part(RECORD), part(EMPTY), part(*nonsense), part(*[RECORD] * 3000), new().finish()]
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
    buffer = ParquetBuffer(columns)
    assert buffer.columns == [{"name": one.name, "type": one.type, "unit": one.unit} for one in columns]
    schema = pq.read_schema(io.BytesIO(buffer.finish()))
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


def test_a_part_is_as_large_as_the_same_part_of_json_lines_before_compression() -> None:
    ours, lines = new(), PartBuffer(None)
    for request in (None, request_member({"pin": "A 1"})):
        ours.add(raws(RECORD, EMPTY), request)
        lines.add(raws(RECORD, EMPTY), request)
    assert ours.records == lines.records == 4
    assert ours.raw_bytes == pytest.approx(lines.raw_bytes, abs=8)


def test_pages_of_any_size_make_the_rows_in_order_in_few_row_groups() -> None:
    buffer = new()
    numbers = iter(range(100_000))
    for size in (1, 0, 1, 2, 5000, 30_000, 1, 20_000):
        buffer.add(raws(*({"count": next(numbers), "pad": "x" * 50} for _ in range(size))))
    data = buffer.finish()
    assert [row["count"] for row in rows(data)] == list(range(buffer.records))
    assert pq.read_metadata(io.BytesIO(data)).num_row_groups <= 3


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
        new(**arguments)


# -- values that do not fit


def test_a_value_that_does_not_fit_is_null_counted_and_kept() -> None:
    buffer = new()
    buffer.add(raws({"id": "a", "count": 1.5}, {"id": 7, "hours": {"value": True}}))
    buffer.add(raws({"count": "2"}))
    assert buffer.bad_values == {"id": 1, "count": 2, "hours": 1}
    assert [(row["id"], row["count"], json.loads(row["_extra"])) for row in rows(buffer.finish())] == [
        ("a", None, {"count": 1.5}),
        (None, None, {"id": 7, "hours": {"value": True}}),
        (None, None, {"count": "2"}),
    ]


def test_on_request_it_is_an_error_that_names_column_type_and_record_and_never_the_value() -> None:
    buffer = new(on_bad_value="fail")
    buffer.add(raws(RECORD))
    with pytest.raises(IrisUnexpectedResponseError) as failed:
        buffer.add(raws(EMPTY, {"id": "x", "hours": {"value": "s3cret"}}))
    text = str(failed.value)
    assert "'hours'" in text
    assert "double" in text
    assert "record 2" in text
    assert "a string" in text
    assert "hours.value" in text
    assert "s3cret" not in text
    assert not failed.value.transient
    assert (buffer.records, buffer.bad_values) == (1, {})
    assert [row["id"] for row in rows(buffer.finish())] == ["ä-1"]


# -- the item of a fan-out


def test_the_values_of_an_item_are_texts_in_columns_of_their_own() -> None:
    columns = columns_for("/", columns={"value": ("value", "json")}, item_names=["pin", "machineId", "odd"])
    buffer = ParquetBuffer(columns)
    buffer.add(raws({"value": 1}), request_member({"pin": 'Ä "1"', "machineId": 1500000, "odd": True}))
    buffer.add(raws({"value": 2}), request_member({"pin": "B", "day": "2026-01-15"}))
    assert rows(buffer.finish()) == [
        {
            "value": "1",
            "_request_pin": 'Ä "1"',
            "_request_machineId": "1500000",
            "_request_odd": "true",
            "_extra": None,
        },
        {
            "value": "2",
            "_request_pin": "B",
            "_request_machineId": None,
            "_request_odd": None,
            "_extra": '{"_request":{"day":"2026-01-15"}}',
        },
    ]


# -- interruptions


class Interrupted(BaseException):
    """In the place of a signal."""


OURS = {Path(module.__file__).resolve() for module in (parquet, taking, values) if module.__file__}


class Interruption:
    """Raises at the n-th place of ours that a call passes: at lines, and in ``add`` at single instructions."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.passed = 0

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if Path(frame.f_code.co_filename) not in OURS:
            return None
        frame.f_trace_opcodes = frame.f_code is ParquetBuffer.add.__code__
        if event in {"line", "opcode"}:
            self.passed += 1
            if self.passed == self.at:
                raise Interrupted
        return self

    def around(self, work: Any) -> bool:
        """Do some work, and return whether it was interrupted."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            work()
        except Interrupted:
            return True
        finally:
            sys.settrace(before)
        return False


@pytest.mark.parametrize("value_limit", [100_000, 1], ids=["page is kept", "page fills a block"])
def test_an_interruption_anywhere_in_adding_leaves_all_records_of_the_page_or_none(
    value_limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_BLOCK_VALUES", value_limit)
    page, outcomes = raws({"count": 2}, {"count": 3}), set()
    for at in range(1, 10_000):
        buffer = new({"count": ("count", "int64")})
        buffer.add(raws({"count": 1}))
        interrupted = Interruption(at).around(lambda buffer=buffer: buffer.add(page))
        found = [row["count"] for row in rows(buffer.finish())]
        assert len(found) == buffer.records
        assert found in ([1], [1, 2, 3])
        outcomes.add((interrupted, len(found)))
        if not interrupted:
            break
    assert outcomes == {(True, 1), (True, 3), (False, 3)}


def test_a_part_that_was_interrupted_while_it_was_finished_can_be_finished_again() -> None:
    buffer = new()
    buffer.add(raws(RECORD, EMPTY))
    whole, at = part(RECORD, EMPTY), 1
    while Interruption(at).around(buffer.finish):
        assert buffer.finish() == whole
        at += 1
    assert at > 10


# -- without pyarrow

WITHOUT = """
import sys
sys.modules["pyarrow"] = None
from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.export.parquet import ParquetBuffer
from airflow_provider_trackunit.iris.export.typed.declaring import columns_for
columns = columns_for("/api/asset/v1/assets")
try:
    ParquetBuffer(columns)
except IrisConfigurationError as error:
    print(error)
"""


def test_without_pyarrow_the_error_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert "pip install 'airflow-provider-trackunit[parquet]'" in done.stdout


def test_the_module_is_loaded_without_pyarrow_until_a_buffer_is_made() -> None:
    code = (
        "import sys, airflow_provider_trackunit.iris.export.parquet; "
        "print([name for name in sys.modules if name.split('.')[0] in {'pyarrow', 'numpy', 'pandas'}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout.strip() == "[]"
