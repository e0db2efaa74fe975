"""Clients of an emulated fleet of a thousand assets, and exports of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.export.export import ExportRequest
from airflow_provider_trackunit.iris.export.results import Run
from airflow_provider_trackunit.iris.http.tokens import Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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


def new_client(iris: IrisEmulator, **limits: Any) -> IrisClient:
    """Return a client that does not sleep; the emulator's limits per second are off, because its clock is real."""
    iris.settings(fleet_calls_per_s=None, series_calls_per_s=None)
    credentials = Credentials(
        iris.client_id, iris.client_secret, iris.username, iris.password, auth_url=iris.auth_url
    )
    return IrisClient(credentials, iris.url, sleep=lambda _: None, **limits)


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
        }
        where: Any = {"endpoint": endpoint, "output_path": "memory://folder"}
        return ExportRequest(calls=calls, items=items, **{**where, **defaults, **options})

    return make
