"""A clock that is moved by hand, and clients of an emulator that sleep on it."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.http.tokens import Credentials


class HandClock:
    """A monotonic clock that only moves when it is told to; sleeping on it is noted and takes no time."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


ClientFactory = Callable[..., IrisClient]


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put this machine five hours away from UTC."""
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def new_client(iris_emulator: IrisEmulator, clock: HandClock) -> Iterator[ClientFactory]:
    """Return a maker of clients of the emulator, as an API user, or as an API key with ``api_key=True``.

    With ``alone=True`` a client has a clock of its own, and so shares no limit with the others.
    """
    made: list[IrisClient] = []

    def make(
        *, api_key: bool = False, base_url: str | None = None, alone: bool = False, **arguments: Any
    ) -> IrisClient:
        time_of = HandClock() if alone else clock
        arguments = {"clock": time_of, "sleep": time_of.sleep, "chance": lambda: 1.0, **arguments}
        credentials = api_key_of(iris_emulator) if api_key else api_user_of(iris_emulator)
        made.append(IrisClient(credentials, base_url or iris_emulator.url, **arguments))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(new_client: ClientFactory) -> IrisClient:
    return new_client()


def api_user_of(iris: IrisEmulator) -> Credentials:
    return Credentials(
        iris.client_id, iris.client_secret, iris.username, iris.password, auth_url=iris.auth_url
    )


def api_key_of(iris: IrisEmulator) -> Credentials:
    return Credentials(
        iris.api_key_client_id,
        iris.api_key_client_secret,
        scope=iris.api_key_scopes,
        auth_url=iris.auth_url_v2,
    )
