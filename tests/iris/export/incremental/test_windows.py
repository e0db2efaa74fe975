"""What a run reads of an item, and in how many calls."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.catalogue.endpoints import find
from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.export.incremental.cursors import Cursors
from airflow_provider_trackunit.iris.export.incremental.windows import (
    Piece,
    Reach,
    Span,
    most_windows_of,
    pieces,
    speaks_of_windows,
    step_of,
    within,
)
from airflow_provider_trackunit.iris.export.manifest import Run

ORIGIN = "https://iris.example"
SERIES = "/public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/{pin}/Distance/{from}/{until}"
DAY_S = 86_400

moments = st.integers(0, 10_000)


@given(begin=moments, length=moments, step=st.integers(1, 3000))
def test_windows_are_a_span_without_gap_or_overlap_in_as_few_pieces_as_can_be(
    begin: int, length: int, step: int
) -> None:
    windows = Span(begin, begin + length).windows(step)
    covered = [moment for window in windows for moment in range(*window)]
    assert covered == list(range(begin, begin + length))
    assert len(windows) == -(-length // step)
    assert all(0 < end - start <= step for start, end in windows)


def test_a_span_without_a_longest_window_is_one() -> None:
    assert Span(5, 5000).windows(None) == [Span(5, 5000)]
    assert Span(5, 5).windows(None) == []


@given(
    starts=st.integers(0, 200),
    lookback=st.integers(0, 50),
    step=st.integers(1, 40),
    most_windows=st.integers(1, 5),
    runs=st.lists(st.tuples(st.integers(0, 2000), st.booleans(), st.booleans()), min_size=1, max_size=12),
)
def test_over_all_runs_everything_before_a_cursor_was_read_whatever_their_order(
    starts: int, lookback: int, step: int, most_windows: int, runs: list[tuple[int, bool, bool]]
) -> None:
    """A run may end anywhere, in any order, break off after any window, and lose its update of the state."""
    if lookback >= step * most_windows:
        lookback = step * most_windows - 1
    cursors = Cursors(endpoint="GET /", request="r")
    read: set[int] = set()
    for until, breaks_off, update_is_lost in runs:
        reach = Reach(starts, until, lookback, max(0, until - 100), step, most_windows)
        span = reach.span(cursors.cursor_s(""))
        windows = span.windows(step)[: 1 if breaks_off else None]
        read |= {moment for window in windows for moment in range(*window)}
        done = span._replace(end_s=windows[-1].end_s if windows else span.begin_s)
        after = cursors.advanced({"": done}, starts, Run())
        before_s, after_s = cursors.cursor_s(""), after.cursor_s("")
        assert before_s is None or (after_s is not None and after_s >= before_s)
        cursors = cursors if update_is_lost else after
        assert set(range(starts, cursors.cursor_s("") or starts)) <= read
        assert all(moment >= starts for moment in read)


@given(
    until=st.integers(1, 5000),
    lookback=st.integers(0, 50),
    step=st.integers(1, 40),
    most_windows=st.integers(1, 5),
)
def test_a_back_fill_comes_to_its_end_run_after_run(
    until: int, lookback: int, step: int, most_windows: int
) -> None:
    if lookback >= step * most_windows:
        lookback = step * most_windows - 1
    reach = Reach(0, until, lookback, None, step, most_windows)
    cursor: int | None = None
    for _ in range(-(-until // (step * most_windows - lookback)) + 1):
        if cursor is not None and cursor >= until:
            break
        cursor = reach.span(cursor).end_s
    assert cursor == until


def test_what_was_read_before_comes_again_only_within_the_lookback() -> None:
    assert Reach(0, 1000, 60).span(900) == (840, 1000)
    assert Reach(870, 1000, 60).span(900) == (870, 1000)  # not before the start


def test_a_run_that_is_back_filled_reads_its_own_interval_and_one_without_any_reads_nothing() -> None:
    assert Reach(0, 500, 60, own_begin_s=400).span(900) == (400, 500)
    assert Reach(450, 500, 60, own_begin_s=400).span(900) == (450, 500)
    assert Reach(0, 500, 60).span(900) == (500, 500)


def test_a_start_in_the_future_is_nothing_to_read() -> None:
    begin, end = Reach(2000, 1000, 60, own_begin_s=900).span(None)
    assert begin == end


def test_a_lookback_that_no_run_ever_gets_beyond_is_refused() -> None:
    with pytest.raises(IrisConfigurationError, match=r"lookback.*never get"):
        Reach(0, 100, lookback_s=20, step_s=10, most_windows=2)


def test_the_first_window_of_every_item_comes_before_the_second_of_any() -> None:
    spans = [Span(0, 30), Span(20, 30), Span(30, 30), Span(10, 30)]
    assert pieces(spans, 10) == [
        Piece(0, Span(0, 10)),
        Piece(1, Span(20, 30)),
        Piece(3, Span(10, 20)),
        Piece(0, Span(10, 20)),
        Piece(3, Span(20, 30)),
        Piece(0, Span(20, 30)),
    ]
    assert pieces([], 10) == []


def series_call(**arguments: Any) -> Any:
    given = {"path_params": {"pin": "A 1", "from": "{from}", "until": "{until}"}, **arguments}
    return make_call(ORIGIN, SERIES, **given)


def test_a_series_is_asked_for_fourteen_days_at_a_time_and_for_half_of_its_pool_in_a_run() -> None:
    row = find(series_call())
    assert step_of(row, None) == 14 * DAY_S
    assert step_of(row, DAY_S) == DAY_S
    with pytest.raises(IrisConfigurationError, match="14 days"):
        step_of(row, 14 * DAY_S + 1)
    assert most_windows_of(row) == 26
    events = find(make_call(ORIGIN, "/public/api/eventlog/v3/asset-event/log", method="POST"))
    assert (step_of(events, None), most_windows_of(events)) == (None, None)


def test_the_ends_of_a_window_stand_wherever_the_request_says() -> None:
    window = Span(1_767_225_600, 1_768_435_200)
    call = within(series_call(query_params={"x": "{from}/{until}"}), window)
    assert call.path.endswith("/A%201/Distance/2026-01-01T00:00:00Z/2026-01-15T00:00:00Z")
    assert call.query == (("x", "2026-01-01T00:00:00Z/2026-01-15T00:00:00Z"),)
    body = {"period": [{"a": "{from}"}, "to {until}"], "n": 1, "none": None}
    filled = within(make_call(ORIGIN, "/x", method="POST", json=body), window)
    assert filled.json == {
        "period": [{"a": "2026-01-01T00:00:00Z"}, "to 2026-01-15T00:00:00Z"],
        "n": 1,
        "none": None,
    }
    assert body["period"] == [{"a": "{from}"}, "to {until}"]


@pytest.mark.parametrize(
    ("arguments", "speaks"),
    [
        ({"json": {"a": "{from}", "b": "{until}"}}, True),
        ({"json": {"a": "{from}"}}, False),
        ({"query_params": {"a": "{from}"}, "json": ["{until}"]}, True),
        ({"json": {"{from}": "{until}"}}, True),
        ({}, False),
    ],
)
def test_a_request_has_to_say_where_both_ends_belong(arguments: dict[str, Any], *, speaks: bool) -> None:
    assert speaks_of_windows(make_call(ORIGIN, "/x", method="POST", **arguments)) is speaks
    assert speaks_of_windows(series_call())
