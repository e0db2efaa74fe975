"""``make bench``: what a cursor for each of a hundred thousand machines costs a run, IRIS and the store left out."""

from __future__ import annotations

import logging
import statistics
import time
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.export.incremental.cursors import (
    Cursors,
    epoch_s,
    key_of,
    read_cursors,
    write_cursors,
)
from airflow_provider_trackunit.iris.export.incremental.reading import Reading
from airflow_provider_trackunit.iris.export.incremental.rules import Rules, RunTime
from airflow_provider_trackunit.iris.export.request import ExportRequest
from airflow_provider_trackunit.iris.http.tokens import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable

MACHINES = 100_000
ROUNDS = 5
TARGET_S = 2.0
SERIES = "/public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}/Distance/{from}/{until}"


class Memory:
    """A store that takes no time."""

    label = "memory://lake"

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def names(self) -> list[str]:
        """Return the names of all files."""
        return list(self.files)

    def read(self, name: str) -> bytes | None:
        """Return a file, None when there is none."""
        return self.files.get(name)

    def write(self, name: str, data: bytes) -> None:
        """Write a file."""
        self.files[name] = data

    def delete(self, name: str) -> None:
        """Delete a file."""
        self.files.pop(name, None)


def main() -> None:
    """Print the medians."""
    logging.disable()
    items = [{"pin": f"PIN{number:08d}"} for number in range(MACHINES)]
    cursors = Cursors(
        endpoint=f"GET {SERIES}", request="", items={key_of(item): "2026-01-15T00:00:00Z" for item in items}
    )
    data = write_cursors(cursors)
    print(f"{MACHINES:,} machines, a state of {len(data) / 1e6:.1f} MB, medians of {ROUNDS} rounds")
    _tell("write the state", lambda: write_cursors(cursors), TARGET_S)
    _tell("read the state", lambda: read_cursors(data, "the state"), TARGET_S)
    request = ExportRequest(
        SERIES,
        "memory://lake",
        [
            make_call("https://iris.trackunit.com", SERIES, path_params={**item, **_PLACEHOLDERS})
            for item in items
        ],
        items=items,
    )
    _tell("plan a run: read, two windows each, their calls", lambda: _begun(request, data))
    reading = _begun(request, data)
    _tell("advance: read, move every cursor, write", lambda: reading.advance(()))


_PLACEHOLDERS = {"from": "{from}", "until": "{until}"}


def _begun(request: ExportRequest, data: bytes) -> Reading:
    store = Memory()
    store.write("_state.json", data)
    reading = Reading(
        request,
        Rules(start_s=epoch_s("2026-01-01"), per_item=True),
        Credentials("client", "secret", auth_url="https://auth.trackunit.com/token/v2", scope="any"),
        when=RunTime(epoch_s("2026-02-01")),
        folder=Memory(),
        store=store,
        name="_state.json",
    )
    reading.begin()
    return reading


def _tell(name: str, work: Callable[[], object], target_s: float | None = None) -> None:
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    target = "" if target_s is None else f" (target: below {target_s:g} s)"
    print(f"  {name:50} {statistics.median(times):6.2f} s{target}")


if __name__ == "__main__":
    main()
