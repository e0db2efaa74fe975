"""One client, with one session and one token, for all who use the same settings on one event loop.

A triggerer runs hundreds of waits on one loop. The first to come opens the client, the last to leave closes it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from airflow_provider_trackunit.iris.aio import AsyncIrisClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from airflow_provider_trackunit.iris.http.observing import Observer
    from airflow_provider_trackunit.iris.http.tokens import Credentials


@dataclass(slots=True)
class _Shared:
    client: AsyncIrisClient
    users: int = 0


# A loop that ended without closing its clients takes them with it.
_clients: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Shared]]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_client(
    credentials: Credentials, base_url: str, *, observer: Observer | None = None, **options: Any
) -> AsyncGenerator[AsyncIrisClient]:
    """Lend the client of these settings; the arguments are those of :class:`~.aio.AsyncIrisClient`.

    :param observer: of the client that is opened; one that is shared keeps its own
    :raises IrisConfigurationError: when an argument is unusable
    """
    of_loop = _clients.setdefault(asyncio.get_running_loop(), {})
    key = _key(credentials, base_url, options)
    if key not in of_loop:
        of_loop[key] = _Shared(AsyncIrisClient(credentials, base_url, observer=observer, **options))
    shared = of_loop[key]
    shared.users += 1
    try:
        yield shared.client
    finally:
        shared.users -= 1
        if not shared.users:
            # Taken out before the await: whoever comes meanwhile opens a new one.
            del of_loop[key]
            await shared.client.close()


def _key(credentials: Credentials, base_url: str, options: dict[str, Any]) -> str:
    """Return a name for the settings that gives no secret away."""
    text = json.dumps([*astuple(credentials), base_url, sorted(options.items())])
    return hashlib.sha256(text.encode()).hexdigest()
