"""What a downstream task reads a result with: the manifest of a transfer, and its records one by one.

::

    from airflow_provider_trackunit.results import read_manifest, read_records

    for record in read_records(read_manifest("s3://lake/assets/2026-01-15")):
        ...
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow_provider_trackunit._compat import object_storage_path
from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisStorageError
from airflow_provider_trackunit.storage import FolderStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow.sdk import ObjectStoragePath

_T = TypeVar("_T")

# Read at a time, before decompression.
_CHUNK_BYTES: Final = 1024 * 1024

# No double has more before the point.
_MOST_DIGITS: Final = 309

# Rows of a typed part that are in memory at a time.
_BATCH_ROWS: Final = 4096


def read_manifest(output_path: str | ObjectStoragePath, *, conn_id: str | None = None) -> dict[str, Any]:
    """Return the manifest of the finished result in a folder: ``records``, ``parts``, ``skipped_count`` and so on.

    :param output_path: the folder, as :class:`~.transfers.IrisToObjectStorageOperator` was given it
    :param conn_id: the Airflow connection of the store; None for the one in the path, or the store's default
    :raises FileNotFoundError: when there is no finished result
    :raises IrisConfigurationError: when the path cannot be one of a store
    :raises IrisStorageError: when the manifest cannot be read as one
    """
    import msgspec

    store = FolderStore.at(output_path, conn_id)
    # In one call: a file that is opened is asked for its size first, and may be another by the time it is read.
    data = store.read("_manifest.json")
    if data is None:
        raise FileNotFoundError(f"{store.label}/_manifest.json: there is no finished result")
    try:
        manifest: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise IrisStorageError(f"{store.label}/_manifest.json cannot be read ({error})") from None
    if not isinstance(manifest.get("parts"), list):
        raise IrisStorageError(f"{store.label}/_manifest.json is not the manifest of a transfer")
    return manifest


def read_records(manifest: Mapping[str, Any], *, conn_id: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield every record of a result, decoded; some thousand of them are in memory at a time.

    Records of JSON Lines are as IRIS sent them; records of a fan-out carry their item under ``_request``. Records of
    a typed result have its columns.

    :param manifest: what the transfer returned (its XCom), or what :func:`read_manifest` did
    :param conn_id: the Airflow connection of the store; None for the one of the manifest
    :raises IrisConfigurationError: when it is no manifest
    :raises FileNotFoundError: when a part is gone, because a newer result has taken the place of this one
    :raises IrisStorageError: when a part cannot be read, or holds another number of records than the manifest says
    """
    _refuse_no_manifest(manifest)
    if manifest.get("format") == "parquet":
        return (record for batch in read_batches(manifest, conn_id=conn_id) for record in batch.to_pylist())
    return _whole(manifest, conn_id, _lines, _one)


def read_batches(manifest: Mapping[str, Any], *, conn_id: str | None = None) -> Iterator[Any]:
    """Yield the rows of a typed result as record batches of Arrow (``pyarrow.RecordBatch``), some thousand rows each.

    All of them have the same schema, whose fields say in their metadata what a column's unit is, and where in a record
    its value was::

        table = pyarrow.Table.from_batches(read_batches(manifest))

    :param manifest: and
    :param conn_id: as for :func:`read_records`
    :raises IrisConfigurationError: when it is no manifest of a typed result, or pyarrow is not installed
    :raises FileNotFoundError: when a part is gone, because a newer result has taken the place of this one
    :raises IrisStorageError: when a part cannot be read, or holds another number of records than the manifest says
    """
    _refuse_no_manifest(manifest)
    if manifest.get("format") != "parquet":
        raise IrisConfigurationError(
            "manifest: of a typed result (file_format='parquet'); read others with read_records"
        )
    return _whole(manifest, conn_id, _batches, len)


def _refuse_no_manifest(manifest: Mapping[str, Any]) -> None:
    if not isinstance(manifest.get("parts"), list) or not manifest.get("output_path"):
        raise IrisConfigurationError("manifest: give what the transfer returned, or what read_manifest did")


def _whole(
    manifest: Mapping[str, Any],
    conn_id: str | None,
    read: Callable[[Any], Iterator[_T]],
    size: Callable[[_T], int],
) -> Iterator[_T]:
    """Yield what every part holds, and refuse a part that is damaged."""
    folder: Any = object_storage_path(manifest["output_path"], conn_id or manifest.get("output_conn_id"))
    for part in manifest["parts"]:
        path = folder / part["name"]
        count = 0
        for found in _readable(path, read(path)):
            count += size(found)
            yield found
        if count != part["records"]:
            raise IrisStorageError(f"{path} holds {count} records, and the manifest says {part['records']}")


def _readable(path: Any, found: Iterator[_T]) -> Iterator[_T]:
    import msgspec

    try:
        yield from found
    # What pyarrow says of a file that is none is a ValueError.
    except (msgspec.MsgspecError, RecursionError, zlib.error, EOFError, ValueError) as error:
        raise IrisStorageError(f"{path} cannot be read ({error})") from error


def _one(_record: object) -> int:
    return 1


def _lines(path: Any) -> Iterator[dict[str, Any]]:
    rest = b""
    for chunk in _chunks(path):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(decoded, lines)
    if rest:
        yield decoded(rest)


def decoded(text: bytes | str) -> Any:
    """Return what a JSON text says. A number that is larger than any double is infinite: the record is read all the same."""
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> int | float:
    # Python makes no integer of more than 4300 digits, lest it take for ever.
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def _chunks(path: Any) -> Iterator[bytes]:
    packed = path.name.endswith(".gz")
    unpack = zlib.decompressobj(wbits=31)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield unpack.decompress(chunk) if packed else chunk
    if packed:
        yield unpack.flush()
        if not unpack.eof:
            raise EOFError("it is cut off")


def _batches(path: Any) -> Iterator[Any]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise IrisConfigurationError(
            "A typed result is read with pyarrow: pip install 'airflow-provider-trackunit[parquet]'"
        ) from None
    with path.open("rb") as file:
        yield from parquet.ParquetFile(file).iter_batches(batch_size=_BATCH_ROWS)
