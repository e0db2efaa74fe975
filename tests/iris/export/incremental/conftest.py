"""Runs that read on from a state in memory, against the emulator."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.export.export import Export
from airflow_provider_trackunit.iris.export.incremental.cursors import epoch_s
from airflow_provider_trackunit.iris.export.incremental.reading import Reading
from airflow_provider_trackunit.iris.export.incremental.rules import Rules, RunTime
from airflow_provider_trackunit.iris.export.manifest import Manifest, Run
from airflow_provider_trackunit.iris.export.request import ExportRequest
from tests.iris.export.conftest import FLEET, new_client
from tests.iris.export.stores import Killed, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_trackunit.emulator import IrisEmulator

EVENTS = "/public/api/eventlog/v3/asset-event/log"
HOURS = f"{FLEET}/Equipment/ID/{{pin}}/CumulativeOperatingHours/{{from}}/{{until}}"
STATE = "_state.json"


def at(text: str) -> int:
    """Return a moment of January 2026, as ``02`` or ``02T12``."""
    day, _, hour = text.partition("T")
    return epoch_s(f"2026-01-{day}T{hour or '00'}:00:00Z")


class Life:
    """A process that is killed before or after its n-th change of any of its stores."""

    def __init__(self, dies_at: int, when: str) -> None:
        self._dies_at = dies_at
        self._when = when
        self._changes = 0

    def before(self, _number: int, name: str) -> None:
        self._changes += 1
        if self._changes > self._dies_at or (self._changes == self._dies_at and self._when == "before"):
            raise Killed(name)

    def after(self, _number: int, name: str) -> None:
        if self._changes == self._dies_at and self._when == "after":
            raise Killed(name)

    def store(self, files: dict[str, bytes]) -> MemoryStore:
        """Return one of its stores."""
        store = MemoryStore(files)
        store.before, store.after = self.before, self.after
        return store


class OwnTime:
    """The clock of one client, which shares its limits with no other; it passes when the client sleeps."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def __call__(self) -> float:
        return self._now_s

    def sleep(self, seconds: float) -> None:
        self._now_s += seconds


@dataclass
class Lake:
    """The state, and the folders of all runs."""

    iris: IrisEmulator
    state: dict[str, bytes] = field(default_factory=dict)
    folders: dict[str, dict[str, bytes]] = field(default_factory=dict)
    now_s: float = at("31")

    def begin(
        self,
        run_id: str,
        until: str,
        *,
        begins: str | None = None,
        endpoint: str = EVENTS,
        items: Sequence[Mapping[str, Any]] | None = None,
        query: Mapping[str, Any] | None = None,
        life: Life | None = None,
        rules: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> tuple[Reading, MemoryStore]:
        """Return one try of a run that ends at a moment, and its folder."""
        folder = self.folders.setdefault(run_id, {})
        stores = [life.store(files) if life else MemoryStore(files) for files in (folder, self.state)]
        events = endpoint == EVENTS
        time = OwnTime()
        # Windows of events are half an hour apart, which passes at once here; the emulator's limits are off.
        longest_s = {"max_wait_s": 1e9} if events else {}
        self.client = new_client(self.iris, clock=time, sleep=time.sleep, **longest_s)
        request = ExportRequest(
            endpoint=endpoint,
            output_path=f"memory://{run_id}",
            calls=[
                make_call(
                    self.iris.url,
                    endpoint,
                    method="POST" if events else "GET",
                    path_params=None if one is None else {**one, "from": "{from}", "until": "{until}"},
                    query_params=query,
                    json={"fromTime": "{from}", "toTime": "{until}"} if events else None,
                )
                for one in ([None] if items is None else items)
            ],
            items=items,
            run=Run("dag", "task", run_id, -1),
            **{"part_bytes": 20_000, "max_concurrency": 1, **options},
        )
        reading = Reading(
            request,
            Rules(**{"start_s": at("01"), "per_item": items is not None, **(rules or {})}),
            self.client.credentials,
            when=RunTime(at(until), None if begins is None else at(begins)),
            folder=stores[0],
            store=stores[1],
            name=STATE,
            wall_clock=lambda: self.now_s,
        )
        return reading, stores[0]

    def run(self, run_id: str, until: str, **options: Any) -> Manifest:
        """Return the manifest of one try that comes to its end."""
        reading, folder = self.begin(run_id, until, **options)
        request = reading.begin()
        try:
            return Export(
                self.client, request, folder, at_every_step=reading.renew, published=reading.advance
            ).run()
        finally:
            reading.end()

    def records(self, *run_ids: str) -> list[dict[str, Any]]:
        """Return the records of the results of some runs, or of all."""
        found = []
        for run_id in run_ids or self.folders:
            files = self.folders[run_id]
            for part in json.loads(files.get("_manifest.json", b'{"parts": []}'))["parts"]:
                found += [json.loads(line) for line in gzip.decompress(files[part["name"]]).splitlines()]
        return found

    @property
    def written(self) -> dict[str, Any]:
        """The state as it is stored."""
        found: dict[str, Any] = json.loads(self.state[STATE])
        return found


@pytest.fixture
def lake(iris: IrisEmulator) -> Lake:
    """Return an empty lake; the limits of the API are off, an event comes every four hours."""
    iris.settings(limits_on=False, event_step_s=14_400)
    return Lake(iris)
