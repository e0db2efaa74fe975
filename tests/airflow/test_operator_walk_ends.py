"""IrisApiOperator reads a collection to the end that IRIS names, over empty pages too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit._compat import AirflowFailException
from airflow_provider_trackunit.operators import IrisApiOperator
from tests.iris.walk_ends import COLLECTIONS, RECORDS, STANDING_STILL, Collection, server_of

if TYPE_CHECKING:
    from tests.iris.scripted import ScriptedServer


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(server: ScriptedServer, collection: Collection) -> Any:
        extra = {"client_id": "id", "client_secret": "secret", "auth_url": f"{server.url}/token"}
        connection = {"conn_type": "trackunit", "login": "user", "password": "pass", "host": server.url}
        monkeypatch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", json.dumps({**connection, "extra": extra}))
        # The pages are scripted, so they are asked for one after the other.
        operator = IrisApiOperator(
            task_id="call", endpoint=collection.endpoint, max_concurrency=1, **collection.arguments
        )
        context: Any = {}
        return operator.execute(context)

    return run


@pytest.mark.parametrize("collection", COLLECTIONS.values(), ids=COLLECTIONS.keys())
def test_an_empty_page_is_not_the_end_of_what_the_operator_returns(read: Any, collection: Collection) -> None:
    with server_of(collection) as server:
        assert read(server, collection) == RECORDS


def test_an_empty_page_whose_cursor_stands_still_is_the_end(read: Any) -> None:
    with server_of(STANDING_STILL, ([0, 1], [], [2], [])) as server:
        assert read(server, STANDING_STILL) == [0, 1, 2]


def test_a_walk_that_may_never_end_fails_the_task_at_once(read: Any) -> None:
    collection = COLLECTIONS["page and size"]
    with (
        server_of(collection, ([0], *[[]] * 120), of=1000) as server,
        pytest.raises(AirflowFailException, match="may never end"),
    ):
        read(server, collection)
