"""Records become the bytes of a part: Parquet, with the columns that were declared and no others.

A part is finished in memory, as one of JSON Lines is. Its records are checked as they come, so that one that does not
fit is known before anything has changed; then they lie as columns, compressed, until the part is full. What is held is
one value, replaced by one assignment, so an exception at any moment leaves whole pages behind.

Only this module knows pyarrow, and loads it when a buffer is made: it is the extra ``parquet``.
"""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisUnexpectedResponseError
from airflow_provider_trackunit.iris.export.typed.taking import Misfit, Taken, Taker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_trackunit.iris.catalogue.columns.column import Column

# Pages become a block of Arrow when their records are so large as JSON, or have so many values, nulls included. Both
# bound what is held as Python objects, which take several times the memory.
_BLOCK_BYTES: Final = 1024 * 1024
_BLOCK_VALUES: Final = 100_000
# So many blocks are a row group: enough for readers to skip by, and few enough to be held at once when it is written.
_GROUP_BLOCKS: Final = 8

_COMPRESSIONS: Final = ("zstd", "snappy", "gzip", None)


@dataclass(frozen=True, slots=True)
class _Filled:
    """What a buffer holds.

    :param open: pages that are no block yet
    :param open_bytes: size of their records
    :param blocks: Arrow, compressed
    :param misfits: values that did not fit, by column
    """

    records: int = 0
    raw_bytes: int = 0
    open: tuple[Taken, ...] = ()
    open_bytes: int = 0
    blocks: tuple[Any, ...] = ()
    misfits: Counter[int] = field(default_factory=Counter)

    def with_page(self, page: Taken, raw_bytes: int) -> _Filled:
        return replace(
            self,
            records=self.records + page.records,
            raw_bytes=self.raw_bytes + raw_bytes,
            open=(*self.open, page),
            open_bytes=self.open_bytes + raw_bytes,
            misfits=self.misfits + page.misfits_by_column(),
        )

    @property
    def open_records(self) -> int:
        return sum(page.records for page in self.open)


class ParquetBuffer:
    """The part that is being filled.

    :param columns: as :func:`~airflow_provider_trackunit.iris.export.typed.declaring.columns_for` gives them
    :param on_bad_value: ``"null"``: a value that does not fit its column is null there, kept in ``_extra``, and
        counted; ``"fail"``: it is an error
    :param compression: ``"zstd"``, ``"snappy"``, ``"gzip"`` or None
    :raises IrisConfigurationError: when an argument is none of these, or pyarrow is not installed
    """

    suffix: Final = ".parquet"

    def __init__(
        self,
        columns: Sequence[Column],
        on_bad_value: Literal["null", "fail"] = "null",
        compression: str | None = "zstd",
    ) -> None:
        if on_bad_value not in {"null", "fail"}:
            raise IrisConfigurationError(f"on_bad_value: {on_bad_value!r} is neither 'null' nor 'fail'")
        if compression not in _COMPRESSIONS:
            known = ", ".join(repr(one) for one in _COMPRESSIONS)
            raise IrisConfigurationError(f"compression: {compression!r} is not known; give one of {known}")
        self._columns = columns
        self._fails = on_bad_value == "fail"
        self._compression = compression
        self._taker = Taker(columns)
        self._arrow = _load_arrow()
        self._schema = _schema(self._arrow, columns)
        self._filled = _Filled()

    @property
    def records(self) -> int:
        """How many records are in it."""
        return self._filled.records

    @property
    def raw_bytes(self) -> int:
        """The size of those records as JSON Lines, before compression."""
        return self._filled.raw_bytes

    @property
    def columns(self) -> list[dict[str, str | None]]:
        """Name, type and unit of each column, in order."""
        return [{"name": one.name, "type": one.type, "unit": one.unit} for one in self._columns]

    @property
    def bad_values(self) -> dict[str, int]:
        """How many values did not fit, by the name of the column, for columns that have any."""
        return {self._columns[number].name: count for number, count in sorted(self._filled.misfits.items())}

    def add(self, records: Sequence[msgspec.Raw], request: bytes | None = None) -> None:
        """Append records, all of them or none.

        :param request: the item they belong to, as :func:`~.parts.request_member` gives it
        :raises IrisUnexpectedResponseError: when a value does not fit, with ``on_bad_value="fail"``
        """
        if not records:
            return
        page = self._taker.take(records, None if request is None else _item(request))
        if page.misfits and self._fails:
            raise self._misfit(page.misfits[0])
        size = sum(map(len, records)) + len(records) * (1 + len(request or b""))
        filled = self._filled.with_page(page, size)
        if filled.open_bytes >= _BLOCK_BYTES or filled.open_records * len(self._columns) >= _BLOCK_VALUES:
            filled = self._with_block(filled)
        self._filled = filled

    def finish(self) -> bytes:
        """Return the whole part; the buffer is used up."""
        from pyarrow import ipc, parquet

        blocks = (self._with_block(self._filled) if self._filled.open else self._filled).blocks
        sink = io.BytesIO()  # its content is handed over without a copy
        with parquet.ParquetWriter(sink, self._schema, compression=self._compression or "none") as writer:
            for start in range(0, len(blocks), _GROUP_BLOCKS):
                tables = [
                    ipc.open_stream(block).read_all() for block in blocks[start : start + _GROUP_BLOCKS]
                ]
                writer.write_table(self._arrow.concat_tables(tables))
        return sink.getvalue()

    def _with_block(self, filled: _Filled) -> _Filled:
        """Return the same with its open pages as one more block."""
        from pyarrow import ipc

        arrays = [self._column(filled, number) for number in range(len(self._columns))]
        sink = self._arrow.BufferOutputStream()
        options = ipc.IpcWriteOptions(compression="zstd")
        with ipc.new_stream(sink, self._schema, options=options) as writer:
            writer.write_batch(self._arrow.record_batch(arrays, schema=self._schema))
        return replace(filled, open=(), open_bytes=0, blocks=(*filled.blocks, sink.getvalue()))

    def _column(self, filled: _Filled, number: int) -> Any:
        values = chain.from_iterable(page.column(number) for page in filled.open)
        return self._arrow.array(values, self._schema.field(number).type, size=filled.open_records)

    def _misfit(self, misfit: Misfit) -> IrisUnexpectedResponseError:
        column = self._columns[misfit.column]
        return IrisUnexpectedResponseError(
            f"Column {column.name!r} is declared as {column.type}, and record {misfit.record + 1} of a page has a "
            f"{misfit.kind} that does not fit at {column.path}. Declare the column as 'json' or as what it is, or "
            "set on_bad_value='null' to have such values null, counted, and kept in _extra"
        )


class _Request(msgspec.Struct):
    item: dict[str, msgspec.Raw] = msgspec.field(name="_request")


def _item(request: bytes) -> msgspec.Raw:
    """Return an item as an object of texts: a path parameter is text in the URL, whatever it was given as."""
    item = msgspec.json.decode(request + b"}", type=_Request).item
    texts = {name: raw if bytes(raw)[:1] == b'"' else bytes(raw).decode() for name, raw in item.items()}
    return msgspec.Raw(msgspec.json.encode(texts))


def _schema(arrow: Any, columns: Sequence[Column]) -> Any:
    types = {
        "string": arrow.string(),
        "boolean": arrow.bool_(),
        "int64": arrow.int64(),
        "double": arrow.float64(),
        "timestamp": arrow.timestamp("us", tz="UTC"),
        "date": arrow.date32(),
        "json": arrow.string(),
    }
    return arrow.schema([arrow.field(one.name, types[one.type], metadata=_metadata(one)) for one in columns])


def _metadata(column: Column) -> dict[str, str]:
    """Return what readers cannot see in the type: whether a text is JSON, where the value was, and its unit."""
    unit = {"unit": column.unit} if column.unit else {}
    return {"type": column.type, "path": column.path, **unit}


def _load_arrow() -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise IrisConfigurationError(
            "file_format='parquet' needs pyarrow: pip install 'airflow-provider-trackunit[parquet]'"
        ) from None
    return pa
