"""What both clients do alike: one request from its turn to the verdict on its answer.

Nothing here sends, sleeps or waits for a lock. :class:`ClientCore` says step by step what to do next, as a
generator; a client does it, with threads or on an event loop, and hands back what came of it.
"""

from __future__ import annotations

import math
import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from airflow_provider_trackunit.iris.calls import BASE_URL, Call, make_call, read_base_url
from airflow_provider_trackunit.iris.catalogue.endpoints import Endpoint, find
from airflow_provider_trackunit.iris.errors import IrisError, IrisNoAnswerError, IrisRateLimitError
from airflow_provider_trackunit.iris.http.answers import check
from airflow_provider_trackunit.iris.http.in_band import refuses_token
from airflow_provider_trackunit.iris.http.pacing import Pacer
from airflow_provider_trackunit.iris.http.retrying import RetryRules
from airflow_provider_trackunit.iris.http.tokens import (
    Credentials,
    Token,
    TokenKeeper,
    read_token,
    token_request,
)
from airflow_provider_trackunit.iris.http.transports.trouble import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from airflow_provider_trackunit.iris.http.wire import Request, Response


class RequestArguments(TypedDict, total=False):
    """What makes up a request besides its endpoint; explained at :func:`~.calls.make_call`."""

    method: str
    path_params: Mapping[str, Any] | None
    query_params: Mapping[str, Any] | None
    json: Any
    headers: Mapping[str, Any] | None


class CancelledError(Exception):
    """The caller has left: the request was not sent, or not sent again. Never an answer of IRIS."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait so long; nothing comes of it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GetToken:
    """Give back the current :class:`Token`, or a new one."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send this and give back the complete :class:`Response`."""

    request: Request


Step = Sleep | GetToken | Send


class ClientCore:
    """The state and the decisions of one client.

    :param credentials: of the API user or API key
    :param base_url: origin of the API
    :param ca_bundle: path of a PEM file to trust instead of the usual roots
    :param timeout_s: longest time for one answer, from sending to its last byte
    :param max_attempts: how often one request is sent at the most, the first time included
    :param max_wait_s: a wait longer than this, for a limit or a retry, is not slept but raised
    :param budget_s: longest time for everything this client does; None for no end
    :param clock: a monotonic clock; for tests
    :param chance: gives the jitter, from 0 to 1; for tests
    :raises IrisConfigurationError: when an argument is unusable
    """

    def __init__(
        self,
        credentials: Credentials,
        base_url: str = BASE_URL,
        *,
        ca_bundle: str | None = None,
        timeout_s: float = 60.0,
        max_attempts: int = 4,
        max_wait_s: float = 120.0,
        budget_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.origin = read_base_url(base_url)
        self.credentials = credentials
        self.token_requests = 0
        self.requests = 0
        self._ca_bundle = readable(ca_bundle) if ca_bundle else None
        self._timeout_s = timeout_s
        self._max_attempts = max_attempts
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._chance = chance
        self._ends_at = None if budget_s is None else clock() + budget_s
        self._pacer = Pacer(clock)
        self._tokens = TokenKeeper(clock)
        self._counting = threading.Lock()

    def _call(self, endpoint: str, **request: Unpack[RequestArguments]) -> tuple[Call, Endpoint]:
        """Return the checked call, and what is known of its endpoint."""
        call = make_call(self.origin, endpoint, **request)
        return call, find(call)

    def sustained_interval_s(
        self, endpoint: str, requests: int, **request: Unpack[RequestArguments]
    ) -> float:
        """Return how far apart polls of so many requests have to be, by the documented limits of an endpoint."""
        return self._call(endpoint, **request)[1].sustained_interval_s(requests)

    def _rules_of(self, call: Call, row: Endpoint) -> RetryRules:
        return self._rules(row.attempts(self._max_attempts), safe=row.is_safe(call.method))

    def _token_rules(self) -> RetryRules:
        return self._rules(self._max_attempts, safe=True)

    def _rules(self, max_attempts: int, *, safe: bool) -> RetryRules:
        return RetryRules(max_attempts, self._max_wait_s, safe=safe, chance=self._chance, left_s=self._left_s)

    def _left_s(self) -> float:
        """Return the seconds that are left of the time for everything."""
        return math.inf if self._ends_at is None else self._ends_at - self._clock()

    def _attempt(self, call: Call, row: Endpoint, request: Request) -> Generator[Step, Any, Response]:
        """Say how to send a request once, or once more with a new token after a 401, and judge the answer.

        :raises IrisError: when the answer does not hold what was asked for
        """
        token, sent, response = yield from self._exchange(call, row, request)
        if refuses_token(sent, response):
            self._tokens.discard(token)
            token, sent, response = yield from self._exchange(call, row, request)
        try:
            check(sent, response, scope=token.scope, now_epoch_s=time.time())
        except IrisRateLimitError as error:
            self._heed(error, call, row)
            raise
        return response

    def _exchange(
        self, call: Call, row: Endpoint, request: Request
    ) -> Generator[Step, Any, tuple[Token, Request, Response]]:
        wait_s = self._wait_for_turn_s(call, row, request)
        if wait_s > 0:
            yield Sleep(wait_s)
        token = yield GetToken()
        sent = request.with_token(token.value)
        response = yield Send(sent)
        return token, sent, response

    def _wait_for_turn_s(self, call: Call, row: Endpoint, request: Request) -> float:
        wait_s = self._pacer.reserve(row.paced(call), min(self._max_wait_s, self._left_s()))
        if wait_s > self._left_s():
            raise IrisNoAnswerError(
                f"{request.label}: the time for this client is used up before its turn comes", sent=False
            )
        if wait_s > self._max_wait_s:
            raise IrisRateLimitError(
                f"{request.label}: the documented limit is used up for {wait_s:.0f} s, longer than max_wait_s "
                f"({self._max_wait_s:.0f} s) allows to sleep. Nothing was sent",
                retry_after=wait_s,
            )
        return wait_s

    def _heed(self, error: IrisRateLimitError, call: Call, row: Endpoint) -> None:
        """Take from a refusal how long to keep away, and say so."""
        metered_s = row.wait_after_refusal_s()
        if error.retry_after is None:
            error.retry_after = metered_s
        elif metered_s is None:
            self._pacer.hold(row.paced(call), min(error.retry_after, self._max_wait_s))
        if error.retry_after is not None:
            error.args = (f"{str(error).rstrip('.')}. Try again in {error.retry_after:.0f} s",)

    def _renewal(self) -> Generator[Step, Any, Token]:
        """Say how to get a new token, and keep it."""
        request = token_request(self.credentials)
        sent_at = self._clock()
        try:
            response = yield Send(request)
            with self._counting:
                self.token_requests += 1
            token = read_token(request, response, sent_at, scope=self.credentials.scope)
        except IrisError as error:
            # The request that needed the token never left, so it may be repeated whatever it does.
            error.sent = False
            raise
        self._tokens.keep(token)
        return token

    def _begin(self, request: Request) -> tuple[float, float]:
        """Count a request that is about to leave; return the seconds it may take, and when they end."""
        now = self._clock()
        ends_at = (
            now + self._timeout_s if self._ends_at is None else min(self._ends_at, now + self._timeout_s)
        )
        if ends_at <= now:
            raise IrisNoAnswerError(f"{request.label}: the time for this client is used up", sent=False)
        with self._counting:
            self.requests += 1
        return ends_at - now, ends_at
