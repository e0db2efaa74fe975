"""Results of AEMP become the table of readings: one row for each machine, datapoint and moment."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections import defaultdict
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_trackunit.tables import sources
from airflow_provider_trackunit.tables.aemp.records import (
    Reading,
    asset_of,
    block_readings,
    identifier,
    identity_of,
    snapshot_readings,
)
from airflow_provider_trackunit.tables.counters import is_counter
from airflow_provider_trackunit.tables.rows.flags import flag_lists
from airflow_provider_trackunit.tables.rows.precedence import one_per_key
from airflow_provider_trackunit.tables.schemas import READINGS, TIME, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_trackunit.tables.sources import Manifest, Record

log = logging.getLogger(__name__)

# The clocks of a machine and of the server differ by as much without anything being wrong.
_TOLERANCE: Final = dt.timedelta(minutes=5)

# /public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}/{Datapoint}/{startUTC}/{endUTC}/{page}
_AEMP: Final = re.compile(
    r"/15143/-3/Fleet"
    r"(?:/(?:\d+|\{\w+\})|/Equipment/ID/(?P<asset>[^/]+)(?:/(?P<datapoint>[^/]+)/[^/]+/[^/]+(?:/[^/]+)?)?)?/?$"
)

_TOLD: Final = ["value", "text", "unit"]


def readings(manifests: Manifest | Iterable[Manifest]) -> pa.Table:
    """Return what machines said, from results of AEMP snapshots and series.

    One row for each machine, datapoint and moment, ordered by these: ``asset``, ``metric``, ``observed_at`` (UTC),
    ``value`` or, of what is no number, ``text``, ``unit`` as IRIS names it, ``source`` (``snapshot`` or ``series``)
    and ``flags``: ``conflict``, ``future``, ``shared_id``. What each means is in ``docs/tables/rules.md``.

    :param manifests: what a transfer returned, or several of them
    :raises ValueError: when one is no manifest, or not of AEMP
    :raises FileNotFoundError: when a part is gone
    :raises IrisStorageError: when a part cannot be read, or does not hold what the manifest says
    """
    parts = [part for rank, one in enumerate(sources.oldest_first(manifests)) for part in _read(one, rank)]
    nothing = _marked(_table([], "", 0, count()), pa.scalar(None, TIME), pa.array([], pa.string()))
    rows = pa.concat_tables([nothing, *parts])
    rows = one_per_key(rows, key_of(READINGS), _TOLD)
    flags = flag_lists({name: rows[name] for name in ("conflict", "future", "shared_id")}, len(rows))
    return rows.append_column("flags", flags).select(READINGS.names).cast(READINGS)


def _read(manifest: Manifest, rank: int) -> list[Any]:
    """Return the readings of one result, several of one key included."""
    result = _form_of(manifest["endpoint"])
    places = count()
    nameless = 0
    tables = []
    for batch in sources.batches(manifest):
        told = [result.readings_of(record) for record in batch]
        nameless += told.count(None)
        tables.append(_table(list(chain.from_iterable(filter(None, told))), result.source, rank, places))
    if nameless:
        log.warning("%s: %d records name no machine and give no reading", manifest["endpoint"], nameless)
    latest = pa.scalar(sources.finished_at(manifest) + _TOLERANCE, TIME)
    shared = pa.array(result.shared_ids(), pa.string())
    return [_marked(table, latest, shared) for table in tables]


def _form_of(endpoint: str) -> _Snapshot | _Series:
    form = _AEMP.search(endpoint)
    if form is None:
        raise ValueError(f"{endpoint} is neither a snapshot nor a series of AEMP")
    return _Series(endpoint, form["asset"], form["datapoint"]) if form["datapoint"] else _Snapshot()


class _Snapshot:
    """How to read the records of a snapshot, of the fleet or of single machines."""

    source = "snapshot"

    def __init__(self) -> None:
        self._identities: dict[str, set[str]] = defaultdict(set)

    def readings_of(self, record: Record) -> list[Reading] | None:
        """Return what a record says, None where it names no machine."""
        asset = asset_of(record)
        if asset is None:
            return None
        self._identities[asset].add(identity_of(record))
        return snapshot_readings(asset, record)

    def shared_ids(self) -> list[str]:
        """Return the names that several of the machines have that were read."""
        return [asset for asset, machines in self._identities.items() if len(machines) > 1]


class _Series:
    """How to read the records of series.

    :param asset: the segment of the path that names the machine, or a placeholder
    :param datapoint: the segment that names the datapoint, or a placeholder
    """

    source = "series"

    def __init__(self, endpoint: str, asset: str, datapoint: str) -> None:
        self._endpoint = endpoint
        self._asset = asset
        self._datapoint = datapoint

    def readings_of(self, record: Record) -> list[Reading] | None:
        """Return what a record says, None where its item names no machine.

        :raises ValueError: when it does not have its item with it
        """
        item = record.get("_request") or {}
        asset, datapoint = self._filled(self._asset, item), self._filled(self._datapoint, item)
        return None if asset is None or datapoint is None else block_readings(asset, datapoint, record)

    def shared_ids(self) -> list[str]:
        """Return nothing: a series is asked for by the name, and does not say whose it is."""
        return []

    def _filled(self, segment: str, item: dict[str, Any]) -> str | None:
        if not segment.startswith("{"):
            return unquote(segment)
        if segment[1:-1] not in item:
            raise ValueError(
                f"{self._endpoint}: a record does not say what {segment} was. Give the transfer a list of mappings as "
                "path_params, so that every record carries its own"
            )
        return identifier(item[segment[1:-1]])


def _table(found: list[Reading], source: str, rank: int, places: Iterator[int]) -> Any:
    told = list(zip(*found, strict=True)) or [()] * len(Reading._fields)
    columns = {
        name: pa.array(values, READINGS.field(name).type)
        for name, values in zip(Reading._fields, told, strict=True)
    }
    columns |= {
        "source": pa.repeat(pa.scalar(source), len(found)),
        "rank": pa.repeat(pa.scalar(rank, pa.int64()), len(found)),
        "preference": pa.array(
            [one.value if is_counter(one.metric) else None for one in found], pa.float64()
        ),
        "place": pa.array([next(places) for _ in found], pa.int64()),
    }
    return pa.table(columns)


def _marked(table: Any, latest: Any, shared: Any) -> Any:
    table = table.append_column("future", pc.greater(table["observed_at"], latest))
    return table.append_column("shared_id", pc.is_in(table["asset"], value_set=shared))
