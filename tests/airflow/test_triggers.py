"""The triggers: what ends a wait, what it survives, what many of them share, and what a watcher notices."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit._compat import AIRFLOW_VERSION, AirflowException
from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.hooks import lending
from airflow_provider_trackunit.hooks.lending import UnreadableConnectionError
from airflow_provider_trackunit.iris.watch.watermark import Mark, Seen
from airflow_provider_trackunit.settings import CallSettings
from airflow_provider_trackunit.tasks.deferral import error_of
from airflow_provider_trackunit.triggers import (
    IrisEventTrigger,
    IrisResumeTrigger,
    IrisTrigger,
    Timing,
)
from airflow_provider_trackunit.triggers.polling import connected
from airflow_provider_trackunit.triggers.progress import Poll, Progress
from airflow_provider_trackunit.triggers.timing import IrisWait
from tests.airflow.round_trip import first_event, rebuilt

if TYPE_CHECKING:
    from collections.abc import Callable

ASSETS = "/api/asset/v1/assets"
LOG = "/public/api/eventlog/v3/asset-event/log"
NOW = 1_800_000_000.0


class Hours:
    """A clock on which a sleep takes no time, but lets the other coroutines run."""

    def __init__(self) -> None:
        self.now = NOW
        self.slept: list[float] = []
        self.at: Callable[[float], None] = lambda _now: None

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.at(self.now)
        await asyncio.sleep(0)


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Hours:
    """Let all triggers live on a clock of their own, without jitter."""
    clock = Hours()
    timing = Timing(clock=lambda: clock.now, sleep=clock.sleep, chance=lambda: 0.0)
    monkeypatch.setattr(IrisWait, "timing", timing)
    return clock


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass a hundred times as fast, for many triggers that live side by side."""
    begun = time.monotonic()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / 100)

    timing = Timing(lambda: NOW + (time.monotonic() - begun) * 100, sleep, lambda: 0.0)
    monkeypatch.setattr(IrisWait, "timing", timing)


def waiting(**arguments: Any) -> IrisTrigger:
    defaults: dict[str, Any] = {
        "endpoint": ASSETS,
        "query_params": {"size": 1},
        "deadline_epoch_s": NOW + 3600,
        "state": {"a": 1},
    }
    return IrisTrigger(**{**defaults, **arguments})


def outcome(**arguments: Any) -> Any:
    return asyncio.run(first_event(rebuilt(waiting(**arguments))))


def test_the_arguments_of_a_trigger_come_back_from_the_database_as_they_were() -> None:
    trigger = waiting(method="POST", json={"a": [1, None]}, condition="a", headers={"h": "1"})
    assert rebuilt(trigger).serialize() == trigger.serialize()
    resume = IrisResumeTrigger(resume_at_epoch_s=1.5, state={"a": [1]})
    assert rebuilt(resume).serialize() == resume.serialize()
    watcher = IrisEventTrigger(endpoint=LOG, watermark="timeOn", json={"fromTime": "{watermark}"})
    assert rebuilt(watcher).serialize() == watcher.serialize()


@pytest.mark.parametrize(
    ("condition", "value"), [(None, 1), ("totalElements", 250), ("content[0].id != null", True)]
)
def test_a_wait_ends_with_what_was_found(
    iris_connection: IrisEmulator, hours: Hours, condition: str | None, value: Any
) -> None:
    assert outcome(condition=condition) == {"status": "done", "value": value, "state": {"a": 1}}


def test_a_wait_goes_on_until_the_condition_holds(iris_connection: IrisEmulator, hours: Hours) -> None:
    def grow(_now: float) -> None:
        iris_connection.fleet(grow=1)

    hours.at = grow
    event = outcome(condition="totalElements >= `255` && totalElements", poll_interval_s=60)
    assert event["value"] == 255
    assert hours.now == NOW + 5 * 60
    assert len(iris_connection.requests(ASSETS)) == 5


def test_polls_are_at_least_ten_seconds_apart(iris_connection: IrisEmulator, hours: Hours) -> None:
    assert outcome(condition="`false`", poll_interval_s=0.1, deadline_epoch_s=NOW + 35)["status"] == "timeout"
    assert len(iris_connection.requests(ASSETS)) == 4  # at 10, 20, 30, and at the end


def test_the_deadline_ends_the_wait_after_a_last_look(iris_connection: IrisEmulator, hours: Hours) -> None:
    assert outcome(condition="`false`", deadline_epoch_s=NOW + 90) == {"status": "timeout", "state": {"a": 1}}
    assert hours.now == NOW + 90
    assert len(iris_connection.requests(ASSETS)) == 2


def test_a_trigger_that_starts_after_its_deadline_still_looks_once(
    iris_connection: IrisEmulator, hours: Hours
) -> None:
    assert outcome(deadline_epoch_s=NOW - 90)["status"] == "done"
    assert outcome(deadline_epoch_s=NOW - 90, condition="`false`")["status"] == "timeout"


def test_started_again_elsewhere_a_trigger_has_the_same_outcome(
    iris_connection: IrisEmulator, hours: Hours
) -> None:
    trigger = waiting(condition="content[0]")

    async def lost() -> None:
        events: Any = trigger.run()
        waited = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        waited.cancel()
        await asyncio.gather(waited, return_exceptions=True)
        await events.aclose()

    asyncio.run(lost())
    first = asyncio.run(first_event(rebuilt(trigger)))
    hours.now += 1000
    assert asyncio.run(first_event(rebuilt(trigger))) == first


@pytest.mark.parametrize(
    ("arguments", "fault", "error", "said"),
    [
        ({}, {"status": 403}, "IrisPermissionError", "HTTP 403"),
        ({}, {"status": 401, "times": None}, "IrisAuthenticationError", "HTTP 401"),
        ({}, {"status": 400}, "IrisBadRequestError", "HTTP 400"),
        ({"endpoint": "/nothing/here"}, None, "IrisUnexpectedResponseError", "instead of JSON"),
        ({"condition": "a ||"}, None, "IrisConfigurationError", "not a JMESPath expression"),
        ({"condition": "length(totalElements)"}, None, "IrisConfigurationError", "cannot be applied"),
        ({"endpoint": "/a/{b}"}, None, "IrisConfigurationError", "no value for b"),
    ],
)
def test_an_error_that_nothing_can_mend_ends_the_wait_at_once_with_its_text(  # noqa: PLR0917 (a table)
    iris_connection: IrisEmulator,
    hours: Hours,
    arguments: dict[str, Any],
    fault: dict[str, Any] | None,
    error: str,
    said: str,
) -> None:
    if fault:
        iris_connection.fault(path=ASSETS, **fault)
    event = outcome(**arguments)
    assert (event["status"], event["error"], event["state"]) == ("error", error, {"a": 1})
    assert said in event["message"]
    assert len(iris_connection.requests("/api/")) <= 2


def test_a_refused_secret_ends_the_wait_and_is_not_repeated_anywhere(
    iris_connection: IrisEmulator,
    hours: Hours,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_TRACKUNIT_DEFAULT", iris_connection.connection_json(client_secret="wrong-secret")
    )
    event = outcome()
    assert event["error"] == "IrisTokenError"
    assert "wrong-secret" not in json.dumps(event) + caplog.text


def test_not_found_means_not_yet(iris_connection: IrisEmulator, hours: Hours) -> None:
    iris_connection.fault(path=ASSETS, kind="status", status=404, times=30)
    assert outcome(poll_interval_s=10)["status"] == "done"


@pytest.mark.parametrize(("failing_polls", "status"), [(9, "done"), (10, "error")])
def test_nine_failures_in_a_row_pass_and_the_tenth_ends_the_wait(
    iris_connection: IrisEmulator,
    hours: Hours,
    failing_polls: int,
    status: str,
) -> None:
    iris_connection.fault(path=ASSETS, kind="status", status=503, times=failing_polls)
    event = outcome(poll_interval_s=10, max_attempts=1)
    assert event["status"] == status
    assert event.get("error") == (None if status == "done" else "IrisServerError")


def test_a_limit_longer_than_the_interval_is_heeded(
    iris_connection: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    iris_connection.fault(path=ASSETS, kind="rate_limit", retry_after="500")
    assert outcome(poll_interval_s=60)["status"] == "done"
    assert hours.now == NOW + 60 + 500
    assert len(iris_connection.requests(ASSETS)) == 2


def test_a_limit_beyond_the_deadline_is_heeded_too(iris_connection: IrisEmulator, hours: Hours) -> None:
    iris_connection.fault(path=ASSETS, kind="rate_limit", retry_after="5000")
    assert outcome(deadline_epoch_s=NOW + 300)["status"] == "timeout"
    assert len(iris_connection.requests(ASSETS)) == 1


def test_no_poll_comes_before_the_moment_that_the_task_was_told(
    iris_connection: IrisEmulator, hours: Hours
) -> None:
    assert outcome(not_before_epoch_s=NOW + 400)["status"] == "done"
    assert hours.now == NOW + 400


def test_a_value_too_large_for_an_event_is_left_out(iris_connection: IrisEmulator, hours: Hours) -> None:
    event = outcome(query_params={"size": 250}, condition="content")
    assert event == {"status": "done", "state": {"a": 1}}


def test_a_resume_trigger_fires_at_its_moment_with_its_state(hours: Hours) -> None:
    event = asyncio.run(first_event(rebuilt(IrisResumeTrigger(resume_at_epoch_s=NOW + 900, state={"n": 1}))))
    assert event == {"status": "done", "state": {"n": 1}}
    assert hours.now == NOW + 900
    assert max(hours.slept) <= 60


def test_many_triggers_share_one_session_and_one_token_and_leave_nothing_open(
    iris_connection: IrisEmulator, fast: None
) -> None:
    from airflow_provider_trackunit.iris import sharing

    async def main() -> tuple[list[Any], int]:
        started = [asyncio.create_task(first_event(waiting())) for _ in range(200)]
        while not iris_connection.requests(ASSETS):  # noqa: ASYNC110 (it waits for another process)
            await asyncio.sleep(0.01)
        clients = [len(of_loop) for of_loop in sharing._clients.values() if of_loop]
        events = await asyncio.gather(*started)
        assert sharing._clients[asyncio.get_running_loop()] == {}
        return events, max(clients)

    events, clients = asyncio.run(main())
    assert {event["status"] for event in events} == {"done"}
    assert clients == 1
    assert iris_connection.stats()["token_requests"] == 1


def test_a_cancelled_trigger_gives_its_share_back(iris_connection: IrisEmulator) -> None:
    from airflow_provider_trackunit.iris import sharing

    async def main() -> None:
        tasks = [
            asyncio.create_task(first_event(waiting(deadline_epoch_s=time.time() + 999))) for _ in range(3)
        ]
        while not (of_loop := sharing._clients.get(asyncio.get_running_loop())):  # noqa: ASYNC110 (it waits for another process)
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert of_loop == {}

    asyncio.run(main())


def test_the_name_of_a_shared_client_gives_no_secret_away(iris_connection: IrisEmulator) -> None:
    from airflow_provider_trackunit.iris import sharing

    async def main() -> str:
        async with connected("trackunit_default", CallSettings()):
            return repr(dict(sharing._clients[asyncio.get_running_loop()]))

    shown = asyncio.run(main())
    assert iris_connection.client_secret not in shown
    assert iris_connection.password not in shown


def test_a_token_revoked_while_many_wait_is_renewed_once(iris_connection: IrisEmulator, fast: None) -> None:
    async def polls(at_least: int) -> None:
        while len(iris_connection.requests(ASSETS)) < at_least:  # noqa: ASYNC110 (it waits for another process)
            await asyncio.sleep(0.02)

    async def main() -> list[Any]:
        condition = "totalElements > `250`"
        tasks = [asyncio.create_task(first_event(waiting(condition=condition))) for _ in range(50)]
        await asyncio.wait_for(polls(50), 20)
        iris_connection.revoke_tokens()
        await asyncio.wait_for(polls(150), 20)
        iris_connection.fleet(grow=1)
        return await asyncio.gather(*tasks)

    events = asyncio.run(main())
    assert {event["status"] for event in events} == {"done"}
    assert iris_connection.stats()["token_requests"] == 2


def test_a_wait_outlives_an_emulator_that_goes_away_and_comes_back(
    monkeypatch: pytest.MonkeyPatch, hours: Hours
) -> None:
    iris = IrisEmulator.start(assets=5)
    port = int(iris.url.rpartition(":")[2])
    monkeypatch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", iris.connection_json())
    running = [iris]

    def change(now: float) -> None:
        if now >= NOW + 30 and running:
            running.pop().stop()
        if now >= NOW + 90 and not running:
            running.append(IrisEmulator.start(assets=6, port=port))

    hours.at = change
    try:
        event = outcome(condition="totalElements > `5`", poll_interval_s=10, max_attempts=1)
    finally:
        for one in running:
            one.stop()
    assert event == {"status": "done", "value": True, "state": {"a": 1}}


class Store:
    """What Airflow 3.3 keeps for an asset."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        return json.loads(json.dumps(self.values.get(key, default)))

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = value


def watcher(**arguments: Any) -> IrisEventTrigger:
    defaults: dict[str, Any] = {
        "endpoint": LOG,
        "method": "POST",
        "json": {"fromTime": "{watermark}", "toTime": "2027-06-01T00:00:00Z"},
        "watermark": "timeOn",
        "start_from": "2026-01-15T05:50:00Z",
        "poll_interval_s": 60,
    }
    return IrisEventTrigger(**{**defaults, **arguments})


async def take(trigger: IrisEventTrigger, hours: Hours, polls: int) -> list[Any]:
    """Return the events of a watcher within so many polls."""
    events: list[Any] = []

    async def collect() -> None:
        async for event in trigger.run():
            events.append(event.payload)  # noqa: PERF401 (what came before the cancellation is wanted)

    done = asyncio.Event()
    ends_at = hours.now + polls * 900 + 1
    before = hours.at

    def at(now: float) -> None:
        before(now)
        if now >= ends_at:
            done.set()

    hours.at = at
    task = asyncio.create_task(collect())
    await asyncio.wait(
        {task, asyncio.create_task(done.wait())}, timeout=20, return_when=asyncio.FIRST_COMPLETED
    )
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    hours.at = before
    return events


def event_at(moment: str, name: str) -> dict[str, Any]:
    return {"timeOn": moment, "eventTime": moment, "id": name}


def prepare(iris: IrisEmulator) -> None:
    iris.settings(event_calls_per_30_min=None, event_step_s=10**9)
    iris.add_events(event_at("2026-01-15T06:00:00Z", "w"))


@pytest.fixture
def events_only(iris_connection: IrisEmulator) -> IrisEmulator:
    """Return the emulator with one event in the period and without its limit, which runs on another clock."""
    prepare(iris_connection)
    return iris_connection


def test_a_watcher_fires_once_for_new_records_and_never_again_for_the_same(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = watcher()
    trigger.asset_state_store = store = Store()  # type: ignore[assignment] # as the triggerer does

    def happen(now: float) -> None:
        if not events_only.requests(LOG) or added:
            return
        added.append(1)
        # Two with the watermark that was seen already, one later.
        events_only.add_events(event_at("2026-01-15T06:00:00Z", "x"), event_at("2026-01-15T06:10:00Z", "y"))

    added: list[int] = []
    hours.at = happen
    unlimited(monkeypatch)
    events = asyncio.run(take(trigger, hours, 6))
    assert [event["count"] for event in events] == [1, 2]
    assert events[0]["records_from"] == "2026-01-15T05:50:00Z"
    assert events[1] == {
        "count": 2,
        "watermark": "2026-01-15T06:10:00Z",
        "records_from": "2026-01-15T06:00:00Z",
    }
    stored = next(iter(store.values.values()))
    assert stored["value"] == "2026-01-15T06:10:00Z"

    again = watcher()
    again.asset_state_store = store  # type: ignore[assignment] # as the triggerer does
    assert asyncio.run(take(again, hours, 3)) == []
    events_only.add_events(event_at("2026-01-15T06:10:00Z", "z"))
    third = watcher()
    third.asset_state_store = store  # type: ignore[assignment] # as the triggerer does
    assert [event["count"] for event in asyncio.run(take(third, hours, 3))] == [1]


def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lift what the client holds back by itself, which it does in real time."""
    from airflow_provider_trackunit.iris.http.pacing import Pacer

    monkeypatch.setattr(Pacer, "ask", lambda *_: 0.0)


def test_asset_events_are_polled_as_often_as_their_limit_lasts_every_page_counted(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    begun = hours.now
    asyncio.run(take(watcher(), hours, 4))
    assert len(events_only.requests(LOG)) == 5  # at 0, 900, 1800, 2700, 3600
    events_only.reset()
    prepare(events_only)
    events_only.add_events(event_at("2026-01-15T06:00:00Z", "x"))
    hours.now = begun
    asyncio.run(take(watcher(query_params={"size": 1}), hours, 4))
    # Two pages a poll are all that half an hour allows.
    assert len(events_only.requests(LOG)) == 6


def test_a_walk_that_meets_a_failure_goes_on_where_it_stopped(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    events_only.add_events(event_at("2026-01-15T06:10:00Z", "x"))
    events_only.fault(path="page=1", kind="rate_limit", retry_after="600")
    events = asyncio.run(take(watcher(query_params={"size": 1}), hours, 2))
    assert [event["count"] for event in events] == [2]
    asked = [one["query"] for one in events_only.requests(LOG)][:3]
    assert [query.partition("page=")[2] for query in asked] == ["0", "1", "1"]


def test_without_a_watermark_the_first_poll_only_sets_it(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    period = {"fromTime": "2026-01-15T00:00:00Z", "toTime": "2026-01-16T00:00:00Z"}
    added: list[int] = []

    def happen(now: float) -> None:
        if events_only.requests(LOG) and not added:
            added.append(1)
            events_only.add_events(event_at("2026-01-15T06:10:00Z", "x"))

    hours.at = happen
    events = asyncio.run(take(watcher(json=period, start_from=None), hours, 4))
    assert events == [
        {"count": 1, "watermark": "2026-01-15T06:10:00Z", "records_from": "2026-01-15T06:00:00Z"}
    ]


def test_what_comes_into_a_collection_that_was_empty_is_new(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    period = {"fromTime": "2026-02-01T00:00:00Z", "toTime": "2026-02-02T00:00:00Z"}
    store = Store()
    begins = {"json": period, "start_from": None}
    assert asyncio.run(take(kept(store, **begins), hours, 2)) == []
    events_only.add_events(event_at("2026-02-01T06:10:00Z", "x"))
    fired = asyncio.run(take(kept(store, **begins), hours, 2))
    assert fired == [{"count": 1, "watermark": "2026-02-01T06:10:00Z", "records_from": None}]
    assert asyncio.run(take(kept(store, **begins), hours, 2)) == []


def test_a_poll_that_was_sent_before_a_watcher_came_does_not_move_it_past_what_it_has_not_seen() -> None:
    mark = Mark("2026-01-15T06:10:00Z", "a")

    async def after(*polls: Poll) -> tuple[list[Any], Progress]:
        progress = Progress(None, "x")
        await progress.begin("2026-01-15T05:00:00Z")
        return [told for poll in polls async for told in progress.after(poll)], progress

    late = Poll([mark], since="2026-01-15T06:00:00Z")
    told, progress = asyncio.run(after(late))
    assert told == []
    assert progress.seen == Seen("2026-01-15T05:00:00Z")
    missed = Mark("2026-01-15T05:30:00Z", "b")
    told, _ = asyncio.run(after(late, Poll([missed, mark], since="2026-01-15T05:00:00Z")))
    assert [one["count"] for one in told] == [2]


def test_a_watcher_of_a_moving_period_begins_now_and_says_so_to_the_store(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    trigger = watcher(start_from=None, json={"fromTime": "{watermark}", "toTime": "{now}"})
    trigger.asset_state_store = store = Store()  # type: ignore[assignment] # as the triggerer does
    assert asyncio.run(take(trigger, hours, 2)) == []
    assert list(store.values.values()) == [{"value": "2027-01-15T08:00:00Z", "at_it": []}]
    asked = [json.loads(one["body"]) for one in events_only.requests(LOG)]
    assert asked[:2] == [
        {"fromTime": "2027-01-15T07:59:59Z", "toTime": "2027-01-15T08:00:00Z"},
        {"fromTime": "2027-01-15T07:59:59Z", "toTime": "2027-01-15T08:15:00Z"},
    ]


BROKEN = [
    pytest.param({"kind": "status", "status": 403}, "IrisPermissionError", "HTTP 403", id="a missing right"),
    pytest.param({"kind": "html"}, "IrisUnexpectedResponseError", "instead of JSON", id="a web page"),
    pytest.param(
        {"kind": "status", "status": 503}, "IrisServerError", "HTTP 503", id="IRIS is away for long"
    ),
]


@pytest.mark.parametrize(("fault", "error", "message"), BROKEN)
def test_a_watcher_that_a_person_has_to_mend_says_so_once_and_goes_on_when_it_is_mended(  # noqa: PLR0917 (a table)
    events_only: IrisEmulator,
    hours: Hours,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
    error: str,
    message: str,
) -> None:
    unlimited(monkeypatch)
    events_only.fault(path=LOG, **fault, times=40)
    broken, *others = asyncio.run(take(watcher(max_attempts=1), hours, 60))
    assert message in broken.pop("message")
    at = "2026-01-15T05:50:00Z"
    assert broken == {"error": error, "count": 0, "watermark": at, "records_from": at}
    assert [one["count"] for one in others] == [1]


def test_a_watcher_says_another_error_too_and_the_same_one_again_after_a_success(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    for status, times, skip in ((403, 3, 0), (400, 3, 0), (403, 2, 1)):
        events_only.fault(path=LOG, kind="status", status=status, times=times, skip=skip)
    told = asyncio.run(take(watcher(), hours, 12))
    assert [one.get("error") for one in told] == [
        "IrisPermissionError",
        "IrisBadRequestError",
        None,
        "IrisPermissionError",
    ]


def test_errors_that_take_turns_are_told_once_each(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    for status in (403, 400) * 4:
        events_only.fault(path=LOG, kind="status", status=status, times=1)
    store = Store()
    told = asyncio.run(take(kept(store), hours, 2))
    assert [one.get("error") for one in told] == ["IrisPermissionError", "IrisBadRequestError"]


def test_an_error_that_was_told_is_not_told_again_by_a_triggerer_that_was_restarted(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    monkeypatch.setenv(
        "AIRFLOW_CONN_TRACKUNIT_DEFAULT", events_only.connection_json(client_secret="wrong-secret")
    )
    store = Store()
    (broken,) = asyncio.run(take(kept(store), hours, 3))
    assert broken["error"] == "IrisTokenError"
    assert "Check Client ID and Client secret" in broken["message"]
    assert "(connection 'trackunit_default')" in broken["message"]
    assert "wrong-secret" not in json.dumps(broken)
    assert asyncio.run(take(kept(store), hours, 3)) == []


def kept(store: Store, **arguments: Any) -> IrisEventTrigger:
    """Return a watcher of an asset that has this state."""
    trigger = watcher(**arguments)
    trigger.asset_state_store = store  # type: ignore[assignment] # as the triggerer does
    return trigger


@pytest.mark.parametrize(
    "change",
    [
        {"poll_interval_s": 120},
        {"trackunit_conn_id": "another"},
        {"timeout_s": 5, "max_attempts": 1, "max_wait_s": 1},
        {"start_from": "2026-01-14T00:00:00Z"},
    ],
    ids=["another interval", "another connection", "other settings", "another start"],
)
def test_a_watermark_outlives_how_it_is_asked_for(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    unlimited(monkeypatch)
    monkeypatch.setenv("AIRFLOW_CONN_ANOTHER", events_only.connection_json())
    store = Store()
    assert [one["count"] for one in asyncio.run(take(kept(store), hours, 2))] == [1]
    events_only.add_events(event_at("2026-01-15T06:10:00Z", "x"))
    (fired,) = asyncio.run(take(kept(store, **change), hours, 2))
    assert (fired["count"], fired["records_from"]) == (1, "2026-01-15T06:00:00Z")


def test_an_event_that_a_dying_triggerer_may_not_have_passed_on_is_fired_again(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    store = Store()
    fired = asyncio.run(first_event(kept(store)))
    assert asyncio.run(take(kept(store), hours, 2)) == [fired]
    assert asyncio.run(take(kept(store), hours, 2)) == []


def test_another_request_has_a_watermark_of_its_own(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    store = Store()
    for size in (10, 20):
        fired = asyncio.run(take(kept(store, query_params={"size": size}), hours, 2))
        assert [one["records_from"] for one in fired] == ["2026-01-15T05:50:00Z"]


def test_any_number_of_records_with_the_newest_watermark_fire_once(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    events_only.add_events(*(event_at("2026-01-15T06:10:00Z", f"e{number}") for number in range(1500)))
    store = Store()
    assert [one["count"] for one in asyncio.run(take(kept(store), hours, 3))] == [1501]
    assert asyncio.run(take(kept(store), hours, 3)) == []
    events_only.add_events(event_at("2026-01-15T06:10:00Z", "late"))
    assert [one["count"] for one in asyncio.run(take(kept(store), hours, 3))] == [1]
    assert max(len(json.dumps(value)) for value in store.values.values()) < 65_535


# -- a connection that Airflow does not give


class Backend:
    """A secrets backend that is away for a while, and says what Airflow says then."""

    def __init__(self, failures: int, patch: pytest.MonkeyPatch) -> None:
        self.left = failures
        self.reads = 0
        self._read: Any = vars(lending)["connection_in_loop"]
        patch.setattr(lending, "connection_in_loop", self.read)

    async def read(self, conn_id: str) -> Any:
        self.reads += 1
        if self.left > 0:
            self.left -= 1
            raise AirflowException(f"The conn_id `{conn_id}` isn't defined")
        return await self._read(conn_id)


def test_a_connection_that_cannot_be_read_for_a_while_ends_no_wait(
    iris_connection: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Backend(9, monkeypatch)
    assert outcome() == {"status": "done", "value": 1, "state": {"a": 1}}
    assert backend.reads == 10
    assert hours.now == NOW + 10 * 60


def test_a_connection_that_stays_away_ends_the_try_and_names_it(hours: Hours) -> None:
    event = outcome(trackunit_conn_id="nowhere")
    assert event["status"] == "error"
    assert "Connection 'nowhere' cannot be read" in event["message"]
    assert error_of(event).transient  # so that another try of the task may get it
    assert isinstance(error_of(event), UnreadableConnectionError)
    assert hours.now == NOW + 9 * 60


def test_a_secret_that_is_replaced_meanwhile_ends_no_wait(
    iris_connection: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    mended = iris_connection.connection_json()

    def replace(now: float) -> None:
        if now == NOW + 120:
            iris_connection.fault(path=ASSETS, status=401, times=1)
            iris_connection.fault(path="/token", status=401, body='{"error":"invalid_client"}', times=1)
            monkeypatch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", other_settings(mended))
        if now == NOW + 240:
            iris_connection.fleet(grow=1)

    hours.at = replace
    assert outcome(condition="totalElements > `250`")["status"] == "done"


def other_settings(connection: str) -> str:
    """Return the connection with something in it that makes it another for whoever shares a client."""
    settings = json.loads(connection)
    settings["extra"] |= {"max_attempts": 3}
    return json.dumps(settings)


def test_a_watcher_reads_its_connection_again_when_the_secret_was_replaced(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    begun = hours.now

    def replace(now: float) -> None:
        if now >= begun + 900 and not replaced:
            replaced.append(1)
            events_only.fault(path=LOG, status=401, times=1)
            events_only.fault(path="/token", status=401, body='{"error":"invalid_client"}', times=1)
            events_only.add_events(event_at("2026-01-15T06:10:00Z", "x"))

    replaced: list[int] = []
    hours.at = replace
    fired = asyncio.run(take(watcher(), hours, 5))
    assert [(one.get("error"), one["count"]) for one in fired] == [(None, 1), (None, 1)]
    assert replaced


# -- a wall clock that is set


def test_a_wall_clock_that_is_set_back_makes_no_wait_longer(
    iris_connection: IrisEmulator, hours: Hours
) -> None:
    def set_back(_now: float) -> None:
        if len(hours.slept) == 3:
            hours.now -= 86_400
            iris_connection.fleet(grow=1)

    hours.at = set_back
    assert outcome(condition="totalElements > `250`")["status"] == "done"
    assert sum(hours.slept) <= 4 * 60


def test_a_watcher_polls_on_after_the_wall_clock_was_set_back(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)

    def set_back(_now: float) -> None:
        if len(hours.slept) == 3:
            hours.now -= 86_400
            events_only.add_events(event_at("2026-01-15T06:10:00Z", "x"))

    hours.at = set_back
    fired = asyncio.run(first_events(watcher(), 2))
    assert [one["count"] for one in fired] == [1, 1]
    assert sum(hours.slept) <= 2 * 900


def test_a_pause_of_years_by_mistake_ends_no_watch(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    events_only.fault(path=LOG, status=429, headers={"Retry-After": "1000000000"}, times=1)
    assert asyncio.run(first_events(watcher(), 1))[0]["count"] == 1
    assert sum(hours.slept) == 3600


async def first_events(trigger: IrisEventTrigger, count: int) -> list[Any]:
    """Return so many events of a watcher."""
    events: list[Any] = []
    async for one in trigger.run():
        events.append(one.payload)
        if len(events) == count:
            break
    return events


def test_a_connection_that_comes_back_after_the_deadline_is_a_timeout(
    iris_connection: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Backend(100, monkeypatch)
    assert outcome(deadline_epoch_s=NOW + 150)["status"] == "timeout"
    assert (hours.now, backend.reads) == (NOW + 150, 4)


def test_a_watcher_waits_for_its_connection_and_reports_it_only_when_that_lasts(
    events_only: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited(monkeypatch)
    Backend(9, monkeypatch)
    assert [one["count"] for one in asyncio.run(take(watcher(), hours, 2))] == [1]
    Backend(30, monkeypatch)
    broken, found = asyncio.run(take(watcher(), hours, 10))
    assert (broken["error"], found["count"]) == ("IrisConfigurationError", 1)


def test_an_incomplete_connection_ends_the_wait_at_once_and_names_it(
    iris_connection: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", iris_connection.connection_json(client_id=""))
    event = outcome()
    assert event["error"] == "IrisConfigurationError"
    assert event["message"].endswith("(connection 'trackunit_default')")
    assert hours.now == NOW


# -- settings


def test_the_settings_of_the_connection_hold_in_the_triggerer_and_an_argument_wins(
    iris_connection: IrisEmulator, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = json.loads(iris_connection.connection_json())
    settings["extra"] |= {"max_attempts": 3}
    monkeypatch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", json.dumps(settings))
    for given, sent in ((None, 3), (1, 1)):
        iris_connection.reset()
        iris_connection.fault(
            path=ASSETS, kind="status", status=503, headers={"Retry-After": "0"}, times=None
        )
        outcome(deadline_epoch_s=hours.now, max_attempts=given)
        assert len(iris_connection.requests(ASSETS)) == sent


def test_each_poll_says_in_one_line_what_it_saw(
    iris_connection: IrisEmulator, hours: Hours, said: Callable[[], str]
) -> None:
    outcome(condition="totalElements > `250`", deadline_epoch_s=NOW + 90)
    lines = [line for line in said().splitlines() if "not yet, the condition gives False" in line]
    assert len(lines) == len(iris_connection.requests(ASSETS)) == 2


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 3), reason="shared streams are new in Airflow 3.3")
def test_watchers_of_one_request_share_one_polling_and_each_keeps_its_own_watermark(
    events_only: IrisEmulator, fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.triggers.shared_stream import SharedStreamManager

    unlimited(monkeypatch)
    events_only.add_events(event_at("2026-01-15T06:10:00Z", "x"))
    first, second = watcher(), watcher(start_from="2026-01-15T06:05:00Z")
    key = first.shared_stream_key()
    assert key is not None
    assert key == second.shared_stream_key()
    assert key != watcher(watermark="id").shared_stream_key()
    found: dict[int, list[Any]] = {1: [], 2: []}

    async def main() -> None:
        from structlog import get_logger

        manager = SharedStreamManager(log=get_logger())

        async def follow(number: int, trigger: IrisEventTrigger) -> None:
            stream = manager.subscribe(trigger_id=number, trigger=trigger, key=key)
            async for event in trigger.filter_shared_stream(stream):
                found[number].append(event.payload)

        tasks = [asyncio.create_task(follow(*pair)) for pair in ((1, first), (2, second))]
        while not (found[1] and found[2]):  # noqa: ASYNC110 (it waits for another process)
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await manager.stop_all()

    asyncio.run(asyncio.wait_for(main(), 20))
    assert found[1] == [
        {"count": 2, "watermark": "2026-01-15T06:10:00Z", "records_from": "2026-01-15T05:50:00Z"}
    ]
    assert found[2] == [
        {"count": 1, "watermark": "2026-01-15T06:10:00Z", "records_from": "2026-01-15T06:05:00Z"}
    ]
    assert len(events_only.requests(LOG)) == 1
