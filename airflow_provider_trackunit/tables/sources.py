"""The records of results, in batches: the one place here that opens a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import fsspec
import msgspec

from airflow_provider_trackunit.tables.times import moment

if TYPE_CHECKING:
    import datetime as dt

#: Enough that the work for each batch does not count, few enough that its records take some tens of megabytes.
_BATCH: Final = 20_000

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
    :raises ValueError: when a part cannot be read; the text names it
    """
    records = _records(manifest)
    while batch := list(islice(records, _BATCH)):
        yield batch


def _records(manifest: Manifest) -> Iterator[Record]:
    for part in manifest["parts"]:
        path = f"{manifest['output_path'].rstrip('/')}/{part['name']}"
        try:
            yield from _lines(path)
        except (EOFError, msgspec.MsgspecError) as error:
            raise ValueError(f"{path} cannot be read ({error})") from error


def _lines(path: str) -> Iterator[Record]:
    decode = msgspec.json.Decoder(Record).decode
    with fsspec.open(path, "rb", compression="infer") as lines:
        for line in lines:
            yield decode(line)
