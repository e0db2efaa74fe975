"""What callers give: paths, values, queries, bodies, headers. What is sent says exactly that, in its own place."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.calls import Call, make_call
from airflow_provider_trackunit.iris.catalogue.endpoints import find
from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.export.request import ExportRequest
from airflow_provider_trackunit.iris.http.wire import Request, build_request
from airflow_provider_trackunit.iris.pages.frontier import Frontier
from tests.fuzz.documents import VALUES
from tests.fuzz.wires import ORIGIN, USER

TEMPLATE = "/public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}/{datapoint}/x"


class Odd:
    """Nothing that can be sent."""


#: Text that has been taken for something else in a URL.
TEXT = st.one_of(
    st.sampled_from(
        [
            "..", ".", "%2e%2e", "%2E%2E/", "../..", "..%2f..", "/", "//", "//evil.example", "\\", "\x00",
            "\r\nHost: evil", "?", "#", "a?b=c&d", ";x", "%", "%25", "%zz", "+", " ", "a b", "\u00e5\u00f8",
            "\u2024\u2024", "\uff0e\uff0e", "\U0001f600", "\ud800", "x" * 20_000, "{pin}", "{", "}",
            "{datapoint}", "~", "*", "@evil.example", ":80", "\u202e", "\ufeff",
        ]
    ),
    st.text(max_size=20),
    st.text(st.sampled_from("./%2eE\\ ~{}"), max_size=8),
)  # fmt: skip
#: Built, because Hypothesis prints what it samples from, and Python does not print these.
LONG_NUMBERS = st.builds(pow, st.just(10), st.just(5000))
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    TEXT,
    VALUES,
    LONG_NUMBERS,
    st.sampled_from(
        [None, True, 0, -1, 1.5, float("nan"), float("inf"), b"bytes", Odd(), Odd,
         [], {}, set(), [[1]], {"a": {}}, (1, "b"),
         dt.date(2026, 1, 2), dt.datetime.fromisoformat("2026-01-02"),
         dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=1))),
         dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-1))), dt.timedelta(1)]
    ),
)  # fmt: skip


NAMES = st.one_of(TEXT, TEXT, st.sampled_from([0, None, True, b"x", 1.5]), LONG_NUMBERS)


def request_of(endpoint: Any, **arguments: Any) -> tuple[Call, Request] | None:
    """Return what would be sent, None when it was refused."""
    try:
        call = make_call(ORIGIN, endpoint, **arguments)
        request = build_request(call)
    except IrisConfigurationError:
        return None
    assert request.url.startswith(f"{ORIGIN}/")
    assert request.url.isascii()
    assert request.url.isprintable()
    assert urlsplit(request.url).geturl() == request.url
    return call, request


@example("..", "%2e%2e")
@given(pin=ANYTHING, datapoint=TEXT)
def test_a_value_stays_within_its_part_of_the_path_and_decodes_to_itself(pin: Any, datapoint: str) -> None:
    made = request_of(TEMPLATE, path_params={"pin": pin, "datapoint": datapoint})
    if made is None:
        return
    parts = urlsplit(made[1].url).path.split("/")
    assert parts[:9] == TEMPLATE.split("/")[:9]
    assert len(parts) == len(TEMPLATE.split("/"))
    assert unquote(parts[-2], errors="strict") == datapoint
    if isinstance(pin, str):
        assert unquote(parts[-3], errors="strict") == pin
    assert not {".", ".."} & {unquote(part) for part in parts}


@given(values=st.dictionaries(TEXT, ANYTHING, max_size=4))
def test_a_query_decodes_to_exactly_what_was_given(values: dict[str, Any]) -> None:
    made = request_of("/api/x", query_params=values)
    if made is None:
        return
    sent = parse_qsl(
        urlsplit(made[1].url).query,
        keep_blank_values=True,
        strict_parsing=bool(made[0].query),
        errors="strict",
    )
    expected = []
    for name, value in values.items():
        several = value if isinstance(value, list | tuple | set) else [value]
        expected += [(name, one) for one in several if one is not None]
    assert [name for name, _ in sent] == [name for name, _ in expected]
    for (_, text), (_, value) in zip(sent, expected, strict=True):
        if isinstance(value, bool):
            assert text == str(value).lower()
        elif not isinstance(value, dt.date):
            assert text == str(value)


ENDPOINTS = st.one_of(
    TEXT,
    ANYTHING,
    st.tuples(
        st.sampled_from(
            [
                "",
                "/api/",
                ORIGIN,
                f"{ORIGIN}/api/",
                "//iris.example.com/",
                "https:",
                "http://iris.example.com/",
                "//evil.example/",
            ]
        ),
        TEXT,
        st.sampled_from(["", "?a=1", "?%ff=%00", "#x", "/{pin}"]),
    ).map("".join),
)


ARGUMENTS = st.fixed_dictionaries(
    {"endpoint": ENDPOINTS},
    optional={
        "method": st.one_of(st.sampled_from(["GET", "post", "G ET", "", "GET\r\nX: 1", "\u0130"]), ANYTHING),
        "path_params": st.one_of(
            ANYTHING, st.dictionaries(st.one_of(st.just("pin"), TEXT), ANYTHING, max_size=2)
        ),
        "query_params": st.one_of(ANYTHING, st.dictionaries(NAMES, ANYTHING, max_size=2)),
        "json": ANYTHING,
        "headers": st.one_of(ANYTHING, st.dictionaries(NAMES, ANYTHING, max_size=2)),
    },
)


def export_of(call: Call) -> ExportRequest:
    return ExportRequest(endpoint="/api/x", output_path="memory://x", calls=[call])


@given(arguments=ARGUMENTS)
def test_arguments_of_any_kind_make_a_request_to_iris_or_one_of_our_errors(arguments: dict[str, Any]) -> None:
    made = request_of(**arguments)
    if made is None:
        return
    call, request = made
    for name, value in request.headers.items():
        assert f"{name}{value}".isascii()
        assert f"{name}{value}".isprintable()
    assert "Authorization" not in {name.title() for name in request.headers}
    # What the walk and the export make of it before anything is sent.
    row = find(call)
    row.counted(call)
    assert export_of(call).fingerprint(USER)
    try:
        assert len(Frontier().ask([call], (), 1)[1]) == 1
    except IrisConfigurationError:
        return


@given(body=VALUES)
def test_a_body_decodes_to_exactly_what_was_given(body: Any) -> None:
    made = request_of("/api/x", method="POST", json=body)
    assert made is not None
    if body is None:
        assert made[1].body is None
    else:
        assert json.loads(made[1].body or b"") == body


@given(body=ANYTHING)
def test_a_body_that_cannot_be_written_is_refused_before_an_export_begins(body: Any) -> None:
    try:
        call = make_call(ORIGIN, "/api/x", method="POST", json=body)
    except IrisConfigurationError:
        return
    assert export_of(call).fingerprint(USER)


@pytest.mark.parametrize("argument", ["method", "path_params", "query_params", "headers"])
@pytest.mark.parametrize(
    "value", [10**5000, {10**5000: "x"}, {"x": 10**5000}], ids=["it", "a name", "a value"]
)
def test_a_number_of_some_thousand_digits_is_refused(argument: str, value: Any) -> None:
    assert request_of("/api/{x}" if argument == "path_params" else "/api/x", **{argument: value}) is None


@pytest.mark.parametrize("value", ["..", ".", "", " ", None, "\ud800"])
def test_a_value_that_cannot_be_a_part_of_a_path_is_refused(value: Any) -> None:
    assert request_of("/a/{pin}/b", path_params={"pin": value}) is None
