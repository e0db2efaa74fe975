"""The client for an event loop: sends, sleeps and waits. What to send, and when, ``http.exchange`` says.

One client has one HTTP session and one token, for all coroutines of one loop. It brings aiohttp, whose import costs a
quarter of a second, so import this one late, and not on a running loop.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack

from airflow_provider_trackunit.iris.calls import BASE_URL
from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisError
from airflow_provider_trackunit.iris.http.exchange import ClientCore, RequestArguments
from airflow_provider_trackunit.iris.http.forks import renew_after_fork
from airflow_provider_trackunit.iris.http.steps import Send, Sleep, Step
from airflow_provider_trackunit.iris.http.transports.on_loop import LoopConnections, outcome_on_loop
from airflow_provider_trackunit.iris.http.transports.trouble import closed_meanwhile
from airflow_provider_trackunit.iris.http.wire import decode
from airflow_provider_trackunit.iris.pages.delivery import Delivery
from airflow_provider_trackunit.iris.pages.fetching import deliver_on_loop
from airflow_provider_trackunit.iris.pages.styles import paginator
from airflow_provider_trackunit.iris.pages.walk import Errand

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator

    from airflow_provider_trackunit.iris.http.tokens import Credentials, Token
    from airflow_provider_trackunit.iris.http.wire import Request, Response
    from airflow_provider_trackunit.iris.pages.page import Cursor, Page

_T = TypeVar("_T")

_of_the_parent: Final[list[LoopConnections]] = []


class AsyncIrisClient(ClientCore):
    """Calls IRIS: authenticated, paced, retried and paged. The methods are those of :class:`~.client.IrisClient`.

    The arguments are those of :class:`~.http.exchange.ClientCore`, and:

    :param sleep: how to wait; for tests
    """

    def __init__(
        self,
        credentials: Credentials,
        base_url: str = BASE_URL,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        **limits: Any,
    ) -> None:
        super().__init__(credentials, base_url, clock=clock, chance=chance, **limits)
        self._sleep = sleep
        self._loop: asyncio.AbstractEventLoop | None = None
        self._renewing: asyncio.Task[Token] | None = None
        self._connections = LoopConnections(self._ca_bundle)
        renew_after_fork(self)

    def renew(self) -> None:
        """Begin again in a child process: with connections and locks of its own, and the token of the parent."""
        super().renew()
        # Kept, never closed: to close them would take them out of the parent's event loop, whose file the child shares.
        _of_the_parent.append(self._connections)
        self._connections, self._loop = LoopConnections(self._ca_bundle), None

    async def _be_on_this_loop(self) -> None:
        """Begin again where another event loop has ended; its connections ended with it.

        :raises IrisConfigurationError: when the other one still runs
        """
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return
        self._refuse_while_on_another(loop)
        ended, self._connections = self._connections, LoopConnections(self._ca_bundle)
        self._loop, self._renewing = loop, None
        await ended.close()

    def _refuse_while_on_another(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None and self._loop is not loop and not self._loop.is_closed():
            raise IrisConfigurationError(
                "This client belongs to another event loop, which is not closed: its connections and locks work "
                "there alone. Make a client for each loop, or share one with shared_client"
            )

    async def __aenter__(self) -> AsyncIrisClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, which ends what is under way. The client can be used again; it then opens new ones.

        :raises IrisConfigurationError: when it belongs to another event loop, which is not closed
        """
        self._refuse_while_on_another(asyncio.get_running_loop())
        # All of it before the first await: whoever comes meanwhile begins anew.
        connections, self._connections = self._connections, LoopConnections(self._ca_bundle)
        loop, self._loop = self._loop, None
        renewing, self._renewing = self._renewing, None
        await connections.close()
        if renewing is not None and loop is asyncio.get_running_loop():
            await asyncio.wait([renewing])

    async def run(self, endpoint: str, **request: Unpack[RequestArguments]) -> Any:
        """Return the decoded JSON of one answer; None when it has no body (204).

        :raises IrisError: as the tree in ``errors`` says
        """
        call, row = self._call(endpoint, **request)
        return decode(call, await self._drive(self._answer(call, row)))

    async def first_page(self, endpoint: str, **request: Unpack[RequestArguments]) -> Page:
        """Return the first page of a collection, or the answer of any other endpoint, with one request."""
        call, row = self._call(endpoint, **request)
        return await self.run_errand(Errand(0, call, row, paginator(row.paging).start(call)))

    def pages(
        self,
        endpoint: str,
        *,
        cursor: Cursor | None = None,
        max_concurrency: int = 1,
        **request: Unpack[RequestArguments],
    ) -> AsyncGenerator[Page, None]:
        """Return every page of an endpoint, in order, each with the cursor of the one that follows it.

        :param cursor: where to begin, as a former page's ``next`` said; None for the beginning
        :param max_concurrency: how many pages may be on the way at once, where the number of pages is known
        :raises IrisConfigurationError: at once, when an argument is unusable; other errors when their page is due
        """
        call, _ = self._call(endpoint, **request)
        return deliver_on_loop(self.run_errand, Delivery(call, cursor, max(1, max_concurrency)))

    async def records(self, endpoint: str, **arguments: Any) -> AsyncIterator[Any]:
        """Yield every record of an endpoint, decoded; the arguments are those of :meth:`pages`."""
        async for page in self.pages(endpoint, **arguments):
            for record in page.records:
                yield record

    async def authenticate(self) -> Token:
        """Return the current token, or a new one, asked for as often as the retry rules allow.

        :raises IrisTokenError: when the token endpoint refuses
        """
        return await self._drive(self._authentication())

    async def run_errand(self, errand: Errand) -> Page:
        """Return the one page that an errand names."""
        style = paginator(errand.row.paging)
        call = style.apply(errand.call, errand.cursor)
        answer = await self._drive(self._answer(call, errand.row))
        return style.read(call, errand.cursor, answer.body)

    async def _drive(self, steps: Generator[Step, Any, _T]) -> _T:
        """Do what the steps say, and return what they come to."""
        await self._be_on_this_loop()
        return await self._drive_on(self._connections, steps)

    async def _drive_on(self, connections: LoopConnections, steps: Generator[Step, Any, _T]) -> _T:
        try:
            step = next(steps)
            while True:
                try:
                    outcome = await self._do(step, connections)
                except IrisError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as end:
            result: _T = end.value
            return result
        finally:
            steps.close()  # whoever is cancelled gives its turn back

    async def _do(self, step: Step, connections: LoopConnections) -> Any:
        """Do one step of a request.

        :param connections: those that were open when it began. Once they are closed it goes no further: it would open new
            ones, and nobody would close those
        """
        if isinstance(step, Sleep):
            pause = step.seconds
            return await connections.until_closed(lambda: self._sleep(pause), "A request", sent=False)
        if isinstance(step, Send):
            request = step.request
            return await connections.until_closed(
                lambda: self._send(request, connections), request.label, sent=True
            )
        return self._tokens.usable() or await connections.until_closed(
            lambda: self._new_token(connections), "A request for a token", sent=False
        )

    async def _new_token(self, connections: LoopConnections) -> Token:
        """Return a new token; one request for it however many coroutines ask.

        They share its failure as well: a thousand waiting triggers must not each try a secret that was refused.
        """
        # One that is over may still be here: what a signal's handler raised kept it from being taken away.
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._drive_on(connections, self._renewal()))
            self._renewing.add_done_callback(self._renewed)
        renewing = self._renewing
        # One that is cancelled must not take the others' token with it. Not asyncio.shield: that of newer Pythons
        # complains about a renewal that fails when somebody has left who waited for it.
        await asyncio.wait([renewing])
        return renewing.result()

    def _renewed(self, task: asyncio.Task[Token]) -> None:
        if self._renewing is task:
            self._renewing = None
        if not task.cancelled():
            task.exception()  # asyncio complains about an exception that nobody looked at

    async def _send(self, request: Request, connections: LoopConnections) -> Response:
        """Return the answer to one request, complete; every way not to get one is an IrisNoAnswerError."""
        proxy = self._proxy_of(request)
        async with connections.lend(request) as lent:
            left_s, ends_at = self._begin(request)
            outcome = await outcome_on_loop(
                lent, request, left_s=left_s, ends_at=ends_at, clock=self._clock, proxy=proxy
            )
        if isinstance(outcome, IrisError):
            raise closed_meanwhile(request.label, sent=outcome.sent) if connections.is_closed else outcome
        return outcome
