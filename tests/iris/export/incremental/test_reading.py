"""Runs that read on: nothing is missing whatever happens, and no more is asked for than has to be."""

from __future__ import annotations

import itertools
import json
import logging
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from airflow_provider_trackunit.iris.errors import (
    IrisCheckpointError,
    IrisConfigurationError,
    IrisNotFoundError,
    IrisRateLimitError,
    IrisStorageError,
    IrisUnexpectedResponseError,
)
from airflow_provider_trackunit.iris.export.export import Export
from airflow_provider_trackunit.iris.export.formats.parquet import ParquetEncoding
from airflow_provider_trackunit.iris.export.incremental.cursors import (
    epoch_s,
    read_cursors,
    write_cursors,
)
from airflow_provider_trackunit.iris.export.incremental.windows import Span
from airflow_provider_trackunit.iris.export.manifest import utc_text
from airflow_provider_trackunit.iris.export.typed.declaring import columns_for
from tests.iris.export.conftest import FLEET, pins
from tests.iris.export.stores import Killed, MemoryStore, result_of

from .conftest import HOURS, STATE, Lake, Life, at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_trackunit.iris.export.manifest import Manifest

DAY_S = 86_400


def times(records: Iterable[dict[str, Any]]) -> set[str]:
    return {record.get("eventTime") or record["datetime"] for record in records}


def events_between(begin: str, end: str) -> set[str]:
    """Return the times of all events of a span; one on its end may come, as with IRIS, and is left out here."""
    return {utc_text(moment) for moment in range(at(begin), at(end), 14_400)}


def asked(lake: Lake, item: dict[str, str]) -> list[str]:
    """Return the windows that were asked for of a machine, as they stand in the path."""
    paths = [request["path"] for request in lake.iris.requests(f"/ID/{item['pin']}/")]
    return ["/".join(path.split("/")[-3:-1]) for path in paths]


# -- a collection


def test_each_run_reads_from_where_the_last_one_ended_less_the_lookback(lake: Lake) -> None:
    rules = {"lookback_s": 8 * 3600}
    periods = [lake.run(f"run {day}", day, rules=rules).period for day in ("03", "04", "06")]
    assert [(period or {})["from"][8:13] for period in periods] == ["01T00", "02T16", "03T16"]
    assert [(period or {})["until"][8:13] for period in periods] == ["03T00", "04T00", "06T00"]
    assert events_between("01", "06") <= times(lake.records())
    assert lake.written["until"] == "2026-01-06T00:00:00Z"
    assert lake.written["run"]["run_id"] == "run 06"
    assert list(lake.state) == [STATE]


def test_a_run_never_reads_the_future(lake: Lake) -> None:
    lake.now_s = at("02")
    period = lake.run("run", "09").period
    assert (period or {})["until"] == "2026-01-02T00:00:00Z"
    assert lake.written["until"] == "2026-01-02T00:00:00Z"


def test_a_long_time_is_read_in_windows_and_every_record_comes(lake: Lake) -> None:
    manifest = lake.run("run", "09", rules={"step_s": DAY_S})
    assert (manifest.requests, manifest.announced) == (8, None)
    assert events_between("01", "09") <= times(lake.records())


def test_a_run_that_is_cleared_reads_its_own_time_again_and_moves_nothing_back(lake: Lake) -> None:
    first = lake.run("first", "03")
    lake.run("second", "05")
    again = lake.run("first", "04", rules={"lookback_s": 3600})  # its end, too, is that of the first time
    assert again.period == first.period
    assert lake.written["until"] == "2026-01-05T00:00:00Z"


def test_a_run_that_is_cleared_while_the_state_was_set_back_leaves_no_gap_unread(lake: Lake) -> None:
    lake.run("first", "03")
    lake.run("second", "05")
    set_back = read_cursors(lake.state[STATE], STATE).set_back(at("01"), None)
    lake.state[STATE] = write_cursors(set_back)
    lake.run("second", "05")
    assert lake.written["until"] == "2026-01-01T00:00:00Z"
    assert (lake.run("third", "06").period or {})["from"] == "2026-01-01T00:00:00Z"


def test_a_run_that_is_back_filled_reads_its_own_interval(lake: Lake) -> None:
    lake.run("now", "20")
    period = lake.run("of the third", "04", begins="03").period or {}
    assert (period["from"], period["until"]) == ("2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z")
    assert lake.written["until"] == "2026-01-20T00:00:00Z"


def test_when_there_is_nothing_to_read_nothing_is_asked_for_and_the_log_says_so(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    lake.run("first", "03")
    before = len(lake.iris.requests("/asset-event"))
    manifest = lake.run("second", "03")
    assert (manifest.records, manifest.parts) == (0, ())
    assert len(lake.iris.requests("/asset-event")) == before
    assert "nothing to read" in caplog.text


def test_the_next_try_reads_the_same_windows_whatever_clock_and_state_say_by_then(lake: Lake) -> None:
    lake.iris.fault(path="/asset-event", kind="status", status=403)
    lake.now_s = at("03")
    with pytest.raises(Exception, match="403"):
        lake.run("run", "31")
    lake.now_s = at("01")  # the clock of the other worker
    period = lake.run("run", "31").period or {}
    assert (period["from"], period["until"]) == ("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")


# -- kills


def lives(when: str) -> Iterable[Life]:
    return (Life(dies_at, when) for dies_at in itertools.count(1))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("follower", ["the next try", "the next run"])
def test_killed_at_any_change_of_folder_or_state_nothing_is_missing_after_the_follower(
    iris: Any, when: str, follower: str
) -> None:
    iris.settings(limits_on=False, event_step_s=14_400)
    kills = 0
    for life in lives(when):
        lake = Lake(iris)
        lake.run("first", "03", rules={"step_s": DAY_S})
        try:
            lake.run("second", "06", rules={"step_s": DAY_S}, life=life, checkpoint_interval_s=1e-9)
        except Killed:
            kills += 1
        else:
            break
        lake.now_s += 601
        if follower == "the next try":
            lake.run("second", "06", rules={"step_s": DAY_S})
            result_of(lake.folders["second"])
        else:
            lake.run("third", "06", rules={"step_s": DAY_S})
        assert events_between("01", "06") <= times(lake.records())
        assert lake.written["until"] == "2026-01-06T00:00:00Z"
        assert list(lake.state) == [STATE]
    assert kills >= 10


class Weak(MemoryStore):
    """A store whose n-th operation of all fails, as ``failing`` counts them."""

    def __init__(self, files: dict[str, bytes], failing: Callable[[], None]) -> None:
        super().__init__(files)
        self._failing = failing

    def names(self) -> list[str]:
        self._failing()
        return super().names()

    def read(self, name: str) -> bytes | None:
        self._failing()
        return super().read(name)

    def write(self, name: str, data: bytes) -> None:
        self._failing()
        super().write(name, data)

    def delete(self, name: str) -> None:
        self._failing()
        super().delete(name)


class Weakness(Life):
    """Makes stores of which one operation fails, the n-th of both."""

    def __init__(self, fails_at: int) -> None:
        super().__init__(0, "never")
        self._left = fails_at

    def store(self, files: dict[str, bytes]) -> MemoryStore:
        return Weak(files, self._count)

    @property
    def is_spent(self) -> bool:
        return self._left <= 0

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise OSError("the store is not there for a moment")


def test_when_any_operation_of_folder_or_state_fails_the_next_try_leaves_nothing_unread(iris: Any) -> None:
    iris.settings(limits_on=False, event_step_s=14_400)
    failures = 0
    for fails_at in itertools.count(1):
        lake, weakness = Lake(iris), Weakness(fails_at)
        rules = {"step_s": DAY_S}
        try:
            lake.run("one", "04", rules=rules, life=weakness, checkpoint_interval_s=1e-9)
        except IrisStorageError:
            failures += 1
        if not weakness.is_spent:
            break
        lake.run("one", "04", rules=rules)
        assert events_between("01", "04") <= times(lake.records())
        assert lake.written["until"] == "2026-01-04T00:00:00Z"
        assert [name for name in lake.state if name != STATE] == []
        result_of(lake.folders["one"])
    assert failures >= 20


class StateRefused(Life):
    """A process that cannot write the state."""

    def __init__(self) -> None:
        super().__init__(dies_at=0, when="never")

    def before(self, _number: int, name: str) -> None:
        if name == STATE:
            raise OSError("no")


def test_when_the_state_cannot_be_written_the_next_try_asks_for_nothing_and_writes_it(lake: Lake) -> None:
    reading, folder = lake.begin("run", "03", life=StateRefused())
    request = reading.begin()
    with pytest.raises(IrisStorageError, match=r"_state\.json could not be written"):
        Export(lake.client, request, folder, published=reading.advance).run()
    before = len(lake.iris.requests("/asset-event"))
    lake.now_s += 601
    lake.run("run", "03")
    assert len(lake.iris.requests("/asset-event")) == before
    assert lake.written["until"] == "2026-01-03T00:00:00Z"


# -- two runs


def test_a_second_run_is_refused_before_it_asks_for_anything_and_the_first_goes_on(lake: Lake) -> None:
    reading, _ = lake.begin("first", "03")
    reading.begin()
    before = lake.iris.stats()
    with pytest.raises(IrisCheckpointError, match="'first'"):
        lake.run("second", "03")
    assert lake.iris.stats() == before
    reading.end()
    lake.run("second", "03")


def test_a_run_whose_claim_was_swept_stops_and_keeps_nothing_from_anybody(lake: Lake) -> None:
    reading, _ = lake.begin("first", "03")
    reading.begin()
    lake.now_s += 601
    lake.run("second", "03")
    with pytest.raises(IrisCheckpointError, match="took the state"):
        reading.renew()
    assert lake.written["run"]["run_id"] == "second"


def test_a_failed_run_lets_others_in(lake: Lake) -> None:
    lake.iris.fault(path="/asset-event", kind="status", status=400)
    with pytest.raises(Exception, match="400"):
        lake.run("first", "03")
    assert lake.state == {}
    lake.run("second", "03")


# -- one cursor per item


@pytest.fixture
def machines(lake: Lake) -> list[dict[str, str]]:
    """Return three machines whose PINs stand in a path as they are."""
    return [item for item in pins(lake.iris, 20) if item["pin"].isalnum()][:3]


def cursors(lake: Lake) -> dict[str, str]:
    """Return the day of each machine's cursor."""
    return {json.loads(key)["pin"]: until[8:10] for key, until in lake.written["items"].items()}


def test_a_new_machine_begins_at_the_start_and_one_that_is_gone_keeps_its_cursor(
    lake: Lake, machines: list[dict[str, str]]
) -> None:
    first, second, third = machines
    lake.run("one", "05", endpoint=HOURS, items=[first, second])
    manifest = lake.run("two", "09", endpoint=HOURS, items=[second, third])
    assert asked(lake, third) == ["2026-01-01T00:00:00Z/2026-01-09T00:00:00Z"]
    assert asked(lake, second)[1:] == ["2026-01-05T00:00:00Z/2026-01-09T00:00:00Z"]
    assert cursors(lake) == {first["pin"]: "05", second["pin"]: "09", third["pin"]: "09"}
    assert manifest.windows_file in lake.folders["two"]
    assert {json.dumps(record["_request"]) for record in lake.records("two")} <= {
        json.dumps(item) for item in (second, third)
    }
    result_of({name: data for name, data in lake.folders["two"].items() if name != manifest.windows_file})
    lake.run("three", "11", endpoint=HOURS, items=[first])
    assert asked(lake, first)[1:] == ["2026-01-05T00:00:00Z/2026-01-11T00:00:00Z"]


def test_a_machine_that_is_refused_is_asked_for_once_keeps_its_cursor_and_is_read_later(
    lake: Lake, machines: list[dict[str, str]]
) -> None:
    options: dict[str, Any] = {
        "endpoint": HOURS,
        "items": machines,
        "skip_refused": True,
        "rules": {"step_s": DAY_S},
    }
    lake.iris.fault(path=f"/ID/{machines[1]['pin']}/", kind="status", status=403, times=None)
    manifest = lake.run("one", "05", **options)
    assert len(asked(lake, machines[1])) == 1
    assert (manifest.skipped_count, manifest.requests) == (1, 9)
    assert machines[1]["pin"] not in cursors(lake)
    lake.iris.reset()
    lake.iris.settings(limits_on=False)
    lake.run("two", "05", **options)
    assert len(asked(lake, machines[1])) == 4
    assert cursors(lake) == {item["pin"]: "05" for item in machines}


def test_a_machine_that_is_refused_in_its_middle_goes_on_after_its_last_complete_window(
    lake: Lake, machines: list[dict[str, str]]
) -> None:
    lake.iris.fault(
        path=f"/ID/{machines[1]['pin']}/CumulativeOperatingHours/2026-01-03",
        kind="status",
        status=500,
        times=None,
    )
    lake.run("one", "05", endpoint=HOURS, items=machines, skip_refused=True, rules={"step_s": DAY_S})
    assert cursors(lake)[machines[1]["pin"]] == "03"
    assert len([window for window in asked(lake, machines[1]) if window.startswith("2026-01-04")]) == 0


def test_when_every_machine_is_refused_the_run_fails_and_no_cursor_moves(
    lake: Lake, machines: list[dict[str, str]]
) -> None:
    lake.iris.fault(path="/CumulativeOperatingHours/", kind="status", status=404, times=None)
    with pytest.raises(IrisNotFoundError, match="all 3 items"):
        lake.run("one", "05", endpoint=HOURS, items=machines, skip_refused=True, rules={"step_s": DAY_S})
    assert lake.state == {}


def test_a_run_of_many_machines_that_is_cleared_reads_the_windows_of_each_again(
    lake: Lake, machines: list[dict[str, str]]
) -> None:
    lake.run("one", "03", endpoint=HOURS, items=machines[:1])
    lake.run("two", "05", endpoint=HOURS, items=machines[:2])
    lake.run("three", "09", endpoint=HOURS, items=machines[:2])
    lake.run("two", "05", endpoint=HOURS, items=machines)
    assert asked(lake, machines[0])[-1] == "2026-01-03T00:00:00Z/2026-01-05T00:00:00Z"
    assert asked(lake, machines[1])[-1] == "2026-01-01T00:00:00Z/2026-01-05T00:00:00Z"
    assert cursors(lake) == {machines[0]["pin"]: "09", machines[1]["pin"]: "09", machines[2]["pin"]: "05"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_of_many_machines_killed_at_any_change_reads_the_same_windows_in_its_next_try(
    iris: Any, when: str
) -> None:
    iris.settings(limits_on=False)
    machines = [item for item in pins(iris, 20) if item["pin"].isalnum()][:3]
    options: dict[str, Any] = {"endpoint": HOURS, "items": machines, "rules": {"step_s": DAY_S}}
    whole = Lake(iris)
    whole.run("two", "04", **options)
    kills = 0
    for life in lives(when):
        lake = Lake(iris)
        try:
            lake.run("two", "04", life=life, checkpoint_interval_s=1e-9, **options)
        except Killed:
            kills += 1
        else:
            break
        lake.now_s += 601
        lake.run("two", "04", **options)
        assert sorted(map(str, lake.records())) == sorted(map(str, whole.records()))
        assert cursors(lake) == {item["pin"]: "04" for item in machines}
        # What a killed try announced stays for a day.
        names = {name[:7] for name in lake.folders["two"]} - {"part-00", "_publis"}
        assert names == {"_manife", "windows"}
        assert sum(name.startswith("windows-") for name in lake.folders["two"]) <= 2
    assert kills >= 15


def test_no_machines_are_a_result_without_parts_and_leave_no_state(lake: Lake) -> None:
    manifest = lake.run("one", "05", endpoint=HOURS, items=[])
    assert (manifest.records, manifest.period) == (0, None)
    assert lake.state == {}


# -- limits


def limited(lake: Lake, **settings: Any) -> None:
    """Turn the limits of a series on: one call in a quarter of an hour, and a pool."""
    lake.iris.settings(limits_on=True, series_calls_per_s=None, **settings)


def test_the_log_says_beforehand_what_a_run_costs(
    lake: Lake, machines: list[dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airflow_provider_trackunit")
    lake.run("one", "30", endpoint=HOURS, items=machines)
    said = next(record.message for record in caplog.records if "windows" in record.message)
    assert "3 items, 9 windows, so at least 9 calls" in said
    assert "Of one series 3 windows at the most: 2 of the 50 calls" in said


def test_a_back_fill_of_two_years_takes_half_of_the_pool_and_goes_on_with_the_next_run(
    lake: Lake, machines: list[dict[str, str]]
) -> None:
    options: dict[str, Any] = {
        "endpoint": HOURS,
        "items": machines[:1],
        "rules": {"start_s": at("01") - 730 * DAY_S, "lookback_s": 3600},
    }
    lake.iris.settings(hours_step_s=90_000)
    limited(lake)
    assert lake.run("one", "01", **options).requests == 26
    limited(lake)
    lake.iris.advance(31 * DAY_S)
    assert lake.run("two", "01", **options).requests == 26
    lake.iris.advance(900)
    assert lake.run("three", "01", **options).requests == 1
    assert cursors(lake) == {machines[0]["pin"]: "01"}
    windows = [Span(*map(epoch_s, window.split("/"))) for window in asked(lake, machines[0])]
    assert all(one.end_s - one.begin_s <= 14 * DAY_S for one in windows)
    assert all(
        earlier.end_s in {later.begin_s, later.begin_s + 3600}
        for earlier, later in itertools.pairwise(windows)
    )
    assert (windows[0].begin_s, windows[-1].end_s) == (at("01") - 730 * DAY_S, at("01"))


def test_a_machine_that_meets_its_limit_after_a_window_is_left_to_the_next_run_and_nobody_waits(
    lake: Lake, machines: list[dict[str, str]]
) -> None:
    options: dict[str, Any] = {"endpoint": HOURS, "items": machines, "rules": {"step_s": DAY_S}}
    limited(lake, aemp_pool_calls=2)
    manifest = lake.run("one", "09", **options)
    assert manifest.postponed_count == 3
    assert manifest.skipped_count == 0
    assert cursors(lake) == {item["pin"]: "04" for item in machines}
    lake.iris.advance(31 * DAY_S)
    lake.run("two", "09", **options)
    assert cursors(lake) == {item["pin"]: "07" for item in machines}
    lake.iris.advance(31 * DAY_S)
    assert lake.run("three", "09", **options).postponed_count == 0
    assert cursors(lake) == {item["pin"]: "09" for item in machines}
    whole = Lake(lake.iris)
    lake.iris.settings(limits_on=False)
    whole.run("whole", "09", **options)
    assert {(r["_request"]["pin"], r["datetime"]) for r in lake.records()} == {
        (r["_request"]["pin"], r["datetime"]) for r in whole.records()
    }


def test_a_machine_that_meets_its_limit_in_its_first_window_is_waited_for_once_all_others_came(
    lake: Lake, machines: list[dict[str, str]]
) -> None:
    """Of a window of many pages the next run would get no further than this one: every run brings it on by one."""
    lake.iris.settings(hours_step_s=600)
    limited(lake, aemp_pool_calls=1)
    options: dict[str, Any] = {"endpoint": HOURS, "items": machines, "rules": {"step_s": 3 * DAY_S}}
    for _ in range(3):  # five pages of each: one, one out of the pool, and then one each time
        with pytest.raises(IrisRateLimitError) as raised:
            lake.run("one", "07", **options)
        assert raised.value.retry_after == 900
        assert all(asked(lake, item) for item in machines)
        lake.iris.advance(900)
    manifest = lake.run("one", "07", **options)
    assert manifest.postponed_count == 3
    assert cursors(lake) == {item["pin"]: "04" for item in machines}
    pages = [request["path"] for request in lake.iris.requests("/CumulativeOperatingHours/")]
    assert len(pages) == 3 * 5 + 3 * 4  # each refusal once


def test_when_no_machine_answers_they_are_not_all_tried(lake: Lake) -> None:
    many = [item for item in pins(lake.iris, 60) if item["pin"].isalnum()][:30]
    lake.iris.fault(path="/CumulativeOperatingHours/", kind="rate_limit", times=None)
    with pytest.raises(IrisRateLimitError):
        lake.run("one", "05", endpoint=HOURS, items=many)
    assert len({request["path"] for request in lake.iris.requests("/CumulativeOperatingHours/")}) == 10


def test_what_was_postponed_before_a_kill_is_counted_after_it(
    lake: Lake, machines: list[dict[str, str]]
) -> None:
    options: dict[str, Any] = {
        "endpoint": HOURS,
        "items": machines,
        "rules": {"step_s": DAY_S},
        "checkpoint_interval_s": 1e-9,
    }
    limited(lake, aemp_pool_calls=1)
    with pytest.raises(Killed):
        lake.run("one", "05", life=Life(19, "after"), **options)
    lake.now_s += 601
    manifest = lake.run("one", "05", **options)
    assert manifest.postponed_count == 3
    assert set(cursors(lake).values()) == {"03"}


# -- a column that nothing is found for


def test_a_wrong_path_moves_no_cursor_and_the_mended_run_reads_the_same_time(lake: Lake) -> None:
    lake.iris.settings(event_step_s=600)

    def run(run_id: str, until: str, path: str) -> Manifest:
        columns = columns_for("/", columns={"at": (path, "timestamp")})
        return lake.run(run_id, until, encoding=ParquetEncoding(columns, "fail"), rules={"step_s": DAY_S})

    run("first", "03", "eventTime")
    before = dict(lake.state)
    for requests in (2, 0):  # a window each; the second try has nothing left to ask for
        asked_before = len(lake.iris.requests("/asset-event"))
        with pytest.raises(IrisUnexpectedResponseError, match=r"columns\['at'\]: none of the"):
            run("second", "05", "evntTime")
        assert len(lake.iris.requests("/asset-event")) >= asked_before + requests
        assert requests or len(lake.iris.requests("/asset-event")) == asked_before
        assert "_manifest.json" not in lake.folders["second"]
        assert lake.state == before
    lake.now_s += DAY_S
    manifest = run("second", "05", "eventTime")
    assert (manifest.period or {})["from"] == "2026-01-03T00:00:00Z"
    assert lake.written["until"] == "2026-01-05T00:00:00Z"
    result = dict(lake.folders["second"])
    assert result.keys() == {"_manifest.json", *manifest.files}
    # Cleared, with another mistake: the former result is whole, and the cursor where it was.
    with pytest.raises(IrisUnexpectedResponseError, match=r"columns\['at'\]"):
        run("second", "05", "evntTime")
    assert result.items() <= lake.folders["second"].items()
    assert lake.written["until"] == "2026-01-05T00:00:00Z"
    assert run("second", "05", "eventTime").period == manifest.period


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_wrong_path_is_told_with_every_kill_of_items_in_windows(
    iris: Any, machines: list[dict[str, str]], when: str
) -> None:
    def run(path: str, **more: Any) -> Manifest:
        own = {"datetime": ("datetime", "timestamp"), "hour": (path, "double")}
        encoding = ParquetEncoding(columns_for("/", columns=own, item_names=["pin"]), "fail")
        options = {"endpoint": HOURS, "items": [*machines, {"pin": "nobody"}], "skip_refused": True}
        rules = {"step_s": 3 * DAY_S}
        return lake.run(
            "run", "07", encoding=encoding, rules=rules, checkpoint_interval_s=1e-9, **options, **more
        )

    iris.settings(hours_step_s=3600)
    kills = 0
    for life in lives(when):
        lake = Lake(iris)
        with pytest.raises((Killed, IrisUnexpectedResponseError)) as first:
            run("Huor", life=life)
        lake.now_s += 601
        with pytest.raises(IrisUnexpectedResponseError) as second:
            run("Huor")
        assert str(second.value).startswith("columns['hour']: none of the ")
        assert str(second.value).count("columns[") == 1
        assert STATE not in lake.state
        if not isinstance(first.value, Killed):
            break
        kills += 1
    assert kills > 6
    assert run("Hour").skipped_count == 1
    assert set(cursors(lake).values()) == {"07"}


# -- the field


def test_the_manifest_names_the_newest_record(lake: Lake) -> None:
    manifest = lake.run("run", "03", rules={"field": "eventTime"})
    assert (manifest.period or {})["newest"] == max(times(lake.records()))


def test_a_field_that_no_record_has_fails_the_run_and_is_named(lake: Lake) -> None:
    with pytest.raises(IrisConfigurationError, match=r"field: no record.*asset-event/log"):
        lake.run("run", "03", rules={"field": "eventime"})
    with pytest.raises(IrisConfigurationError, match="field: not a JMESPath"):
        lake.run("run", "03", rules={"field": "a["})
    assert lake.state == {}


def test_the_newest_is_known_after_a_kill(lake: Lake) -> None:
    rules = {"field": "eventTime", "step_s": DAY_S}
    with pytest.raises(Killed):
        lake.run("run", "03", rules=rules, life=Life(6, "after"), checkpoint_interval_s=1e-9)
    lake.now_s += 601
    manifest = lake.run("run", "03", rules=rules)
    assert (manifest.period or {})["newest"] == max(times(lake.records()))


# -- what cannot be


def of_other_request(state: bytes) -> bytes:
    return write_cursors(msgspec.structs.replace(read_cursors(state, STATE), request="other"))


def of_newer_version(state: bytes) -> bytes:
    return state.replace(b'"version": 1', b'"version": 9')


def cut_off(state: bytes) -> bytes:
    return state[:100]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (of_other_request, "tells how far another request was read.*state adopt"),
        (of_newer_version, "version 9"),
        (cut_off, "delete it"),
    ],
)
def test_a_state_that_cannot_be_used_fails_the_run_before_any_request_and_stays_as_it_is(
    lake: Lake, spoil: Any, said: str
) -> None:
    lake.run("first", "03")
    lake.state[STATE] = spoil(lake.state[STATE])
    before = dict(lake.state), lake.iris.stats()
    with pytest.raises(IrisCheckpointError, match=said):
        lake.run("second", "05")
    assert (lake.state, lake.iris.stats()) == before


def test_another_query_or_account_is_another_request_and_other_machines_are_not(
    lake: Lake, machines: list[dict[str, str]]
) -> None:
    lake.run("one", "03", endpoint=HOURS, items=machines[:1])
    lake.run("two", "05", endpoint=HOURS, items=machines[1:])
    with pytest.raises(IrisCheckpointError, match="another request"):
        lake.run("three", "07", endpoint=HOURS, items=machines[:1], query={"addMetadata": "true"})


def test_a_state_that_was_let_go_is_taken_over_by_the_next_request(lake: Lake) -> None:
    lake.run("first", "03")
    free = msgspec.structs.replace(read_cursors(lake.state[STATE], STATE), request="")
    lake.state[STATE] = write_cursors(free)
    period = lake.run("second", "05", query={"size": 50}).period or {}
    assert period["from"] == "2026-01-03T00:00:00Z"
    with pytest.raises(IrisCheckpointError, match="another request"):
        lake.run("third", "07")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rules": {"step_s": 15 * DAY_S}, "endpoint": HOURS, "items": [{"pin": "A"}]}, "14 days"),
        ({"rules": {"step_s": 0}}, "step"),
        ({"rules": {"lookback_s": -1}}, "lookback"),
        ({"rules": {"lookback_s": 400 * DAY_S}, "endpoint": HOURS, "items": [{"pin": "A"}]}, "lookback"),
        ({"rules": {"per_item": True}}, "per_item"),
        ({"endpoint": f"{FLEET}/1"}, r"\{from\} and \{until\}"),
        (
            {"endpoint": HOURS, "items": [{"pin": "A"}], "rules": {"per_item": False}, "skip_refused": True},
            "on_item_error",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_any_request_and_leaves_nothing(
    lake: Lake, options: dict[str, Any], said: str
) -> None:
    before = lake.iris.stats()
    with pytest.raises(IrisConfigurationError, match=said):
        lake.run("run", "03", **options)
    assert lake.iris.stats() == before
    assert (lake.state, lake.folders.get("run", {})) == ({}, {})
