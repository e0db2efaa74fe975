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
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from airflow_provider_trackunit.iris.calls import BASE_URL, Call, make_call, read_base_url
from airflow_provider_trackunit.iris.catalogue.endpoints import find
from airflow_provider_trackunit.iris.errors import (
    IrisError,
    IrisNoAnswerError,
    IrisRateLimitError,
    IrisTokenError,
)
from airflow_provider_trackunit.iris.http.answers.in_band import refuses_token, was_carried_out
from airflow_provider_trackunit.iris.http.answers.judging import check
from airflow_provider_trackunit.iris.http.observing import observed
from airflow_provider_trackunit.iris.http.pacing import pacer_of
from airflow_provider_trackunit.iris.http.pacing.learning import LONGEST_PAUSE_OF_A_RATE_S
from airflow_provider_trackunit.iris.http.retrying import RetryRules, Tries
from airflow_provider_trackunit.iris.http.steps import GetToken, Send, Sleep, Step
from airflow_provider_trackunit.iris.http.tokens import (
    Credentials,
    Token,
    TokenKeeper,
    read_token,
    token_request,
)
from airflow_provider_trackunit.iris.http.transports.proxies import proxy_for, trusted_roots
from airflow_provider_trackunit.iris.http.transports.trouble import readable
from airflow_provider_trackunit.iris.http.wire import build_request

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from airflow_provider_trackunit.iris.catalogue.endpoint import Endpoint
    from airflow_provider_trackunit.iris.catalogue.limits import Counted
    from airflow_provider_trackunit.iris.http.observing import Observer
    from airflow_provider_trackunit.iris.http.pacing import Turn
    from airflow_provider_trackunit.iris.http.wire import Request, Response
    from airflow_provider_trackunit.iris.secrecy import Secret


# One refusal holds back all who share a limit, so where nothing gets through each of them is asked for in turn. Nobody
# waits for more of these than so many times its own attempts: a hundred who wait would take a hundred times as long.
_ROUNDS: Final = 2

# What makes a wait too long is what the server said: the jitter, the place in the line and the spacing, which come on top
# of it, are our own. That is no more than so many seconds, and is not slept where nobody wants to sleep.
_OUR_OWN_S: Final = 4.0


class RequestArguments(TypedDict, total=False):
    """What makes up a request besides its endpoint; explained at :func:`~.calls.make_call`."""

    method: str
    path_params: Mapping[str, Any] | None
    query_params: Mapping[str, Any] | None
    json: Any
    headers: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Exchanged:
    """A request as it was sent, with which token, and what came back."""

    token: Token
    sent: Request
    response: Response
    turn: Turn


class ClientCore:
    """The state and the decisions of one client.

    :param credentials: of the API user or API key
    :param base_url: origin of the API
    :param ca_bundle: path of a PEM file to trust instead of the usual roots
    :param timeout_s: longest time for one answer, from sending to its last byte
    :param max_attempts: how often one request is sent at the most, the first time included
    :param max_wait_s: a wait longer than this, for a limit or a retry, is not slept but raised
    :param budget_s: longest time for everything this client does; None for no end
    :param observer: is told of every request and wait; None for nobody
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
        observer: Observer | None = None,
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
        self._observer = observer
        self._clock = clock
        self._chance = chance
        self._ends_at = None if budget_s is None else clock() + budget_s
        self._pacer = pacer_of((self.origin, credentials.client_id, credentials.username), clock)
        self._tokens = TokenKeeper(clock)
        self._counting = threading.Lock()
        self._proxies: dict[str, Secret | None] = {}
        self._found_roots: list[str | None] = []

    def renew(self) -> None:
        """Begin again in a child process."""
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
        return self._rules(
            row.attempts(self._max_attempts), safe=row.is_safe(call.method), metered=row.is_metered
        )

    def _rules(self, max_attempts: int, *, safe: bool, metered: bool = False) -> RetryRules:
        return RetryRules(
            max_attempts,
            self._max_wait_s,
            safe=safe,
            metered=metered,
            chance=self._chance,
            left_s=self._left_s,
        )

    def _left_s(self) -> float:
        """Return the seconds that are left of the time for everything."""
        return math.inf if self._ends_at is None else self._ends_at - self._clock()

    def _answer(self, call: Call, row: Endpoint) -> Generator[Step, Any, Response]:
        """Say how to get an answer that holds what was asked for, with as many attempts as the rules allow.

        :raises IrisError: when none of them does
        """
        request, counted = build_request(call), row.counted(call)
        rules = self._rules_of(call, row)
        others = self._pacer.others(counted)
        most_in_vain = _ROUNDS * rules.max_attempts
        steps = rules.repeated(
            lambda tries: self._attempt(request, row, counted, lambda: others.in_vain >= most_in_vain, tries),
            others.fate,
        )
        if self._observer is None:
            return steps
        return observed(steps, self._observer, row.path, lambda: self._pacer.calls_left(counted))

    def _authentication(self) -> Generator[Step, Any, Token]:
        """Say how to get the current token, or a new one."""
        token: Token = yield GetToken()
        return token

    def _attempt(
        self,
        request: Request,
        row: Endpoint,
        counted: Counted,
        is_hopeless: Callable[[], bool],
        tries: Tries,
    ) -> Generator[Step, Any, Response]:
        """Say how to send a request once, or once more with a new token after a 401, and judge the answer.

        :param is_hopeless: whether so many who share its limits were refused that it no longer waits for its turn
        :param tries: what became of it before
        :raises IrisError: when the answer does not hold what was asked for
        """
        exchanged = yield from self._exchange(request, counted, is_hopeless, is_back=tries.pause_s > 0)
        if refuses_token(exchanged.sent, exchanged.response):
            self._tokens.discard(exchanged.token)
            if row.is_safe(request.method) or not was_carried_out(exchanged.sent, exchanged.response):
                exchanged.turn.unask()
                exchanged = yield from self._exchange(request, counted, is_hopeless, is_back=True)
        self._judge(exchanged, row, is_singled_out=tries.is_singled_out)
        return exchanged.response

    def _judge(self, exchanged: _Exchanged, row: Endpoint, *, is_singled_out: bool) -> None:
        """Return if the answer holds what was asked for, and let all who share its limits know how it was received.

        :param is_singled_out: whether a refusal says nothing about the limits that it shares
        """
        response = exchanged.response
        try:
            check(exchanged.sent, response, scope=exchanged.token.scope, now_epoch_s=time.time())
        except IrisRateLimitError as error:
            _heed(error, exchanged.turn, row, self._chance(), is_singled_out=is_singled_out)
            if self._observer is not None:
                self._observer.refused(row.path)
            raise
        except IrisError:
            if response.status < 500:
                exchanged.turn.let()
            raise
        exchanged.turn.let()

    def _exchange(
        self, request: Request, counted: Counted, is_hopeless: Callable[[], bool], *, is_back: bool
    ) -> Generator[Step, Any, _Exchanged]:
        turn = self._pacer.turn(counted, is_back=is_back)
        try:
            while True:
                # Before every look at the turn, which is taken when the request can leave.
                token = yield GetToken()
                wait_s = turn.wait_s()
                if wait_s <= 0:
                    break
                self._refuse_long_wait(wait_s, request)
                if is_hopeless():
                    raise _hopeless(request, wait_s)
                yield Sleep(min(wait_s, turn.look_again_s))
            sent = request.with_token(token.value)
            response = yield Send(sent)
            turn.end()
        except BaseException as error:
            if isinstance(error, IrisError) and not error.sent:
                turn.take_back()
            else:
                turn.give_up()
            raise
        return _Exchanged(token, sent, response, turn)

    def _refuse_long_wait(self, wait_s: float, request: Request) -> None:
        if wait_s > self._left_s():
            raise IrisNoAnswerError(
                f"{request.label}: the time for this client is used up before its turn comes", sent=False
            )
        if wait_s > self._max_wait_s + min(_OUR_OWN_S, self._max_wait_s):
            raise IrisRateLimitError(
                f"{request.label}: the limit is used up for {wait_s:.0f} s, longer than max_wait_s "
                f"({self._max_wait_s:.0f} s) allows to sleep. Nothing was sent",
                retry_after=wait_s,
            )

    def _renewal(self) -> Generator[Step, Any, Token]:
        """Say how to get a new token, with as many attempts as the rules allow, and keep it.

        All who need one share these attempts: a token endpoint that is overloaded is asked four times, and not four times
        by each thread. As long as the current token is good it is used after the first that fails, and nobody waits.
        """
        try:
            return (
                yield from self._rules(self._max_attempts, safe=True).repeated(
                    lambda _tries: self._new_or_good_token()
                )
            )
        except IrisError as error:
            error.retried = True
            if error.retry_after:
                self._tokens.keep_refusal(error)
            raise

    def _new_or_good_token(self) -> Generator[Step, Any, Token]:
        try:
            return (yield from self._asked_for_token())
        except IrisError as error:
            token = self._tokens.use_on(error.retry_after) if error.transient else None
            if token is None:
                raise
            return token

    def _asked_for_token(self) -> Generator[Step, Any, Token]:
        told = self._tokens.refusal()
        if told is not None:
            raise told  # to somebody who was interrupted in the pause
        request = token_request(self.credentials)
        sent_at = self._clock()
        try:
            response = yield Send(request)
            with self._counting:
                self.token_requests += 1
            token = read_token(request, response, sent_at, scope=self.credentials.scope)
        except IrisError as error:
            if isinstance(error, IrisTokenError) or error.retry_after:
                self._tokens.keep_refusal(error)
            # The request that needed the token never left, so it may be repeated whatever it does.
            error.sent = False
            raise
        self._tokens.keep(token)
        return token

    def _proxy_of(self, request: Request) -> Secret | None:
        """Return the URL of the proxy that the environment names for a request, as it was when one was first sent there.

        :raises IrisConfigurationError: when the proxy is no http or https URL
        """
        if request.origin not in self._proxies:
            self._proxies[request.origin] = proxy_for(request)
        return self._proxies[request.origin]

    @property
    def _roots(self) -> str | None:
        """The file of trusted certificates that the connection or the environment names, None for the usual.

        Not a cached_property, which in Python 3.11 holds a lock while it looks: in a child process nobody would release it.
        """
        if not self._found_roots:
            self._found_roots.append(trusted_roots(self._ca_bundle))
        return self._found_roots[0]

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


def _hopeless(request: Request, wait_s: float) -> IrisRateLimitError:
    """Return the error of a request that waits behind others, none of which gets through."""
    error = IrisRateLimitError(
        f"{request.label}: none of the requests that share its limit gets through. This one was not sent. "
        f"Try again in {wait_s:.0f} s",
        retry_after=wait_s,
    )
    error.retried = True
    return error


def _heed(
    error: IrisRateLimitError, turn: Turn, row: Endpoint, jitter: float, *, is_singled_out: bool
) -> None:
    """Hold back all who share the limit that refused a request, and complete the error with what is known of it."""
    error.of_rate = _is_of_rate(error, turn, row)
    if error.of_rate and not is_singled_out:
        turn.refuse(error.retry_after, jitter)
    elif not error.of_rate:
        error.retry_after = error.retry_after or row.wait_after_refusal_s()
        turn.hold(error.retry_after or 0.0)
    if error.retry_after is not None:
        error.args = (f"{str(error).rstrip('.')}. Try again in {error.retry_after:.0f} s",)


def _is_of_rate(error: IrisRateLimitError, turn: Turn, row: Endpoint) -> bool:
    """Return whether too many requests came at once, not a single one too soon after the last.

    Where both can be, and the answer does not say, a URL that nobody asked for before cannot have been asked too soon.
    """
    if row.wait_after_refusal_s() is None:
        return True
    if not row.has_two_limits:
        return False
    if error.retry_after:
        return error.retry_after <= LONGEST_PAUSE_OF_A_RATE_S
    return not turn.was_asked_before
