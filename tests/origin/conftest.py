"""Both clients, a server with a certificate, and one elsewhere that notes whatever it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.iris.aio import AsyncIrisClient
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.http.tokens import Credentials
from tests.iris.scripted import ScriptedServer, token_answer
from tests.tls import self_signed

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Ask = Callable[..., Any]
    Certificate = tuple[Path, ssl.SSLContext]

SECRET, PASSWORD = "hunter2-client-secret", "hunter2-password"
_OF_THE_ENVIRONMENT = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _OF_THE_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=["threads", "event loop"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Return what asks with a client of its own, and gives the last answer back, or all records of a walk."""
    by = _by_threads if request.param == "threads" else _by_loop

    def asked(
        base_url: str,
        endpoint: str = "/api/x",
        *,
        times: int = 1,
        auth_url: str | None = None,
        ca_bundle: Path | None = None,
        walk: bool = False,
        max_attempts: int = 1,
        **arguments: Any,
    ) -> Any:
        settings = {
            "credentials": Credentials(
                "client", SECRET, "user", PASSWORD, auth_url=auth_url or f"{base_url}/token"
            ),
            "base_url": base_url,
            "max_attempts": max_attempts,
            "timeout_s": 5.0,
            "ca_bundle": str(ca_bundle) if ca_bundle else None,
        }
        return by(settings, endpoint, arguments, None if walk else times)

    return asked


def _by_threads(settings: Any, endpoint: str, arguments: Any, times: int | None) -> Any:
    with IrisClient(**settings) as client:
        if times is None:
            return list(client.records(endpoint, **arguments))
        return [client.run(endpoint, **arguments) for _ in range(times)][-1]


def _by_loop(settings: Any, endpoint: str, arguments: Any, times: int | None) -> Any:
    async def main() -> Any:
        async with AsyncIrisClient(**settings) as client:
            if times is None:
                return [one async for one in client.records(endpoint, **arguments)]
            return [await client.run(endpoint, **arguments) for _ in range(times)][-1]

    return asyncio.run(main())


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return a self-signed certificate of 127.0.0.1, and the server side of it."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def elsewhere() -> Iterator[ScriptedServer]:
    """Return a server that nobody may ask."""
    with ScriptedServer(token_answer()) as server:
        yield server
        assert server.asked == []
