"""The lines of a part become Parquet, with the columns that were declared and no others.

A block is Arrow, compressed, so that what waits for the part to be full takes little memory; the file is written when
the blocks are joined, a row group for some of them at a time.

Only this module knows pyarrow, and loads it when an encoding is made: it is the extra ``parquet``.
"""

from __future__ import annotations

import io
import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisUnexpectedResponseError
from airflow_provider_trackunit.iris.export import manifest
from airflow_provider_trackunit.iris.export.formats.draft import Form
from airflow_provider_trackunit.iris.export.typed.taking import Taken, Taker

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from airflow_provider_trackunit.iris.catalogue.columns.column import Column

log = logging.getLogger(__name__)

# As Python objects, the values of a block take several times the memory of its lines.
_BLOCK_BYTES: Final = 512 * 1024
# So many values are taken out of lines at once, nulls included: a page of short records can have many.
_VALUES_AT_ONCE: Final = 100_000
# A row group has so many bytes of Arrow: enough for readers to skip by, and few enough to be held when it is written.
_GROUP_BYTES: Final = 4 * 1024 * 1024

# As many as a page of IRIS has: of fewer, all may well lack a member that is left out where there is nothing to say.
_RECORDS_TO_BE_SURE: Final = 100

_COMPRESSIONS: Final = ("zstd", "snappy", "gzip", None)


@dataclass(frozen=True, slots=True)
class _Block:
    """Some of the records of a part.

    :param stream: of Arrow, compressed
    :param records: how many the part has to the end of this block
    :param filled: the columns that something in it was taken for, null or not
    """

    stream: Any
    records: int
    bad_values: Mapping[str, int]
    filled: frozenset[str]


class ParquetEncoding:
    """Parquet with typed columns.

    :param columns: as :func:`~airflow_provider_trackunit.iris.export.typed.declaring.columns_for` gives them
    :param on_bad_value: ``"null"``: a value that does not fit its column is null there, kept in ``_extra``, and
        counted; ``"fail"``: it is an error, and so is a column of the caller's own that nothing is found for
    :param compression: ``"zstd"``, ``"snappy"``, ``"gzip"`` or None
    :raises IrisConfigurationError: when an argument is none of these, or pyarrow is not installed
    """

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
        described = tuple(manifest.Column(one.name, one.type, one.unit) for one in columns)
        meaning = " ".join([on_bad_value, *(f"{one.name}={one.path}" for one in columns)])
        self.form: Final = Form("parquet", compression, ".parquet", _BLOCK_BYTES, described, meaning)
        self._columns = columns
        self._fails = on_bad_value == "fail"
        self._taker = Taker(columns)
        self._arrow = _load_arrow()
        self._schema = _schema(self._arrow, columns)

    def encode(self, lines: bytes, before: _Block | None) -> _Block:
        """Return the lines as columns.

        :raises IrisUnexpectedResponseError: when a value does not fit, with ``on_bad_value="fail"``
        """
        from pyarrow import ipc

        records = before.records if before else 0
        bad_values: Counter[str] = Counter()
        filled: set[str] = set()
        sink = self._arrow.BufferOutputStream()
        # One thread: each of Arrow's own would hold memory to compress with, and a block is too small to gain time.
        options = ipc.IpcWriteOptions(compression="zstd", use_threads=False)
        with ipc.new_stream(sink, self._schema, options=options) as writer:
            for taken in self._taken(lines):
                if taken.misfits and self._fails:
                    raise self._misfit(taken, records)
                bad_values.update(self._columns[misfit.column].name for misfit in taken.misfits)
                filled.update(
                    column.name
                    for column, values in zip(self._columns, taken.values, strict=True)
                    if values is not None
                )
                writer.write_batch(self._batch(taken))
                records += taken.records
        return _Block(sink.getvalue(), records, dict(bad_values), frozenset(filled))

    def join(self, blocks: Sequence[_Block]) -> bytes:
        """Return the file of all blocks."""
        from pyarrow import parquet

        sink = io.BytesIO()  # its content is handed over without a copy
        compression = self.form.compression or "none"
        with parquet.ParquetWriter(sink, self._schema, compression=compression) as writer:
            for group in _groups(blocks):
                writer.write_table(self._arrow.Table.from_batches(group))
        return sink.getvalue()

    def judge(self, filled: Collection[str], records: int) -> None:
        """Say which of the caller's own columns nothing in a whole result was found for; the catalogue's have a source.

        That alone is no error: IRIS leaves members out, and perhaps no machine of today has what the column is for.

        :raises IrisUnexpectedResponseError: with ``on_bad_value="fail"``, when there are records enough to be sure
        """
        empty = [one for one in self._columns if one.path and not one.source and one.name not in filled]
        if not empty or not records:
            return
        text = "; ".join(
            f"columns[{one.name!r}]: none of the {records} records has anything at {one.path}"
            for one in empty
        )
        if self._fails and records >= _RECORDS_TO_BE_SURE:
            raise IrisUnexpectedResponseError(
                f"{text}. Mend the path; or set on_bad_value='null' where it is right and IRIS may leave the member out. "
                "What came is stored, and nothing is published"
            )
        log.warning("%s. Is the path right? The column is null, and what no column takes is in _extra", text)

    def _taken(self, lines: bytes) -> Iterator[Taken]:
        records = lines.removesuffix(b"\n").split(b"\n")
        step = max(1, _VALUES_AT_ONCE // len(self._columns))
        for start in range(0, len(records), step):
            yield self._taker.take(records[start : start + step])

    def _batch(self, taken: Taken) -> Any:
        arrays = [
            self._arrow.array(taken.column(number), field.type, size=taken.records)
            for number, field in enumerate(self._schema)
        ]
        return self._arrow.record_batch(arrays, schema=self._schema)

    def _misfit(self, taken: Taken, records_before: int) -> IrisUnexpectedResponseError:
        misfit = min(taken.misfits, key=lambda one: one.record)
        column = self._columns[misfit.column]
        return IrisUnexpectedResponseError(
            f"Column {column.name!r} is declared as {column.type}, and record {records_before + misfit.record + 1} of "
            f"a part has a {misfit.kind} that does not fit at {column.path}. Declare the column as what it is, or as "
            "'json'; or set on_bad_value='null' to have such values null, counted, and kept in _extra"
        )


def _groups(blocks: Sequence[_Block]) -> Iterator[list[Any]]:
    """Yield what goes into one row group after the other."""
    from pyarrow import ipc

    one_thread = ipc.IpcReadOptions(use_threads=False)
    group: list[Any] = []
    for block in blocks:
        for batch in ipc.open_stream(block.stream, options=one_thread):
            group.append(batch)
            if sum(one.nbytes for one in group) >= _GROUP_BYTES:
                yield group
                group = []
    if group:
        yield group


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
