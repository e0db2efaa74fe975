"""Whatever comes in the place of an answer is the error that the table says, in both clients, and is repeated as it says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.iris.aio import AsyncIrisClient
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import (
    IrisAuthenticationError,
    IrisError,
    IrisNoAnswerError,
    IrisRateLimitError,
    IrisUnexpectedResponseError,
)
from airflow_provider_trackunit.iris.http.tokens import Credentials
from tests.iris.conftest import HandClock
from tests.iris.error_table import ASSETS, BY_GET, BY_POST, GRAPHQL, TABLE, Row, graphql, promql
from tests.iris.scripted import ScriptedServer, http, token_answer
from tests.tls import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CASES = [
    pytest.param(row, came, asked, id=f"{row.what} ({name}{f', {number}' if number else ''})")
    for row in TABLE
    for name, came in row.came.items()
    for number, asked in enumerate(row.asked)
]


class Raw:
    """A server that does something with a connection in the place of a handshake."""

    def __init__(self, behave: Any) -> None:
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Raw:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                self._behave(connection)


@contextmanager
def answering(came: Any, folder: Path) -> Iterator[Any]:
    """Run the server that a case speaks of."""
    if callable(came):
        with Raw(came) as server:
            yield server
        return
    tls = self_signed(folder)[1] if came is None else None
    with ScriptedServer(http() if came is None else came, tls=tls) as server:
        yield server


def options(clock: HandClock) -> dict[str, Any]:
    return {"clock": clock, "chance": lambda: 1.0, "max_attempts": 2, "timeout_s": 20.0}


def with_threads(credentials: Credentials, url: str, asked: dict[str, Any]) -> Any:
    clock = HandClock()
    with IrisClient(credentials, url, sleep=clock.sleep, **options(clock)) as client:
        return client.run(**asked)


def on_a_loop(credentials: Credentials, url: str, asked: dict[str, Any]) -> Any:
    async def main() -> Any:
        clock = HandClock()

        async def sleep(seconds: float) -> None:
            clock.sleep(seconds)

        async with AsyncIrisClient(credentials, url, sleep=sleep, **options(clock)) as client:
            return await client.run(**asked)

    return asyncio.run(main())


CLIENTS = pytest.mark.parametrize("run", [with_threads, on_a_loop], ids=["threads", "loop"])


@pytest.fixture
def credentials() -> Iterator[Credentials]:
    with ScriptedServer(token_answer()) as auth:
        yield Credentials("client", "secret", "user", "password", auth_url=f"{auth.url}/token")


@CLIENTS
@pytest.mark.parametrize(("row", "came", "asked"), CASES)
def test_what_comes_is_the_error_that_the_table_says(  # noqa: PLR0917 (a table)
    credentials: Credentials, tmp_path: Path, row: Row, came: Any, asked: dict[str, Any], run: Any
) -> None:
    with answering(came, tmp_path) as server, pytest.raises(IrisError) as caught:
        run(credentials, server.url, asked)
    assert (type(caught.value), caught.value.transient) == (row.error, row.again)
    if isinstance(server, ScriptedServer) and server.tls is None:
        assert len(server.asked) == row.times


@CLIENTS
@pytest.mark.parametrize(
    "cut_at", [12, 30, -2], ids=["in the status", "in a header", "before the empty line"]
)
@pytest.mark.parametrize(
    "asked",
    [ASSETS, GRAPHQL, {"endpoint": "/api/x", "method": "POST", "json": {}}, {**ASSETS, "method": "DELETE"}],
    ids=["GET", "GraphQL", "POST", "DELETE"],
)
def test_an_answer_that_ends_within_its_head_broke_off_whatever_was_asked_for(
    credentials: Credentials, run: Any, cut_at: int, asked: dict[str, Any]
) -> None:
    """It is not one without a body, which would be a success where something was to be changed."""
    with ScriptedServer(http(b"")[:cut_at]) as server, pytest.raises(IrisNoAnswerError) as caught:
        run(credentials, server.url, asked)
    assert caught.value.sent
    assert len(server.asked) == (1 if asked.get("method") == "POST" and asked != GRAPHQL else 2)


@CLIENTS
@pytest.mark.parametrize("asked", [GRAPHQL, BY_GET, BY_POST], ids=["GraphQL", "PromQL", "PromQL by POST"])
def test_a_query_whose_answer_breaks_off_before_its_body_is_asked_again(
    credentials: Credentials, run: Any, asked: dict[str, Any]
) -> None:
    """Such an answer is never without a body, as one of another POST can be."""
    with ScriptedServer(http(b"", Content_Length="")) as server, pytest.raises(IrisNoAnswerError):
        run(credentials, server.url, asked)
    assert len(server.asked) == 2


@CLIENTS
@pytest.mark.parametrize(
    "came",
    [
        pytest.param(token_answer()[:30], id="within its head"),
        pytest.param(http(b"", Content_Length=""), id="before its body"),
        pytest.param(token_answer(Content_Length="")[:-12], id="within its body"),
        pytest.param(http(b"", Content_Length="", Content_Type=""), id="before a body of no kind"),
        pytest.param(http(b"", Content_Length="", Content_Type="text/html"), id="before a page"),
        pytest.param(token_answer(Content_Length="", Content_Type="")[:-12], id="within a body of no kind"),
        pytest.param(http(b'{"error": "server_error"}', "400 X"), id="a failure of its own"),
        pytest.param(http(b'{"error": "temporarily_unavailable"}', "400 X"), id="a failure that passes"),
    ],
)
def test_a_token_answer_that_breaks_off_or_says_that_the_endpoint_failed_is_asked_for_again(
    run: Any, came: bytes
) -> None:
    with ScriptedServer(came, token_answer()) as auth, ScriptedServer(http()) as server:
        credentials = Credentials("client", "secret", "user", "password", auth_url=f"{auth.url}/token")
        assert run(credentials, server.url, ASSETS) == {}
    assert len(auth.asked) == 2


@CLIENTS
def test_a_token_that_graphql_refuses_is_renewed_like_one_of_a_401(
    credentials: Credentials, run: Any
) -> None:
    fine = http(b'{"data": {"assets": []}}')
    with ScriptedServer(graphql(None, "UNAUTHENTICATED"), fine) as server:
        assert run(credentials, server.url, GRAPHQL) == {"data": {"assets": []}}


MUTATION = {**GRAPHQL, "json": {"query": "mutation { a: makeOne { id } b: makeOne { id } }"}}
NOTHING_RAN = {"errors": [{"message": "m", "extensions": {}}]}
PART_CAME = {"data": {"a": {"id": 1}, "b": None}, "errors": [{"message": "m", "extensions": {}}]}
FIELD_FAILED = {"data": None, "errors": [{"message": "m", "path": ["b"], "extensions": {}}]}


@CLIENTS
@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("200 OK", "RATE_LIMITED"),
        ("200 OK", "UNAUTHENTICATED"),
        ("429 Too Many Requests", "RATE_LIMITED"),
        ("401 Unauthorized", "UNAUTHENTICATED"),
    ],
)
@pytest.mark.parametrize(
    ("asked", "came", "sent"),
    [
        pytest.param(MUTATION, PART_CAME, 1, id="a mutation of which a part came"),
        pytest.param(MUTATION, FIELD_FAILED, 1, id="a mutation of which a field failed"),
        pytest.param(MUTATION, NOTHING_RAN, 2, id="a mutation that did not run"),
        pytest.param(MUTATION, {"data": None, **NOTHING_RAN}, 2, id="a mutation without data"),
        pytest.param(MUTATION, {"data": {"a": None, "b": None}, **NOTHING_RAN}, 2, id="a mutation of nulls"),
        pytest.param(GRAPHQL, PART_CAME, 2, id="a query of which a part came"),
    ],
)
def test_a_mutation_that_was_carried_out_in_part_is_not_sent_again(  # noqa: PLR0917 (a table)
    credentials: Credentials,
    run: Any,
    status: str,
    code: str,
    asked: dict[str, Any],
    came: dict[str, Any],
    sent: int,
) -> None:
    errors = [{**error, "extensions": {"code": code, "resetIn": 1000}} for error in came["errors"]]
    with ScriptedServer(http(json.dumps({**came, "errors": errors}).encode(), status)) as server:
        with pytest.raises(IrisRateLimitError if code == "RATE_LIMITED" else IrisAuthenticationError):
            run(credentials, server.url, asked)
        assert len(server.asked) == sent


@CLIENTS
@pytest.mark.parametrize("status", ["401 Unauthorized", "429 Too Many Requests"])
@pytest.mark.parametrize(
    "came",
    [
        pytest.param({"data": {"a": {"id": 1}}, "errors": "odd"}, id="errors that are text"),
        pytest.param({"data": {"a": {"id": 1}}, "errors": {"a": 1}}, id="errors that are an object"),
        pytest.param({"data": {"a": {"id": 1}}, "errors": [None, "odd"]}, id="errors that are none"),
        pytest.param({"data": [1]}, id="data that is a list"),
        pytest.param({"data": None, "errors": ["odd", {"path": ["a"]}]}, id="a field among them"),
    ],
)
def test_a_mutation_of_which_a_part_came_is_not_sent_again_however_odd_its_errors_are(
    credentials: Credentials, run: Any, status: str, came: dict[str, Any]
) -> None:
    with ScriptedServer(http(json.dumps(came).encode(), status)) as server:
        with pytest.raises((IrisRateLimitError, IrisAuthenticationError)):
            run(credentials, server.url, MUTATION)
        assert len(server.asked) == 1


@CLIENTS
def test_the_longest_reset_of_all_graphql_errors_is_waited_for(credentials: Credentials, run: Any) -> None:
    limited = http(
        b'{"errors": [{"extensions": {"code": "RATE_LIMITED", "resetIn": 1000}},'
        b' {"extensions": {"code": "RATE_LIMITED", "resetIn": 586351}}]}'
    )
    with ScriptedServer(limited) as server, pytest.raises(IrisRateLimitError) as caught:
        run(credentials, server.url, GRAPHQL)
    assert caught.value.retry_after == pytest.approx(586.351)


@CLIENTS
def test_an_answer_without_a_length_that_is_whole_passes(credentials: Credentials, run: Any) -> None:
    with ScriptedServer(http(b' {"content": []}\n', Content_Length="")) as server:
        assert run(credentials, server.url, ASSETS) == {"content": []}


@CLIENTS
def test_a_header_may_be_long(credentials: Credentials, run: Any) -> None:
    with ScriptedServer(http(b"{}", Content_Security_Policy="a" * 60_000)) as server:
        assert run(credentials, server.url, ASSETS) == {}


@CLIENTS
def test_no_body_is_missed_where_there_is_none_whatever_length_is_said(
    credentials: Credentials, run: Any
) -> None:
    """304 says how long the answer would be that was not sent; some servers say it with 204 as well."""
    with ScriptedServer(http(b"", "204 No Content", Content_Length="12")) as server:
        assert run(credentials, server.url, ASSETS) is None
    with ScriptedServer(http(b"", "304 Not Modified", Content_Length="12")) as server:
        with pytest.raises(IrisUnexpectedResponseError):
            run(credentials, server.url, {**ASSETS, "headers": {"If-None-Match": '"a"'}})
        assert len(server.asked) == 1


@CLIENTS
def test_a_query_in_the_body_makes_no_graphql_of_another_endpoint(credentials: Credentials, run: Any) -> None:
    errors = http(b'{"errors": [{"message": "a record"}]}')
    asked = {"endpoint": "/api/search/v1/things", "method": "POST", "json": {"query": "pump"}}
    with ScriptedServer(errors) as server:
        assert run(credentials, server.url, asked) == {"errors": [{"message": "a record"}]}


@CLIENTS
def test_a_time_series_that_is_whole_passes(credentials: Credentials, run: Any) -> None:
    asked = TABLE[-1].asked[1]
    with ScriptedServer(promql(status="success", isPartial=False)) as server:
        assert run(credentials, server.url, asked)["status"] == "success"
