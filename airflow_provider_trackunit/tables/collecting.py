"""Results of AEMP become the table of readings: one row for each machine, datapoint and moment."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_trackunit.tables import sources
from airflow_provider_trackunit.tables.counters import is_counter
from airflow_provider_trackunit.tables.flags import flag_lists
from airflow_provider_trackunit.tables.precedence import one_per_key
from airflow_provider_trackunit.tables.records import (
    asset_of,
    block_readings,
    identifier,
    identity_of,
    snapshot_readings,
)
from airflow_provider_trackunit.tables.schemas import READINGS, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_trackunit.tables.records import Reading
    from airflow_provider_trackunit.tables.sources import Manifest, Record

log = logging.getLogger(__name__)

# The clocks of machine and server may differ by that much, and a reading that is new to the server is not from the
# future.
_TOLERANCE_US: Final = 5 * 60 * 1_000_000

# /public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}/{Datapoint}/{startUTC}/{endUTC}/{page}
_AEMP: Final = re.compile(
    r"/15143/-3/Fleet(?:/Equipment/ID/(?P<asset>[^/]+)(?:/(?P<datapoint>[^/]+)/.*)?|/\d+)?/?"
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
    """
    parts = [part for rank, one in enumerate(sources.oldest_first(manifests)) for part in _read(one, rank)]
    rows = pa.concat_tables(parts) if parts else _table([], "", 0, count())
    rows = one_per_key(rows, key_of(READINGS), _TOLD)
    flags = flag_lists({name: rows[name] for name in ("conflict", "future", "shared_id")}, len(rows))
    return rows.append_column("flags", flags).select(READINGS.names).cast(READINGS)


def _read(manifest: Manifest, rank: int) -> list[Any]:
    """Return the readings of one result, in tables that still lack nothing but a decision between them."""
    source, extract, shared = _extraction(manifest["endpoint"])
    places = count()
    nameless = 0
    tables = []
    for batch in sources.batches(manifest):
        found: list[Reading] = []
        for record in batch:
            named = extract(record)
            found.extend(named or ())
            nameless += named is None
        tables.append(_table(found, source, rank, places))
    if nameless:
        log.warning("%s: %d records name no machine and give no reading", manifest["endpoint"], nameless)
    latest = pa.scalar(sources.finished_at(manifest), pa.timestamp("us", tz="UTC"))
    return [_marked(table, latest, shared()) for table in tables]


def _extraction(
    endpoint: str,
) -> tuple[str, Callable[[Record], Iterable[Reading] | None], Callable[[], list[str]]]:
    """Return what the records of an endpoint are, how to read one, and afterwards which machines share a name."""
    form = _AEMP.search(endpoint)
    if form is None or form.end() != len(endpoint):
        raise ValueError(f"{endpoint} is neither a snapshot nor a series of AEMP")
    if form["datapoint"]:
        return "series", lambda record: _series(record, form["asset"], form["datapoint"]), list
    identities: dict[str, set[str]] = defaultdict(set)
    return (
        "snapshot",
        lambda record: _snapshot(record, identities),
        lambda: [asset for asset, known in identities.items() if len(known) > 1],
    )


def _snapshot(record: Record, identities: dict[str, set[str]]) -> Iterable[Reading] | None:
    asset = asset_of(record)
    if asset is None:
        return None
    identities[asset].add(identity_of(record))
    return snapshot_readings(asset, record)


def _series(record: Record, asset: str, datapoint: str) -> Iterable[Reading] | None:
    item = record.get("_request") or {}
    named, of = identifier(_filled(asset, item)), identifier(_filled(datapoint, item))
    return None if named is None or of is None else block_readings(named, of, record)


def _filled(segment: str, item: dict[str, Any]) -> Any:
    """Return what stood in the place of a placeholder of the path."""
    return item.get(segment[1:-1]) if segment.startswith("{") else segment


def _table(found: list[Reading], source: str, rank: int, places: Iterator[int]) -> Any:
    kinds = [READINGS.field(name).type for name in ("asset", "metric", "observed_at", *_TOLD)]
    columns = list(zip(*found, strict=True)) or [()] * len(kinds)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    preference = [one.value if is_counter(one.metric) else None for one in found]
    arrays += [
        pa.repeat(pa.scalar(source), len(found)),
        pa.repeat(pa.scalar(rank), len(found)),
        pa.array(preference, pa.float64()),
        pa.array([next(places) for _ in found], pa.int64()),
    ]
    names = ["asset", "metric", "observed_at", *_TOLD, "source", "rank", "preference", "place"]
    return pa.table(arrays, names=names)


def _marked(table: Any, finished_at: Any, shared: list[str]) -> Any:
    latest = pc.add(finished_at, pa.scalar(_TOLERANCE_US, pa.duration("us")))
    table = table.append_column("future", pc.greater(table["observed_at"], latest))
    return table.append_column("shared_id", pc.is_in(table["asset"], value_set=pa.array(shared, pa.string())))
