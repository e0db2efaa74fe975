"""The Time Series API: result types, the short look-back, numbers as strings."""

from typing import Any

import pytest

from tests.emulator.conftest import ASSETS, Api

HOURS = "machine_insight_cumulative_operating_hours"


@pytest.fixture
def base(api: Api) -> str:
    return f"/api/time-series/v1/assets/{api.json(ASSETS)['content'][0]['id']}"


def query(api: Api, base: str, name: str = "query", method: str = "GET", **fields: Any) -> Any:
    options = {"params": fields} if method == "GET" else {"data": fields}
    return api.json(f"{base}/prometheus/api/v1/{name}", method, **options)


def test_an_instant_query_of_sparse_telemetry_is_empty(api: Api, base: str) -> None:
    api.iris.settings(hours_step_s=86_400)
    answer = query(api, base, query=HOURS, time="2026-01-15T00:00:00Z")
    assert (answer["status"], answer["data"]["resultType"]) == ("success", "vector")
    assert answer["data"]["result"] == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_range_brings_the_samples_as_text(api: Api, base: str, method: str) -> None:
    answer = query(api, base, method=method, query=f"{HOURS}[2d]", time="2026-01-15T00:00:00Z")
    series = answer["data"]["result"][0]
    assert answer["data"]["resultType"] == "matrix"
    assert series["metric"]["__name__"] == HOURS
    assert all(isinstance(at, int) and isinstance(number, str) for at, number in series["values"])
    assert len(series["values"]) in {10, 11}


def test_the_last_value_over_time_is_a_vector(api: Api, base: str) -> None:
    answer = query(api, base, query=f"last_over_time({HOURS}[1d])", time="1768435200")
    assert len(answer["data"]["result"][0]["value"]) == 2


def test_a_range_query_has_one_value_a_step(api: Api, base: str) -> None:
    fields = {"query": HOURS, "start": "2026-01-01T00:00:00Z", "end": "2026-01-05T00:00:00Z", "step": "1d"}
    values = query(api, base, "query_range", **fields)["data"]["result"][0]["values"]
    assert [at for at, _ in values] == [1767225600 + day * 86_400 for day in range(5)]


def test_a_sensor_is_selected_by_its_label(api: Api, base: str) -> None:
    answer = query(api, base, query='{sensor_id="run_1"}[1d]', time="2026-01-15T00:00:00Z")
    assert [row["metric"]["__name__"] for row in answer["data"]["result"]] == ["advanced_sensor_run_1"]


@pytest.mark.parametrize(
    "fields",
    [{}, {"query": "sum by ("}, {"query": '{sensor_id=~"run.*"}'}, {"query": HOURS, "time": "yesterday"}],
)
def test_a_bad_query_is_an_error_the_prometheus_way(api: Api, base: str, fields: dict[str, str]) -> None:
    response = api.ask(f"{base}/prometheus/api/v1/query", params=fields)
    assert (response.status_code, response.json()["errorType"]) == (400, "bad_data")


def test_series_and_labels_are_listed(api: Api, base: str) -> None:
    assert HOURS in {row["__name__"] for row in query(api, base, "series")["data"]}
    assert "asset_id" in query(api, base, "labels")["data"]
    assert query(api, base, "label/sensor_id/values")["data"] == ["run_1"]


def test_raw_samples_are_compressed_for_those_who_accept_it(api: Api, base: str) -> None:
    plain = api.ask(f"{base}/metrics", headers={"Accept-Encoding": "identity"})
    packed = api.ask(f"{base}/metrics", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    assert "content-encoding" not in api.ask(ASSETS, headers={"Accept-Encoding": "gzip"}).headers
