"""A walk ends where IRIS says that it ends, and not at an empty page; through both clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.iris.aio import AsyncIrisClient
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import IrisPaginationError
from airflow_provider_trackunit.iris.http.tokens import Credentials
from tests.iris.conftest import HandClock
from tests.iris.walk_ends import COLLECTIONS, RECORDS, STANDING_STILL, Collection, server_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.iris.scripted import ScriptedServer


def with_threads(server: ScriptedServer, collection: Collection) -> list[Any]:
    clock = HandClock()
    with IrisClient(credentials(server), server.url, clock=clock, sleep=clock.sleep) as client:
        return list(client.records(collection.endpoint, **collection.arguments))


def on_a_loop(server: ScriptedServer, collection: Collection) -> list[Any]:
    clock = HandClock()

    async def sleep(seconds: float) -> None:
        clock.sleep(seconds)

    async def read() -> list[Any]:
        async with AsyncIrisClient(credentials(server), server.url, clock=clock, sleep=sleep) as client:
            return [one async for one in client.records(collection.endpoint, **collection.arguments)]

    return asyncio.run(read())


def credentials(server: ScriptedServer) -> Credentials:
    return Credentials("id", "secret", "user", "password", auth_url=f"{server.url}/token")


BOTH = pytest.mark.parametrize("read", [with_threads, on_a_loop])
EACH = pytest.mark.parametrize("collection", COLLECTIONS.values(), ids=COLLECTIONS.keys())


@BOTH
@EACH
def test_an_empty_page_is_not_the_end_of_a_walk(
    read: Callable[[ScriptedServer, Collection], list[Any]], collection: Collection
) -> None:
    with server_of(collection) as server:
        assert read(server, collection) == RECORDS


@BOTH
@EACH
def test_a_collection_without_records_is_one_empty_page(
    read: Callable[[ScriptedServer, Collection], list[Any]], collection: Collection
) -> None:
    with server_of(collection, ([],)) as server:
        assert read(server, collection) == []
        assert len(server.asked) == 2  # the token, and the page


@BOTH
def test_an_empty_page_whose_cursor_stands_still_is_the_end(
    read: Callable[[ScriptedServer, Collection], list[Any]],
) -> None:
    with server_of(STANDING_STILL, ([0, 1], [], [2], [])) as server:
        assert read(server, STANDING_STILL) == [0, 1, 2]


@BOTH
@pytest.mark.parametrize("name", ["AEMP links", "cursor"])
def test_a_walk_over_a_hundred_empty_pages_in_a_row_is_stopped(
    read: Callable[[ScriptedServer, Collection], list[Any]], name: str
) -> None:
    with (
        server_of(COLLECTIONS[name], ([0], *[[]] * 120), of=1000) as server,
        pytest.raises(IrisPaginationError, match=r"the last 100 pages .* may never end"),
    ):
        read(server, COLLECTIONS[name])
    # The token, a page with a record, an empty page, and a hundred more.
    assert len(server.asked) == 1 + 1 + 101
