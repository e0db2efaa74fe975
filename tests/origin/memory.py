"""``python -m tests.origin.memory``: how much memory a client comes to need while a server tries to fill it.

Reads one JSON object from standard input, writes one to standard output; a process of its own, because the
highest use of a process never goes down again.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.iris.aio import AsyncIrisClient
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.iris.http.tokens import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable

ENDPOINT = "/api/asset/v1/assets"
TIMEOUT_S = 30.0


def peak_mib() -> float:
    """Return the highest use of this process so far; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def by_threads(client_of: dict[str, Any]) -> None:
    with IrisClient(**client_of) as client:
        client.run(ENDPOINT)


def by_loop(client_of: dict[str, Any]) -> None:
    async def main() -> None:
        async with AsyncIrisClient(**client_of) as client:
            await client.run(ENDPOINT)

    asyncio.run(main())


def outcome(ask: Callable[[dict[str, Any]], None], client_of: dict[str, Any]) -> dict[str, Any]:
    before, begun = peak_mib(), time.monotonic()
    try:
        ask(client_of)
    except IrisError as error:
        said = f"{type(error).__name__}: {error}"
    else:
        said = "nothing"
    return {"said": said, "grown_mib": peak_mib() - before, "seconds": time.monotonic() - begun}


def main() -> None:
    """Ask once, in the way and with the settings of the input."""
    given = json.load(sys.stdin)
    client_of = {
        "credentials": Credentials(**given["credentials"]),
        "base_url": given["url"],
        "max_attempts": 1,
        "timeout_s": TIMEOUT_S,
    }
    sys.stdout.write(json.dumps(outcome(by_loop if given["loop"] else by_threads, client_of)))


if __name__ == "__main__":
    main()
