"""The waits of sensors and operators on the event loop of the triggerer, and the endless one of an asset watcher.

Where time comes from is the class attribute ``timing``; a test may put its own :class:`Timing` there.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json as jsonlib
import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final
from weakref import WeakKeyDictionary

from airflow_provider_trackunit import connection
from airflow_provider_trackunit._compat import (
    AIRFLOW_VERSION,
    AirflowException,
    BaseEventTrigger,
    BaseTrigger,
    TriggerEvent,
    asset_state_of,
    connection_in_loop,
    mask_secrets_in_loop,
)
from airflow_provider_trackunit.iris.calls import without_query
from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisError,
    IrisNotFoundError,
    IrisPaginationError,
)
from airflow_provider_trackunit.iris.secrecy import spellings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable, Mapping

    from airflow_provider_trackunit.iris.aio import AsyncIrisClient
    from airflow_provider_trackunit.iris.watch.conditions import Condition
    from airflow_provider_trackunit.iris.watch.patience import Patience
    from airflow_provider_trackunit.iris.watch.watermark import Mark, Seen, Value

#: A trigger that fires a few seconds after its task was deferred meets a race in Airflow's scheduler (3.0 to 3.3).
LEAST_POLL_INTERVAL_S: Final = 10.0

# A client that many triggers share sleeps short waits only; longer ones are the trigger's own.
_MAX_WAIT_S: Final = 10.0

# A poll that failed twice can wait for the next one.
_ATTEMPTS: Final = 2

# Events go through the metadata database. What is larger is read again by the task.
_MOST_VALUE_CHARS: Final = 32_000
_MOST_MESSAGE_CHARS: Final = 2_000

# Tasks that wait for the same limit must not come back in the same second.
_RESUME_JITTER_S: Final = 5.0

# What a watcher holds in memory of one poll. A poll that brings more asks for too long a period, or has no end.
_MOST_RECORDS: Final = 200_000

# A watcher has no task that could fail. It says in the log what a person has to mend, and tries again.
_AFTER_PERMANENT_ERROR_S: Final = 300.0

_PACKAGE: Final = __name__


@asynccontextmanager
async def _connected(trackunit_conn_id: str) -> AsyncGenerator[AsyncIrisClient]:
    """Lend the client of a connection, which is read with one await.

    :raises IrisConfigurationError: when there is no such connection, or it is incomplete
    """
    await _load_client()
    try:
        # Not kept in a variable: its repr shows its secrets.
        settings = connection.read_connection(await connection_in_loop(trackunit_conn_id))
    except AirflowException as error:
        raise IrisConfigurationError(f"Connection {trackunit_conn_id!r}: {error}") from error
    await mask_secrets_in_loop(*spellings(settings.credentials.secrets))
    from airflow_provider_trackunit.iris.sharing import shared_client

    async with shared_client(
        settings.credentials,
        settings.base_url,
        ca_bundle=settings.ca_bundle,
        max_wait_s=_MAX_WAIT_S,
        max_attempts=_ATTEMPTS,
    ) as client:
        yield client


# Filled once what talks HTTP is imported, so that a thousand triggers do not ask a thread for it.
_loaded: Final[list[str]] = []


async def _load_client() -> None:
    """Import what talks HTTP: a quarter of a second, in which the loop must not stand still."""

    def load() -> None:
        from airflow_provider_trackunit.iris import sharing
        from airflow_provider_trackunit.iris.watch import conditions, watermark

        _loaded[:] = [conditions.__name__, sharing.__name__, watermark.__name__]

    if not _loaded:
        await asyncio.to_thread(load)


@dataclass(frozen=True)
class Timing:
    """A clock of seconds since the epoch, a way to sleep, and jitter from 0 to 1."""

    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


class _IrisWait(BaseTrigger):
    """What the triggers have in common: where time comes from, and how they are written down."""

    timing: ClassVar[Timing] = Timing()

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # untyped in Airflow

    def _arguments(self) -> dict[str, Any]:
        raise NotImplementedError

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the path of the class and the arguments that make an equal trigger."""
        return f"{_PACKAGE}.{type(self).__name__}", self._arguments()

    async def _sleep_until(self, epoch_s: float) -> None:
        """Sleep until a moment of the wall clock, which a loop's own clock does not follow for hours."""
        while (left_s := epoch_s - self.timing.clock()) > 0:
            await self.timing.sleep(min(left_s, 60.0))


class IrisResumeTrigger(_IrisWait):
    """Fires at a moment, so that a task waits for a limit without a worker slot.

    :param resume_at_epoch_s: the moment, in seconds since the epoch; a few seconds of jitter come on top
    :param state: comes back in the event, because ``dag.test()`` drops the arguments of a deferral
    """

    def __init__(self, *, resume_at_epoch_s: float, state: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.resume_at_epoch_s = resume_at_epoch_s
        self.state = dict(state or {})

    def _arguments(self) -> dict[str, Any]:
        return {"resume_at_epoch_s": self.resume_at_epoch_s, "state": self.state}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event, ``{"status": "done", "state": {...}}``."""
        await self._sleep_until(self.resume_at_epoch_s + self.timing.chance() * _RESUME_JITTER_S)
        yield _event({"status": "done", "state": self.state})


class IrisTrigger(_IrisWait):
    """Waits until an endpoint of Trackunit IRIS answers with what is waited for.

    It ends with one event: ``{"status": "done", "value": ...}``, ``{"status": "timeout"}`` or
    ``{"status": "error", "error": "IrisPermissionError", "message": ..., "retry_after": ...}``, each with the
    ``state`` it was given. A value too large for an event is left out.

    The first poll comes after one to two intervals: the task has looked before it was deferred, and a thousand
    triggers that start together spread their polls. The last one comes at the deadline.

    :param endpoint: a path, with or without placeholders
    :param method: the HTTP method
    :param path_params: a value for each placeholder
    :param query_params: the query
    :param json: the body
    :param headers: extra headers
    :param condition: a JMESPath expression over the decoded body; without one, anything in the answer will do
    :param trackunit_conn_id: the connection
    :param poll_interval_s: seconds from poll to poll, at least 10
    :param deadline_epoch_s: when to give up, in seconds since the epoch; None for never
    :param not_before_epoch_s: no poll before this, because IRIS said so
    :param state: comes back in the event
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
        condition: str | None = None,
        trackunit_conn_id: str = connection.DEFAULT_CONN_ID,
        poll_interval_s: float = 60.0,
        deadline_epoch_s: float | None = None,
        not_before_epoch_s: float = 0.0,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.request = _request(method, path_params, query_params, json, headers)
        self.condition = condition
        self.trackunit_conn_id = trackunit_conn_id
        self.poll_interval_s = max(LEAST_POLL_INTERVAL_S, poll_interval_s)
        self.deadline_epoch_s = deadline_epoch_s
        self.not_before_epoch_s = not_before_epoch_s
        self.state = dict(state or {})

    def _arguments(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            **self.request,
            "condition": self.condition,
            "trackunit_conn_id": self.trackunit_conn_id,
            "poll_interval_s": self.poll_interval_s,
            "deadline_epoch_s": self.deadline_epoch_s,
            "not_before_epoch_s": self.not_before_epoch_s,
            "state": self.state,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event."""
        try:
            async with _connected(self.trackunit_conn_id) as client:
                outcome = await self._wait(client)
        except IrisError as error:
            outcome = {
                "status": "error",
                "error": type(error).__name__,
                "message": str(error)[:_MOST_MESSAGE_CHARS],
                "retry_after": error.retry_after,
            }
        yield _event({**outcome, "state": self.state})

    async def _wait(self, client: AsyncIrisClient) -> dict[str, Any]:
        from airflow_provider_trackunit.iris.watch.conditions import Condition
        from airflow_provider_trackunit.iris.watch.patience import Patience

        condition = Condition(self.condition) if self.condition else None
        patience = Patience()
        deadline = float("inf") if self.deadline_epoch_s is None else self.deadline_epoch_s
        due = self.timing.clock() + self.poll_interval_s * (1 + self.timing.chance())
        not_before = self.not_before_epoch_s
        while True:
            await self._sleep_until(min(max(due, not_before), deadline))
            if self.timing.clock() < not_before:
                return {"status": "timeout"}
            found, wait_s = await self._poll(client, condition, patience)
            if found:
                return {"status": "done", **_value(found)}
            now = self.timing.clock()
            if now >= deadline:
                return {"status": "timeout"}
            not_before = now + wait_s
            # The rhythm is kept; beats that a slow answer or a sleeping machine missed are left out.
            due += self.poll_interval_s * (1 + max(0.0, now - due) // self.poll_interval_s)

    async def _poll(
        self, client: AsyncIrisClient, condition: Condition | None, patience: Patience
    ) -> tuple[Any, float]:
        """Return what was found, or how long to keep away."""
        from airflow_provider_trackunit.iris.watch.conditions import look

        try:
            page = await client.first_page(self.endpoint, **self.request)
            found = look(page, condition)
        except IrisNotFoundError:
            found = None
        except IrisError as error:
            return None, patience.survive(error)
        patience.succeeded()
        return found, 0.0


class IrisEventTrigger(_IrisWait, BaseEventTrigger):
    """Polls a collection for ever and fires when it brings new records; for an ``AssetWatcher`` (Airflow 3).

    A record is new when its ``watermark`` is beyond the newest one seen, or equal to it and the record (by its
    ``id``) was not seen. A poll that brings new records fires once:
    ``{"count": 3, "watermark": "2026-01-15T06:00:00Z", "records_from": "2026-01-15T05:30:00Z"}``. A record
    that comes later with an older watermark is not noticed: choose a member that only grows.

    Without a stored watermark, and without ``start_from``, it begins now: what is there already does not fire.
    On Airflow 3.3 and later the watermark lies in the state store of the asset and survives the triggerer; watchers with
    the same request share one polling. Before 3.3 a restarted triggerer begins as if for the first time.

    Polls keep to the endpoint's documented limit, every page counted: asset events are polled every 15 minutes
    at the most.

    :param endpoint: a path, with or without placeholders
    :param method: the HTTP method
    :param path_params: a value for each placeholder
    :param query_params: the query; ``{watermark}`` and ``{now}`` in its values are replaced by the period to ask for
    :param json: the body; likewise
    :param headers: extra headers
    :param watermark: a JMESPath expression within a record, such as ``timeOn``
    :param start_from: the watermark to begin with when none is stored
    :param trackunit_conn_id: the connection
    :param poll_interval_s: seconds from poll to poll, at least 10
    """

    _boards: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Board]]] = WeakKeyDictionary()

    def __init__(
        self,
        *,
        endpoint: str,
        watermark: str,
        method: str = "GET",
        path_params: Mapping[str, Any] | None = None,
        query_params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, Any] | None = None,
        start_from: Value | None = None,
        trackunit_conn_id: str = connection.DEFAULT_CONN_ID,
        poll_interval_s: float = 60.0,
    ) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.request = _request(method, path_params, query_params, json, headers)
        self.watermark = watermark
        self.start_from = start_from
        self.trackunit_conn_id = trackunit_conn_id
        self.poll_interval_s = max(LEAST_POLL_INTERVAL_S, poll_interval_s)

    def _arguments(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            **self.request,
            "watermark": self.watermark,
            "start_from": self.start_from,
            "trackunit_conn_id": self.trackunit_conn_id,
            "poll_interval_s": self.poll_interval_s,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for every poll that brings new records."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self._arguments())):
            yield event

    def shared_stream_key(self) -> Hashable | None:
        """Return what watchers must have in common to share one polling; None before Airflow 3.3."""
        return self._stream_name() if AIRFLOW_VERSION >= (3, 3) else None

    def _stream_name(self) -> str:
        return jsonlib.dumps({**self._arguments(), "start_from": None}, sort_keys=True, default=str)

    def _board(self) -> _Board:
        """Return where the watchers of this stream say how far they have come, for the period of the next poll."""
        boards = self._boards.setdefault(asyncio.get_running_loop(), {})
        return boards.setdefault(self._stream_name(), _Board())

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[list[Mark]]:
        """Yield the marks of every poll, for all watchers of this request."""
        poller = cls(**kwargs)
        while True:
            try:
                async with _connected(poller.trackunit_conn_id) as client:
                    async for marks in poller._sweeps(client):
                        yield marks
            except IrisError as error:
                poller.log.error(  # noqa: TRY400 (a person has to mend something; the stack does not help)
                    "Watching %s failed; next try in %.0f s: %s",
                    without_query(poller.endpoint),
                    _AFTER_PERMANENT_ERROR_S,
                    error,
                )
                await poller.timing.sleep(_AFTER_PERMANENT_ERROR_S)

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[list[Mark]]
    ) -> AsyncIterator[TriggerEvent]:
        """Yield an event for every poll that brings records this watcher has not seen."""
        await _load_client()
        from airflow_provider_trackunit.iris.watch.watermark import advance

        state = asset_state_of(self)
        seen = await self._begin(state)
        board = self._board()
        board.enter(self, seen)
        try:
            async for marks in shared_stream:
                count, after = advance(seen, marks)
                if after is None or not count:
                    continue
                if seen is not None:
                    yield _event({"count": count, "watermark": after.value, "records_from": seen.value})
                seen = after
                board.enter(self, seen)
                await self._keep(state, seen)
        finally:
            board.leave(self)

    async def _begin(self, state: Any) -> Seen | None:
        """Return how far this watcher has come; None when the first poll has to tell."""
        from airflow_provider_trackunit.iris.watch.watermark import Seen, has_window, read_seen, utc_text

        stored = None if state is None else read_seen(await state.aget(self._state_key(), None))
        if stored is not None:
            return stored
        start = self.start_from
        if start is None and has_window(self.request):
            start = utc_text(self._now())
        if start is None:
            return None
        await self._keep(state, Seen(start))
        return Seen(start)

    def _state_key(self) -> str:
        """Return a name of its own for each request: an asset can have several watchers."""
        import hashlib

        return f"iris-watermark-{hashlib.sha256(self._stream_name().encode()).hexdigest()[:16]}"

    async def _keep(self, state: Any, seen: Seen) -> None:
        if state is not None:
            await state.aset(self._state_key(), {"value": seen.value, "at_it": list(seen.at_it)})

    async def _sweeps(self, client: AsyncIrisClient) -> AsyncIterator[list[Mark]]:
        """Yield the marks of one complete walk after the other."""
        from airflow_provider_trackunit.iris.watch.patience import Patience

        patience = Patience()
        board = self._board()
        while True:
            await board.has_watchers()
            begun = self.timing.clock()
            marks, pages = await self._sweep(client, self._window(board), patience)
            yield marks
            least_s = client.sustained_interval_s(self.endpoint, pages, **self.request)
            await self._sleep_until(begun + max(self.poll_interval_s, least_s))

    def _window(self, board: _Board) -> dict[str, Any]:
        """Return the request, its period filled in from where the slowest watcher stands."""
        from airflow_provider_trackunit.iris.watch.watermark import fill_window

        seen = board.oldest()
        if seen is None:
            return self.request
        filled = {
            name: fill_window(self.request[name], seen.value, self._now())
            for name in ("query_params", "json")
        }
        return {**self.request, **filled}

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.timing.clock(), dt.UTC)

    def _refuse_too_many(self, records: int, pages: int) -> None:
        if records > _MOST_RECORDS or pages > _MOST_RECORDS:
            raise IrisPaginationError(
                f"{without_query(self.endpoint)}: one poll brings more than {_MOST_RECORDS} records. Ask for a period, "
                "with {watermark} in query_params or json"
            )

    async def _sweep(
        self, client: AsyncIrisClient, request: dict[str, Any], patience: Patience
    ) -> tuple[list[Mark], int]:
        """Return the marks of one walk and its pages; a failure on the way is waited out, not begun anew."""
        from airflow_provider_trackunit.iris.watch.conditions import Condition
        from airflow_provider_trackunit.iris.watch.watermark import read_marks

        expression = Condition(self.watermark)
        marks: list[Mark] = []
        cursor, pages = None, 0
        while True:
            try:
                async for page in client.pages(self.endpoint, cursor=cursor, **request):
                    marks += read_marks(page, expression)
                    self._refuse_too_many(len(marks), pages)
                    cursor, pages = page.next, pages + 1
            except IrisError as error:
                await self.timing.sleep(patience.survive(error) or self.poll_interval_s)
            else:
                patience.succeeded()
                return marks, pages


class _Board:
    """How far each watcher of one stream has come."""

    def __init__(self) -> None:
        self._seen: WeakKeyDictionary[IrisEventTrigger, Seen | None] = WeakKeyDictionary()
        self._somebody = asyncio.Event()

    def enter(self, watcher: IrisEventTrigger, seen: Seen | None) -> None:
        self._seen[watcher] = seen
        self._somebody.set()

    def leave(self, watcher: IrisEventTrigger) -> None:
        self._seen.pop(watcher, None)
        if not self._seen:
            self._somebody.clear()

    async def has_watchers(self) -> None:
        """Return once somebody has said where to begin."""
        await self._somebody.wait()

    def oldest(self) -> Seen | None:
        from airflow_provider_trackunit.iris.watch.watermark import oldest

        return oldest(seen for seen in self._seen.values() if seen is not None)


def _request(
    method: str,
    path_params: Mapping[str, Any] | None,
    query_params: Mapping[str, Any] | None,
    json: Any,
    headers: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return {
        "method": method,
        "path_params": path_params,
        "query_params": query_params,
        "json": json,
        "headers": headers,
    }


def _event(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call] # untyped in Airflow


def _value(found: Any) -> dict[str, Any]:
    """Return what was found as a part of an event, nothing when it is too large for one."""
    return {"value": found} if len(jsonlib.dumps(found)) <= _MOST_VALUE_CHARS else {}
