"""IrisAsyncHook: the methods of IrisHook, awaited, with the same outcomes; and what a thread has to know."""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit._compat import AirflowNotFoundException
from airflow_provider_trackunit.hooks import IrisAsyncHook, IrisHook
from airflow_provider_trackunit.hooks.lending import UnreadableConnectionError
from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisError

from .masking import redacted

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.emulator import IrisEmulator

ASSETS = "/api/asset/v1/assets"
FLEET = "/public/api/aemp/v2/15143/-3/Fleet/1"

REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a collection": (ASSETS, {"query_params": {"size": 100}}),
    "links": (FLEET, {}),
    "nothing there": (f"{ASSETS}/{{assetId}}", {"path_params": {"assetId": "none"}}),
    "a wrong argument": (ASSETS, {"query_params": {"size": 5000}}),
    "a missing value": (f"{ASSETS}/{{assetId}}", {}),
    "a foreign origin": ("https://example.com/api", {}),
}


def outcome(does: Callable[[], Any]) -> Any:
    try:
        return does()
    except IrisError as error:
        return type(error), str(error)


async def read_by_async(endpoint: str, request: dict[str, Any]) -> Any:
    async with IrisAsyncHook() as hook:
        pages = [page async for page in hook.pages(endpoint, max_concurrency=3, **request)]
        return (
            await hook.run(endpoint, **request),
            [page.records for page in pages],
            [record async for record in hook.records(endpoint, **request)],
            (await hook.first_page(endpoint, **request)).records,
        )


def read_by_threads(endpoint: str, request: dict[str, Any]) -> Any:
    with IrisHook() as hook:
        pages = list(hook.pages(endpoint, max_concurrency=3, **request))
        return (
            hook.run(endpoint, **request),
            [page.records for page in pages],
            list(hook.records(endpoint, **request)),
            hook.first_page(endpoint, **request).records,
        )


@pytest.mark.parametrize("name", REQUESTS)
def test_both_hooks_bring_the_same_and_fail_in_the_same_way(iris_connection: IrisEmulator, name: str) -> None:
    endpoint, request = REQUESTS[name]
    awaited = outcome(lambda: asyncio.run(read_by_async(endpoint, request)))
    assert awaited == outcome(lambda: read_by_threads(endpoint, request))


def test_many_first_uses_at_once_come_to_one_client_and_one_token(
    iris_connection: IrisEmulator,
) -> None:
    async def read() -> None:
        async with IrisAsyncHook() as hook:
            clients = await asyncio.gather(*(hook.get_conn() for _ in range(20)))
            assert len({id(client) for client in clients}) == 1
            await asyncio.gather(*(hook.run(ASSETS, query_params={"size": 1}) for _ in range(20)))

    asyncio.run(read())
    assert iris_connection.stats()["token_requests"] == 1


def test_hooks_of_one_connection_share_a_session_until_the_last_has_left(
    iris_connection: IrisEmulator,
) -> None:
    async def read() -> None:
        async with IrisAsyncHook() as first:
            async with IrisAsyncHook() as second:
                assert await first.get_conn() is await second.get_conn()
            # The other one has left; this one still works.
            assert (await first.run(ASSETS))["totalElements"] == 250

    asyncio.run(read())
    assert iris_connection.stats()["token_requests"] == 1


def test_a_hook_can_be_used_again_after_it_was_closed_and_on_another_loop(
    iris_connection: IrisEmulator,
) -> None:
    hook = IrisAsyncHook()

    async def read() -> int:
        total: int = (await hook.run(ASSETS, query_params={"size": 1}))["totalElements"]
        return total

    async def twice() -> list[int]:
        first = await read()
        await hook.close()
        return [first, await read()]

    assert asyncio.run(twice()) == [250, 250]
    assert asyncio.run(read()) == 250


def test_a_hook_that_nobody_closed_is_closed_with_its_loop(iris_connection: IrisEmulator) -> None:
    async def read() -> None:
        await IrisAsyncHook().run(ASSETS, query_params={"size": 1})

    gc.collect()  # what other tests left is not of this one
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        asyncio.run(read())
        gc.collect()
    assert [str(one.message) for one in warned if "nclosed" in str(one.message)] == []


def test_the_settings_are_those_of_the_connection_unless_they_are_given(
    iris_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = json.loads(iris_emulator.connection_json())
    stored["extra"] |= {"max_attempts": 2}
    monkeypatch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", json.dumps(stored))

    async def asked(**settings: Any) -> int:
        iris_emulator.fault(path="/sites", kind="status", status=408, times=None)
        before = len(iris_emulator.requests("/sites"))
        async with IrisAsyncHook(**settings) as hook:
            with pytest.raises(IrisError):
                await hook.run("/api/site/v1/sites")
        return len(iris_emulator.requests("/sites")) - before

    assert asyncio.run(asked()) == 2
    assert asyncio.run(asked(max_attempts=1)) == 1
    with pytest.raises(IrisConfigurationError, match="max_attempts"):
        IrisAsyncHook(max_attempts=0)


@pytest.mark.parametrize("secret", ["", "wrong-secret"], ids=["good", "a wrong secret"])
def test_both_hooks_say_the_same_of_a_connection_that_is_tested(
    iris_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    stored = json.loads(iris_emulator.connection_json())
    stored["extra"]["client_secret"] = secret or stored["extra"]["client_secret"]
    monkeypatch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", json.dumps(stored))
    said = asyncio.run(IrisAsyncHook().test_connection())
    assert said == IrisHook().test_connection()
    assert said[0] is not bool(secret)


def test_secrets_and_the_token_are_known_to_the_masker_once_the_client_is_there(
    iris_connection: IrisEmulator,
) -> None:
    async def token() -> str:
        async with IrisAsyncHook() as hook:
            return (await (await hook.get_conn()).authenticate()).value

    line = f"{iris_connection.client_secret} {iris_connection.password} {asyncio.run(token())}"
    assert redacted(line) == "*** *** ***"


def test_a_connection_that_airflow_does_not_give_is_a_passing_failure_that_names_it() -> None:
    with pytest.raises(UnreadableConnectionError, match="'there_is_none' cannot be read") as raised:
        asyncio.run(IrisAsyncHook("there_is_none").run(ASSETS))
    assert raised.value.transient


def test_a_first_use_in_another_thread_that_finds_no_connection_says_what_to_do() -> None:
    with ThreadPoolExecutor(1) as threads:
        elsewhere = threads.submit(IrisHook("there_is_none").run, ASSETS).exception()
    assert isinstance(elsewhere, AirflowNotFoundException)
    assert "hook.get_conn() there first, or use IrisAsyncHook" in str(elsewhere)
    with pytest.raises(AirflowNotFoundException) as here:
        IrisHook("there_is_none").run(ASSETS)
    assert "IrisAsyncHook" not in str(here.value)
