"""The client for threads: sends, sleeps and locks. What to send, and when, ``http.exchange`` says.

One client has one HTTP session and one token. It can be shared between threads.
"""

from __future__ import annotations

import copy
import itertools
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from airflow_provider_trackunit.iris.calls import BASE_URL
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.iris.http.exchange import ClientCore, RequestArguments
from airflow_provider_trackunit.iris.http.forks import renew_after_fork
from airflow_provider_trackunit.iris.http.steps import CancelledError, Send, Sleep, Step
from airflow_provider_trackunit.iris.http.transports.blocking import BlockingTransport
from airflow_provider_trackunit.iris.http.wire import decode
from airflow_provider_trackunit.iris.pages.delivery import Delivery
from airflow_provider_trackunit.iris.pages.fetching import deliver
from airflow_provider_trackunit.iris.pages.styles import paginator
from airflow_provider_trackunit.iris.pages.walk import Errand

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from airflow_provider_trackunit.iris.http.tokens import Credentials, Token
    from airflow_provider_trackunit.iris.http.wire import Request, Response
    from airflow_provider_trackunit.iris.pages.page import Cursor, Page

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class _Renewal:
    """One renewal of the token, for all threads that come until it is over.

    :param lock: held by the one that asks; the others wait for it, and nobody who comes later stands before them. The handler
        of a signal that comes meanwhile can be in the same thread, and asks for itself
    :param outcome: what came of it; None until then, and when the one that asked was interrupted
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    outcome: Token | IrisError | None = None


class IrisClient(ClientCore):
    """Calls IRIS: authenticated, paced, retried and paged.

    The arguments are those of :class:`~.http.exchange.ClientCore`, and:

    :param sleep: how to wait; for tests
    """

    def __init__(
        self,
        credentials: Credentials,
        base_url: str = BASE_URL,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
        **limits: Any,
    ) -> None:
        super().__init__(credentials, base_url, clock=clock, chance=chance, **limits)
        self._sleep = sleep
        self._renewing = _Renewal()
        self._transport = BlockingTransport(self._clock)
        renew_after_fork(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def renew(self) -> None:
        """Begin again in a child process: with connections and locks of its own, and the token of the parent."""
        super().renew()
        self._renewing = _Renewal()
        self._transport = BlockingTransport(self._clock)

    def close(self) -> None:
        """Close the connections. The client can be used again; it then opens new ones."""
        self._transport.close()

    def run(self, endpoint: str, **request: Unpack[RequestArguments]) -> Any:
        """Return the decoded JSON of one answer; None when it has no body (204).

        :raises IrisError: as the tree in ``errors`` says
        """
        call, row = self._call(endpoint, **request)
        return decode(call, self._drive(self._answer(call, row)))

    def first_page(self, endpoint: str, **request: Unpack[RequestArguments]) -> Page:
        """Return the first page of a collection, or the answer of any other endpoint, with one request."""
        call, row = self._call(endpoint, **request)
        return self.run_errand(Errand(0, call, row, paginator(row.paging).start(call)))

    def pages(
        self,
        endpoint: str,
        *,
        cursor: Cursor | None = None,
        max_concurrency: int = 1,
        **request: Unpack[RequestArguments],
    ) -> Iterator[Page]:
        """Return every page of an endpoint, in order, each with the cursor of the one that follows it.

        :param cursor: where to begin, as a former page's ``next`` said; None for the beginning
        :param max_concurrency: how many pages may be on the way at once, where the number of pages is known
        :raises IrisConfigurationError: at once, when an argument is unusable; other errors when their page is due
        """
        call, _ = self._call(endpoint, **request)
        at_most = max(1, max_concurrency)
        # A few more lie ready, so that a thread whose page came need not wait for the reader to run.
        return deliver(self.run_errand, Delivery(call, cursor, at_most + at_most // 4), at_most)

    def records(self, endpoint: str, **arguments: Any) -> Iterator[Any]:
        """Return every record of an endpoint, decoded; the arguments are those of :meth:`pages`."""
        return itertools.chain.from_iterable(page.records for page in self.pages(endpoint, **arguments))

    def authenticate(self) -> Token:
        """Return the current token, or a new one, asked for as often as the retry rules allow.

        Every call gets its token by itself; this is for whoever wants to know that the credentials work, or what
        they were granted, before the first call.

        :raises IrisTokenError: when the token endpoint refuses
        """
        return self._drive(self._authentication())

    def run_errand(self, errand: Errand, cancelled: threading.Event | None = None) -> Page:
        """Return the one page that an errand names.

        :param cancelled: once it is set, nothing more is sent and a wait ends
        :raises CancelledError: when it was set before the answer was there
        """
        style = paginator(errand.row.paging)
        call = style.apply(errand.call, errand.cursor)
        answer = self._drive(self._answer(call, errand.row), cancelled)
        return style.read(call, errand.cursor, answer.body)

    def _pause(self, seconds: float, cancelled: threading.Event | None) -> None:
        if cancelled is not None and self._sleep is time.sleep:
            cancelled.wait(seconds)
        else:
            self._sleep(seconds)

    def _drive(self, steps: Generator[Step, Any, _T], cancelled: threading.Event | None = None) -> _T:
        """Do what the steps say, and return what they come to."""
        try:
            step = next(steps)
            while True:
                try:
                    outcome = self._do(step, cancelled)
                except IrisError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as end:
            result: _T = end.value
            return result
        finally:
            steps.close()  # whoever is interrupted gives its turn back

    def _do(self, step: Step, cancelled: threading.Event | None) -> Any:
        if cancelled is not None and cancelled.is_set():
            raise CancelledError
        if isinstance(step, Sleep):
            return self._pause(step.seconds, cancelled)
        return self._send(step.request) if isinstance(step, Send) else self._token(cancelled)

    def _token(self, cancelled: threading.Event | None = None) -> Token:
        """Return the current token, or a new one: one request for it, and one outcome, however many threads ask.

        A thread that is interrupted while it asks leaves no outcome, and the next one asks.
        """
        token = self._tokens.usable()
        if token is not None:
            return token
        renewal = self._renewing
        with renewal.lock:
            outcome = renewal.outcome
            if outcome is None:
                # Again, because a renewal may have ended between the two looks.
                outcome = self._tokens.usable() or self._ask_for_token(cancelled)
                # In this order: one that is over and still the current would give its outcome for ever.
                self._renewing = _Renewal()
                renewal.outcome = outcome
        if isinstance(outcome, IrisError):
            # Each thread's own, because a traceback grows with every raise.
            raise copy.copy(outcome)
        return outcome

    def _ask_for_token(self, cancelled: threading.Event | None) -> Token | IrisError:
        try:
            return self._drive(self._renewal(), cancelled)
        except IrisError as error:
            return error.with_traceback(None)

    def _send(self, request: Request) -> Response:
        """Return the answer to one request, complete; every way not to get one is an IrisNoAnswerError."""
        roots, proxy = self._roots, self._proxy_of(request)
        left_s, ends_at = self._begin(request)
        outcome = self._transport.outcome(request, left_s, ends_at, roots, proxy)
        if isinstance(outcome, IrisError):
            raise outcome
        return outcome
