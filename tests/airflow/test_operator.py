"""IrisApiOperator: what it returns, what it refuses, and how it fails."""

from __future__ import annotations

import datetime as dt
import json
from collections import UserDict
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit._compat import AIRFLOW_VERSION, AirflowException, AirflowFailException
from airflow_provider_trackunit.iris.catalogue.limits import MAX_CONCURRENCY
from airflow_provider_trackunit.iris.errors import (
    IrisAuthenticationError,
    IrisConfigurationError,
    IrisPermissionError,
    IrisServerError,
    IrisUnexpectedResponseError,
)
from airflow_provider_trackunit.iris.http.pacing import forget_limits
from airflow_provider_trackunit.operators import IrisApiOperator, call_with_context
from tests.airflow.orders import CHANGING, ORDERS, PAGE_OF_ORDERS, answer_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.emulator import IrisEmulator

ASSETS = "/api/asset/v1/assets"
FLEET = "/public/api/aemp/v2/15143/-3/Fleet/1"
GRAPHQL = """query($first: Int, $after: String) {
  assets(first: $first, after: $after) { edges { node { id name } } pageInfo { hasNextPage endCursor count } }
}"""


NO_CONTEXT: Any = {}


def run(context: Any = NO_CONTEXT, **arguments: Any) -> Any:
    return IrisApiOperator(task_id="call", **arguments).execute(context)


@pytest.mark.parametrize(
    "arguments",
    [
        {"endpoint": ASSETS},
        {"endpoint": ASSETS, "query_params": {"size": 100}},
        {"endpoint": "/api/graphql/", "method": "POST", "json": {"query": GRAPHQL}},
    ],
    ids=["page and size", "the caller's own page size", "GraphQL"],
)
def test_a_collection_comes_back_whole(iris_connection: IrisEmulator, arguments: dict[str, Any]) -> None:
    records = run(**arguments)
    assert len(records) == 250
    assert len({record["id"] for record in records}) == 250
    assert iris_connection.stats()["token_requests"] == 1


def test_the_fleet_comes_back_whole(iris_connection: IrisEmulator) -> None:
    records = run(endpoint=FLEET, query_params={"addMetadata": True})
    ids = {record["metadata"]["assetId"] for record in records}
    assert len(ids) == len(records) > 100
    assert {one["query"] for one in iris_connection.requests("/Fleet/")} == {"addMetadata=true"}


def test_pages_are_as_large_as_documented_unless_the_user_says(iris_connection: IrisEmulator) -> None:
    run(endpoint=ASSETS)
    (request,) = iris_connection.requests(ASSETS)
    assert "size=1000" in request["query"]


def test_an_endpoint_with_one_answer_gives_its_decoded_body(iris_connection: IrisEmulator) -> None:
    first = run(endpoint=ASSETS, query_params={"size": 1}, max_records=None)[0]
    assert run(endpoint=f"{ASSETS}/{{assetId}}", path_params={"assetId": first["id"]})["id"] == first["id"]


def test_without_paginate_a_collection_gives_its_envelope(iris_connection: IrisEmulator) -> None:
    body = run(endpoint=ASSETS, paginate=False, query_params={"size": 5})
    assert body["totalElements"] == 250
    assert len(body["content"]) == 5


def test_an_answer_without_a_body_is_none(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path="/api/site/v1/sites", kind="status", status=204, body="")
    assert run(endpoint="/api/site/v1/sites/{siteId}", path_params={"siteId": "x"}) is None


def test_more_records_than_an_xcom_should_hold_fail_and_name_the_way_out(
    iris_connection: IrisEmulator,
) -> None:
    with pytest.raises(AirflowFailException, match="IrisToObjectStorageOperator") as raised:
        run(endpoint=ASSETS, max_records=249)
    assert "250 records or more, max_records is 249" in str(raised.value)


def test_too_many_records_are_noticed_on_the_first_page(iris_connection: IrisEmulator) -> None:
    with pytest.raises(AirflowFailException):
        run(endpoint=ASSETS, max_records=249, query_params={"size": 10})
    assert len(iris_connection.requests(ASSETS)) == 1


def test_pages_are_asked_for_ahead_and_come_back_in_order(iris_connection: IrisEmulator) -> None:
    expected = run(endpoint=ASSETS)
    iris_connection.settings(latency_ms=20)
    assert run(endpoint=ASSETS, query_params={"size": 10}) == expected
    assert 2 <= iris_connection.stats()["max_concurrent"] <= MAX_CONCURRENCY


def test_one_page_at_a_time_on_request(iris_connection: IrisEmulator) -> None:
    iris_connection.settings(latency_ms=5)
    run(endpoint=ASSETS, query_params={"size": 50}, max_concurrency=1)
    assert iris_connection.stats()["max_concurrent"] == 1


def test_exactly_max_records_are_fine(iris_connection: IrisEmulator) -> None:
    assert len(run(endpoint=ASSETS, max_records=250)) == 250


def test_the_filter_makes_the_result_and_gets_the_context_it_names(iris_connection: IrisEmulator) -> None:
    result = run(
        {"ds": "2026-01-01", "other": 1}, endpoint=ASSETS, response_filter=lambda data, ds: (len(data), ds)
    )
    assert result == (250, "2026-01-01")


def test_a_check_that_is_false_fails_the_try_and_leaves_the_retries(iris_connection: IrisEmulator) -> None:
    with pytest.raises(AirflowException, match="response_check") as raised:
        run(endpoint=ASSETS, response_check=lambda data: len(data) > 250)
    assert not isinstance(raised.value, AirflowFailException)


def test_the_check_sees_the_data_before_the_filter(iris_connection: IrisEmulator) -> None:
    assert run(endpoint=ASSETS, response_check=lambda data: len(data) == 250, response_filter=len) == 250


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda data: data, 1),
        (lambda data, ds: (data, ds), (1, "d")),
        (lambda data, **context: (data, sorted(context)), (1, ["ds", "ti"])),
        (lambda data, *, ti: (data, ti), (1, "t")),
    ],
)
def test_a_callable_gets_the_context_variables_it_names(function: Any, expected: Any) -> None:
    context: Any = {"ds": "d", "ti": "t"}
    assert call_with_context(function, 1, context) == expected


class Grudging(UserDict[str, Any]):
    """A context that minds which of its variables are read, as the one of Airflow 2 does."""

    def __getitem__(self, name: str) -> Any:
        assert name == "ds"
        return super().__getitem__(name)


def test_no_context_variable_is_read_that_a_callable_does_not_name() -> None:
    context: Any = Grudging(ds="d", yesterday_ds="deprecated")
    assert call_with_context(lambda data, ds: (data, ds), 1, context) == (1, "d")


@pytest.mark.parametrize(
    ("arguments", "fault", "cause", "said"),
    [
        ({"endpoint": "/api/nothing/here"}, None, IrisUnexpectedResponseError, "instead of JSON"),
        (
            {"endpoint": "https://evil.example.com/x"},
            None,
            IrisConfigurationError,
            "not the origin of this connection",
        ),
        ({"endpoint": f"{ASSETS}/{{assetId}}"}, None, IrisConfigurationError, "no value for assetId"),
        (
            {"endpoint": ASSETS},
            {"kind": "status", "status": 403, "times": None},
            IrisPermissionError,
            "HTTP 403",
        ),
        (
            {"endpoint": ASSETS},
            {"kind": "status", "status": 401, "times": None},
            IrisAuthenticationError,
            "HTTP 401",
        ),
        (
            {"endpoint": ASSETS, "headers": {"Authorization": "x"}},
            None,
            IrisConfigurationError,
            "Authorization",
        ),
    ],
    ids=["wrong path", "foreign URL", "missing path value", "403", "401 twice", "reserved header"],
)
def test_what_no_retry_can_mend_fails_the_task_at_once(
    iris_connection: IrisEmulator,
    arguments: dict[str, Any],
    fault: dict[str, Any] | None,
    cause: type[Exception],
    said: str,
) -> None:
    if fault:
        iris_connection.fault(path=ASSETS, **fault)
    with pytest.raises(AirflowFailException) as raised:
        run(**arguments)
    assert isinstance(raised.value.__context__, cause)
    assert said in str(raised.value)


def test_trouble_that_may_pass_is_left_to_the_retries_of_the_task(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path="/Fleet/1", kind="status", status=503, times=None)
    with pytest.raises(IrisServerError) as raised:
        run(endpoint=FLEET)
    assert raised.value.status == 503
    assert len(iris_connection.requests("/Fleet/1")) == 2


def test_a_collection_that_changed_while_it_was_read_is_said_in_the_log(
    iris_connection: IrisEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    def shrink(data: Any) -> bool:
        return bool(data)

    operator = IrisApiOperator(
        task_id="call", endpoint=ASSETS, query_params={"size": 100}, response_check=shrink
    )
    pages = operator.hook.pages(ASSETS, query_params={"size": 100})
    next(pages)
    iris_connection.fleet(shrink=60)
    list(pages)
    assert [one.message for one in caplog.records if "changed while it was read" in one.message]


def test_every_request_argument_is_templated(iris_connection: IrisEmulator) -> None:
    operator = IrisApiOperator(
        task_id="call",
        endpoint="/api/{{ domain }}/v1/assets/{assetId}",
        method="{{ verb }}",
        path_params={"assetId": "{{ asset }}"},
        query_params={"size": "{{ size }}"},
        json={"fromTime": "{{ start }}"},
        headers={"TU-PREVIEW": "{{ word }}"},
        trackunit_conn_id="{{ conn }}",
    )
    variables: Any = {
        "domain": "asset",
        "verb": "POST",
        "asset": "a",
        "size": 5,
        "start": "s",
        "word": "w",
        "conn": "c",
    }
    operator.render_template_fields(variables)
    assert operator.endpoint == "/api/asset/v1/assets/{assetId}"
    assert operator.method == "POST"
    assert operator.path_params == {"assetId": "a"}
    assert operator.query_params == {"size": "5"}
    assert operator.json == {"fromTime": "s"}
    assert operator.headers == {"TU-PREVIEW": "w"}
    assert operator.trackunit_conn_id == "c"


def make_dag(**arguments: Any) -> Any:
    dag_class = import_module("airflow.sdk" if AIRFLOW_VERSION >= (3, 0) else "airflow").DAG
    return dag_class("d", schedule=None, start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), **arguments)


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 3), reason="retry policies are new in Airflow 3.3")
def test_operators_read_our_errors_by_default_mapped_ones_too_and_users_can_say_otherwise() -> None:
    from airflow_provider_trackunit.retry import IrisRetryPolicy

    class Own(IrisRetryPolicy):
        pass

    own = Own()
    with make_dag():
        plain = IrisApiOperator(task_id="plain", endpoint=ASSETS)
        mapped = IrisApiOperator.partial(task_id="mapped", endpoint=ASSETS).expand(query_params=[{"size": 1}])
        given = IrisApiOperator(task_id="given", endpoint=ASSETS, retry_policy=own)
    with make_dag(default_args={"retry_policy": own}):
        inherited = IrisApiOperator(task_id="inherited", endpoint=ASSETS)
    assert isinstance(plain.retry_policy, IrisRetryPolicy)
    assert isinstance(mapped.unmap({"query_params": {"size": 1}}).retry_policy, IrisRetryPolicy)
    assert given.retry_policy is own
    assert inherited.retry_policy is own


def test_a_dag_with_the_operator_can_be_serialized() -> None:
    with make_dag() as dag:
        IrisApiOperator(task_id="call", endpoint=ASSETS, json={"a": 1})
    serialization = import_module("airflow.serialization.serialized_objects")
    kind = serialization.DagSerialization if AIRFLOW_VERSION >= (3, 2) else serialization.SerializedDAG
    assert '"endpoint": "/api/asset/v1/assets"' in json.dumps(kind.to_dict(dag))


# -- no request by guess


@pytest.mark.parametrize(("request_", "answer"), CHANGING.values(), ids=CHANGING)
def test_a_request_that_may_change_something_is_sent_once_whatever_its_answer_looks_like(
    iris_connection: IrisEmulator, request_: dict[str, Any], answer: Any
) -> None:
    answer_with(iris_connection, request_["endpoint"], answer)
    assert run(**request_) == answer
    assert len(iris_connection.requests(request_["endpoint"])) == 1


def test_an_answer_that_looks_like_one_page_of_several_says_how_to_get_them_all(
    iris_connection: IrisEmulator, said: Callable[[], str]
) -> None:
    answer_with(iris_connection, ORDERS, PAGE_OF_ORDERS)
    run(endpoint=ORDERS, method="POST")
    assert "If it only reads, say paginate=True" in said()


def test_a_post_to_an_unknown_path_is_walked_where_that_is_written_out(iris_connection: IrisEmulator) -> None:
    answer_with(iris_connection, ORDERS, {**PAGE_OF_ORDERS, "totalPages": 1, "totalElements": 1})
    assert run(endpoint=ORDERS, method="POST", paginate=True) == [{"id": "o"}]


@pytest.mark.parametrize("paginate", [None, True])
def test_what_is_known_to_only_read_is_walked_without_a_word(
    iris_connection: IrisEmulator, paginate: bool | None
) -> None:
    query = {"endpoint": "/api/graphql/", "method": "POST", "json": {"query": GRAPHQL}}
    assert len(run(**query, paginate=paginate)) == 250
    assert len(run(endpoint="/api/asset/v2/assets", query_params={"size": 100}, paginate=paginate)) == 250


EVENTS = "/public/api/eventlog/v3/asset-event/log"
PERIOD = {"fromTime": "2026-01-14T00:00:00Z", "toTime": "2026-01-15T00:00:00Z"}


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_walk_that_its_limit_would_interrupt_for_ever_is_refused_at_the_first_page(
    iris_connection: IrisEmulator, deferrable: bool
) -> None:
    with pytest.raises(AirflowFailException, match="IrisToObjectStorageOperator") as raised:
        run(endpoint=EVENTS, method="POST", json=PERIOD, query_params={"size": 1}, deferrable=deferrable)
    assert "lets 2 through at a time" in str(raised.value)
    assert len(iris_connection.requests(EVENTS)) == 1


def test_a_walk_that_its_limit_lets_through_is_not_refused(iris_connection: IrisEmulator) -> None:
    iris_connection.settings(event_calls_per_30_min=None)
    events = run(endpoint=EVENTS, method="POST", json=PERIOD)
    forget_limits()
    half = (len(events) + 1) // 2
    assert len(run(endpoint=EVENTS, method="POST", json=PERIOD, query_params={"size": half})) == len(events)
    assert len(iris_connection.requests(EVENTS)) == 3


# -- arguments that are none, and settings


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("qery_params", "query_params"),
        ("data", "json"),
        ("http_conn_id", "trackunit_conn_id"),
        ("timeout", "timeout_s"),
    ],
)
def test_an_argument_that_does_not_exist_is_refused_and_says_what_is_meant(argument: str, meant: str) -> None:
    given: dict[str, Any] = {"task_id": "call", "endpoint": ASSETS, argument: None}
    with pytest.raises((TypeError, AirflowException), match=f"{argument}: Write {meant}"):
        IrisApiOperator(**given)


def test_an_argument_that_nobody_knows_is_refused_as_airflow_does() -> None:
    with pytest.raises((TypeError, AirflowException), match="surprise") as raised:
        IrisApiOperator(task_id="call", endpoint=ASSETS, surprise=1)
    assert "Write" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "dag_params", "noticed"),
    [
        ({"params": {"size": 5}}, {}, True),
        ({"params": {"size": 5}}, {"other": 1}, True),
        ({}, {"size": 5}, False),
        ({"params": {"size": 5}, "query_params": {"size": "{{ params.size }}"}}, {}, False),
        ({"params": {"id": "a"}, "endpoint": ASSETS + "/{{ params.id }}"}, {}, False),
    ],
    ids=[
        "params of the task",
        "those of the DAG beside them",
        "of the DAG alone",
        "in the query",
        "in the path",
    ],
)
def test_params_where_the_query_is_meant_are_noticed(
    said: Callable[[], str], arguments: dict[str, Any], dag_params: dict[str, Any], noticed: bool
) -> None:
    with make_dag(params=dag_params):
        operator = IrisApiOperator(**{"task_id": "call", "endpoint": ASSETS, **arguments})
    operator.pre_execute(NO_CONTEXT)
    assert ("write query_params" in said()) is noticed


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout_s": 0},
        {"timeout_s": "soon"},
        {"timeout_s": float("nan")},
        {"timeout_s": 1e9},
        {"max_attempts": 0},
        {"max_attempts": 1.5},
        {"max_attempts": True},
        {"max_wait_s": -1},
        {"max_wait_s": [1]},
    ],
)
def test_a_setting_that_cannot_be_is_an_error_that_names_it(wrong: dict[str, Any]) -> None:
    with pytest.raises(IrisConfigurationError, match=f"^{next(iter(wrong))}: .* is not a "):
        IrisApiOperator(task_id="call", endpoint=ASSETS, **wrong)


def test_the_settings_of_the_operator_hold_for_its_calls(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path=ASSETS, kind="status", status=503, times=None)
    with pytest.raises(IrisServerError):
        run(endpoint=ASSETS, max_attempts=1)
    assert len(iris_connection.requests(ASSETS)) == 1


def test_arguments_come_from_default_args_and_into_mapped_tasks() -> None:
    with make_dag(default_args={"trackunit_conn_id": "other", "max_attempts": 2, "max_records": 5}):
        plain = IrisApiOperator(task_id="plain", endpoint=ASSETS)
        mapped = IrisApiOperator.partial(task_id="mapped", endpoint=ASSETS, timeout_s=9).expand(
            query_params=[{"size": 1}]
        )
    one: Any = mapped.unmap({"query_params": {"size": 1}})
    for operator in (plain, one):
        assert (operator.trackunit_conn_id, operator.max_records) == ("other", 5)
        assert operator.call_settings.max_attempts == 2
    assert one.call_settings.timeout_s == 9
    assert one.query_params == {"size": 1}
