"""What the waits that ask IRIS have in common: the request, its settings, and the client that many of them share."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit import connection
from airflow_provider_trackunit._compat import connection_in_loop, mask_secrets_in_loop
from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisError
from airflow_provider_trackunit.iris.secrecy import spellings
from airflow_provider_trackunit.settings import DEFAULTS, CallSettings, given_settings
from airflow_provider_trackunit.triggers.timing import IrisWait

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from airflow_provider_trackunit.iris.aio import AsyncIrisClient
    from airflow_provider_trackunit.iris.watch.patience import Patience

#: A trigger that fires a few seconds after its task was deferred meets a race in Airflow's scheduler (3.0 to 3.3).
LEAST_POLL_INTERVAL_S: Final = 10.0

# A client that many triggers share sleeps short waits only; longer ones are the trigger's own, which has a deadline.
_MAX_WAIT_S: Final = 10.0

# A poll that failed twice can wait for the next one.
_ATTEMPTS: Final = 2


class UnreadableConnectionError(IrisError):
    """Airflow did not give the connection. It says the same of one that does not exist and of one it cannot get now."""

    transient = True


class PollingTrigger(IrisWait):
    """A wait that sends one request again and again.

    :param endpoint: a path, with or without placeholders
    :param method: the HTTP method
    :param path_params: a value for each placeholder
    :param query_params: the query
    :param json: the body
    :param headers: extra headers
    :param trackunit_conn_id: the connection
    :param timeout_s: longest time for one answer, in seconds; None for what the connection says, else 60
    :param max_attempts: how often one request of a poll is sent at the most; None likewise, else 2
    :param max_wait_s: the longest wait within a poll, in seconds; never more than 10. Longer ones are waited out between
        the polls
    :param poll_interval_s: seconds from poll to poll, at least 10
    """

    def __init__(
        self,
        *,
        endpoint: str,
        method: str = "GET",
        path_params: Mapping[str, Any] | None = None,
        query_params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, Any] | None = None,
        trackunit_conn_id: str = connection.DEFAULT_CONN_ID,
        timeout_s: float | None = None,
        max_attempts: int | None = None,
        max_wait_s: float | None = None,
        poll_interval_s: float = 60.0,
    ) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.request: dict[str, Any] = {
            "method": method,
            "path_params": path_params,
            "query_params": query_params,
            "json": json,
            "headers": headers,
        }
        self.trackunit_conn_id = trackunit_conn_id
        self.call_settings = given_settings(
            timeout_s=timeout_s, max_attempts=max_attempts, max_wait_s=max_wait_s
        )
        self.poll_interval_s = max(LEAST_POLL_INTERVAL_S, poll_interval_s)

    def _arguments(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            **self.request,
            "trackunit_conn_id": self.trackunit_conn_id,
            **self.call_settings.arguments(),
            "poll_interval_s": self.poll_interval_s,
        }

    def _survive_unreadable(self, error: UnreadableConnectionError, patience: Patience) -> None:
        """Let it pass that the connection cannot be read, for a while.

        :raises IrisConfigurationError: when it lasts: then there is most likely no such connection
        """
        try:
            patience.survive(error)
        except UnreadableConnectionError:
            raise IrisConfigurationError(str(error)) from None


@asynccontextmanager
async def connected(trackunit_conn_id: str, given: CallSettings) -> AsyncGenerator[AsyncIrisClient]:
    """Lend the client of a connection, which is read with one await.

    :param given: the settings that win over those of the connection
    :raises UnreadableConnectionError: when Airflow does not give the connection
    :raises IrisConfigurationError: when it is incomplete or contradictory
    """
    await load_client()
    from airflow_provider_trackunit.iris.sharing import shared_client

    with connection.errors_name(trackunit_conn_id):
        settings = await _read(trackunit_conn_id)
        await mask_secrets_in_loop(*spellings(settings.credentials.secrets))
        async with shared_client(
            settings.credentials,
            settings.base_url,
            ca_bundle=settings.ca_bundle,
            **_in_force(given.over(settings.call)).arguments(),
        ) as client:
            yield client


def _in_force(said: CallSettings) -> CallSettings:
    short = CallSettings(max_attempts=_ATTEMPTS, max_wait_s=_MAX_WAIT_S)
    in_force = said.over(short).over(DEFAULTS)
    return CallSettings(
        in_force.timeout_s, in_force.max_attempts, min(in_force.max_wait_s or 0.0, _MAX_WAIT_S)
    )


async def _read(trackunit_conn_id: str) -> connection.ConnectionSettings:
    try:
        # Not kept in a variable: its repr shows its secrets.
        return connection.read_connection(await connection_in_loop(trackunit_conn_id))
    except IrisError:
        raise
    except Exception as error:
        raise UnreadableConnectionError(
            f"Connection {trackunit_conn_id!r} cannot be read ({type(error).__name__}: {error}). Is there one of this "
            "name, and does Airflow reach its API server and its secrets backend?"
        ) from error


# Filled once what talks HTTP is imported, so that a thousand triggers do not ask a thread for it.
_loaded: Final[list[str]] = []


async def load_client() -> None:
    """Import what talks HTTP: a quarter of a second, in which the loop must not stand still."""

    def load() -> None:
        from airflow_provider_trackunit.iris import sharing
        from airflow_provider_trackunit.iris.watch import conditions, watermark

        _loaded[:] = [conditions.__name__, sharing.__name__, watermark.__name__]

    if not _loaded:
        await asyncio.to_thread(load)
