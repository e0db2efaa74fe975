"""One table of what can happen, through both clients: the same outcome, the same bytes, the same waits."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.iris.aio import AsyncIrisClient
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import (
    IrisAuthenticationError,
    IrisBadRequestError,
    IrisConfigurationError,
    IrisError,
    IrisNoAnswerError,
    IrisNotFoundError,
    IrisPermissionError,
    IrisRateLimitError,
    IrisServerError,
    IrisTokenError,
    IrisUnexpectedResponseError,
)
from tests.iris.conftest import HandClock, api_key_of, api_user_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator

ASSETS = "/api/asset/v1/assets"
EVENTS = "/public/api/eventlog/v3/asset-event/log"
PERIOD = {"fromTime": "2026-01-14T00:00:00Z", "toTime": "2026-01-15T00:00:00Z"}
NAMES_OF_ATTRIBUTES = ("sent", "retry_after", "status", "code", "message", "violations", "transient")


@dataclass
class Scenario:
    """What is asked, what goes wrong, and what it comes to.

    :param raises: the error, or None for an answer
    :param requests: how many reach IRIS, token requests left out
    :param sleeps: how long the client waited between them
    """

    faults: list[dict[str, Any]] = field(default_factory=list)
    raises: type[IrisError] | None = None
    requests: int = 1
    sleeps: list[float] = field(default_factory=list)
    endpoint: str = ASSETS
    arguments: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    api_key: bool = False


def fault(kind: str, times: int | None = 1, path: str = "/api/", **options: Any) -> dict[str, Any]:
    return {"path": path, "kind": kind, "times": times, **options}


POST = {"method": "POST", "json": PERIOD}
UNKNOWN_POST = {"method": "POST", "json": {"a": 1}}
SCENARIOS = {
    "an answer": Scenario(),
    "an API key": Scenario(api_key=True),
    "a query that has to be encoded": Scenario(
        arguments={"query_params": {"size": 2, "sort": "+name,-id", "q": "å b/c?d&e=f%20'()!*", "n": None}}
    ),
    "a path value that has to be encoded": Scenario(
        endpoint="/public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}",
        arguments={"path_params": {"pin": "A B/Ø?%2F#"}},
        raises=IrisNotFoundError,
    ),
    "a body": Scenario(endpoint=EVENTS, arguments={**POST, "query_params": {"size": 3}}),
    "a header of the caller": Scenario(arguments={"headers": {"TU-PREVIEW": "x"}}),
    "a compressed answer": Scenario(settings={"gzip": "all"}),
    "no content": Scenario([fault("status", status=204, body="")]),
    "401 once": Scenario([fault("revoke")], requests=2),
    "401 twice": Scenario([fault("revoke", times=2)], IrisAuthenticationError, requests=2),
    "a refused secret": Scenario(
        [
            fault(
                "status",
                path="/token",
                status=401,
                body='{"error": "invalid_client"}',
                content_type="application/json",
            )
        ],
        IrisTokenError,
        requests=0,
    ),
    "a token endpoint that recovers": Scenario([fault("status", path="/token", status=503)], sleeps=[1.0]),
    "429 for a moment": Scenario([fault("rate_limit", retry_after="7")], requests=2, sleeps=[7.25]),
    "429 for long": Scenario([fault("rate_limit", retry_after="600")], IrisRateLimitError),
    "429 without a word": Scenario([fault("rate_limit", times=2)], requests=3, sleeps=[1.0, 2.0, 0.25]),
    "429 of a metered URL": Scenario(
        [fault("rate_limit")], IrisRateLimitError, endpoint=EVENTS, arguments=POST
    ),
    "503 once": Scenario([fault("status")], requests=2, sleeps=[1.0]),
    "503 for ever": Scenario(
        [fault("status", times=None)], IrisServerError, requests=4, sleeps=[1.0, 2.0, 4.0]
    ),
    "503 that names its end": Scenario(
        [fault("status", headers={"Retry-After": "20"})], requests=2, sleeps=[20.25]
    ),
    "503 after a POST that may do something": Scenario(
        [fault("status")], IrisServerError, endpoint="/api/nobody/knows", arguments=UNKNOWN_POST
    ),
    "400": Scenario(
        [
            fault(
                "status",
                status=400,
                content_type="application/json",
                body='{"code": "constraint_violation", "message": "m", "violations": [{"field": "f", "message": "v"}]}',
            )
        ],
        IrisBadRequestError,
    ),
    "403": Scenario([fault("status", status=403)], IrisPermissionError),
    "404": Scenario([fault("status", status=404)], IrisNotFoundError),
    "a web page": Scenario([fault("html")], IrisUnexpectedResponseError),
    "a redirect": Scenario([fault("redirect")], IrisUnexpectedResponseError),
    "broken JSON": Scenario([fault("garbage")], IrisUnexpectedResponseError),
    "cut off before anything was done": Scenario([fault("reset_before")], requests=2, sleeps=[1.0]),
    "cut off after it was done": Scenario([fault("reset_after")], requests=2, sleeps=[1.0]),
    "cut off after a POST that may do something": Scenario(
        [fault("reset_after")], IrisNoAnswerError, endpoint="/api/nobody/knows", arguments=UNKNOWN_POST
    ),
    "a body that breaks off": Scenario([fault("truncated")], requests=2, sleeps=[1.0]),
    "a body that always breaks off": Scenario(
        [fault("truncated", times=None)], IrisNoAnswerError, options={"max_attempts": 1}
    ),
    "a length that is a lie": Scenario(
        [fault("huge_length")], IrisNoAnswerError, options={"max_attempts": 1}
    ),
    "no answer in time": Scenario(
        [fault("delay", delay_s=1.0)], IrisNoAnswerError, options={"max_attempts": 1, "timeout_s": 0.2}
    ),
    "an address of somebody else": Scenario(
        endpoint="https://iris.example.com/api", raises=IrisConfigurationError, requests=0
    ),
}


@dataclass
class Outcome:
    """What a client made of a scenario, and what the emulator saw of it."""

    answer: Any
    error: tuple[Any, ...] | None
    sleeps: list[float]
    counted: tuple[int, int]
    seen: list[dict[str, Any]]


def described(error: IrisError) -> tuple[Any, ...]:
    attributes = {name: getattr(error, name, "none") for name in NAMES_OF_ATTRIBUTES}
    return type(error), str(error), attributes


def credentials_of(iris: IrisEmulator, scenario: Scenario) -> Any:
    return api_key_of(iris) if scenario.api_key else api_user_of(iris)


def with_threads(iris: IrisEmulator, scenario: Scenario) -> tuple[Any, Any, list[float], tuple[int, int]]:
    clock = HandClock()
    options = {"clock": clock, "sleep": clock.sleep, "chance": lambda: 1.0, **scenario.options}
    answer = error = None
    with IrisClient(credentials_of(iris, scenario), iris.url, **options) as client:
        try:
            answer = client.run(scenario.endpoint, **scenario.arguments)
        except IrisError as raised:
            error = described(raised)
        return answer, error, clock.slept, (client.requests, client.token_requests)


def on_a_loop(iris: IrisEmulator, scenario: Scenario) -> tuple[Any, Any, list[float], tuple[int, int]]:
    clock = HandClock()

    async def sleep(seconds: float) -> None:
        clock.sleep(seconds)

    async def main() -> tuple[Any, Any, list[float], tuple[int, int]]:
        answer = error = None
        options = {"clock": clock, "sleep": sleep, "chance": lambda: 1.0, **scenario.options}
        async with AsyncIrisClient(credentials_of(iris, scenario), iris.url, **options) as client:
            try:
                answer = await client.run(scenario.endpoint, **scenario.arguments)
            except IrisError as raised:
                error = described(raised)
            return answer, error, clock.slept, (client.requests, client.token_requests)

    return asyncio.run(main())


def outcome_of(run: Any, iris: IrisEmulator, scenario: Scenario) -> Outcome:
    iris.reset()
    iris.settings(**scenario.settings)
    for one in scenario.faults:
        iris.fault(**one)
    result = run(iris, scenario)
    left_out = {"at", "token", "status"}
    seen = [{key: one[key] for key in one.keys() - left_out} for one in iris.requests()]
    answer, error, sleeps, counted = result
    return Outcome(answer, error, sleeps, counted, seen)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_both_clients_do_the_same(iris_emulator: IrisEmulator, scenario: Scenario) -> None:
    threads = outcome_of(with_threads, iris_emulator, scenario)
    loop = outcome_of(on_a_loop, iris_emulator, scenario)
    assert threads == loop
    assert (None if threads.error is None else threads.error[0]) is scenario.raises
    assert threads.sleeps == scenario.sleeps
    assert len([one for one in threads.seen if "/token" not in one["path"]]) == scenario.requests


@pytest.fixture
def recorded() -> Iterator[tuple[str, list[bytes]]]:
    """Return the URL of a server that notes every byte of a request and answers ``{}``, and its notes."""
    import threading

    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65536)
                head, _, body = data.partition(b"\r\n\r\n")
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                while length and len(body) < int(length[0].split(b":")[1]):
                    body += connection.recv(65536)
                heard.append(head + b"\r\n\r\n" + body)
                answer = b'{"access_token": "t", "expires_in": 60}'
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
                    b"Set-Cookie: a=b; Path=/\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer)
                )

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def parsed(raw: bytes) -> tuple[bytes, list[bytes], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    # Their order and the case of their names mean nothing in HTTP.
    named = [line.partition(b":") for line in headers]
    return first, sorted(name.lower() + b": " + value.strip() for name, _, value in named), body


@pytest.mark.parametrize(
    ("endpoint", "arguments"),
    [
        (ASSETS, {"query_params": {"q": "å b/c?d&e=f%20'()!*~", "empty": ""}}),
        ("/a/{pin}/b", {"path_params": {"pin": "A B/Ø?%2F#;=,"}}),
        ("/a%2Fb/{x}", {"path_params": {"x": "%"}}),
        ("/public/api/can-faults/faults", {"method": "POST", "json": {"fromTime": "å", "n": 2**70}}),
        ("/x", {"method": "POST"}),
        ("/x", {"method": "DELETE", "headers": {"X-Own": "1", "accept": "text/plain"}}),
    ],
)
def test_both_clients_send_the_same_bytes(
    recorded: tuple[str, list[bytes]],
    endpoint: str,
    arguments: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow_provider_trackunit.iris.http.tokens import Credentials

    # An entry of ~/.netrc for the host must not take the place of the token.
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    url, heard = recorded
    credentials = Credentials("id", "secret", "user", "pass", auth_url=f"{url}/token")

    async def main() -> None:
        async with AsyncIrisClient(credentials, url) as client:
            await client.run(endpoint, **arguments)
            await client.run(endpoint, **arguments)

    with IrisClient(credentials, url) as client:
        client.run(endpoint, **arguments)
        client.run(endpoint, **arguments)
    asyncio.run(main())
    assert len(heard) == 6
    assert [parsed(one) for one in heard[:3]] == [parsed(one) for one in heard[3:]]
    assert b"authorization: Bearer t" in parsed(heard[1])[1]
    assert b"cookie" not in b"".join(heard).lower()


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_server_that_is_not_there_gets_nothing_and_is_tried_again(
    iris_emulator: IrisEmulator, method: str
) -> None:
    port = unused_port()
    scenario = Scenario(endpoint="/api/nobody/knows", arguments={"method": method})
    found = []
    for run in (with_threads, on_a_loop):
        gone = type("Gone", (), {"url": f"http://127.0.0.1:{port}", "auth_url": iris_emulator.auth_url})()
        for name in ("client_id", "client_secret", "username", "password"):
            setattr(gone, name, getattr(iris_emulator, name))
        found.append(run(gone, scenario))
    assert found[0] == found[1]
    answer, error, sleeps, _ = found[0]
    assert answer is None
    assert error[0] is IrisNoAnswerError
    assert error[2]["sent"] is False
    assert sleeps == [1.0, 2.0, 4.0]


def test_a_dripping_server_meets_the_deadline_in_both_clients(iris_emulator: IrisEmulator) -> None:
    iris_emulator.fault(path=ASSETS, kind="slow", chunk_bytes=20, times=None)
    # Long enough for the token, which has the same time, on a machine that is busy with other things.
    options: Any = {"timeout_s": 2.0, "max_attempts": 1}

    async def main() -> None:
        async with AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url, **options) as client:
            await client.run(ASSETS)

    with pytest.raises(IrisNoAnswerError, match="the answer was not complete in time") as loop:
        asyncio.run(main())
    client = IrisClient(api_user_of(iris_emulator), iris_emulator.url, **options)
    with client, pytest.raises(IrisNoAnswerError) as threads:
        client.run(ASSETS)
    assert described(loop.value) == described(threads.value)


@pytest.mark.parametrize("max_concurrency", [1, 4])
@pytest.mark.parametrize(
    ("endpoint", "arguments"),
    [(ASSETS, {"query_params": {"size": 30}}), ("/public/api/aemp/v2/15143/-3/Fleet", {})],
)
def test_both_clients_walk_the_same_pages(
    iris_emulator: IrisEmulator, endpoint: str, arguments: dict[str, Any], max_concurrency: int
) -> None:
    async def walk() -> list[Any]:
        async with AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url) as client:
            return [
                (page.next, page.records)
                async for page in client.pages(endpoint, max_concurrency=max_concurrency, **arguments)
            ]

    on_loop = asyncio.run(walk())
    asked = sorted(
        one["path"] + one["query"] for one in iris_emulator.requests() if "/token" not in one["path"]
    )
    iris_emulator.reset()
    with IrisClient(api_user_of(iris_emulator), iris_emulator.url) as client:
        pages = client.pages(endpoint, max_concurrency=max_concurrency, **arguments)
        assert [(page.next, page.records) for page in pages] == on_loop
    assert asked == sorted(
        one["path"] + one["query"] for one in iris_emulator.requests() if "/token" not in one["path"]
    )


def test_a_page_that_fails_in_the_middle_of_a_walk_ends_it_there(iris_emulator: IrisEmulator) -> None:
    iris_emulator.fault(path="page=3", kind="status", status=403)

    numbers = []

    async def walk() -> None:
        async with AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url) as client:
            async for page in client.pages(ASSETS, query_params={"size": 30}, max_concurrency=3):
                numbers.append(page.number)  # noqa: PERF401 (those before the failure are wanted)

    with pytest.raises(IrisPermissionError):
        asyncio.run(walk())
    assert numbers == [1, 2, 3]


def test_coroutines_that_wait_for_a_token_share_one_request_for_it(iris_emulator: IrisEmulator) -> None:
    async def main() -> None:
        async with AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url) as client:
            await asyncio.gather(*(client.run(ASSETS, query_params={"size": 1}) for _ in range(50)))
            iris_emulator.revoke_tokens()
            await asyncio.gather(*(client.run(ASSETS, query_params={"size": 1}) for _ in range(50)))

    asyncio.run(main())
    assert iris_emulator.stats()["token_requests"] == 2


@pytest.mark.parametrize("kind", ["status", "reset_before"])
def test_while_a_token_is_good_no_coroutine_fails_because_there_is_no_new_one_yet(
    iris_emulator: IrisEmulator, kind: str
) -> None:
    async def ask() -> None:
        clock = HandClock()

        async def sleep(seconds: float) -> None:
            clock.sleep(seconds)

        async with AsyncIrisClient(
            api_user_of(iris_emulator), iris_emulator.url, clock=clock, sleep=sleep
        ) as client:
            await client.authenticate()
            clock.now += 3600 - 59
            iris_emulator.fault(path="/token", kind=kind, times=None, status=503)
            answers = await asyncio.gather(*(client.run(ASSETS) for _ in range(4)))
        assert [answer["totalElements"] for answer in answers] == [250] * 4

    asyncio.run(ask())


def test_a_caller_that_is_cancelled_does_not_take_the_token_of_the_others_with_it(
    iris_emulator: IrisEmulator,
) -> None:
    iris_emulator.fault(path="/token", kind="delay", delay_s=0.2)

    async def main() -> Any:
        async with AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url) as client:
            first = asyncio.create_task(client.run(ASSETS))
            second = asyncio.create_task(client.run(ASSETS))
            await asyncio.sleep(0.05)
            first.cancel()
            return await second

    assert asyncio.run(main())["totalElements"] == 250
    assert iris_emulator.stats()["token_requests"] == 1


@pytest.mark.parametrize("answers", [True, False], ids=["refuses", "is not there"])
def test_both_clients_find_the_proxy_of_the_environment(
    recorded: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    from airflow_provider_trackunit.iris.http.tokens import Credentials

    url, heard = recorded
    port = int(url.rpartition(":")[2]) if answers else unused_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:s%40cret@127.0.0.1:{port}")
    credentials = Credentials("id", "secret", "user", "pass", auth_url="https://iris.example.com/token")

    async def main() -> None:
        async with AsyncIrisClient(credentials, "https://iris.example.com", max_attempts=1) as client:
            await client.run("/x")

    with (
        pytest.raises(IrisError) as threads,
        IrisClient(credentials, "https://iris.example.com", max_attempts=1) as client,
    ):
        client.run("/x")
    with pytest.raises(IrisError) as loop:
        asyncio.run(main())
    if answers:
        connects = [parsed(one) for one in heard]
        assert len(connects) == 2
        assert {first.split()[1] for first, _, _ in connects} == {b"iris.example.com:443"}
        for _, headers, _ in connects:
            assert b"proxy-authorization: Basic bWU6c0BjcmV0" in headers
    else:
        assert "proxy" in str(threads.value)
        assert described(threads.value) == described(loop.value)


def test_the_documented_arguments_of_a_client_are_the_same() -> None:
    public = {name for name in vars(IrisClient) if not name.startswith("_")}
    assert public == {name for name in vars(AsyncIrisClient) if not name.startswith("_")}
