"""What an observer is told of the steps of a request, and that it changes none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.iris.catalogue.limits import Counted, Rate
from airflow_provider_trackunit.iris.errors import IrisNoAnswerError
from airflow_provider_trackunit.iris.http.observing import observed
from airflow_provider_trackunit.iris.http.pacing import Pacer
from airflow_provider_trackunit.iris.http.steps import GetToken, Send, Sleep, Step
from airflow_provider_trackunit.iris.http.wire import Request, Response
from tests.iris.conftest import HandClock

if TYPE_CHECKING:
    from collections.abc import Generator

ROW = "/api/asset/v1/assets/{assetId}"
REQUEST = Request("GET", "https://iris.trackunit.com/api/asset/v1/assets/1", {}, None, "GET /assets")
OK = Response(status=200, headers={}, body=b"{}")


class Notes:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def answered(self, endpoint: str, status: int | None) -> None:
        self.told.append(("answered", endpoint, status))

    def refused(self, endpoint: str) -> None:
        self.told.append(("refused", endpoint))

    def waited(self, endpoint: str, seconds: float) -> None:
        self.told.append(("waited", endpoint, seconds))

    def calls_left(self, endpoint: str, calls: int) -> None:
        self.told.append(("calls left", endpoint, calls))


def attempts() -> Generator[Step, Any, bytes]:
    """Wait for a turn; send, in vain; wait again, and send."""
    yield Sleep(0.5)
    yield GetToken()
    try:
        yield Send(REQUEST)
    except IrisNoAnswerError:
        yield Sleep(2.0)
    response: Response = yield Send(REQUEST)
    return response.body


def test_the_steps_are_the_same_and_each_wait_and_request_is_told() -> None:
    notes = Notes()
    steps = observed(attempts(), notes, ROW, lambda: None)
    assert next(steps) == Sleep(0.5)
    assert steps.send(None) == GetToken()
    assert steps.send("token") == Send(REQUEST)
    assert steps.throw(IrisNoAnswerError("gone")) == Sleep(2.0)
    assert steps.send(None) == Send(REQUEST)
    with pytest.raises(StopIteration) as end:
        steps.send(OK)
    assert end.value.value == b"{}"
    assert notes.told == [
        ("waited", ROW, 0.5),
        ("answered", ROW, None),
        ("waited", ROW, 2.0),
        ("answered", ROW, 200),
    ]


def test_what_is_left_of_a_metered_limit_is_told_after_each_request() -> None:
    notes = Notes()
    steps = observed(attempts(), notes, ROW, iter([1, 0]).__next__)
    for outcome in (None, None, "token", OK):
        steps.send(outcome)
    assert notes.told[-1] == ("calls left", ROW, 1)


def test_who_is_cancelled_gives_the_turn_back() -> None:
    ended: list[bool] = []

    def waiting() -> Generator[Step, Any, None]:
        try:
            yield Sleep(1.0)
        finally:
            ended.append(True)

    steps = observed(waiting(), Notes(), ROW, lambda: None)
    next(steps)
    steps.close()
    assert ended == [True]


def test_of_a_metered_limit_those_calls_are_left_that_do_not_count_any_more() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    events = Counted((("events", Rate(2, 1800)), ("even", Rate(50, 1))))
    assert pacer.calls_left(events) == 2
    turn = pacer.turn(events)
    assert turn.wait_s() == 0
    assert pacer.calls_left(events) == 1
    turn.end()
    assert pacer.calls_left(events) == 1
    clock.now += 1900
    assert pacer.calls_left(events) == 2


def test_of_a_metered_limit_that_refused_a_call_none_is_left_until_its_pause_is_over() -> None:
    clock = HandClock()
    pacer = Pacer(clock)
    events = Counted((("events", Rate(2, 1800)),))
    turn = pacer.turn(events)
    assert turn.wait_s() == 0
    turn.end()
    turn.hold(600.0)
    assert pacer.calls_left(events) == 0
    clock.now += 600.0
    assert pacer.calls_left(events) == 1


def test_where_no_call_is_metered_nothing_is_known_to_be_left() -> None:
    assert Pacer(HandClock()).calls_left(Counted((("even", Rate(50, 1)), ("own", None)))) is None
