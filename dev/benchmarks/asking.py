"""The ways to ask that ``requests`` compares: one request after the other, many pages, many machines.

Those by hand are as a specialist would write them: no token, no retries, no limits, no checks.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from dev.benchmarks.measuring import run_named

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    import aiohttp
    import requests

    from dev.benchmarks.measuring import Contender

ASSETS = "/api/asset/v1/assets"
MACHINE = "/public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}"
REQUESTS = 500
PAGES, PAGE = 1000, 100
MACHINES = 500


# --- this provider ------------------------------------------------------------------------------------------


def _client() -> Any:
    """Return the client for threads, whose connection has been read."""
    from airflow_provider_trackunit.hooks import IrisHook

    return IrisHook().get_conn()


def _async_client(url: str) -> Any:
    """Return the client for an event loop."""
    from airflow_provider_trackunit.iris.aio import AsyncIrisClient

    return AsyncIrisClient(_client().credentials, url)


def client_one_by_one(_url: str, _folder: str, _at_once: int) -> Callable[[], int]:
    """Ask with the client for threads."""
    client = _client()
    client.run(ASSETS, query_params={"page": 0, "size": 1})

    def run() -> int:
        for number in range(REQUESTS):
            client.run(ASSETS, query_params={"page": number, "size": 1})
        return REQUESTS

    return run


def async_client_one_by_one(url: str, _folder: str, _at_once: int) -> Callable[[], int]:
    """Ask with the client for an event loop."""
    client = _async_client(url)

    async def main() -> int:
        async with client:
            for number in range(REQUESTS):
                await client.run(ASSETS, query_params={"page": number, "size": 1})
        return REQUESTS

    return lambda: asyncio.run(main())


def client_pages(_url: str, _folder: str, at_once: int) -> Callable[[], int]:
    """Walk with the client for threads; the records stay as they were received."""
    client = _client()

    def run() -> int:
        pages = client.pages(ASSETS, query_params={"size": PAGE}, max_concurrency=at_once)
        return sum(len(page.raw_records) for page in pages)

    return run


def async_client_pages(url: str, _folder: str, at_once: int) -> Callable[[], int]:
    """Walk with the client for an event loop."""
    client = _async_client(url)

    async def main() -> int:
        async with client:
            pages = client.pages(ASSETS, query_params={"size": PAGE}, max_concurrency=at_once)
            return sum([len(page.raw_records) async for page in pages])

    return lambda: asyncio.run(main())


def client_machines(_url: str, _folder: str, at_once: int) -> Callable[[], int]:
    """Read machines with the client for threads."""
    client = _client()

    def run() -> int:
        with ThreadPoolExecutor(at_once) as pool:
            return len(
                list(pool.map(lambda pin: client.run(MACHINE, path_params={"pin": pin}), range(MACHINES)))
            )

    return run


def async_client_machines(url: str, _folder: str, at_once: int) -> Callable[[], int]:
    """Read machines with the client for an event loop."""
    client = _async_client(url)

    async def main() -> int:
        async with client:
            return len(
                await _gather(
                    at_once, (client.run(MACHINE, path_params={"pin": pin}) for pin in range(MACHINES))
                )
            )

    return lambda: asyncio.run(main())


async def _gather(at_once: int, asked: Iterable[Awaitable[Any]]) -> list[Any]:
    slots = asyncio.Semaphore(at_once)

    async def one(awaitable: Awaitable[Any]) -> Any:
        async with slots:
            return await awaitable

    return await asyncio.gather(*(one(awaitable) for awaitable in asked))


# --- requests by hand ---------------------------------------------------------------------------------------


def _session(at_once: int) -> requests.Session:
    """Return a session that keeps a connection for each thread."""
    import requests

    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=at_once))
    return session


def requests_one_by_one(url: str, _folder: str, at_once: int) -> Callable[[], int]:
    """Ask with a session of requests."""
    session = _session(at_once)

    def run() -> int:
        for number in range(REQUESTS):
            session.get(f"{url}{ASSETS}", params={"page": number, "size": 1}, timeout=60).json()
        return REQUESTS

    return run


def requests_pages(url: str, _folder: str, at_once: int) -> Callable[[], int]:
    """Read pages with threads, whose number is known."""
    session = _session(at_once)

    def fetch(page: int) -> int:
        answer = session.get(f"{url}{ASSETS}", params={"page": page, "size": PAGE}, timeout=60)
        return len(answer.json()["content"])

    def run() -> int:
        with ThreadPoolExecutor(at_once) as pool:
            return sum(pool.map(fetch, range(PAGES)))

    return run


def requests_machines(url: str, _folder: str, at_once: int) -> Callable[[], int]:
    """Read machines with threads."""
    session = _session(at_once)

    def fetch(pin: int) -> Any:
        return session.get(url + MACHINE.format(pin=pin), timeout=60).json()

    def run() -> int:
        with ThreadPoolExecutor(at_once) as pool:
            return len(list(pool.map(fetch, range(MACHINES))))

    return run


# --- Airflow's HttpOperator ---------------------------------------------------------------------------------


def _http_operator(**arguments: Any) -> Any:
    from airflow.providers.http.operators.http import HttpOperator

    return HttpOperator(task_id="t", method="GET", **arguments)


def _http_pages(pages: int, size: int) -> Callable[[], int]:
    def following(answer: Any) -> dict[str, Any] | None:
        page = answer.json()["number"] + 1
        return {"data": {"page": page, "size": size}} if page < pages else None

    operator = _http_operator(
        endpoint=ASSETS,
        data={"page": 0, "size": size},
        pagination_function=following,
        response_filter=lambda answers: sum(len(answer.json()["content"]) for answer in answers),
    )
    return lambda: int(operator.execute({}))


def http_operator_one_by_one(_url: str, _folder: str, _at_once: int) -> Callable[[], int]:
    """Ask with a pagination function."""
    return _http_pages(REQUESTS, 1)


def http_operator_pages(_url: str, _folder: str, _at_once: int) -> Callable[[], int]:
    """Walk with a pagination function; there is no other way, and none to have several pages on their way."""
    return _http_pages(PAGES, PAGE)


def http_operator_machines(_url: str, _folder: str, _at_once: int) -> Callable[[], int]:
    """Read machines with an operator for each, one after the other."""
    operators = [_http_operator(endpoint=MACHINE.format(pin=pin)) for pin in range(MACHINES)]
    return lambda: len([operator.execute({}) for operator in operators])


# --- aiohttp by hand ----------------------------------------------------------------------------------------


def _in_a_session(work: Callable[[aiohttp.ClientSession], Awaitable[int]]) -> Callable[[], int]:
    import aiohttp

    async def main() -> int:
        async with aiohttp.ClientSession() as session:
            return await work(session)

    return lambda: asyncio.run(main())


def aiohttp_one_by_one(url: str, _folder: str, _at_once: int) -> Callable[[], int]:
    """Ask with a session of aiohttp."""
    import orjson

    async def work(session: aiohttp.ClientSession) -> int:
        for number in range(REQUESTS):
            async with session.get(f"{url}{ASSETS}", params={"page": number, "size": 1}) as answer:
                orjson.loads(await answer.read())
        return REQUESTS

    return _in_a_session(work)


def aiohttp_pages(url: str, _folder: str, at_once: int) -> Callable[[], int]:
    """Read pages behind a semaphore, whose number is known."""
    import orjson

    async def work(session: aiohttp.ClientSession) -> int:
        async def fetch(page: int) -> int:
            async with session.get(f"{url}{ASSETS}", params={"page": page, "size": PAGE}) as answer:
                return len(orjson.loads(await answer.read())["content"])

        return sum(await _gather(at_once, (fetch(page) for page in range(PAGES))))

    return _in_a_session(work)


def aiohttp_machines(url: str, _folder: str, at_once: int) -> Callable[[], int]:
    """Read machines behind a semaphore."""
    import orjson

    async def work(session: aiohttp.ClientSession) -> int:
        async def fetch(pin: int) -> Any:
            async with session.get(url + MACHINE.format(pin=pin)) as answer:
                return orjson.loads(await answer.read())

        return len(await _gather(at_once, (fetch(pin) for pin in range(MACHINES))))

    return _in_a_session(work)


CASES: dict[str, dict[str, Contender]] = {
    "one by one": {
        "sync": client_one_by_one,
        "async": async_client_one_by_one,
        "requests": requests_one_by_one,
        "HttpOperator": http_operator_one_by_one,
        "aiohttp": aiohttp_one_by_one,
    },
    "pages": {
        "sync": client_pages,
        "async": async_client_pages,
        "requests": requests_pages,
        "HttpOperator": http_operator_pages,
        "aiohttp": aiohttp_pages,
    },
    "machines": {
        "sync": client_machines,
        "async": async_client_machines,
        "requests": requests_machines,
        "HttpOperator": http_operator_machines,
        "aiohttp": aiohttp_machines,
    },
}

if __name__ == "__main__":
    run_named(CASES)
