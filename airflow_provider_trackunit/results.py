"""What a downstream task reads a result with: the manifest of a transfer, and its records one by one.

::

    from airflow_provider_trackunit.results import read_manifest, read_records

    for record in read_records(read_manifest("s3://lake/assets/2026-01-15")):
        ...
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit._compat import object_storage_path
from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisStorageError
from airflow_provider_trackunit.storage import FolderStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow.sdk import ObjectStoragePath

# Read at a time, before decompression.
_CHUNK_BYTES: Final = 1024 * 1024

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
    :raises IrisStorageError: when a part holds another number of records than the manifest says
    """
    if not isinstance(manifest.get("parts"), list) or not manifest.get("output_path"):
        raise IrisConfigurationError("manifest: give what the transfer returned, or what read_manifest did")
    return _records_of(manifest, conn_id)


def _records_of(manifest: Mapping[str, Any], conn_id: str | None) -> Iterator[dict[str, Any]]:
    folder: Any = object_storage_path(manifest["output_path"], conn_id or manifest.get("output_conn_id"))
    for part in manifest["parts"]:
        path = folder / part["name"]
        rows = _rows(path) if part["name"].endswith(".parquet") else _lines(path)
        count = 0
        for record in rows:
            count += 1
            yield record
        if count != part["records"]:
            raise IrisStorageError(f"{path} holds {count} records, and the manifest says {part['records']}")


def _lines(path: Any) -> Iterator[dict[str, Any]]:
    import msgspec

    decoder = msgspec.json.Decoder()
    rest = b""
    for chunk in _chunks(path):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(decoder.decode, lines)
    if rest:
        yield decoder.decode(rest)


def _chunks(path: Any) -> Iterator[bytes]:
    packed = path.name.endswith(".gz")
    unpack = zlib.decompressobj(wbits=31)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield unpack.decompress(chunk) if packed else chunk
    if packed:
        yield unpack.flush()


def _rows(path: Any) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise IrisConfigurationError(
            "A typed result is read with pyarrow: pip install 'airflow-provider-trackunit[parquet]'"
        ) from None
    with path.open("rb") as file:
        for batch in parquet.ParquetFile(file).iter_batches(batch_size=_BATCH_ROWS):
            rows: Iterable[dict[str, Any]] = batch.to_pylist()
            yield from rows
