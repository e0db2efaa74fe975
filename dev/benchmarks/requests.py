"""What one request costs, and how near many of them come to what the network allows.

Side by side with ``requests`` and with ``aiohttp`` as a specialist would write it by hand: no token, no retries, no
limits, no paging, no checks. ``make bench`` prints the tables as Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import aiohttp
import orjson
import requests

from airflow_provider_trackunit.iris.aio import AsyncIrisClient
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.http.tokens import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ASSETS = "/api/asset/v1/assets"
MACHINE = "/public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}"
CPU_REQUESTS = 500
PAGES, PAGE = 1000, 100
MACHINES = 500
LATENCY_MS = 50


@contextmanager
def stub(records: int, size: int, latency_ms: float) -> Iterator[str]:
    """Yield the URL of a stub server in a process of its own."""
    command = [
        *(sys.executable, "-m", "dev.benchmarks.stub"),
        *(f"--records={records}", f"--size={size}", f"--latency-ms={latency_ms}"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None  # noqa: S101 (asked for above)
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def credentials_for(url: str) -> Credentials:
    """Return what the stub takes for an account."""
    return Credentials("client", "secret", "user", "password", auth_url=f"{url}/token")


# --- CPU of one request ---------------------------------------------------------------------------------


def cpu_of_client(url: str) -> None:
    """Ask with the client for threads."""
    with IrisClient(credentials_for(url), url) as client:
        for number in range(CPU_REQUESTS):
            client.run(ASSETS, query_params={"page": number, "size": 1})


def cpu_of_async_client(url: str) -> None:
    """Ask with the client for an event loop."""

    async def main() -> None:
        async with AsyncIrisClient(credentials_for(url), url) as client:
            for number in range(CPU_REQUESTS):
                await client.run(ASSETS, query_params={"page": number, "size": 1})

    asyncio.run(main())


def cpu_of_requests(url: str) -> None:
    """Ask with a session of requests."""
    with requests.Session() as session:
        for number in range(CPU_REQUESTS):
            session.get(f"{url}{ASSETS}", params={"page": number, "size": 1}, timeout=60).json()


def cpu_of_aiohttp(url: str) -> None:
    """Ask with a session of aiohttp."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            for number in range(CPU_REQUESTS):
                async with session.get(f"{url}{ASSETS}", params={"page": number, "size": 1}) as answer:
                    orjson.loads(await answer.read())

    asyncio.run(main())


def cpu(rounds: int) -> None:
    """Print the CPU of one request in each client."""
    contenders: dict[str, Callable[[str], None]] = {
        "IrisClient": cpu_of_client,
        "requests": cpu_of_requests,
        "AsyncIrisClient": cpu_of_async_client,
        "aiohttp by hand": cpu_of_aiohttp,
    }
    print(f"\nCPU of one request in this process, least of {rounds} rounds of {CPU_REQUESTS}\n")
    print("| | ms |\n|---|---:|")
    with stub(CPU_REQUESTS, 1, 0) as url:
        for name, ask in contenders.items():
            seconds = []
            for _ in range(rounds):
                began = time.process_time()
                ask(url)
                seconds.append(time.process_time() - began)
            print(f"| {name} | {min(seconds) / CPU_REQUESTS * 1000:.2f} |", flush=True)


# --- many requests at once ------------------------------------------------------------------------------


def walk_of_client(url: str, at_once: int) -> int:
    """Return how many records the walk of the client for threads brings, as they were received."""
    with IrisClient(credentials_for(url), url) as client:
        pages = client.pages(ASSETS, query_params={"size": PAGE}, max_concurrency=at_once)
        return sum(len(page.raw_records) for page in pages)


def walk_of_async_client(url: str, at_once: int) -> int:
    """Return the same of the client for an event loop."""

    async def main() -> int:
        async with AsyncIrisClient(credentials_for(url), url) as client:
            pages = client.pages(ASSETS, query_params={"size": PAGE}, max_concurrency=at_once)
            return sum([len(page.raw_records) async for page in pages])

    return asyncio.run(main())


def walk_of_aiohttp(url: str, at_once: int) -> int:
    """Return the same of a loop with a semaphore."""

    async def main() -> int:
        slots = asyncio.Semaphore(at_once)
        async with aiohttp.ClientSession() as session:

            async def fetch(page: int) -> int:
                parameters = {"page": page, "size": PAGE}
                async with slots, session.get(f"{url}{ASSETS}", params=parameters) as answer:
                    return len(orjson.loads(await answer.read())["content"])

            return sum(await asyncio.gather(*(fetch(page) for page in range(PAGES))))

    return asyncio.run(main())


def machines_of_client(url: str, at_once: int) -> int:
    """Return how many machines the client for threads reads one by one."""
    with (
        IrisClient(credentials_for(url), url) as client,
        ThreadPoolExecutor(at_once) as pool,
    ):
        client.authenticate()
        return len(list(pool.map(lambda pin: client.run(MACHINE, path_params={"pin": pin}), range(MACHINES))))


def machines_of_async_client(url: str, at_once: int) -> int:
    """Return the same of the client for an event loop."""

    async def main() -> int:
        slots = asyncio.Semaphore(at_once)
        async with AsyncIrisClient(credentials_for(url), url) as client:

            async def fetch(pin: int) -> object:
                async with slots:
                    return await client.run(MACHINE, path_params={"pin": pin})

            return len(await asyncio.gather(*(fetch(pin) for pin in range(MACHINES))))

    return asyncio.run(main())


def machines_of_aiohttp(url: str, at_once: int) -> int:
    """Return the same of a loop with a semaphore."""

    async def main() -> int:
        slots = asyncio.Semaphore(at_once)
        async with aiohttp.ClientSession() as session:

            async def fetch(pin: int) -> object:
                async with slots, session.get(url + MACHINE.format(pin=pin)) as answer:
                    return orjson.loads(await answer.read())

            return len(await asyncio.gather(*(fetch(pin) for pin in range(MACHINES))))

    return asyncio.run(main())


Contender = tuple[str, "Callable[[str, int], int]"]


def side_by_side(title: str, requests_made: int, size: int, contenders: list[Contender], rounds: int) -> None:
    """Print medians for several numbers of requests at once; the contenders take turns in every round."""
    print(f"\n{title}, {LATENCY_MS} ms latency, median of {rounds} rounds\n")
    print("| at once | latency allows | " + " | ".join(name for name, _ in contenders) + " |")
    print("|---:|---:|" + "---:|" * len(contenders))
    with stub(requests_made * size, size, LATENCY_MS) as url:
        for at_once in (4, 8, 16, 32):
            seconds: dict[str, list[float]] = {name: [] for name, _ in contenders}
            for _ in range(rounds):
                for name, run in contenders:
                    began = time.perf_counter()
                    run(url, at_once)
                    seconds[name].append(time.perf_counter() - began)
            allowed = requests_made / at_once * LATENCY_MS / 1000
            shown = " | ".join(f"{statistics.median(one):.2f} s" for one in seconds.values())
            print(f"| {at_once} | {allowed:.2f} s | {shown} |", flush=True)


def main() -> None:
    """Run everything, or the parts that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("parts", nargs="*", default=["cpu", "pages", "machines"])
    options = parser.parse_args()
    walks: list[Contender] = [
        ("IrisClient", walk_of_client),
        ("AsyncIrisClient", walk_of_async_client),
        ("aiohttp by hand", walk_of_aiohttp),
    ]
    machines: list[Contender] = [
        ("IrisClient", machines_of_client),
        ("AsyncIrisClient", machines_of_async_client),
        ("aiohttp by hand", machines_of_aiohttp),
    ]
    parts = {
        "cpu": lambda: cpu(options.rounds),
        "pages": lambda: side_by_side(f"{PAGES} pages of {PAGE} assets", PAGES, PAGE, walks, options.rounds),
        "machines": lambda: side_by_side(
            f"{MACHINES} machines one by one", MACHINES, 1, machines, options.rounds
        ),
    }
    for name in options.parts:
        parts[name]()


if __name__ == "__main__":
    main()
