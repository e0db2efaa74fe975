"""Site history becomes site visits: when which machine was on which site."""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_trackunit.tables import sources
from airflow_provider_trackunit.tables.aemp.records import identifier
from airflow_provider_trackunit.tables.rows.precedence import one_per_key
from airflow_provider_trackunit.tables.schemas import SITE_VISITS, key_of
from airflow_provider_trackunit.tables.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_trackunit.tables.sources import Manifest, Record

_SITES: Final = re.compile(r"/site/v1/sites(?P<history>/history)?/?")
_US_PER_S: Final = 1_000_000


def site_visits(manifests: Manifest | Iterable[Manifest]) -> pa.Table:
    """Return which machine was on which site, and when, from results of ``/api/site/v1/sites/history``.

    One row for each machine, site and time of entry, ordered by these: ``asset`` (IRIS's asset id, which a fleet
    snapshot with ``addMetadata`` has beside the PIN), ``site``, ``site_name``, ``entered_at``, ``left_at`` and
    ``seconds``; the last two are null while the machine is there. IRIS rewrites the history, so of a visit that comes
    in several results the one that finished last stands.

    :param manifests: what a transfer returned, or several of them. Those of ``/api/site/v1/sites`` give the names;
        without one they are null
    :raises ValueError: when one is no manifest, or of another endpoint
    :raises FileNotFoundError: when a part is gone
    :raises IrisStorageError: when a part cannot be read, or does not hold what the manifest says
    """
    names: dict[str, str | None] = {}
    visits: list[tuple[Any, ...]] = []
    places = count()
    for rank, manifest in enumerate(sources.oldest_first(manifests)):
        form = _SITES.search(manifest["endpoint"])
        if form is None or form.end() != len(manifest["endpoint"]):
            raise ValueError(f"{manifest['endpoint']} is neither the history of sites nor their list")
        for batch in sources.batches(manifest):
            if form["history"]:
                visits.extend((*visit, rank, None, next(places)) for visit in _visits(batch))
            else:
                names.update(_names(batch))
    return _table(visits, names)


def _visits(batch: Iterable[Record]) -> Iterator[tuple[Any, ...]]:
    for record in batch:
        asset, site = identifier(record.get("assetId")), identifier(record.get("siteId"))
        entered_at = moment(record.get("enteredAt"))
        if asset and site and entered_at:
            yield asset, site, entered_at, moment(record.get("leftAt"))


def _names(batch: Iterable[Record]) -> Iterator[tuple[str, str | None]]:
    for record in batch:
        site = identifier(record.get("id"))
        if site:
            yield site, identifier(record.get("name"))


def _table(visits: list[tuple[Any, ...]], names: dict[str, str | None]) -> Any:
    own = [SITE_VISITS.field(name) for name in ("asset", "site", "entered_at", "left_at")]
    order = [
        pa.field("rank", pa.int64()),
        pa.field("preference", pa.float64()),
        pa.field("place", pa.int64()),
    ]
    schema = pa.schema([*own, *order])
    told = list(zip(*visits, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(told, schema, strict=True)]
    rows = one_per_key(pa.table(arrays, schema=schema), key_of(SITE_VISITS), ["left_at"])
    named = pa.array(names.values(), pa.string()).take(
        pc.index_in(rows["site"], value_set=pa.array(names.keys(), pa.string()))
    )
    stay = pc.subtract(rows["left_at"].cast(pa.int64()), rows["entered_at"].cast(pa.int64()))
    seconds = pc.divide(stay.cast(pa.float64()), _US_PER_S)
    # Who left before coming was not there for any time that can be told.
    seconds = pc.if_else(pc.greater_equal(seconds, 0.0), seconds, pa.scalar(None, pa.float64()))
    columns = {name: rows[name] for name in ("asset", "site", "entered_at", "left_at")}
    columns |= {"site_name": named, "seconds": seconds}
    return pa.table([columns[name] for name in SITE_VISITS.names], schema=SITE_VISITS)
