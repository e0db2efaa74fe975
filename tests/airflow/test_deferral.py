"""The sensor and the operator with ``deferrable=True``: every way through the triggerer and back."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit import sensors
from airflow_provider_trackunit._compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from airflow_provider_trackunit.iris.errors import IrisRateLimitError, IrisServerError
from airflow_provider_trackunit.operators import IrisApiOperator
from airflow_provider_trackunit.sensors import IrisSensor
from airflow_provider_trackunit.tasks import deferral
from airflow_provider_trackunit.triggers import Timing
from airflow_provider_trackunit.triggers.timing import IrisWait
from tests.airflow.round_trip import NO_CONTEXT, deferral_of, rebuilt, run_to_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.emulator import IrisEmulator

ASSETS = "/api/asset/v1/assets"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the triggers live on a clock of their own, on which a sleep takes no time."""
    ahead = [0.0]

    async def sleep(seconds: float) -> None:
        ahead[0] += seconds
        await asyncio.sleep(0)

    monkeypatch.setattr(IrisWait, "timing", Timing(lambda: time.time() + ahead[0], sleep, lambda: 0.0))


def sensor(**arguments: Any) -> IrisSensor:
    defaults: dict[str, Any] = {
        "task_id": "wait",
        "endpoint": ASSETS,
        "condition": "totalElements > `250` && totalElements",
        "deferrable": True,
        "timeout": 3600,
    }
    return IrisSensor(**{**defaults, **arguments})


def operator(**arguments: Any) -> IrisApiOperator:
    defaults: dict[str, Any] = {"task_id": "call", "endpoint": ASSETS, "deferrable": True}
    return IrisApiOperator(**{**defaults, **arguments})


def grow(iris: IrisEmulator) -> Callable[[TaskDeferred], None]:
    def one_more(_deferred: TaskDeferred) -> None:
        iris.fleet(grow=1)

    return one_more


def test_a_sensor_whose_condition_holds_does_not_defer(iris_connection: IrisEmulator) -> None:
    assert sensor(condition="totalElements").execute(NO_CONTEXT) == 250
    assert len(iris_connection.requests(ASSETS)) == 1


def test_a_sensor_looks_once_waits_in_the_triggerer_and_returns_what_was_found(
    iris_connection: IrisEmulator,
) -> None:
    assert run_to_end(sensor, grow(iris_connection)) == 251


def test_the_deferral_carries_an_absolute_deadline_and_a_backstop(iris_connection: IrisEmulator) -> None:
    before = time.time()
    deferred = deferral_of(sensor(poke_interval=1, timeout=300))
    assert isinstance(deferred.timeout, dt.timedelta)
    assert deferred.timeout.total_seconds() > 300
    arguments = rebuilt(deferred.trigger).serialize()[1]
    assert before + 300 <= arguments["deadline_epoch_s"] <= time.time() + 300
    assert arguments["poll_interval_s"] == 10


def test_execution_timeout_is_the_deadline_when_it_is_shorter(iris_connection: IrisEmulator) -> None:
    def make() -> IrisSensor:
        return sensor(timeout=3600, execution_timeout=dt.timedelta(seconds=60))

    deadline = deferral_of(make()).trigger.serialize()[1]["deadline_epoch_s"]
    assert 50 <= deadline - time.time() <= 60
    with pytest.raises(AirflowTaskTimeout):
        run_to_end(make)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, AirflowSensorTimeout),
        ({"soft_fail": True}, AirflowSkipException),
        ({"never_fail": True}, AirflowSkipException),
    ],
)
def test_the_end_of_the_timeout_is_what_it_is_in_the_other_modes(
    iris_connection: IrisEmulator, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        run_to_end(lambda: sensor(**options))
    if options == {"never_fail": True}:
        return  # a sensor that pokes fails all the same; newer Airflows skip every deferred one
    with pytest.raises(error):
        sensor(deferrable=False, timeout=0, poke_interval=0, **options).execute(NO_CONTEXT)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, AirflowFailException),
        ({"soft_fail": True}, AirflowSkipException),
        ({"never_fail": True}, AirflowSkipException),
    ],
)
@pytest.mark.parametrize("where", ["worker", "triggerer"])
def test_a_permanent_error_ends_the_wait_as_in_the_other_modes(
    iris_connection: IrisEmulator, options: dict[str, Any], error: type[Exception], where: str
) -> None:
    iris_connection.fault(
        path=ASSETS, kind="status", status=403, times=None, skip=1 if where == "triggerer" else 0
    )
    with pytest.raises(error, match="HTTP 403"):
        run_to_end(lambda: sensor(**options))


def test_ten_failures_in_a_row_end_the_wait_with_an_error_that_airflow_may_retry(
    iris_connection: IrisEmulator,
) -> None:
    iris_connection.fault(path=ASSETS, kind="status", status=503, times=None, skip=1)
    with pytest.raises(IrisServerError, match="HTTP 503"):
        run_to_end(lambda: sensor(soft_fail=True, max_attempts=1))
    iris_connection.reset()
    iris_connection.fault(path=ASSETS, kind="status", status=503, times=None, skip=1)
    with pytest.raises(AirflowSkipException):
        run_to_end(lambda: sensor(never_fail=True, max_attempts=1))


def test_a_value_too_large_for_an_event_is_read_again(iris_connection: IrisEmulator) -> None:
    found = run_to_end(lambda: sensor(condition="totalElements > `250` && content"), grow(iris_connection))
    assert len(found) == 251
    assert len(json.dumps(found)) > 32_000


@pytest.mark.parametrize(
    "event",
    [
        None,
        "done",
        [],
        {},
        {"status": "done"},
        {"status": "fine", "state": {}},
        {"status": None, "state": {}},
        {"value": 1, "state": {}},
    ],
)
@pytest.mark.parametrize("soft_fail", [True, False])
def test_a_missing_or_unknown_event_is_a_failure_also_with_soft_fail(event: Any, soft_fail: bool) -> None:
    with pytest.raises(ValueError, match="event"):
        sensor(soft_fail=soft_fail).resume_execution("execute_complete", {"event": event}, NO_CONTEXT)
    with pytest.raises(ValueError, match="event"):
        operator().resume_execution("resume", {"event": event}, NO_CONTEXT)


def test_a_wait_shorter_than_a_deferral_is_worth_stays_on_the_worker(
    iris_connection: IrisEmulator,
) -> None:
    with pytest.raises(AirflowSensorTimeout):
        sensor(timeout=0.2, poke_interval=0.05).execute(NO_CONTEXT)
    assert len(iris_connection.requests(ASSETS)) >= 2


def test_what_iris_said_on_the_worker_holds_in_the_triggerer(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path=ASSETS, kind="rate_limit", retry_after="500")
    for mode in ("poke", "reschedule"):
        not_before = deferral_of(sensor(mode=mode)).trigger.serialize()[1]["not_before_epoch_s"]
        assert not_before >= time.time() - 1
        iris_connection.fault(path=ASSETS, kind="rate_limit", retry_after="500")
        assert not_before - time.time() == pytest.approx(500, abs=5)


def test_templates_are_rendered_before_they_cross_into_the_triggerer(iris_connection: IrisEmulator) -> None:
    one = sensor(
        endpoint="/api/asset/{{ x }}/assets", condition="`false` && {{ x }}", query_params={"q": "{{ x }}"}
    )
    variables: Any = {"x": "v1"}
    one.render_template_fields(variables)
    arguments = rebuilt(deferral_of(one).trigger).serialize()[1]
    assert arguments["endpoint"] == ASSETS
    assert arguments["query_params"] == {"q": "v1"}
    assert arguments["condition"] == "`false` && v1"


@pytest.mark.parametrize("make", [sensor, operator])
def test_the_configuration_of_airflow_decides_unless_the_dag_does(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make(deferrable=None).deferrable is False
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert make(deferrable=None).deferrable is True
    assert make(deferrable=False).deferrable is False


def test_a_call_that_meets_a_long_limit_gives_the_slot_back_and_begins_anew(
    iris_connection: IrisEmulator,
) -> None:
    iris_connection.fault(path="page=1", kind="rate_limit", retry_after="900")
    moments = []

    def note(deferred: TaskDeferred) -> None:
        moments.append(deferred.trigger.serialize()[1]["resume_at_epoch_s"] - time.time())

    records = run_to_end(lambda: operator(query_params={"size": 100}), note)
    assert len({record["id"] for record in records}) == 250
    assert moments == [pytest.approx(900, abs=5)]


def test_a_limit_of_the_token_endpoint_is_waited_for_as_well(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path="/token", kind="rate_limit", retry_after="900")
    assert len(run_to_end(operator)) == 250


@pytest.mark.parametrize(
    ("arguments", "retry_after"),
    [({"deferrable": False}, "900"), ({}, None), ({"execution_timeout": dt.timedelta(seconds=600)}, "900")],
    ids=["not deferrable", "nobody says how long", "beyond execution_timeout"],
)
def test_a_call_that_should_not_defer_leaves_the_error_to_airflow(
    iris_connection: IrisEmulator, arguments: dict[str, Any], retry_after: str | None
) -> None:
    one = operator(max_attempts=1, **arguments)
    iris_connection.fault(path=ASSETS, kind="rate_limit", retry_after=retry_after, times=None)
    with pytest.raises(IrisRateLimitError):
        one.execute(NO_CONTEXT)


def test_a_call_that_may_have_been_processed_is_not_repeated_by_a_deferral(
    iris_connection: IrisEmulator,
) -> None:
    fault: dict[str, Any] = {
        "kind": "status",
        "status": 503,
        "headers": {"Retry-After": "900"},
        "times": None,
    }
    iris_connection.fault(path="/api/", **fault)
    with pytest.raises(IrisServerError):
        operator(endpoint="/api/nobody/knows", method="POST", json={}, paginate=False).execute(NO_CONTEXT)
    assert isinstance(deferral_of(operator()), TaskDeferred)


def test_a_mutation_that_was_carried_out_in_part_is_not_repeated_by_a_deferral(
    iris_connection: IrisEmulator,
) -> None:
    refused = {"message": "m", "path": ["b"], "extensions": {"code": "RATE_LIMITED", "resetIn": 900_000}}
    body = json.dumps({"data": {"a": {"id": 1}, "b": None}, "errors": [refused]})
    iris_connection.fault(
        path="/api/graphql/", status=200, content_type="application/json", body=body, times=None
    )
    mutation = {"query": "mutation { a: makeOne { id } b: makeOne { id } }"}
    with pytest.raises(IrisRateLimitError):
        operator(endpoint="/api/graphql/", method="POST", json=mutation, paginate=False).execute(NO_CONTEXT)


def test_a_call_that_a_limit_never_lets_through_ends(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path=ASSETS, kind="rate_limit", retry_after="900", times=None)
    with pytest.raises(IrisRateLimitError):
        run_to_end(operator)
    assert len(iris_connection.requests(ASSETS)) == deferral._MOST_DEFERRALS + 1


def test_the_deadline_of_a_call_is_counted_from_its_first_start(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path=ASSETS, kind="rate_limit", retry_after="900", times=None)
    limited = deferral_of(operator(execution_timeout=dt.timedelta(seconds=1000)))
    event = {"status": "done", "state": rebuilt(limited.trigger).state}
    again = operator(execution_timeout=dt.timedelta(seconds=1000))
    with pytest.raises(IrisRateLimitError):
        again.resume(
            NO_CONTEXT, event={**event, "state": {**event["state"], "deadline_epoch_s": time.time() + 100}}
        )
    assert event["state"]["deadline_epoch_s"] == pytest.approx(time.time() + 995, abs=5)


def test_everything_that_crosses_the_database_is_plain_json(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path=ASSETS, kind="rate_limit", retry_after="900", times=None)
    for one in (sensor(), operator()):
        deferred = deferral_of(one)
        path, arguments = deferred.trigger.serialize()
        assert json.loads(json.dumps(arguments)) == arguments
        assert path.startswith("airflow_provider_trackunit.triggers.")
        assert not deferred.kwargs


def test_a_sensor_module_does_not_load_the_triggers_before_they_are_needed() -> None:
    assert not hasattr(sensors, "IrisTrigger")
