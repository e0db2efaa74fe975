"""An export that ends early stores what came, whatever else comes in its last moments."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import IrisPermissionError
from airflow_provider_trackunit.iris.export.export import Export, ExportStoppedError
from airflow_provider_trackunit.iris.export.request import ExportRequest
from airflow_provider_trackunit.iris.http.wire import Request, Response
from airflow_provider_trackunit.iris.pages.crew import Crew
from airflow_provider_trackunit.iris.pages.frontier import Frontier
from tests.fuzz.wires import JSON, ORIGIN, wired

from .stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATORS = "/public/api/operator/operators"


def export_of(
    answer: Callable[[Request], Response], store: MemoryStore, endpoint: str = OPERATORS, **options: Any
) -> Export:
    items = options.get("items")
    calls = [make_call(ORIGIN, endpoint, path_params=item) for item in items or [None]]
    request = ExportRequest(endpoint, "memory://folder", calls, **{"max_concurrency": 1, **options})
    return Export(wired(answer), request, store)


def checkpoint_in(store: MemoryStore) -> Any:
    return json.loads(store.files["_checkpoint.json"])


def test_told_to_stop_while_a_page_is_under_way_that_leads_in_a_circle_it_stores_what_came_before() -> None:
    store = MemoryStore()

    def answer(request: Request) -> Response:
        after = parse_qs(urlsplit(request.url).query).get("after", ["0"])[0]
        if after == "2":
            export.stop()
        following = {"0": "1", "1": "2", "2": "1"}[after]
        return Response(200, JSON, json.dumps({"after": following, "content": [{"id": after}]}).encode())

    export = export_of(answer, store)
    with pytest.raises(ExportStoppedError):
        export.run()
    assert [part["records"] for part in checkpoint_in(store)["parts"]] == [2]


def test_an_item_that_is_refused_after_the_export_has_failed_is_asked_for_again() -> None:
    last_two = threading.Barrier(2)
    refused = Response(403, JSON, b'{"code": "forbidden"}')

    def refuses(request: Request) -> Response:
        if request.url.endswith(("/99", "/100")):
            last_two.wait(10)
        return refused

    store = MemoryStore()
    items = [{"id": number} for number in range(101)]
    options: dict[str, Any] = {"items": items, "skip_refused": True, "max_concurrency": 2}
    with pytest.raises(IrisPermissionError, match="all 100 items"):
        export_of(refuses, store, "/api/things/{id}", **options).run()
    manifest = export_of(
        lambda _: Response(200, JSON, b'{"id": 1}'), store, "/api/things/{id}", **options
    ).run()
    assert (manifest.records, manifest.skipped_count) == (101, 0)


def test_threads_that_wait_for_a_token_ask_for_none_once_the_reader_has_left() -> None:
    asked: list[str] = []
    asking, left = threading.Event(), threading.Event()

    def token() -> Response:
        asked.append("token")
        asking.set()
        left.wait(10)
        return Response(503, JSON, b"{}")

    client = wired(lambda _: Response(200, JSON, b"{}"), token)
    crew = Crew(client.run_errand, 4)
    calls = [make_call(ORIGIN, f"/api/things/{number}") for number in range(4)]
    for errand in Frontier().ask(calls, (), 4)[1]:
        crew.ask(errand)
    assert asking.wait(10)
    crew.cancel()
    left.set()
    assert len(list(crew.rest(10))) == 4
    assert asked == ["token"]
