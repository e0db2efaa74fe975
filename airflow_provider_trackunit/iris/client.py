"""The client for threads: sends, sleeps and locks. What to send, and when, ``http.exchange`` says.

One client has one HTTP session and one token. It can be shared between threads.
"""

from __future__ import annotations

import copy
import itertools
import logging
import random
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, Unpack

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from airflow_provider_trackunit.iris.calls import BASE_URL
from airflow_provider_trackunit.iris.errors import IrisError, IrisNoAnswerError
from airflow_provider_trackunit.iris.http.exchange import ClientCore, RequestArguments
from airflow_provider_trackunit.iris.http.forks import renew_after_fork
from airflow_provider_trackunit.iris.http.steps import CancelledError, Send, Sleep, Step
from airflow_provider_trackunit.iris.http.transports.deadline import InTimeAdapter, answer_within
from airflow_provider_trackunit.iris.http.transports.library_logs import without_queries
from airflow_provider_trackunit.iris.http.transports.trouble import (
    CONNECT_TIMEOUT_S,
    MAX_CONNECTIONS,
    Body,
    Trouble,
    failure,
    trouble_with_tls,
)
from airflow_provider_trackunit.iris.http.wire import Request, Response, build_request, decode
from airflow_provider_trackunit.iris.pages.delivery import Delivery
from airflow_provider_trackunit.iris.pages.fetching import deliver
from airflow_provider_trackunit.iris.pages.styles import paginator
from airflow_provider_trackunit.iris.secrecy import SecretMembers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.catalogue.endpoints import Endpoint
    from airflow_provider_trackunit.iris.http.tokens import Credentials, Token
    from airflow_provider_trackunit.iris.pages.frontier import Errand
    from airflow_provider_trackunit.iris.pages.paging import Cursor, Page

log = logging.getLogger(__name__)

_CHUNK_BYTES: Final = 64 * 1024
_T = TypeVar("_T")


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
        self._choosing = threading.Lock()
        self._renewing: Future[Token] | None = None
        self._connections = InTimeAdapter(pool_maxsize=MAX_CONNECTIONS)
        renew_after_fork(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def renew(self) -> None:
        """Begin again in a child process: with connections and locks of its own, and the token of the parent."""
        super().renew()
        self._choosing = threading.Lock()
        self._renewing = None
        self._connections = InTimeAdapter(pool_maxsize=MAX_CONNECTIONS)

    def close(self) -> None:
        """Close the connections. The client can be used again; it then opens new ones."""
        self._connections.close()

    def run(self, endpoint: str, **request: Unpack[RequestArguments]) -> Any:
        """Return the decoded JSON of one answer; None when it has no body (204).

        :raises IrisError: as the tree in ``errors`` says
        """
        call, row = self._call(endpoint, **request)
        return decode(build_request(call), self._drive(self._answer(call, row)))

    def first_page(self, endpoint: str, **request: Unpack[RequestArguments]) -> Page:
        """Return the first page of a collection, or the answer of any other endpoint, with one request."""
        call, row = self._call(endpoint, **request)
        return self.fetch_page(call, row, paginator(row.paging).start(call))

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

    def fetch_page(
        self, call: Call, row: Endpoint, cursor: Cursor, cancelled: threading.Event | None = None
    ) -> Page:
        """Return the one page that a cursor names.

        :param cancelled: once it is set, nothing more is sent and a wait ends
        :raises CancelledError: when it was set before the answer was there
        """
        call = paginator(row.paging).apply(call, cursor)
        return paginator(row.paging).read(call, cursor, self._drive(self._answer(call, row), cancelled).body)

    def run_errand(self, errand: Errand, cancelled: threading.Event) -> Page:
        """Return the page of an errand, as :meth:`fetch_page` does."""
        return self.fetch_page(errand.call, errand.row, errand.cursor, cancelled)

    def _pause(self, seconds: float, cancelled: threading.Event | None) -> None:
        if cancelled is not None and self._sleep is time.sleep:
            cancelled.wait(seconds)
        else:
            self._sleep(seconds)

    def _drive(self, steps: Generator[Step, Any, _T], cancelled: threading.Event | None = None) -> _T:
        """Do what the steps say, and return what they come to."""
        step = next(steps)
        while True:
            try:
                outcome = self._do(step, cancelled)
            except IrisError as error:
                step = steps.throw(error)
                continue
            except BaseException:
                steps.close()  # whoever is interrupted gives its turn back
                raise
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                result: _T = end.value
                return result

    def _do(self, step: Step, cancelled: threading.Event | None) -> Any:
        if cancelled is not None and cancelled.is_set():
            raise CancelledError
        if isinstance(step, Sleep):
            return self._pause(step.seconds, cancelled)
        return self._send(step.request) if isinstance(step, Send) else self._token(cancelled)

    def _token(self, cancelled: threading.Event | None = None) -> Token:
        """Return the current token, or a new one: one request for it, and one outcome, however many threads ask."""
        token = self._tokens.usable()
        if token is not None:
            return token
        with self._choosing:
            # Again, because another thread may have got one, or been refused, since.
            token = self._tokens.usable()
            if token is not None:
                return token
            renewing, is_ours = self._renewing or Future(), self._renewing is None
            self._renewing = renewing
        if is_ours:
            self._renew_token(renewing, cancelled)
        error = renewing.exception()
        if error is not None:
            # Each thread's own, because a traceback grows with every raise.
            raise copy.copy(error)
        return renewing.result()

    def _renew_token(self, renewing: Future[Token], cancelled: threading.Event | None) -> None:
        """Ask for a token, and tell all who wait for it what came of that."""
        try:
            token = self._drive(self._renewal(), cancelled)
        except IrisError as error:
            self._end_renewing()
            renewing.set_exception(error.with_traceback(None))
        except BaseException:
            self._end_renewing()
            renewing.set_exception(IrisNoAnswerError("The request for a token was interrupted", sent=False))
            raise
        else:
            self._end_renewing()
            renewing.set_result(token)

    def _end_renewing(self) -> None:
        # Not while another thread has looked for a token and not yet for who asks for one: it would ask too.
        with self._choosing:
            self._renewing = None

    def _send(self, request: Request) -> Response:
        """Return the answer to one request, complete; every way not to get one is an IrisNoAnswerError."""
        outcome = self._outcome(request)
        if isinstance(outcome, IrisError):
            raise outcome
        return outcome

    def _outcome(self, request: Request) -> Response | IrisError:
        """Return the answer, or why there is none.

        Nothing is raised from where the library is at work: tracebacks can show the variables of their frames, and
        here these are headers and half a token.
        """
        left_s, ends_at = self._begin(request)
        trouble_of = _trouble_before_answer
        try:
            with (
                without_queries(),
                answer_within(left_s),
                self._connections.send(
                    _prepared(request),
                    stream=True,
                    timeout=(min(CONNECT_TIMEOUT_S, left_s), left_s),
                    verify=self._roots or True,
                    # Where requests would read the environment, and ~/.netrc, for every request.
                    proxies=SecretMembers({"https": self._proxy_of(request)}),
                ) as answer,
            ):
                trouble_of = _trouble_in_body
                coding = answer.headers.get("Content-Encoding", "")
                body = Body(request, answer.status_code, coding, ends_at, self._clock)
                for chunk in _chunks(answer):
                    body.take(chunk)
                if _is_short(request, answer):
                    return failure(request, Trouble.CUT_BODY)
                return Response(
                    status=answer.status_code,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    body=body.whole(),
                )
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            log.debug("%s: %s", request.label, type(error).__name__)
            return failure(request, trouble_of(error))
        except IrisError as error:
            return error.with_traceback(None)


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    """Yield the body as it arrives, packed or not.

    Not in full chunks, so that the clock is looked at while a server drips.
    """
    read1 = getattr(answer.raw, "read1", None)
    if read1 is None:  # urllib3 before 2.1
        yield from answer.raw.stream(_CHUNK_BYTES, decode_content=False)
        return
    while chunk := read1(_CHUNK_BYTES, decode_content=False):
        yield chunk


def _is_short(request: Request, answer: requests.Response) -> bool:
    """Return whether the answer broke off, which urllib3 1.x passes on as if it were whole."""
    promised = answer.headers.get("Content-Length", "")
    if request.method == "GET" and answer.status_code == 200 and "Transfer-Encoding" not in answer.headers:
        # Cut off within the head, an answer looks like one that has no length and no body.
        return answer.raw.tell() < int(promised if promised.isdigit() else 1)
    return bool(request.method != "HEAD" and promised.isdigit() and answer.raw.tell() < int(promised))


def _prepared(request: Request) -> requests.PreparedRequest:
    """Return a request in the shape that requests sends, to the byte: nothing of it is left to a session's settings."""
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url, prepared.body = request.method, request.url, request.body
    prepared.headers = CaseInsensitiveDict(request.headers)
    if request.body or request.method not in {"GET", "HEAD"}:
        prepared.headers["Content-Length"] = str(len(request.body or b""))
    return prepared


def _trouble_before_answer(error: Exception) -> Trouble:
    if type(error) is OSError and error.errno is None:
        # How requests says that there is no file of trusted certificates where the environment says.
        return Trouble.NO_ROOTS
    if isinstance(error, requests.exceptions.SSLError):
        return trouble_with_tls(error)
    if isinstance(error, requests.exceptions.ProxyError):
        return Trouble.PROXY
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Trouble.SLOW_CONNECT
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
        return Trouble.SLOW_ANSWER
    return Trouble.UNREACHABLE if _never_connected(error) else Trouble.BROKEN


def _trouble_in_body(error: Exception) -> Trouble:
    slow = isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError)
    # Some releases of requests report a read timeout in the body as a ConnectionError around urllib3's own error.
    slow = slow or any(isinstance(cause, urllib3.exceptions.ReadTimeoutError) for cause in error.args)
    return Trouble.SLOW_BODY if slow else Trouble.CUT_BODY


def _never_connected(error: Exception) -> bool:
    """Return whether the request cannot have left: urllib3 reports a failed connection inside a MaxRetryError."""
    cause = error.args[0] if error.args else None
    return isinstance(cause, urllib3.exceptions.MaxRetryError) and isinstance(
        cause.reason, urllib3.exceptions.NewConnectionError
    )
