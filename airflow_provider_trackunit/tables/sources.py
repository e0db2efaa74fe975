"""The records of results, in batches: the one place here that reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_provider_trackunit.iris.export.typed.paths import read_path
from airflow_provider_trackunit.tables.times import moment

if TYPE_CHECKING:
    import datetime as dt

    from airflow_provider_trackunit.iris.export.typed.paths import Step

#: Enough that the work for each batch does not count, few enough that its records take some tens of megabytes.
BATCH: Final = 20_000

Record = dict[str, Any]
Manifest = Mapping[str, Any]


def oldest_first(manifests: Manifest | Iterable[Manifest]) -> list[Manifest]:
    """Return one manifest or several in the order in which they finished; of two at once, the later given is later.

    :raises ValueError: when one is no manifest
    """
    given = [manifests] if isinstance(manifests, Mapping) else list(manifests)
    for manifest in given:
        if not isinstance(manifest, Mapping) or not {"endpoint", "parts", "finished_at"} <= set(manifest):
            raise ValueError("give the manifest of a transfer, or a sequence of them")
    return sorted(given, key=finished_at)


def finished_at(manifest: Manifest) -> dt.datetime:
    """Return when a result was complete.

    :raises ValueError: when the manifest does not say
    """
    at = moment(manifest["finished_at"])
    if at is None:
        raise ValueError(f"{manifest['endpoint']}: the manifest's finished_at is no time")
    return at


def batches(manifest: Manifest) -> Iterator[list[Record]]:
    """Yield the records of a result in the order in which they came.

    :raises FileNotFoundError: when a part is gone
    :raises IrisStorageError: when a part cannot be read; the text names it
    :raises ValueError: when a record is no object
    """
    # Here, because it brings Airflow, which knows the stores: machine days and merges do without.
    from airflow_provider_trackunit.results import decoded, read_batches, read_records

    typed = manifest.get("format") == "parquet"
    records = _rows(read_batches(manifest), decoded) if typed else read_records(manifest)
    while batch := list(islice(records, BATCH)):
        strange = next((one for one in batch if not isinstance(one, dict)), None)
        if strange is not None:
            raise ValueError(f"{manifest['endpoint']}: a record is a {type(strange).__name__}, and no object")
        yield batch


def _rows(found: Iterator[Any], decode: Callable[[str], Any]) -> Iterator[Record]:
    """Yield the rows of a typed result as the records they were: every value where its column took it from."""
    for batch in found:
        columns = [_Column.of(field) for field in batch.schema]
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield _record(columns, values, decode)


class _Column(NamedTuple):
    """Where a column's values were: the names of the members, none for what was left of the record."""

    steps: tuple[Step, ...]
    is_json: bool

    @classmethod
    def of(cls, field: Any) -> _Column:
        told = {name.decode(): text.decode() for name, text in (field.metadata or {}).items()}
        path = told.get("path", field.name)
        return cls(read_path(path) if path else (), told.get("type") == "json")


def _record(columns: list[_Column], values: Iterable[Any], decode: Callable[[str], Any]) -> Record:
    record: Record = {}
    for column, value in zip(columns, values, strict=True):
        # A list that a column took an element of is whole among what was left.
        if value is not None and not any(isinstance(step, int) for step in column.steps):
            told = decode(value) if column.is_json else value
            _put(record, column.steps, told)
    return record


def _put(record: Record, steps: tuple[Step, ...], value: Any) -> None:
    """Put a value where it was, beside what is there already."""
    for step in reversed(steps):
        value = {step: value}
    for name, member in value.items():
        if isinstance(member, dict) and isinstance(record.get(name), dict):
            _put(record[name], (), member)
        else:
            record[name] = member
