"""What comes out of Airflow's database: events, states, arguments of triggers. Ours, or a failure that says so."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_trackunit._compat import (
    AIRFLOW_VERSION,
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
    TaskDeferred,
)
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.iris.http.wire import Response
from airflow_provider_trackunit.operators import IrisApiOperator
from airflow_provider_trackunit.retry import IrisRetryPolicy
from airflow_provider_trackunit.sensors import IrisSensor
from airflow_provider_trackunit.tasks.deferral import Deferrals, backstop, error_of, validated
from airflow_provider_trackunit.triggers import IrisEventTrigger, IrisResumeTrigger, IrisTrigger, Timing
from tests.airflow.round_trip import NO_CONTEXT, rebuilt
from tests.fuzz.documents import LEAVES, VALUES, hostile
from tests.fuzz.wires import JSON, WiredAsyncClient, on_loop
from tests.iris.conftest import HandClock

NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1e308, 10**30, 10**400, float("nan"), float("inf"), "5", True, None, 0.5]),
    st.integers(0, 10**11),
    VALUES,
)
STATES = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {},
        optional={
            "deadline_epoch_s": NUMBERS,
            "count": NUMBERS,
            "state": st.one_of(VALUES, st.just({}), st.fixed_dictionaries({"progress": VALUES})),
            "by_task": VALUES,
            "surprise": VALUES,
        },
    ),
)
ERRORS = st.one_of(
    st.sampled_from(
        [
            "IrisError",
            "IrisPermissionError",
            "IrisRateLimitError",
            "IrisTokenError",
            "TYPE_CHECKING",
            "annotations",
            "__name__",
            "Sequence",
        ]
    ),
    LEAVES,
)
EVENTS = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {"status": st.one_of(st.sampled_from(["done", "done", "timeout", "error"]), VALUES), "state": STATES},
        optional={"value": VALUES, "error": ERRORS, "message": VALUES, "retry_after": NUMBERS},
    ),
)


@example({"status": "done", "state": {"surprise": 1}})
@example({"status": "done", "state": {"count": "many"}})
@given(event=EVENTS)
def test_an_event_of_any_shape_continues_a_task_or_is_refused(event: Any) -> None:
    try:
        deferrals = Deferrals.of_event(event)
    except ValueError as error:
        assert "resumed" in str(error)  # noqa: PT017 (either outcome is fine)
        return
    assert isinstance(deferrals.count, int)
    state = json.loads(json.dumps(dataclasses.asdict(deferrals)))
    assert Deferrals.of_event({"status": "done", "state": state}) == deferrals


@given(event=EVENTS)
def test_an_error_that_comes_in_an_event_is_one_that_every_airflow_can_handle(event: Any) -> None:
    try:
        error = error_of(validated(event, "error"))
    except ValueError:
        return
    assert isinstance(error, IrisError)
    if AIRFLOW_VERSION >= (3, 3):  # older ones have no retry policies
        IrisRetryPolicy().evaluate(error, 1, 3)
    if error.retry_after is not None:
        assert backstop(error.retry_after)


#: The ways in which a task may end; ValueError is for an event that is none of ours.
ENDINGS = (
    TaskDeferred,
    IrisError,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
    AirflowException,
    ValueError,
)


@example(event={"status": "done", "state": {}}, silent=False)
@example(event={"status": "error", "error": "IrisServerError", "state": {}}, silent=True)
@example(
    event={"status": "error", "error": "IrisServerError", "state": {"deadline_epoch_s": 1e308}}, silent=True
)
@given(event=EVENTS, silent=st.booleans())
def test_a_sensor_resumed_with_any_event_ends_the_way_sensors_end(event: Any, *, silent: bool) -> None:
    sensor = IrisSensor(
        task_id="wait",
        endpoint="/api/x",
        deferrable=True,
        silent_fail=silent,
        trackunit_conn_id="there_is_none",
        poke_interval=0,
    )
    sensor.__dict__["poke"] = _not_yet  # the look at IRIS is no part of this
    sensor.timeout = 0
    try:
        sensor.execute_complete(NO_CONTEXT, event)
    except ENDINGS as ending:
        if isinstance(ending, ValueError):
            assert "resumed" in str(ending)  # noqa: PT017


def _not_yet(_context: Any) -> Any:
    raise AirflowFailException("asked IRIS")


@given(event=EVENTS)
def test_an_operator_resumed_with_any_event_goes_on_or_refuses_it(event: Any) -> None:
    operator = IrisApiOperator(task_id="call", endpoint="/api/x", trackunit_conn_id="there_is_none")
    operator.__dict__["_read"] = lambda: "read"  # the call to IRIS is no part of this
    try:
        assert operator.resume(NO_CONTEXT, event) == "read"
    except ValueError as error:
        assert "resumed" in str(error)  # noqa: PT017


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
SECONDS = st.one_of(st.integers(0, 10**11), st.floats(0, 1e15))
REQUESTS = st.fixed_dictionaries(
    {"endpoint": TEXTS},
    optional={
        "method": TEXTS,
        "path_params": st.dictionaries(TEXTS, VALUES, max_size=2),
        "query_params": st.dictionaries(TEXTS, VALUES, max_size=2),
        "json": VALUES,
        "headers": st.dictionaries(TEXTS, TEXTS, max_size=2),
        "trackunit_conn_id": TEXTS,
        "poll_interval_s": SECONDS,
    },
)
TRIGGERS = st.one_of(
    st.builds(
        lambda at, state: IrisResumeTrigger(resume_at_epoch_s=at, state=state),
        SECONDS,
        st.dictionaries(TEXTS, VALUES, max_size=3),
    ),
    st.builds(
        lambda request, condition, deadline, state: IrisTrigger(
            **request, condition=condition, deadline_epoch_s=deadline, state=state
        ),
        REQUESTS,
        st.none() | TEXTS,
        st.none() | SECONDS,
        st.dictionaries(TEXTS, VALUES, max_size=3),
    ),
    st.builds(
        lambda request, watermark, start: IrisEventTrigger(**request, watermark=watermark, start_from=start),
        REQUESTS,
        TEXTS,
        st.one_of(st.none(), TEXTS, st.integers()),
    ),
)


@given(trigger=TRIGGERS)
def test_a_trigger_comes_out_of_the_database_as_it_went_in(trigger: Any) -> None:
    again = rebuilt(trigger)
    assert type(again) is type(trigger)
    assert again.serialize() == trigger.serialize()


class HandTiming(HandClock):
    """A clock of the wall whose sleeps take no time."""

    async def wait(self, seconds: float) -> None:
        assert len(self.slept) < 5000, "a wait without an end"
        self.sleep(seconds)
        await asyncio.sleep(0)


@given(
    bodies=st.lists(
        hostile(
            st.fixed_dictionaries(
                {"totalPages": st.just(1), "number": st.just(0), "content": st.lists(VALUES, max_size=2)}
            )
        ),
        min_size=1,
        max_size=4,
    ),
    statuses=st.lists(st.sampled_from([200, 200, 404, 429, 503, 500, 400]), min_size=1, max_size=4),
    condition=st.sampled_from([None, "content[0]", "length(content)", "content[?a] | [0]", "&a", "[::0]"]),
    retry_after=st.sampled_from(["", "5", "100000", "1e308", "nan"]),
    deadline_s=st.sampled_from([0.0, 15.0, 3600.0]),
)
@example(
    bodies=[b'{"totalPages": 1, "number": 0, "content": []}'],
    statuses=[200, 429],
    condition=None,
    retry_after="",
    deadline_s=3600.0,
)
def test_a_wait_in_the_triggerer_ends_by_its_deadline_with_an_event_that_can_be_stored(
    bodies: list[bytes], statuses: list[int], condition: str | None, retry_after: str, deadline_s: float
) -> None:
    clock = HandTiming(1e9)
    trigger = IrisTrigger(
        endpoint="/api/asset/v1/assets",
        condition=condition,
        poll_interval_s=60,
        deadline_epoch_s=clock() + deadline_s,
    )
    trigger.timing = Timing(clock, clock.wait, lambda: 1.0)  # type: ignore[misc]
    polls = iter(range(10**6))

    def answer(_request: object) -> Response:
        number = next(polls)
        headers = {**JSON, "retry-after": retry_after}
        return Response(statuses[number % len(statuses)], headers, bodies[number % len(bodies)])

    async def use(client: WiredAsyncClient) -> Any:
        return await trigger._wait(client)

    exchange = on_loop(use, answer)
    # A look once a minute, each of which sends its request four times at the most: one of four answers gets through, or none.
    assert len(exchange.asked) <= 4 * 64
    assert clock() <= 1e9 + deadline_s + 1
    if exchange.error is None:
        assert exchange.result["status"] in {"done", "timeout"}
        json.dumps(exchange.result, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("retry_after", ["soon", True, [], -5, float("nan"), 10**400])
def test_a_wait_of_an_event_that_is_no_time_is_left_out(retry_after: Any) -> None:
    event = {"status": "error", "error": "IrisServerError", "state": {}, "retry_after": retry_after}
    assert error_of(event).retry_after in (None, 0.0)
