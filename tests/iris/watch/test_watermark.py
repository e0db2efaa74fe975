"""How far a watcher has come, and which records are new to it."""

import datetime as dt
import json
import math
from typing import Any

import msgspec
import pytest

from airflow_provider_trackunit.iris.pages.page import Page
from airflow_provider_trackunit.iris.watch.conditions import Condition
from airflow_provider_trackunit.iris.watch.watermark import (
    Mark,
    Seen,
    Value,
    advance,
    fill_window,
    has_window,
    oldest,
    read_marks,
    read_seen,
    stored,
)

EARLY, LATE, LATER = "2026-01-14T09:12:44Z", "2026-01-14T09:12:45Z", "2026-01-14T09:12:46Z"
NOW = dt.datetime(2026, 1, 15, 6, 0, 0, 999, tzinfo=dt.UTC)


def marks_of(*records: Any, by: str = "timeOn") -> list[Mark]:
    return read_marks(Page([msgspec.Raw(json.dumps(one).encode()) for one in records], None), Condition(by))


def event(name: str | int, at: Value | None) -> dict[str, Any]:
    return {"id": name, "timeOn": at}


# -- what is new


def test_the_first_look_counts_everything_and_remembers_the_newest() -> None:
    new, seen = advance(None, marks_of(event("a", EARLY), event("b", LATE)))
    assert seen is not None
    assert (new, seen.value, len(seen.at_it)) == (2, LATE, 1)


def test_what_was_seen_is_not_new_again_in_whatever_order_it_comes() -> None:
    records = [event("a", EARLY), event("b", LATE), event("c", LATE)]
    _, seen = advance(None, marks_of(*records))
    assert advance(seen, marks_of(*reversed(records))) == (0, seen)


def test_a_record_that_shares_the_newest_time_and_comes_later_is_new_once() -> None:
    _, seen = advance(None, marks_of(event("a", LATE)))
    new, seen = advance(seen, marks_of(event("a", LATE), event("b", LATE)))
    assert (new, seen and seen.value) == (1, LATE)
    assert advance(seen, marks_of(event("a", LATE), event("b", LATE))) == (0, seen)


def test_a_later_record_moves_the_watermark_and_frees_what_was_remembered_at_the_old_one() -> None:
    _, seen = advance(None, marks_of(event("a", EARLY), event("b", EARLY)))
    new, seen = advance(seen, marks_of(event("a", EARLY), event("c", LATE)))
    assert seen is not None
    assert (new, seen.value, len(seen.at_it)) == (1, LATE, 1)


def test_an_older_record_is_not_new() -> None:
    _, seen = advance(None, marks_of(event("a", LATE)))
    assert advance(seen, marks_of(event("z", EARLY))) == (0, seen)


def test_one_record_on_two_pages_counts_once() -> None:
    assert advance(None, marks_of(event("a", EARLY), event("a", EARLY)))[0] == 1


def test_nothing_new_leaves_the_watermark_where_it_is() -> None:
    seen = Seen(LATE, frozenset({"x"}))
    assert advance(seen, []) == (0, seen)
    assert advance(seen, [Mark(EARLY, "x")]) == (0, seen)


def crowd(count: int) -> list[Mark]:
    return marks_of(*(event(number, LATE) for number in range(count)))


@pytest.mark.parametrize("count", [1, 1000, 1001, 1500])
def test_any_number_of_records_can_share_the_newest_watermark(count: int) -> None:
    new, seen = advance(None, crowd(count))
    assert (new, seen and seen.value) == (count, LATE)
    assert advance(seen, list(reversed(crowd(count)))) == (0, seen)
    assert advance(seen, crowd(count + 1))[0] == 1


@pytest.mark.parametrize("count", [1, 1000, 1001, 1500, 5000])
def test_what_was_seen_is_not_new_after_it_was_stored_however_much_it_was(count: int) -> None:
    _, seen = advance(None, crowd(count))
    assert seen is not None
    written = json.dumps(stored(seen))
    assert len(written) < 20_100
    again = read_seen(json.loads(written))
    assert advance(again, list(reversed(crowd(count)))) == (0, again)
    assert again is not None
    assert stored(again) == stored(seen)


@pytest.mark.parametrize(
    ("then", "new"),
    [
        pytest.param(crowd(1501), 1, id="one more"),
        pytest.param([*crowd(1499), *marks_of(event("other", LATE))], 1, id="another in the place of one"),
        pytest.param(
            [*crowd(1500), *marks_of(event("x", LATE), event("y", LATER))], 2, id="one more, and a later one"
        ),
        pytest.param([*crowd(1500), *marks_of(event("y", LATER))], 1, id="a later one"),
        pytest.param(crowd(1200), 0, id="some are gone"),
        pytest.param([], 0, id="all are gone"),
    ],
)
def test_what_is_new_among_more_than_can_be_stored_is_noticed_once(then: list[Mark], new: int) -> None:
    _, seen = advance(None, crowd(1500))
    assert seen is not None
    again = read_seen(json.loads(json.dumps(stored(seen))))
    count, after = advance(again, then)
    assert count == new
    assert advance(after, then) == (0, after)


# -- the order of values


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        pytest.param("2026-01-14T09:12:44Z", "2026-01-14T09:12:44.1Z", id="a fraction"),
        pytest.param("2026-01-14T12:00:00+02:00", "2026-01-14T11:00:00Z", id="another offset"),
        pytest.param("2026-01-14T09:12:44", "2026-01-14T09:12:45Z", id="no zone is UTC"),
        pytest.param("2026-01-14", "2026-01-14T00:00:01Z", id="a date is its midnight"),
        pytest.param(9, 10, id="numbers are not texts"),
        pytest.param(1.5, 2, id="fractions and whole numbers"),
        pytest.param(9007199254740992, 9007199254740993, id="numbers beyond what a float tells apart"),
        pytest.param(5, 10**400, id="a number that no float holds"),
        pytest.param("a9", "b1", id="texts"),
        pytest.param(10**15, "2026-01-14T00:00:00Z", id="a number, however large, and a time"),
        pytest.param("unknown", "2026-01-14T00:00:00Z", id="a text that is no time, and a time"),
        pytest.param("unknown", 0, id="a text and a number"),
        pytest.param("", "a", id="an empty text and another"),
        pytest.param("9", "10", id="numbers that are written as texts"),
        pytest.param("9", 10, id="a number in both ways"),
        pytest.param("20261231", "20261232", id="numbers of which only some are days"),
        pytest.param("20261232", "20270101", id="numbers of which only the newer one is a day"),
    ],
)
def test_a_newer_value_is_beyond_an_older_one_and_not_the_other_way(older: Value, newer: Value) -> None:
    assert Seen(older).is_new(Mark(newer, "x"))
    assert not Seen(newer).is_new(Mark(older, "x"))


def test_a_number_too_long_to_be_read_is_a_text_like_any_other() -> None:
    assert Seen("8" * 5000).is_new(Mark("9" * 5000, "x"))


def test_a_first_look_that_finds_nothing_leaves_everything_to_be_new() -> None:
    _, seen = advance(None, [])
    for later in (event("a", EARLY), event("a", -5), event("a", "x"), event("a", "")):
        assert advance(read_seen(json.loads(json.dumps(stored(seen)))), marks_of(later))[0] == 1
    assert advance(seen, []) == (0, seen)


def test_the_newest_is_the_latest_moment_and_not_the_last_in_the_alphabet() -> None:
    marks = marks_of(event("a", "2026-01-14T10:00:00+01:00"), event("b", "2026-01-14T09:30:00Z"))
    _, seen = advance(None, marks)
    assert seen is not None
    assert seen.value == "2026-01-14T09:30:00Z"


def test_a_time_without_a_zone_is_utc_wherever_the_machine_is(far_from_utc: None) -> None:
    assert Seen("2026-01-14T09:12:44").is_new(Mark("2026-01-14T09:12:45Z", "x"))
    assert not Seen("2026-01-14T09:12:45Z").is_new(Mark("2026-01-14T09:12:44", "x"))
    assert fill_window("{watermark}", "2026-01-14T09:12:44", NOW) == "2026-01-14T09:12:43Z"


def test_one_moment_written_in_two_ways_is_one_watermark() -> None:
    _, seen = advance(None, marks_of(event("a", "2026-01-14T10:00:00+01:00")))
    assert advance(seen, marks_of(event("a", "2026-01-14T09:00:00Z"))) == (0, seen)


def test_among_several_watchers_the_one_that_has_come_least_far_decides_what_is_asked_for() -> None:
    ahead, behind = Seen("2026-01-14T09:00:00Z"), Seen("2026-01-14T09:30:00+01:00")
    assert oldest([ahead, behind]) is behind
    assert oldest([]) is None


# -- reading marks


@pytest.mark.parametrize(
    "record",
    [event("a", None), event("a", True), {"id": "a"}, {"id": "a", "timeOn": [1]}, "text", 7],
)
def test_a_record_without_a_usable_value_has_no_place_in_the_order(record: Any) -> None:
    assert marks_of(record, event("b", EARLY)) == marks_of(event("b", EARLY))


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999"])
def test_a_number_that_nothing_is_newer_than_does_not_stop_a_watcher(text: str) -> None:
    records = [event("a", text), event("b", "7")]
    assert [mark.value for mark in marks_of(*records, by="to_number(timeOn)")] == [7]


def test_zero_and_an_empty_text_are_values() -> None:
    assert [mark.value for mark in marks_of(event("a", 0), event("b", ""))] == [0, ""]


def test_a_record_is_told_from_others_by_its_id_and_not_by_the_rest_of_it() -> None:
    (before,) = marks_of({"id": "a", "timeOn": EARLY, "status": "OPEN"})
    (after,) = marks_of({"id": "a", "timeOn": EARLY, "status": "CLOSED"})
    (other,) = marks_of({"id": "b", "timeOn": EARLY, "status": "OPEN"})
    assert before == after != other


@pytest.mark.parametrize("same_id", [{}, {"id": None}, {"id": ""}, {"id": {"of": 1}}])
def test_a_record_without_an_id_is_told_by_the_whole_of_it(same_id: dict[str, Any]) -> None:
    one, other, again = marks_of(
        {**same_id, "timeOn": EARLY, "n": 1},
        {**same_id, "timeOn": EARLY, "n": 2},
        {**same_id, "timeOn": EARLY, "n": 1},
    )
    assert one == again != other


def test_a_record_that_is_no_object_can_be_watched_too() -> None:
    assert [mark.value for mark in marks_of(3, 4, by="@")] == [3, 4]


# -- what is stored


def test_what_is_stored_comes_back() -> None:
    _, seen = advance(None, marks_of(event("a", EARLY)))
    assert seen is not None
    assert read_seen(json.loads(json.dumps(stored(seen)))) == seen


@pytest.mark.parametrize(
    "found",
    [
        None,
        "",
        7,
        [],
        {},
        {"value": None},
        {"value": "x", "at_it": [1]},
        {"value": math.nan},
        {"value": math.inf},
    ],
)
def test_what_cannot_be_read_is_nothing_seen(found: Any) -> None:
    assert read_seen(found) is None


# -- the window of a request


def test_a_time_is_filled_in_a_second_earlier_in_utc_and_without_a_fraction() -> None:
    query = {
        "fromTime": "{watermark}",
        "toTime": "{now}",
        "size": 5,
        "list": ["from {watermark} to {now}", 1],
    }
    assert fill_window(query, "2026-01-14T10:12:44.9+01:00", NOW) == {
        "fromTime": "2026-01-14T09:12:43Z",
        "toTime": "2026-01-15T06:00:00Z",
        "size": 5,
        "list": ["from 2026-01-14T09:12:43Z to 2026-01-15T06:00:00Z", 1],
    }


@pytest.mark.parametrize(("watermark", "text"), [(17, "after 17"), ("k-17", "after k-17")])
def test_a_watermark_that_is_no_time_is_filled_in_as_it_is(watermark: Value, text: str) -> None:
    assert fill_window("after {watermark}", watermark, NOW) == text


@pytest.mark.parametrize(
    "watermark", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
def test_a_watermark_at_the_end_of_the_calendar_is_filled_in_as_it_is(watermark: str) -> None:
    assert fill_window("{watermark}", watermark, NOW) == watermark


@pytest.mark.parametrize(
    ("value", "has_one"),
    [
        ({"filter": {"from": ["{watermark}"]}}, True),
        ("since {watermark}", True),
        ({"toTime": "{now}", "n": 1}, False),
        ({"{watermark}": 1}, False),
        (None, False),
        (7, False),
    ],
)
def test_a_request_that_names_the_watermark_is_known(value: Any, has_one: bool) -> None:
    assert has_window(value) is has_one
