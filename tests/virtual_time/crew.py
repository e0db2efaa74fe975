"""Threads of one client in virtual time: the client's own decisions, with a server that counts in the place of HTTP."""

from __future__ import annotations

import inspect
import random
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.iris.http.exchange import ClientCore
from airflow_provider_trackunit.iris.http.steps import Send, Sleep
from airflow_provider_trackunit.iris.http.tokens import Credentials, Token
from airflow_provider_trackunit.iris.http.wire import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from airflow_provider_trackunit.iris.http.steps import Step
    from airflow_provider_trackunit.iris.http.wire import Request
    from tests.virtual_time.counting import Counter, World

BASE_URL = "https://iris.example.com"
TOKEN = Token("t", 1e12, 0.0)


@dataclass
class Limited:
    """One limit of a server.

    :param path: a regular expression that is found in the paths it is for
    :param new: makes what counts
    :param per_url: whether every URL is counted for itself
    :param retry_after: the header of a refusal
    """

    path: str
    new: Callable[[], Counter]
    per_url: bool = False
    retry_after: str | None = None
    counters: dict[str, Counter] = field(default_factory=dict)

    def counter_of(self, path: str) -> Counter | None:
        if not re.search(self.path, path):
            return None
        return self.counters.setdefault(path if self.per_url else "", self.new())


@dataclass
class CountingServer:
    """Answers ``{}``, or 429 where a limit is used up."""

    world: World
    limits: list[Limited]
    out_s: float = 0.01
    back_s: float = 0.01
    #: What comes in the place of the next answers, to requests that are not counted.
    mishaps: deque[Response | IrisError] = field(default_factory=deque)
    #: When each request was counted, and whether it was let through.
    log: list[tuple[float, str, bool]] = field(default_factory=list)

    @property
    def refused(self) -> int:
        return sum(not let for _, _, let in self.log)

    def answer(self, request: Request) -> Response | IrisError:
        if self.mishaps:
            return self.mishaps.popleft()
        parts = urlsplit(request.url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        headers = {"content-type": "application/json"}
        for limit in self.limits:
            counter = limit.counter_of(path)
            if counter is not None and not counter.take(self.world.now):
                self.log.append((self.world.now, path, False))
                return Response(
                    429, headers | ({"retry-after": limit.retry_after} if limit.retry_after else {}), b"{}"
                )
        self.log.append((self.world.now, path, True))
        return Response(200, headers, b"{}")

    def foreign_client(self, path: str, every_s: float, until: float) -> None:
        """Let somebody else ask for a path, at an even pace, whatever comes of it."""

        def ask() -> None:
            for limit in self.limits:
                counter = limit.counter_of(path)
                if counter is not None:
                    counter.take(self.world.now)
            if self.world.now + every_s < until:
                self.world.after(every_s, ask)

        self.world.after(every_s / 2, ask)


@dataclass
class Crew:
    """Threads that share one client, each of which takes the next call when its last one is done.

    :param cpu_s: what a request costs a thread besides waiting
    """

    server: CountingServer
    cpu_s: float = 0.001
    seed: int = 1
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = self.server.world
        chance = random.Random(self.seed)  # noqa: S311 - no secret is drawn
        credentials = Credentials("client", "secret", "user", "password")
        self.core = ClientCore(
            credentials, BASE_URL, clock=self.world.clock, chance=chance.random, **self.options
        )
        self.done: list[str] = []
        self.errors: list[IrisError] = []
        self.last_at = 0.0

    def take(self, endpoints: Iterable[str], threads: int, *, method: str = "GET") -> None:
        """Let so many threads begin with these calls now."""
        left = deque(endpoints)
        for _ in range(threads):
            self._next(left, method)

    def take_and_cancel(self, endpoint: str, after_s: float) -> None:
        """Let somebody begin with a call now who is cancelled in so many seconds, unless it has ended by then."""
        self.world.after(after_s, self._begin(endpoint, "GET", lambda: None).close)

    def work(self, endpoints: Iterable[str], threads: int, **arguments: Any) -> float:
        """Let so many threads do these calls, and return the seconds that they took."""
        began = self.world.now
        self.take(endpoints, threads, **arguments)
        self.world.run()
        return self.last_at - began

    def _next(self, left: deque[str], method: str) -> None:
        if left:
            self._begin(left.popleft(), method, lambda: self._next(left, method))

    def _begin(self, endpoint: str, method: str, then: Callable[[], None]) -> Generator[Step, Any, Response]:
        """Begin with a call, and return its steps."""
        call, row = self.core._call(endpoint, method=method)
        steps = self.core._answer(call, row)

        def end(error: IrisError | None) -> None:
            self.last_at = self.world.now
            self.done.append(endpoint) if error is None else self.errors.append(error)
            self.world.after(self.cpu_s, then)

        def go_on(outcome: Any) -> None:
            if inspect.getgeneratorstate(steps) == inspect.GEN_CLOSED:
                return  # cancelled
            try:
                step = steps.throw(outcome) if isinstance(outcome, IrisError) else steps.send(outcome)
            except StopIteration:
                end(None)
            except IrisError as error:
                end(error)
            else:
                self._do(step, go_on)

        go_on(None)
        return steps

    def _do(self, step: Step, go_on: Callable[[Any], None]) -> None:
        if isinstance(step, Sleep):
            self.world.after(step.seconds, lambda: go_on(None))
        elif isinstance(step, Send):
            request, server = step.request, self.server
            self.world.after(
                server.out_s,
                lambda: self._back(server.answer(request), go_on),
            )
        else:
            go_on(TOKEN)

    def _back(self, response: Response | IrisError, go_on: Callable[[Any], None]) -> None:
        self.world.after(self.server.back_s, lambda: go_on(response))
