"""The endless wait for new records, for an ``AssetWatcher``."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json as jsonlib
from typing import TYPE_CHECKING, Any, ClassVar, Final
from weakref import WeakKeyDictionary

from airflow_provider_trackunit._compat import AIRFLOW_VERSION, BaseEventTrigger, asset_state_of
from airflow_provider_trackunit.hooks.lending import UnreadableConnectionError
from airflow_provider_trackunit.iris.calls import utc_text, without_query
from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisError,
    IrisPaginationError,
    IrisTokenError,
)
from airflow_provider_trackunit.iris.watch.patience import Patience
from airflow_provider_trackunit.triggers.polling import PollingTrigger, connected, load_client
from airflow_provider_trackunit.triggers.progress import Board, Poll, Progress
from airflow_provider_trackunit.triggers.timing import event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

    from airflow_provider_trackunit._compat import TriggerEvent
    from airflow_provider_trackunit.iris.aio import AsyncIrisClient
    from airflow_provider_trackunit.iris.watch.watermark import Mark, Seen, Value

# What a watcher holds in memory of one poll. A poll that brings more asks for too long a period, or has no end.
_MOST_RECORDS: Final = 200_000

# A watcher has no task that could fail. It reports what a person has to mend, and tries again.
_AFTER_PERMANENT_ERROR_S: Final = 300.0


class IrisEventTrigger(PollingTrigger, BaseEventTrigger):
    """Polls a collection for ever and fires when it brings new records; for an ``AssetWatcher`` (Airflow 3).

    A record is new when its ``watermark`` is beyond the newest one seen, or equal to it and the record (by its
    ``id``) was not seen. A poll that brings new records fires once:
    ``{"count": 3, "watermark": "2026-01-15T06:00:00Z", "records_from": "2026-01-15T05:30:00Z"}``. A record
    that comes later with an older watermark is not noticed: choose a member that only grows.

    Without a stored watermark, and without ``start_from``, it begins now: what is there already does not fire.
    On Airflow 3.3 and later the watermark lies in the state store of the asset and survives the triggerer; watchers with
    the same request share one polling. It belongs to endpoint, request and ``watermark`` alone, so another interval or
    another connection goes on from it. Before 3.3 a restarted triggerer begins as if for the first time.

    A watcher that a person has to mend (a wrong secret, a missing right, ten failures in a row) fires as well, once for
    each distinct error: ``{"error": "IrisTokenError", "message": ..., "count": 0, ...}``, with where it stands as
    ``watermark`` and ``records_from``. A watcher has no task that could fail, and nobody reads the log of a triggerer:
    the run that this starts is where a person looks. It goes on trying every five minutes.

    Polls keep to the endpoint's documented limit, every page counted: asset events are polled every 15 minutes
    at the most.

    The arguments are those of :class:`~.polling.PollingTrigger`; ``{watermark}`` and ``{now}`` in the values of
    ``query_params`` and ``json`` are replaced by the period to ask for. And:

    :param watermark: a JMESPath expression within a record, such as ``timeOn``
    :param start_from: the watermark to begin with when none is stored
    """

    _boards: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Board]]] = WeakKeyDictionary()

    def __init__(self, *, watermark: str, start_from: Value | None = None, **polling: Any) -> None:
        super().__init__(**polling)
        self.watermark = watermark
        self.start_from = start_from

    def _arguments(self) -> dict[str, Any]:
        return {
            **super()._arguments(),
            "watermark": self.watermark,
            "start_from": self.start_from,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for every poll that brings new records, and for every new error."""
        async for one in self.filter_shared_stream(self.open_shared_stream(self._arguments())):
            yield one

    def shared_stream_key(self) -> Hashable | None:
        """Return what watchers must have in common to share one polling; None before Airflow 3.3."""
        return self._stream_name() if AIRFLOW_VERSION >= (3, 3) else None

    def _stream_name(self) -> str:
        return _canonical({**self._arguments(), "start_from": None})

    def _state_key(self) -> str:
        """Return a name for what is asked: an asset can have several watchers. How it is asked does not matter."""
        asked = _canonical({"endpoint": self.endpoint, **self.request, "watermark": self.watermark})
        return hashlib.sha256(asked.encode()).hexdigest()[:16]

    def _board(self) -> Board:
        """Return where the watchers of this stream say how far they have come, for the period of the next poll."""
        boards = self._boards.setdefault(asyncio.get_running_loop(), {})
        return boards.setdefault(self._stream_name(), Board())

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Poll | IrisError]:
        """Yield what every poll brings, for all watchers of this request, or why it brings nothing."""
        poller = cls(**kwargs)
        await load_client()
        patience = Patience()
        while True:
            worked = False
            try:
                async with connected(poller.trackunit_conn_id, poller.call_settings) as client:
                    patience.succeeded()
                    async for poll in poller._sweeps(client):
                        worked = True
                        yield poll
            except IrisError as error:
                # A secret that worked was replaced, and the connection most likely names the new one.
                is_stale = worked and isinstance(error, IrisTokenError)
                lasting = None if is_stale else poller._lasting(error, patience)
                if lasting is not None:
                    yield lasting
            await poller.timing.sleep(poller.poll_interval_s if lasting is None else _AFTER_PERMANENT_ERROR_S)

    def _lasting(self, error: IrisError, patience: Patience) -> IrisError | None:
        """Return what a person has to mend, and log it; None for what may pass until the next poll."""
        if isinstance(error, UnreadableConnectionError):
            try:
                patience.survive(error)
            except UnreadableConnectionError:
                # There is most likely no such connection.
                error = IrisConfigurationError(str(error))
            else:
                return None
        self.log.error(
            "Watching %s failed; next try in %.0f s: %s",
            without_query(self.endpoint),
            _AFTER_PERMANENT_ERROR_S,
            error,
        )
        return error

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Poll | IrisError]
    ) -> AsyncIterator[TriggerEvent]:
        """Yield an event for every poll that brings records this watcher has not seen, and for every new error."""
        await load_client()
        progress = Progress(asset_state_of(self), self._state_key())
        board = self._board()
        board.enter(self, await self._begin(progress))
        try:
            async for news in shared_stream:
                async for payload in progress.after(news):
                    yield event(payload)
                board.enter(self, progress.seen)
        finally:
            board.leave(self)

    async def _begin(self, progress: Progress) -> Seen | None:
        """Return how far this watcher has come; None when the first poll has to tell."""
        from airflow_provider_trackunit.iris.watch.watermark import has_window

        start = self.start_from
        if start is None and has_window(self.request):
            start = utc_text(self._now())
        return await progress.begin(start)

    async def _sweeps(self, client: AsyncIrisClient) -> AsyncIterator[Poll]:
        """Yield what one complete walk after the other brings."""
        patience = Patience()
        board = self._board()
        while True:
            await board.has_watchers()
            begun = self.timing.clock()
            since = self._since(board)
            marks, pages = await self._sweep(client, self._window(since), patience)
            yield Poll(marks, since)
            least_s = client.sustained_interval_s(self.endpoint, pages, **self.request)
            await self._sleep_until(begun + max(self.poll_interval_s, least_s))

    def _since(self, board: Board) -> Value | None:
        """Return where the slowest watcher stands; None when the request does not ask for that."""
        from airflow_provider_trackunit.iris.watch.watermark import has_window

        seen = board.oldest()
        return seen.value if seen is not None and has_window(self.request) else None

    def _window(self, since: Value | None) -> dict[str, Any]:
        """Return the request, with its period filled in."""
        from airflow_provider_trackunit.iris.watch.watermark import fill_window

        filled = {
            name: fill_window(self.request[name], "" if since is None else since, self._now())
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


def _canonical(arguments: dict[str, Any]) -> str:
    return jsonlib.dumps(arguments, sort_keys=True, default=str)
