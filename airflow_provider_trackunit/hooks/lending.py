"""The client of a connection on an event loop: read with one await, shared by all there who use the same settings."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit import connection
from airflow_provider_trackunit._compat import connection_in_loop, mask_secrets_in_loop
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.iris.secrecy import spellings
from airflow_provider_trackunit.metrics import request_metrics

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from airflow_provider_trackunit.connection import ConnectionSettings
    from airflow_provider_trackunit.iris.aio import AsyncIrisClient
    from airflow_provider_trackunit.settings import CallSettings


class UnreadableConnectionError(IrisError):
    """Airflow did not give the connection. It says the same of one that does not exist and of one it cannot get now."""

    transient = True


@asynccontextmanager
async def lent_client(
    trackunit_conn_id: str, in_force: Callable[[CallSettings], CallSettings]
) -> AsyncGenerator[AsyncIrisClient]:
    """Lend the client of a connection.

    :param in_force: makes the settings of the client from those of the connection
    :raises UnreadableConnectionError: when Airflow does not give the connection
    :raises IrisConfigurationError: when it is incomplete or contradictory
    """
    await loaded(f"{connection.__package__}.iris.sharing")
    from airflow_provider_trackunit.iris.sharing import shared_client

    with connection.errors_name(trackunit_conn_id):
        stored = await stored_in_loop(trackunit_conn_id)
        async with shared_client(
            stored.credentials,
            stored.base_url,
            ca_bundle=stored.ca_bundle,
            observer=request_metrics(),
            **in_force(stored.call).arguments(),
        ) as client:
            yield client


async def stored_in_loop(trackunit_conn_id: str) -> ConnectionSettings:
    """Return what a connection holds; its secrets are masked before anybody can use them.

    :raises UnreadableConnectionError: when Airflow does not give the connection
    :raises IrisConfigurationError: when it is incomplete or contradictory
    """
    try:
        # Not kept in a variable: its repr shows its secrets.
        stored = connection.read_connection(await connection_in_loop(trackunit_conn_id))
    except IrisError:
        raise
    except Exception as error:
        raise UnreadableConnectionError(
            f"Connection {trackunit_conn_id!r} cannot be read ({type(error).__name__}: {error}). Is there one of this "
            "name, and does Airflow reach its API server and its secrets backend?"
        ) from error
    await mask_secrets_in_loop(*spellings(stored.credentials.secrets))
    return stored


# Filled once a module is there, so that a thousand triggers do not ask a thread for it.
_loaded: Final[set[str]] = set()


async def loaded(*modules: str) -> None:
    """Import what takes its time, such as what talks HTTP with its quarter of a second; the loop does not stand still."""
    for name in modules:
        if name not in _loaded:
            await asyncio.to_thread(import_module, name)
            _loaded.add(name)
