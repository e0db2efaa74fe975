"""Many items in one export: each is asked for once, refused ones are told, and nothing is passed over in silence."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from airflow_provider_trackunit.iris.errors import (
    IrisError,
    IrisNoAnswerError,
    IrisNotFoundError,
    IrisPermissionError,
    IrisServerError,
)
from airflow_provider_trackunit.iris.export.export import Export

from .conftest import HOURS, MakeRequest, new_client, pins, survivors, times_asked
from .stores import Killed, MemoryStore, MortalStore, result_of

if TYPE_CHECKING:
    from airflow_provider_trackunit.emulator import IrisEmulator


def path_of(item: dict[str, str]) -> str:
    return f"/ID/{quote(item['pin'], safe='')}/"


@pytest.mark.parametrize("max_concurrency", [1, 8])
def test_every_record_of_a_fan_out_carries_its_item(
    iris: IrisEmulator, wanted: MakeRequest, max_concurrency: int
) -> None:
    items = pins(iris, 30)
    store = MemoryStore()
    Export(new_client(iris), wanted(HOURS, items=items, max_concurrency=max_concurrency), store).run()
    manifest, records = result_of(store.files)
    by_pin: dict[str, list[float]] = {}
    for record in records:
        by_pin.setdefault(record["_request"]["pin"], []).append(record["Hour"])
    for item in items:
        alone = [record["Hour"] for record in new_client(iris).records(HOURS, path_params=item)]
        assert by_pin.get(item["pin"], []) == alone
    assert manifest["announced"] is None
    assert manifest["requests"] == 30
    assert iris.stats()["tokens"]


def test_a_fan_out_that_is_cut_off_asks_for_no_finished_item_again(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    items = pins(iris, 40)
    iris.settings(aemp_pool_calls=0)
    iris.advance(3600)
    request = wanted(HOURS, items=items, max_concurrency=4, part_bytes=5_000)
    broken = items[25]["pin"]
    iris.fault(path=f"/{broken}/", kind="status", status=500, times=1)
    store = MemoryStore()
    with pytest.raises(IrisServerError):
        Export(new_client(iris, max_attempts=1), request, store).run()
    Export(new_client(iris), request, store).run()
    _, records = result_of(store.files)
    keys = [(record["_request"]["pin"], record["datetime"]) for record in records]
    assert len(set(keys)) == len(keys)
    asked = times_asked(iris, "/CumulativeOperatingHours/")
    assert {path.split("/")[10]: times for path, times in asked.items() if times > 1} == {broken: 2}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_fan_out_killed_at_any_write_is_completed_with_every_record_once(
    iris: IrisEmulator, wanted: MakeRequest, when: str
) -> None:
    items = pins(iris, 12)
    request = wanted(HOURS, items=items, max_concurrency=3, part_bytes=8_000)
    whole: dict[str, bytes] = {}
    Export(new_client(iris), request, MemoryStore(whole)).run()
    expected = sorted(json.dumps(record) for record in result_of(whole)[1])
    kills = 0
    for files in survivors(iris, request, when):
        kills += 1
        Export(new_client(iris), request, MemoryStore(files)).run()
        assert sorted(json.dumps(record) for record in result_of(files)[1]) == expected
    assert kills > 6


def test_items_that_iris_refuses_are_noted_and_passed_over_on_request(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    items = [*pins(iris, 5), {"pin": "no-such-machine"}]
    store = MemoryStore()
    Export(new_client(iris), wanted(HOURS, items=items, skip_refused=True, max_concurrency=3), store).run()
    manifest, records = result_of(store.files)
    assert manifest["skipped"] == [
        {"path_params": {"pin": "no-such-machine"}, "status": 404, "code": "not_found", "records": 0}
    ]
    assert manifest["skipped_count"] == 1
    assert {record["_request"]["pin"] for record in records} <= {item["pin"] for item in items[:5]}


def test_without_that_request_a_refused_item_fails_the_export(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    items = [*pins(iris, 5), {"pin": "no-such-machine"}]
    with pytest.raises(IrisNotFoundError):
        Export(new_client(iris), wanted(HOURS, items=items), MemoryStore()).run()


def test_a_missing_right_is_not_taken_for_an_empty_collection(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    iris.fault(path="/CumulativeOperatingHours/", kind="status", status=403, times=None)
    store = MemoryStore()
    with pytest.raises(IrisPermissionError, match="all 7 items"):
        Export(new_client(iris), wanted(HOURS, items=pins(iris, 7), skip_refused=True), store).run()
    assert "_manifest.json" not in store.files


def test_hopeless_items_are_not_all_asked_for(iris: IrisEmulator, wanted: MakeRequest) -> None:
    iris.fault(path="/CumulativeOperatingHours/", kind="status", status=403, times=None)
    items = pins(iris, 400)
    with pytest.raises(IrisPermissionError):
        Export(new_client(iris), wanted(HOURS, items=items, skip_refused=True), MemoryStore()).run()
    assert len(iris.requests("/CumulativeOperatingHours/")) == 100


def test_what_was_skipped_before_a_kill_is_in_the_manifest_after_it(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    items = [{"pin": "no-such-machine"}, *pins(iris, 10)]
    request = wanted(HOURS, items=items, skip_refused=True, part_bytes=1000)
    files: dict[str, bytes] = {}
    with pytest.raises(Killed):
        Export(new_client(iris), request, MortalStore(files, dies_at=6, when="after")).run()
    Export(new_client(iris), request, MemoryStore(files)).run()
    assert [one["path_params"] for one in result_of(files)[0]["skipped"]] == [{"pin": "no-such-machine"}]


def test_what_was_skipped_before_a_failure_is_in_the_manifest_once(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    known = pins(iris, 2)
    request = wanted(HOURS, items=[known[0], {"pin": "no-such-machine"}, known[1]], skip_refused=True)
    iris.fault(path=path_of(known[1]), kind="reset_before", times=2)
    store = MemoryStore()
    with pytest.raises(IrisNoAnswerError):
        Export(new_client(iris), request, store).run()
    Export(new_client(iris), request, store).run()
    assert [one["path_params"] for one in result_of(store.files)[0]["skipped"]] == [
        {"pin": "no-such-machine"}
    ]


@pytest.mark.parametrize("status", [400, 403, 404, 410, 500, 503])
def test_an_item_that_always_answers_so_is_passed_over_on_request_and_the_others_come(
    iris: IrisEmulator, wanted: MakeRequest, status: int
) -> None:
    items = pins(iris, 6)
    iris.fault(path=path_of(items[2]), kind="status", status=status, times=None)
    store = MemoryStore()
    Export(new_client(iris), wanted(HOURS, items=items, skip_refused=True, max_concurrency=4), store).run()
    manifest, records = result_of(store.files)
    assert [(one["path_params"], one["status"]) for one in manifest["skipped"]] == [(items[2], status)]
    others = [item["pin"] for item in items if item != items[2]]
    assert {record["_request"]["pin"] for record in records} == set(others)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_every_error_of_an_item_names_the_item(iris: IrisEmulator, wanted: MakeRequest, status: int) -> None:
    items = pins(iris, 6)
    iris.fault(path=path_of(items[2]), kind="status", status=status, times=None)
    with pytest.raises(IrisError) as raised:
        Export(new_client(iris), wanted(HOURS, items=items, max_concurrency=4), MemoryStore()).run()
    assert json.dumps(items[2], ensure_ascii=False, separators=(",", ":")) in str(raised.value)


@pytest.mark.parametrize(("max_skipped", "fails"), [(0, True), (2, True), (3, False), (None, False)])
def test_more_refused_items_than_allowed_fail_the_export(
    iris: IrisEmulator, wanted: MakeRequest, max_skipped: int | None, *, fails: bool
) -> None:
    items = [*pins(iris, 4), *({"pin": f"unknown {number}"} for number in range(3))]
    request = wanted(HOURS, items=items, skip_refused=True, max_skipped=max_skipped)
    store = MemoryStore()
    if not fails:
        Export(new_client(iris), request, store).run()
        assert result_of(store.files)[0]["skipped_count"] == 3
        return
    with pytest.raises(IrisNotFoundError, match=r"max_skipped \(\d\).*unknown"):
        Export(new_client(iris), request, store).run()
    assert "_manifest.json" not in store.files


def test_when_every_item_is_unknown_the_path_is_not_spelt_right(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    items = pins(iris, 5)
    misspelt = HOURS.replace("CumulativeOperatingHours", "CumulativeOperatingHour")
    iris.fault(path="/CumulativeOperatingHour/", kind="status", status=404, times=None)
    store = MemoryStore()
    with pytest.raises(IrisNotFoundError, match=r"all 5 items.*spelt right"):
        Export(new_client(iris), wanted(misspelt, items=items, skip_refused=True), store).run()
    assert "_manifest.json" not in store.files


@pytest.mark.parametrize("options", [{}, {"max_skipped": 1}], ids=["all refused", "more than allowed"])
def test_after_a_failure_for_want_of_rights_the_next_try_asks_for_the_refused_again(
    iris: IrisEmulator, wanted: MakeRequest, options: dict[str, Any]
) -> None:
    items = pins(iris, 5)
    iris.fault(path="/CumulativeOperatingHours/", kind="status", status=403, times=5)
    request = wanted(HOURS, items=items, skip_refused=True, checkpoint_interval_s=1e-9, **options)
    store = MemoryStore()
    with pytest.raises(IrisPermissionError):
        Export(new_client(iris), request, store).run()
    iris.reset()
    Export(new_client(iris), request, store).run()
    manifest, records = result_of(store.files)
    assert manifest["skipped_count"] == 0
    assert {record["_request"]["pin"] for record in records} == {item["pin"] for item in items}


def test_many_refused_items_make_a_small_manifest_a_file_and_few_lines_of_log(
    iris: IrisEmulator, wanted: MakeRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airflow_provider_trackunit.iris.export")
    unknown = [{"pin": f"unknown {number}"} for number in range(250)]
    request = wanted(HOURS, items=[*pins(iris, 2), *unknown], skip_refused=True, max_concurrency=4)
    store = MemoryStore()
    Export(new_client(iris), request, store).run()
    manifest, _ = result_of(store.files)
    assert (len(manifest["skipped"]), manifest["skipped_count"]) == (100, 250)
    lines = store.files[manifest["skipped_file"]].splitlines()
    assert sorted(json.loads(line)["path_params"]["pin"] for line in lines) == sorted(
        item["pin"] for item in unknown
    )
    assert len(caplog.records) < 15


def test_an_item_that_is_refused_in_its_middle_says_how_much_of_it_is_there(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    iris.settings(limits_on=False)
    items = pins(iris, 3)
    month = HOURS.replace("2026-01-14", "2026-01-15")
    whole = MemoryStore()
    Export(new_client(iris), wanted(month, items=items), whole).run()
    first = [r for r in result_of(whole.files)[1] if r["_request"] == items[0]]
    iris.fault(path=f"re:{path_of(items[0])}.*/2(\\?|$)", kind="status", status=404, times=None)
    store = MemoryStore()
    Export(new_client(iris), wanted(month, items=items, skip_refused=True), store).run()
    manifest, records = result_of(store.files)
    came = [record for record in records if record["_request"] == items[0]]
    if len(first) > 100:
        assert [(one["path_params"], one["records"]) for one in manifest["skipped"]] == [(items[0], 100)]
        assert len(came) == 100
    else:
        assert (manifest["skipped"], came) == ([], first)
