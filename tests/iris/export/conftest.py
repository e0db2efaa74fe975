"""Clients of an emulated fleet of a thousand assets, and exports of it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.export.export import Export
from airflow_provider_trackunit.iris.export.formats.lines import lines_encoding
from airflow_provider_trackunit.iris.export.manifest import Run
from airflow_provider_trackunit.iris.export.request import ExportRequest
from tests.iris.conftest import api_user_of

from .stores import Killed, MortalStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_trackunit.iris.http.tokens import Credentials

ASSETS = "/api/asset/v1/assets"
FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
HOURS = f"{FLEET}/Equipment/ID/{{pin}}/CumulativeOperatingHours/2026-01-01T00:00:00Z/2026-01-14T00:00:00Z"


@pytest.fixture(scope="session")
def _fleet_server() -> Iterator[IrisEmulator]:
    with IrisEmulator.start(assets=1000) as emulator:
        yield emulator


@pytest.fixture
def iris(_fleet_server: IrisEmulator) -> IrisEmulator:
    """Return an emulator with 1000 assets, 800 of them in the AEMP fleet (8 pages)."""
    _fleet_server.reset()
    return _fleet_server


def credentials_of(iris: IrisEmulator, **others: str) -> Credentials:
    """Return those of the emulator's API user, or nearly."""
    return replace(api_user_of(iris), **others)


def new_client(iris: IrisEmulator, **options: Any) -> IrisClient:
    """Return a client that does not sleep; the emulator's limits per second are off, because its clock is real."""
    iris.settings(fleet_calls_per_s=None, series_calls_per_s=None)
    if options.setdefault("sleep", lambda _: None) is None:
        del options["sleep"]
    return IrisClient(credentials_of(iris), iris.url, **options)


class MakeRequest(Protocol):
    """Makes what is to be exported."""

    def __call__(
        self,
        endpoint: str = ASSETS,
        *,
        query: Mapping[str, Any] | None = None,
        items: Sequence[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> ExportRequest: ...


@pytest.fixture
def wanted(iris: IrisEmulator) -> MakeRequest:
    """Return a maker of export requests: the assets, 50 a page, a part every three pages, one page at a time."""

    def make(
        endpoint: str = ASSETS,
        *,
        query: Mapping[str, Any] | None = None,
        items: Sequence[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> ExportRequest:
        query = {"size": 50} if query is None and endpoint == ASSETS else query
        calls = [
            make_call(iris.url, endpoint, path_params=one, query_params=query)
            for one in ([None] if items is None else items)
        ]
        defaults: dict[str, Any] = {
            "run": Run("dag", "task", "run", -1),
            "part_bytes": 100_000,
            "max_concurrency": 1,
            "encoding": lines_encoding(options.pop("compression", "gzip")),
        }
        where: Any = {"endpoint": endpoint, "output_path": "memory://folder"}
        return ExportRequest(calls=calls, items=items, **{**where, **defaults, **options})

    return make


def times_asked(iris: IrisEmulator, part: str) -> dict[str, int]:
    asked: dict[str, int] = {}
    for request in iris.requests(part):
        key = f"{request['path']}?{request['query']}"
        asked[key] = asked.get(key, 0) + 1
    return asked


def pins(iris: IrisEmulator, count: int) -> list[dict[str, str]]:
    """Return the PINs of machines that have operating hours."""
    found = new_client(iris).records(FLEET)
    named = [record["EquipmentHeader"].get("PIN") for record in found if "CumulativeOperatingHours" in record]
    return [{"pin": pin} for pin in named if pin and "/" not in pin][:count]


def survivors(iris: IrisEmulator, request: Any, when: str) -> Iterator[dict[str, bytes]]:
    """Yield what is left after a kill at the first, the second, ... change of the store, until there are no more."""
    for dies_at in itertools.count(1):
        files: dict[str, bytes] = {}
        try:
            Export(new_client(iris), request, MortalStore(files, dies_at, when)).run()
        except Killed:
            yield files
        else:
            return
