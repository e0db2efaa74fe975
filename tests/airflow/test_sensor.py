"""IrisSensor: when the wait is over, what survives, and what ends it."""

from __future__ import annotations

import datetime as dt
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit._compat import (
    AIRFLOW_VERSION,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)
from airflow_provider_trackunit.iris.errors import IrisServerError
from airflow_provider_trackunit.sensors import IrisSensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.emulator import IrisEmulator

ASSETS = "/api/asset/v1/assets"
NO_CONTEXT: Any = {}


def sensor(**arguments: Any) -> IrisSensor:
    defaults: dict[str, Any] = {"task_id": "wait", "endpoint": ASSETS, "poke_interval": 0.01, "timeout": 5}
    return IrisSensor(**{**defaults, **arguments})


def poke(one: IrisSensor) -> tuple[bool, Any]:
    result = one.poke(NO_CONTEXT)
    return result.is_done, result.xcom_value


@pytest.mark.parametrize(
    ("condition", "done", "value"),
    [
        ("totalElements", True, 250),
        ("totalElements > `249`", True, True),
        ("totalElements > `250`", False, False),
        ("content[0].nothing", False, None),
        ("content[?assetType=='ROCKET']", False, []),
        ("length(content[?assetType=='ROCKET'])", False, 0),
        (None, True, 250),
    ],
)
def test_the_wait_is_over_when_the_value_of_the_condition_is_true(
    iris_connection: IrisEmulator, condition: str | None, done: bool, value: Any
) -> None:
    assert poke(sensor(condition=condition)) == (done, value)


def test_without_a_condition_an_empty_collection_is_not_enough(iris_connection: IrisEmulator) -> None:
    iris_connection.fleet(shrink=250)
    assert poke(sensor()) == (False, 0)


def test_without_a_condition_an_object_with_something_in_it_is_enough(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(
        path="/assets/", kind="status", status=200, content_type="application/json", body="{}"
    )
    one = sensor(
        endpoint=f"{ASSETS}/{{assetId}}", path_params={"assetId": "00000000-0000-0000-0000-000000000000"}
    )
    assert poke(one) == (False, {})
    iris_connection.fault(
        path="/assets/", kind="status", status=200, content_type="application/json", body='{"id": "a"}'
    )
    assert poke(one) == (True, {"id": "a"})


@pytest.mark.parametrize(
    ("condition", "line"),
    [
        (None, "/api/asset/v1/assets: done, 250 records"),
        ("totalElements > `250`", "/api/asset/v1/assets: not yet, the condition gives False"),
        ("content[].id", "/api/asset/v1/assets: done, the condition gives ['"),
    ],
)
def test_each_look_says_in_one_line_what_it_saw(
    iris_connection: IrisEmulator, said: Callable[[], str], condition: str | None, line: str
) -> None:
    poke(sensor(condition=condition))
    (found,) = [one for one in said().splitlines() if (ASSETS in one and "records" in one) or "gives" in one]
    assert line in found
    assert len(found) < 400


def test_not_found_means_not_yet(iris_connection: IrisEmulator) -> None:
    one = sensor(
        endpoint=f"{ASSETS}/{{assetId}}", path_params={"assetId": "00000000-0000-0000-0000-00ffffffffff"}
    )
    assert poke(one) == (False, None)


def test_one_poke_of_a_collection_is_one_request(iris_connection: IrisEmulator) -> None:
    poke(sensor(query_params={"size": 10}))
    assert len(iris_connection.requests(ASSETS)) == 1


def test_the_value_that_was_found_is_the_result_of_the_task(iris_connection: IrisEmulator) -> None:
    assert sensor(condition="totalElements").execute(NO_CONTEXT) == 250


@pytest.mark.parametrize(
    ("arguments", "fault", "said"),
    [
        ({"condition": "content["}, None, "condition: not a JMESPath expression"),
        ({"condition": "length(totalPages)"}, None, "cannot be applied to the answer"),
        ({"endpoint": "/api/nothing/here"}, None, "instead of JSON"),
        ({"endpoint": "/api/nothing/here"}, {"kind": "html", "status": 404}, "instead of JSON"),
        ({}, {"kind": "status", "status": 400}, "HTTP 400"),
        ({}, {"kind": "status", "status": 403}, "HTTP 403"),
        ({}, {"kind": "status", "status": 401, "times": None}, "HTTP 401"),
    ],
)
def test_what_no_wait_can_mend_fails_at_once(
    iris_connection: IrisEmulator, arguments: dict[str, Any], fault: dict[str, Any] | None, said: str
) -> None:
    if fault:
        iris_connection.fault(path="/api/", **fault)
    with pytest.raises(AirflowFailException) as raised:
        poke(sensor(**arguments))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_bad_minute_of_iris_is_survived(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path=ASSETS, kind="status", status=503, retry_after="0", times=4)
    one = sensor(condition="totalElements")
    assert poke(one) == (False, None)
    assert poke(one) == (True, 250)


def test_ten_failures_in_a_row_are_no_bad_minute(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path="/Fleet/1", kind="status", status=503, retry_after="0", times=None)
    one = sensor(endpoint="/public/api/aemp/v2/15143/-3/Fleet/1")
    for _ in range(9):
        assert poke(one) == (False, None)
    with pytest.raises(IrisServerError):
        poke(one)


def test_a_success_in_between_starts_the_count_again(iris_connection: IrisEmulator) -> None:
    one = sensor(endpoint="/public/api/aemp/v2/15143/-3/Fleet/1", condition="length(equipment) > `1000`")
    for _ in range(2):
        iris_connection.fault(path="/Fleet/1", kind="status", status=503, retry_after="0", times=18)
        for _ in range(9):
            assert poke(one) == (False, None)
        assert poke(one) == (False, False)


def test_a_limit_that_lasts_longer_than_the_interval_is_waited_out_without_a_request(
    iris_connection: IrisEmulator,
) -> None:
    iris_connection.fault(path=ASSETS, kind="rate_limit", retry_after="500")
    one = sensor()
    assert [poke(one)[0] for _ in range(5)] == [False] * 5
    assert len(iris_connection.requests(ASSETS)) == 1


def next_poke_after(one: IrisSensor, elapsed_s: float) -> float:
    """Return what Airflow asks for after a poke, once it has seen that the timeout is not over."""
    return one._get_next_poke_interval(dt.datetime.now(dt.UTC), lambda: elapsed_s, 1)


def test_in_reschedule_mode_the_limit_says_when_to_come_back(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path=ASSETS, kind="rate_limit", retry_after="500")
    one = sensor(mode="reschedule", timeout=600)
    assert poke(one) == (False, None)
    assert 470 <= next_poke_after(one, elapsed_s=1) <= 500


@pytest.mark.parametrize(
    ("soft_fail", "end"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)], ids=["fail", "soft"]
)
def test_in_reschedule_mode_a_limit_beyond_what_is_left_of_the_timeout_ends_the_wait(
    iris_connection: IrisEmulator, soft_fail: bool, end: type[Exception]
) -> None:
    iris_connection.fault(path=ASSETS, kind="rate_limit", retry_after="500")
    one = sensor(mode="reschedule", timeout=600, soft_fail=soft_fail)
    poke(one)
    with pytest.raises(end, match="left of the timeout of 600 s"):
        next_poke_after(one, elapsed_s=200)


def test_in_poke_mode_airflow_goes_on_to_look_at_the_timeout_every_interval(
    iris_connection: IrisEmulator,
) -> None:
    iris_connection.fault(path=ASSETS, kind="rate_limit", retry_after="500")
    one = sensor(poke_interval=7)
    poke(one)
    assert next_poke_after(one, elapsed_s=1) == 7


@pytest.mark.skipif(AIRFLOW_VERSION >= (3, 0), reason="only Airflow 2 looks who calls")
@pytest.mark.parametrize("deferrable", [False, True])
def test_airflow_2_does_not_warn_of_a_sensor_that_its_task_runner_executes(
    iris_connection: IrisEmulator, caplog: pytest.LogCaptureFixture, deferrable: bool
) -> None:
    sign = import_module("airflow.models.base")._sentinel
    one: Any = sensor(condition="totalElements", deferrable=deferrable)
    assert one.execute({}, IrisSensor__sentinel=sign) == 250
    assert "outside TaskInstance" not in caplog.text


def test_every_request_argument_and_the_condition_are_templated() -> None:
    one = sensor(
        endpoint="/api/{{ x }}",
        method="{{ x }}",
        path_params={"a": "{{ x }}"},
        query_params={"a": "{{ x }}"},
        json={"a": "{{ x }}"},
        headers={"a": "{{ x }}"},
        condition="{{ x }}",
        trackunit_conn_id="{{ x }}",
    )
    variables: Any = {"x": "v"}
    one.render_template_fields(variables)
    assert (one.endpoint, one.method, one.condition, one.trackunit_conn_id) == ("/api/v", "v", "v", "v")
    assert [one.path_params, one.query_params, one.json, one.headers] == [{"a": "v"}] * 4


def test_a_wait_longer_than_the_poke_interval_is_not_slept_whatever_the_settings_allow(
    iris_connection: IrisEmulator,
) -> None:
    iris_connection.fault(path=ASSETS, kind="rate_limit", retry_after="60", times=None)
    assert poke(sensor(max_wait_s=500)) == (False, None)
    assert len(iris_connection.requests(ASSETS)) == 1


def test_the_settings_of_the_sensor_hold_on_the_worker(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path=ASSETS, kind="status", status=503, times=None)
    poke(sensor(max_attempts=1))
    assert len(iris_connection.requests(ASSETS)) == 1
