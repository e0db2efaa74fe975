"""Who uses the same settings on one event loop shares one client, and nobody else does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.http.tokens import Credentials
from airflow_provider_trackunit.iris.sharing import shared_client

USER = Credentials("client", "s3cret", username="user", password="p4ss")
BASE_URL = "https://iris.trackunit.com"
MINE: dict[str, Any] = {"credentials": USER, "base_url": BASE_URL, "timeout_s": 60.0, "max_attempts": 4}


async def lent(*settings: dict[str, Any]) -> list[int]:
    """Return which client each of these gets while all of them are in use, as a number."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(shared_client(**one)) for one in settings]
        return [clients.index(one) for one in clients]


def test_the_same_settings_share_one_client_in_whatever_order_they_are_given() -> None:
    assert asyncio.run(lent(MINE, dict(reversed(MINE.items())), MINE)) == [0, 0, 0]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"credentials": replace(USER, client_secret="other")}, id="another secret"),
        pytest.param({"credentials": replace(USER, password="other")}, id="another password"),
        pytest.param({"base_url": "https://iris.example.com"}, id="another IRIS"),
        pytest.param({"timeout_s": 61.0}, id="another timeout"),
        pytest.param({"max_wait_s": 1.0}, id="one option more"),
    ],
)
def test_other_settings_get_a_client_of_their_own(other: dict[str, Any]) -> None:
    assert asyncio.run(lent(MINE, {**MINE, **other}, MINE)) == [0, 1, 0]


def test_when_the_last_has_left_the_next_gets_a_new_client() -> None:
    async def main() -> list[bool]:
        async with shared_client(**MINE) as first, shared_client(**MINE) as second:
            pass
        async with shared_client(**MINE) as third:
            return [second is first, third is first]

    assert asyncio.run(main()) == [True, False]


def test_event_loops_do_not_share() -> None:
    async def one() -> Any:
        async with shared_client(**MINE) as client:
            return client

    assert asyncio.run(one()) is not asyncio.run(one())


def test_settings_that_cannot_work_are_refused_and_leave_nothing_behind() -> None:
    async def main() -> None:
        for _ in range(2):
            with pytest.raises(IrisConfigurationError, match="Base URL"):
                async with shared_client(**{**MINE, "base_url": "http://iris.example.com"}):
                    pass
        assert await lent(MINE) == [0]

    asyncio.run(main())
