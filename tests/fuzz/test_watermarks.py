"""Watermarks: whatever records and stored states hold, the order is one, and nothing is counted twice."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.iris.pages.styles.unpaged import Unpaged
from airflow_provider_trackunit.iris.watch.conditions import Condition
from airflow_provider_trackunit.iris.watch.patience import Patience
from airflow_provider_trackunit.iris.watch.watermark import (
    Mark,
    Seen,
    advance,
    fill_window,
    oldest,
    read_marks,
    read_seen,
    stored,
)
from airflow_provider_trackunit.triggers import IrisEventTrigger
from tests.fuzz.documents import VALUES, hostile
from tests.fuzz.test_pages import STYLES, Style, in_pages, script, server_of
from tests.fuzz.wires import ORIGIN, WiredAsyncClient, on_loop

NOW = dt.datetime(2026, 1, 15, 6, 0, tzinfo=dt.UTC)
TIMES = st.one_of(
    st.datetimes().map(dt.datetime.isoformat),
    st.datetimes(timezones=st.timezones()).map(dt.datetime.isoformat),
    st.sampled_from(
        [
            "0001-01-01T00:00:00",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "2026-01-15",
            "20260115T06",
            "2026-W03-4",
            "24:00",
        ]
    ),
)
STAMPS = st.one_of(
    TIMES,
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=9),
    st.just(10**400),
    st.just("9" * 5000),
)
MARKS = st.lists(st.builds(Mark, STAMPS, st.sampled_from("abcdef")), max_size=6)
CALL = make_call(ORIGIN, "/api/asset/v1/assets/a")


@example(10**400)
@example("0001-01-01T00:00:00")
@example("9999-12-31T23:59:59-14:00")
@given(stamp=STAMPS)
def test_a_window_can_begin_at_any_watermark(stamp: Any) -> None:
    filled = fill_window({"from": "{watermark}", "to": ["{now}", 5]}, stamp, NOW)
    assert filled["to"] == ["2026-01-15T06:00:00Z", 5]
    assert isinstance(filled["from"], str)


@given(first=MARKS, then=MARKS)
def test_what_was_seen_is_not_new_again_and_a_watermark_never_goes_back(
    first: list[Mark], then: list[Mark]
) -> None:
    _, seen = advance(None, first)
    assert advance(seen, first) == (0, seen)
    count, after = advance(seen, then)
    assert count <= len({mark.digest for mark in then})
    assert advance(after, then) == (0, after)
    assert advance(after, first) == (0, after)
    if seen is not None:
        assert after is not None
        assert oldest([after, seen]) in (seen, after)


@given(marks=MARKS)
def test_how_far_a_watcher_has_come_survives_being_stored(marks: list[Mark]) -> None:
    _, seen = advance(None, marks)
    if seen is not None:
        assert read_seen(json.loads(json.dumps(stored(seen)))) == seen


CROWDS = st.one_of(VALUES, st.fixed_dictionaries({"count": st.integers(), "sum": st.text(max_size=16)}))


@given(
    found=st.one_of(
        VALUES,
        st.fixed_dictionaries({"value": VALUES}, optional={"at_it": VALUES, "crowd": CROWDS}),
        st.just({"value": float("nan")}),
    )
)
def test_a_stored_state_of_any_shape_is_read_or_counts_as_none(found: Any) -> None:
    seen = read_seen(found)
    if seen is not None:
        advance(seen, [Mark(1, "a"), Mark(seen.value, "b")])
        assert stored(read_seen(stored(seen)) or Seen(0)) == stored(seen)


RECORDS = st.lists(
    st.one_of(
        VALUES,
        st.fixed_dictionaries(
            {"id": st.one_of(VALUES, st.integers(0, 3)), "timeOn": st.one_of(STAMPS, VALUES)}
        ),
    ),
    max_size=5,
)


@given(
    body=hostile(RECORDS),
    expression=st.sampled_from(
        ["timeOn", "@", "id", "timeOn[0]", "to_number(timeOn)", "&timeOn", "floor(timeOn)"]
    ),
)
def test_marks_are_read_from_records_of_any_shape_or_it_is_one_of_our_errors(
    body: bytes, expression: str
) -> None:
    try:
        marks = read_marks(Unpaged().read(CALL, {}, body), Condition(expression))
    except IrisError:
        return
    count, seen = advance(None, marks)
    assert count == len({mark.digest for mark in marks})
    if seen is not None:
        fill_window("{watermark}", seen.value, NOW).encode()
        json.dumps(stored(seen), allow_nan=False)


def sweep(answer: Any, name: str) -> tuple[Any, Any]:
    """Return what one walk of a watcher comes to, and what it asked."""
    style = STYLES[name]
    trigger = IrisEventTrigger(endpoint=style.endpoint, watermark="timeOn", **style.arguments)
    found: list[Any] = []

    async def use(client: WiredAsyncClient) -> None:
        async def no_sleep(_seconds: float) -> None:
            await asyncio.sleep(0)

        trigger.timing = type(trigger.timing)(sleep=no_sleep)  # type: ignore[misc]
        found.extend(await trigger._sweep(client, trigger.request, Patience()))

    return found, on_loop(use, answer)


PAGED = ["page and size", "links", "Relay", "recognised by after"]


@given(name=st.sampled_from(PAGED), bodies=st.lists(hostile(RECORDS), min_size=1, max_size=3))
def test_a_watcher_soon_leaves_a_server_that_sends_no_pages(name: str, bodies: list[bytes]) -> None:
    _, exchange = sweep(script(bodies)(), name)
    assert len(exchange.asked) <= 12


def pages_of(style: Style) -> st.SearchStrategy[list[bytes]]:
    """Return the answers of a server that was meant to send three pages of this style."""
    in_turn = [hostile(RECORDS.map(lambda some, at=at: style.page(some, at, 3, 6))) for at in range(3)]  # type: ignore[misc]
    return st.tuples(*in_turn).map(list)


PAGES = {name: pages_of(STYLES[name]) for name in PAGED}


@given(name_and_bodies=st.one_of([st.tuples(st.just(name), bodies) for name, bodies in PAGES.items()]))
def test_a_watcher_meets_pages_of_any_kind_with_marks_or_one_of_our_errors(
    name_and_bodies: tuple[str, list[bytes]],
) -> None:
    name, bodies = name_and_bodies
    found, exchange = sweep(script(bodies)(), name)
    if exchange.error is None:
        marks, pages = found
        assert pages == len(exchange.asked)
        count, _ = advance(None, marks)
        assert count == len({mark.digest for mark in marks})


@given(name=st.sampled_from(PAGED), stamps=st.lists(st.integers(0, 10**6), max_size=8, unique=True))
def test_a_watcher_reads_every_record_of_an_honest_server_once(name: str, stamps: list[int]) -> None:
    records = [{"id": stamp, "timeOn": stamp} for stamp in stamps]
    found, exchange = sweep(server_of(STYLES[name], in_pages(records, 2))(), name)
    assert exchange.error is None
    marks, pages = found
    assert [mark.value for mark in marks] == stamps
    assert pages == len(exchange.asked) == len(set(exchange.asked))
