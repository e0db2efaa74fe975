"""What is counted: nothing when Airflow counts nothing, with tags that every way takes, and at the cost of no request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit import metrics
from airflow_provider_trackunit.hooks import IrisHook
from airflow_provider_trackunit.iris.catalogue.endpoints import ENDPOINTS

if TYPE_CHECKING:
    from airflow_provider_trackunit.emulator import IrisEmulator

ASSETS = "/api/asset/v1/assets"
ON = "AIRFLOW__METRICS__STATSD_ON"


class Door:
    """What Airflow's metrics go through; it can be broken."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.calls: list[tuple[str, str, Any, dict[str, str]]] = []

    def _call(self, method: str, name: str, value: Any, tags: dict[str, str]) -> None:
        self.calls.append((method, name, value, tags))
        if self.broken:
            raise OSError("no route to the host of the metrics")

    def incr(self, name: str, count: int, *, tags: dict[str, str]) -> None:
        self._call("incr", name, count, tags)

    def gauge(self, name: str, value: float, *, tags: dict[str, str]) -> None:
        self._call("gauge", name, value, tags)

    def timing(self, name: str, dt: Any, *, tags: dict[str, str]) -> None:
        self._call("timing", name, dt, tags)


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    one = Door()
    monkeypatch.setattr(metrics, "stats_if_on", lambda: one)
    return one


def test_nothing_is_counted_where_the_metrics_of_airflow_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert metrics.request_metrics() is None
    monkeypatch.setenv(ON, "True")
    assert metrics.request_metrics() is not None


def test_each_request_and_each_refusal_is_counted_and_how_long_it_waited(
    iris_connection: IrisEmulator, door: Door
) -> None:
    iris_connection.fault(path="/sites", kind="rate_limit", retry_after="1")
    IrisHook().run("/api/site/v1/sites")
    counted = [(method, name, tags.get("status")) for method, name, _, tags in door.calls]
    assert counted[:2] == [("incr", "trackunit.requests", "429"), ("incr", "trackunit.refusals", None)]
    assert counted[-1] == ("incr", "trackunit.requests", "200")
    waits = [value.total_seconds() for method, name, value, _ in door.calls if name == "trackunit.waited"]
    assert sum(waits) >= 1
    assert {tags["endpoint"] for *_, tags in door.calls} == {"/api/site/v1/sites"}


def test_a_path_without_a_row_is_counted_as_one(iris_connection: IrisEmulator, door: Door) -> None:
    iris_connection.fault(
        path="/api/own", kind="status", status=200, body="{}", content_type="application/json"
    )
    IrisHook().run("/api/own/thing/4711")
    assert [tags["endpoint"] for *_, tags in door.calls] == ["unlisted"]


def test_a_request_succeeds_although_it_cannot_be_counted_which_is_said_once(
    iris_connection: IrisEmulator, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    door.broken = True
    hook = IrisHook()
    assert hook.run(ASSETS, query_params={"size": 1})["totalElements"] == 250
    assert hook.run(ASSETS, query_params={"size": 1})["totalElements"] == 250
    assert len(door.calls) == 1
    assert caplog.text.count("Metrics cannot be sent") == 1


def test_every_endpoint_of_the_catalogue_is_a_tag_that_statsd_takes_and_no_two_are_one() -> None:
    paths = {row.path for row in ENDPOINTS}
    tags = {metrics.tag(path) for path in paths}
    assert [tag for tag in tags if not re.fullmatch(r"[A-Za-z0-9_./-]+", tag)] == []
    assert len(tags) == len(paths)
