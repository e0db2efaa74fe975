"""What the waits that ask IRIS have in common: the request, its settings, and the client that many of them share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit import connection
from airflow_provider_trackunit.hooks.lending import lent_client, loaded
from airflow_provider_trackunit.settings import DEFAULTS, CallSettings, given_settings
from airflow_provider_trackunit.triggers.timing import IrisWait

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from airflow_provider_trackunit.iris.aio import AsyncIrisClient

#: A trigger that fires a few seconds after its task was deferred meets a race in Airflow's scheduler (3.0 to 3.3).
LEAST_POLL_INTERVAL_S: Final = 10.0

# A client that many triggers share sleeps short waits only; longer ones are the trigger's own, which has a deadline.
_MAX_WAIT_S: Final = 10.0

# A poll that failed twice can wait for the next one.
_ATTEMPTS: Final = 2


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


def connected(trackunit_conn_id: str, given: CallSettings) -> AbstractAsyncContextManager[AsyncIrisClient]:
    """Lend the client of a connection, which is read with one await.

    :param given: the settings that win over those of the connection
    :raises UnreadableConnectionError: when Airflow does not give the connection
    :raises IrisConfigurationError: when it is incomplete or contradictory
    """
    return lent_client(trackunit_conn_id, lambda stored: _in_force(given.over(stored)))


def _in_force(said: CallSettings) -> CallSettings:
    short = CallSettings(max_attempts=_ATTEMPTS, max_wait_s=_MAX_WAIT_S)
    in_force = said.over(short).over(DEFAULTS)
    return CallSettings(
        in_force.timeout_s, in_force.max_attempts, min(in_force.max_wait_s or 0.0, _MAX_WAIT_S)
    )


async def load_client() -> None:
    """Import what talks HTTP, and what looks into its answers, while the loop goes on."""
    package = f"{connection.__package__}.iris"
    await loaded(f"{package}.sharing", f"{package}.watch.conditions", f"{package}.watch.watermark")
