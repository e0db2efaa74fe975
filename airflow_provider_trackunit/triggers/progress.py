"""How far watchers have come, and what they have reported: in memory, and in the state of the asset where there is one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.triggers.timing import told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from airflow_provider_trackunit.iris.watch.watermark import Mark, Seen, Value


@dataclass(frozen=True, slots=True)
class Poll:
    """What one complete poll brought.

    :param marks: of all its records
    :param since: the watermark that was asked for; None when the request names none
    """

    marks: Sequence[Mark]
    since: Value | None = None


class Progress:
    """What one watcher has seen and reported.

    :param state: the state store of the asset (Airflow 3.3 and later), else None
    :param name: what is watched; it tells the watchers of one asset apart
    """

    def __init__(self, state: Any, name: str) -> None:
        self._state = state
        self._watermark = f"iris-watermark-{name}"
        self._error = f"iris-error-{name}"
        self._reported: frozenset[str] = frozenset()
        self.seen: Seen | None = None

    async def begin(self, start: Value | None) -> Seen | None:
        """Return where the watcher stands: where it stood, else at a start; None when the first poll has to tell."""
        from airflow_provider_trackunit.iris.watch.watermark import Seen, read_seen

        self._reported = frozenset(await self._get(self._error) or ())
        self.seen = read_seen(await self._get(self._watermark))
        if self.seen is None and start is not None:
            await self._move_to(Seen(start))
        return self.seen

    def after(self, news: Poll | IrisError) -> AsyncIterator[dict[str, Any]]:
        """Yield what to tell of a poll, if anything; what was told is remembered only afterwards, and never lost."""
        return self._after_failure(news) if isinstance(news, IrisError) else self._after_poll(news)

    async def _after_poll(self, poll: Poll) -> AsyncIterator[dict[str, Any]]:
        from airflow_provider_trackunit.iris.watch.watermark import advance

        before = self.seen
        if before is not None and poll.since is not None and before.is_behind(poll.since):
            # It was sent before this watcher came. The next one asks for what it has not seen.
            return
        count, after = advance(before, poll.marks)
        if before is not None and count:
            yield _payload(count, _value(after), _value(before))
        if after is not before:
            await self._move_to(after)
        await self._report(frozenset())

    async def _after_failure(self, error: IrisError) -> AsyncIterator[dict[str, Any]]:
        """Yield an error, unless it was told and no poll has succeeded since."""
        facts = (type(error).__name__, getattr(error, "status", None), getattr(error, "code", None))
        kind = " ".join(str(fact) for fact in facts)
        if kind in self._reported:
            return
        at = _value(self.seen)
        yield {**told(error), **_payload(0, at, at)}
        await self._report(self._reported | {kind})

    async def _move_to(self, seen: Seen) -> None:
        from airflow_provider_trackunit.iris.watch.watermark import stored

        self.seen = seen
        if self._state is not None:
            await self._state.aset(self._watermark, stored(seen))

    async def _report(self, kinds: frozenset[str]) -> None:
        if kinds != self._reported and self._state is not None:
            await self._state.aset(self._error, sorted(kinds))
        self._reported = kinds

    async def _get(self, key: str) -> Any:
        return None if self._state is None else await self._state.aget(key, None)


def _value(seen: Seen | None) -> Value | None:
    from airflow_provider_trackunit.iris.watch.watermark import NOTHING_YET

    return None if seen is None or seen == NOTHING_YET else seen.value


def _payload(count: int, watermark: Value | None, records_from: Value | None) -> dict[str, Any]:
    return {"count": count, "watermark": watermark, "records_from": records_from}


class Board:
    """How far each watcher of one stream has come."""

    def __init__(self) -> None:
        self._seen: WeakKeyDictionary[object, Seen | None] = WeakKeyDictionary()
        self._somebody = asyncio.Event()

    def enter(self, watcher: object, seen: Seen | None) -> None:
        """Note how far a watcher has come."""
        self._seen[watcher] = seen
        self._somebody.set()

    def leave(self, watcher: object) -> None:
        """Forget a watcher."""
        self._seen.pop(watcher, None)
        if not self._seen:
            self._somebody.clear()

    async def has_watchers(self) -> None:
        """Return once somebody has said where to begin."""
        await self._somebody.wait()

    def oldest(self) -> Seen | None:
        """Return where the watcher stands that has come least far."""
        from airflow_provider_trackunit.iris.watch.watermark import oldest

        return oldest(seen for seen in self._seen.values() if seen is not None)
