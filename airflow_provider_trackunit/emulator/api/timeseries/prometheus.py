"""The Time Series API: the Prometheus endpoints of one asset, and its raw samples.

Developer hub: time series introduction and usage. Timestamps are unix seconds and numbers are
strings. An instant query looks back five minutes, which is too little for sparse telemetry: it
answers an empty result, as the vendor does. Selectors only, and ``last_over_time`` around one.
"""

from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.api.assets import index_of
from airflow_provider_trackunit.emulator.api.timeseries.promql import (
    METRIC_SOURCES,
    bad_data,
    duration,
    labels_of,
    moment,
    required,
    selector,
)
from airflow_provider_trackunit.emulator.limits.rates import METRICS, PROMETHEUS
from airflow_provider_trackunit.emulator.machines.identity import asset_id
from airflow_provider_trackunit.emulator.machines.work import DAY_S
from airflow_provider_trackunit.emulator.serving.answers import json_answer
from airflow_provider_trackunit.emulator.serving.routing import Call, Route
from airflow_provider_trackunit.emulator.world import World

ASSET = "/api/time-series/v1/assets/{assetId}"
LOOK_BACK_S = 300.0
MOST_POINTS = 11_000


def fields(call: Call) -> dict[str, str]:
    """Return the arguments of a Prometheus call, from the query or from a form body."""
    return dict(call.query) | dict(parse_qsl(call.body.decode()))


def samples(world: World, index: int, name: str, period: tuple[float, float]) -> list[tuple[int, float]]:
    """Return (unix seconds, value) of a series within a period, both ends included."""
    datapoint, member, _ = METRIC_SOURCES[name]
    now = world.latest_moment()
    found = world.feed.samples(index, datapoint, (period[0], min(period[1], now)), now)
    if len(found) > MOST_POINTS:
        raise bad_data("the period holds too many samples")
    return [(int(one.stamp), world.feed.reading(index, datapoint, one)[member]) for one in found]


def instant(call: Call) -> Response:
    """Answer ``query``: a vector, or the matrix of samples if the query names a range."""
    index, asked = index_of(call), fields(call)
    wanted = selector(required(asked, "query"))
    at = moment(asked["time"]) if "time" in asked else call.world.latest_moment()
    rolled_up = asked["query"].lstrip().startswith("last_over_time")
    start = at - (wanted.range_s or LOOK_BACK_S)
    found = {name: samples(call.world, index, name, (start, at)) for name in wanted.names}
    if wanted.range_s is not None and not rolled_up:
        return _matrix(call, index, found)
    rows = [
        {"metric": _labels(call, index, name), "value": [int(at), _text(values[-1][1])]}
        for name, values in found.items()
        if values
    ]
    return _success("vector", rows)


def over_range(call: Call) -> Response:
    """Answer ``query_range``: at each step, the last sample not older than a step."""
    index, asked = index_of(call), fields(call)
    wanted = selector(required(asked, "query"))
    start, end = moment(required(asked, "start")), moment(required(asked, "end"))
    step = duration(asked.get("step", "5m"))
    if (end - start) / step > MOST_POINTS:
        raise bad_data("exceeded maximum resolution of 11,000 points per timeseries")
    back = max(LOOK_BACK_S, step, wanted.range_s or 0.0)
    steps = [start + number * step for number in range(int((end - start) // step) + 1)]
    found = {
        name: _stepped(samples(call.world, index, name, (start - back, end)), steps, back)
        for name in wanted.names
    }
    return _matrix(call, index, found)


def _stepped(values: list[tuple[int, float]], steps: list[float], back: float) -> list[tuple[int, float]]:
    rows, at = [], -1
    for step_at in steps:
        while at + 1 < len(values) and values[at + 1][0] <= step_at:
            at += 1
        if at >= 0 and values[at][0] > step_at - back:
            rows.append((int(step_at), values[at][1]))
    return rows


def _matrix(call: Call, index: int, found: dict[str, list[tuple[int, float]]]) -> Response:
    rows = [
        {"metric": _labels(call, index, name), "values": [[at, _text(number)] for at, number in values]}
        for name, values in found.items()
        if values
    ]
    return _success("matrix", rows)


def _success(kind: str, rows: list[dict[str, Any]]) -> Response:
    answer = {"status": "success", "isPartial": False, "data": {"resultType": kind, "result": rows}}
    return json_answer(answer | {"stats": {"seriesFetched": str(len(rows))}})


def _labels(call: Call, index: int, name: str) -> dict[str, str]:
    return {**labels_of(name), "asset_id": asset_id(call.world.seed, index)}


def _text(number: float) -> str:
    return f"{number:.10f}".rstrip("0").rstrip(".")


def series(call: Call) -> Response:
    """Answer the label sets of the asset's series."""
    index = index_of(call)
    return json_answer({"status": "success", "data": [_labels(call, index, name) for name in METRIC_SOURCES]})


def labels(call: Call) -> Response:
    """Answer the names of labels."""
    index = index_of(call)
    names = {label for name in METRIC_SOURCES for label in _labels(call, index, name)}
    return json_answer({"status": "success", "data": sorted(names)})


def label_values(call: Call) -> Response:
    """Answer the values of one label."""
    index = index_of(call)
    rows = (_labels(call, index, name).get(call.params["name"]) for name in METRIC_SOURCES)
    return json_answer({"status": "success", "data": sorted({row for row in rows if row})})


def metrics(call: Call) -> Response:
    """Answer raw samples, a day unless ``start`` and ``end`` say otherwise; their shape is not published."""
    index, asked = index_of(call), fields(call)
    end = moment(asked["end"]) if "end" in asked else call.world.data_now
    start = moment(asked["start"]) if "start" in asked else end - DAY_S
    rows = [
        {"name": name, "timestamp": moments.written(at), "value": number}
        for name in METRIC_SOURCES
        for at, number in samples(call.world, index, name, (start, end))
    ]
    return json_answer({"metrics": rows})


PROMETHEUS_API = f"{ASSET}/prometheus/api/v1"
TIME_SERIES_ROUTES = [
    *(
        Route(method, f"{PROMETHEUS_API}/{name}", handler, "asset.view", PROMETHEUS)
        for name, handler in (
            ("query", instant),
            ("query_range", over_range),
            ("series", series),
            ("labels", labels),
            ("label/{name}/values", label_values),
        )
        for method in ("GET", "POST")
    ),
    Route("GET", f"{ASSET}/metrics", metrics, "asset.view", METRICS),
]
