"""The hook for an event loop: what an async task uses, and a trigger of your own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self, Unpack

from airflow_provider_trackunit import connection
from airflow_provider_trackunit._compat import BaseHook, mask_secrets_in_loop
from airflow_provider_trackunit.hooks import form
from airflow_provider_trackunit.hooks.lending import lent_client, loaded, stored_in_loop
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.settings import DEFAULTS, CallSettings, given_settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from airflow_provider_trackunit.iris.aio import AsyncIrisClient
    from airflow_provider_trackunit.iris.http.exchange import RequestArguments
    from airflow_provider_trackunit.iris.pages.page import Cursor, Page


class IrisAsyncHook(BaseHook):
    """Calls Trackunit IRIS on an event loop, with the credentials of an Airflow connection.

    For async tasks (Airflow 3.2 and later) and for triggers of your own. The methods are those of
    :class:`~.blocking.IrisHook`, awaited; what is sent, repeated, paced and refused is the same. The connection is read at
    the first use, with one await, as a trigger may read it.

    All hooks of one connection and the same settings on a loop share one HTTP session and one token, the triggers of this
    provider with them. Use it as an async context manager, or close it: the last to leave closes the session.

    :param trackunit_conn_id: the connection
    :param timeout_s: longest time for one answer, in seconds; None for what the connection says, else 60
    :param max_attempts: how often one request is sent at the most, the first time included; None likewise, else 4. A
        metered URL is never sent more than twice
    :param max_wait_s: a wait longer than this, for a limit of the API or a retry, is not slept: it is raised
        as an error that carries ``retry_after``; None likewise, else 120
    :raises IrisConfigurationError: when one of the numbers cannot be
    """

    conn_name_attr = "trackunit_conn_id"
    default_conn_name = connection.DEFAULT_CONN_ID
    conn_type = connection.CONN_TYPE
    hook_name = connection.HOOK_NAME

    def __init__(
        self,
        trackunit_conn_id: str = default_conn_name,
        *,
        timeout_s: float | None = None,
        max_attempts: int | None = None,
        max_wait_s: float | None = None,
    ) -> None:
        super().__init__()
        self.trackunit_conn_id = trackunit_conn_id
        self._given = given_settings(timeout_s=timeout_s, max_attempts=max_attempts, max_wait_s=max_wait_s)
        self._begin_on(None)

    def _begin_on(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop
        self._opening = asyncio.Lock()
        self._lent = AsyncExitStack()
        self._client: AsyncIrisClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the client back. The hook can be used again; it then reads its connection anew."""
        lent = self._lent
        self._begin_on(None)
        await lent.aclose()

    async def get_conn(self) -> AsyncIrisClient:
        """Return the client of this hook: authenticated, paced and retried; always the same one on one loop.

        :raises UnreadableConnectionError: when Airflow does not give the connection; transient, because it says the same
            of one that does not exist and of one that it cannot get now
        :raises IrisConfigurationError: when the connection is incomplete or contradictory
        :raises IrisTokenError: when the token endpoint refuses the credentials
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # What another loop had, such as that of an earlier asyncio.run, ended with it.
            self._begin_on(loop)
        async with self._opening:
            if self._client is None:
                self._client = await self._new_client()
            return self._client

    async def _new_client(self) -> AsyncIrisClient:
        client = await self._lent.enter_async_context(lent_client(self.trackunit_conn_id, self._in_force))
        try:
            with connection.errors_name(self.trackunit_conn_id):
                token = await client.authenticate()
            await mask_secrets_in_loop(token.value)
        except BaseException:
            await self._lent.aclose()
            raise
        return client

    def _in_force(self, stored: CallSettings) -> CallSettings:
        return self._given.over(stored).over(DEFAULTS)

    async def run(self, endpoint: str, **request: Unpack[RequestArguments]) -> Any:
        """Return the decoded JSON of one answer; None when it has no body (204).

        The arguments are those of :meth:`~.blocking.IrisHook.run`.

        :raises IrisError: one of the tree in ``airflow_provider_trackunit.iris.errors``
        """
        with connection.errors_name(self.trackunit_conn_id):
            return await (await self.get_conn()).run(endpoint, **request)

    async def pages(
        self,
        endpoint: str,
        *,
        cursor: Cursor | None = None,
        max_concurrency: int = 1,
        **request: Unpack[RequestArguments],
    ) -> AsyncGenerator[Page]:
        """Yield every page of a collection, in order, each with the cursor of the one that follows it.

        The arguments are those of :meth:`run`, and:

        :param cursor: where to go on, as an earlier page's ``next`` said; None for the beginning
        :param max_concurrency: how many pages may be on the way at once, where IRIS says how many there are
        """
        with connection.errors_name(self.trackunit_conn_id):
            client = await self.get_conn()
            pages = client.pages(endpoint, cursor=cursor, max_concurrency=max_concurrency, **request)
            try:
                async for page in pages:
                    yield page
            finally:
                await pages.aclose()

    async def first_page(self, endpoint: str, **request: Unpack[RequestArguments]) -> Page:
        """Return the first page of a collection, or the answer of any other endpoint, with one request."""
        with connection.errors_name(self.trackunit_conn_id):
            return await (await self.get_conn()).first_page(endpoint, **request)

    async def records(self, endpoint: str, **arguments: Any) -> AsyncIterator[Any]:
        """Yield every record of a collection, decoded, one page in memory at a time.

        The arguments are those of :meth:`pages`.
        """
        async for page in self.pages(endpoint, **arguments):
            for record in page.records:
                yield record

    async def test_connection(self) -> tuple[bool, str]:
        """Return whether the credentials work, and what was granted or what failed; within 15 seconds.

        It obtains a token and reads one asset.
        """
        await loaded(f"{connection.__package__}.iris.aio")
        from airflow_provider_trackunit.iris.aio import AsyncIrisClient

        try:
            stored = await stored_in_loop(self.trackunit_conn_id)
            client = AsyncIrisClient(
                stored.credentials, stored.base_url, ca_bundle=stored.ca_bundle, **form.LIMITS
            )
            async with client:
                token = await client.authenticate()
                await mask_secrets_in_loop(token.value)
                try:
                    answer = await client.run(form.ENDPOINT, query_params=form.QUERY)
                    works, said = True, form.seen(answer)
                except IrisError as error:
                    works, said = form.refused(error, client.credentials)
        except IrisError as error:
            return False, str(error)
        return works, f"{form.granted(token)} {said}"
