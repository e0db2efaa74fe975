"""An export is complete, once, or not there: after kills, faults, full disks, and with others in the same place."""

from __future__ import annotations

import errno
import itertools
import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from airflow_provider_trackunit.iris.errors import (
    IrisCheckpointError,
    IrisConfigurationError,
    IrisNotFoundError,
    IrisPermissionError,
    IrisRateLimitError,
    IrisServerError,
    IrisStorageError,
)
from airflow_provider_trackunit.iris.export.export import export_pages
from airflow_provider_trackunit.iris.export.results import Run
from airflow_provider_trackunit.iris.http.pacing import forget_limits

from .conftest import ASSETS, FLEET, HOURS, MakeRequest, new_client
from .stores import Killed, MemoryStore, MortalStore, result_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_trackunit.emulator import IrisEmulator


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in records]


def times_asked(iris: IrisEmulator, part: str) -> dict[str, int]:
    asked: dict[str, int] = {}
    for request in iris.requests(part):
        key = f"{request['path']}?{request['query']}"
        asked[key] = asked.get(key, 0) + 1
    return asked


def pins(iris: IrisEmulator, count: int) -> list[dict[str, str]]:
    """Return the PINs of machines that have operating hours."""
    found = new_client(iris).records(FLEET)
    named = [record["EquipmentHeader"].get("PIN") for record in found if "CumulativeOperatingHours" in record]
    return [{"pin": pin} for pin in named if pin and "/" not in pin][:count]


# -- what comes out


@pytest.mark.parametrize("max_concurrency", [1, 4])
@pytest.mark.parametrize("compression", ["gzip", None])
def test_every_record_is_there_once_and_in_order(
    iris: IrisEmulator, wanted: MakeRequest, max_concurrency: int, compression: str | None
) -> None:
    store = MemoryStore()
    export_pages(new_client(iris), wanted(max_concurrency=max_concurrency, compression=compression), store)
    manifest, records = result_of(store.files)
    assert ids(records) == ids(list(new_client(iris).records(ASSETS)))
    assert len(manifest["parts"]) > 3
    assert manifest["announced"] == manifest["records"] == 1000
    assert manifest["requests"] == 20
    assert manifest["endpoint"] == ASSETS
    assert manifest["started_at"] <= manifest["finished_at"]
    assert manifest["run"] == {"dag_id": "dag", "task_id": "task", "run_id": "run", "map_index": -1}


def test_an_empty_collection_is_a_result_without_parts(iris: IrisEmulator, wanted: MakeRequest) -> None:
    iris.fleet(shrink=1000)
    store = MemoryStore()
    export_pages(new_client(iris), wanted(), store)
    manifest, records = result_of(store.files)
    assert (manifest["parts"], records) == ([], [])


def test_no_items_are_a_result_without_parts(iris: IrisEmulator, wanted: MakeRequest) -> None:
    store = MemoryStore()
    export_pages(new_client(iris), wanted(HOURS, items=[]), store)
    manifest, records = result_of(store.files)
    assert (manifest["endpoint"], records) == (HOURS, [])


def test_a_collection_that_changed_is_read_to_its_end_with_a_warning(
    iris: IrisEmulator, wanted: MakeRequest, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()

    def shrink(number: int, _name: str) -> None:
        if number == 2:
            iris.fleet(shrink=100)

    store.after = shrink
    export_pages(new_client(iris), wanted(), store)
    manifest = json.loads(store.files["_manifest.json"])
    assert manifest["announced"] == manifest["records"] == 900
    assert "1000 records were announced at first and 900 at the end" in caplog.text


def test_the_log_has_a_line_a_part_and_one_at_the_end(
    iris: IrisEmulator, wanted: MakeRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airflow_provider_trackunit")
    manifest = export_pages(new_client(iris), wanted(), MemoryStore())
    lines = [one.getMessage() for one in caplog.records if one.name.startswith("airflow_provider_trackunit")]
    assert len(lines) == len(manifest.parts) + 1
    assert lines[0].startswith("part-00000.jsonl.gz: ")
    assert "of 20 pages" in lines[0]
    assert "s left" in lines[0]
    assert "1000 records in" in lines[-1]


# -- killed


def survivors(iris: IrisEmulator, request: Any, when: str) -> Iterator[dict[str, bytes]]:
    """Yield what is left after a kill at the first, the second, ... change of the store, until there are no more."""
    for dies_at in itertools.count(1):
        files: dict[str, bytes] = {}
        try:
            export_pages(new_client(iris), request, MortalStore(files, dies_at, when))
        except Killed:
            yield files
        else:
            return


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("max_concurrency", [1, 4])
def test_killed_at_any_write_the_next_try_completes_it_with_every_record_once(
    iris: IrisEmulator, wanted: MakeRequest, when: str, max_concurrency: int
) -> None:
    request = wanted(max_concurrency=max_concurrency)
    expected = ids(list(new_client(iris).records(ASSETS)))
    kills = 0
    for files in survivors(iris, request, when):
        kills += 1
        export_pages(new_client(iris), request, MemoryStore(files))
        assert ids(result_of(files)[1]) == expected, f"killed {when} change {kills}"
    # How many writes there are depends on how the pages came together where several are asked for at once.
    assert kills > 8


def test_killed_again_and_again_it_still_comes_to_its_end(iris: IrisEmulator, wanted: MakeRequest) -> None:
    files: dict[str, bytes] = {}
    for _ in range(40):
        if "_manifest.json" in files and "_checkpoint.json" not in files:
            break
        with suppress(Killed):
            export_pages(new_client(iris), wanted(), MortalStore(files, dies_at=4, when="after"))
    assert len(ids(result_of(files)[1])) == 1000


def test_a_resumed_export_asks_for_no_page_that_is_stored(iris: IrisEmulator, wanted: MakeRequest) -> None:
    files: dict[str, bytes] = {}
    with pytest.raises(Killed):
        export_pages(new_client(iris), wanted(), MortalStore(files, dies_at=6, when="after"))
    stored = sum(part["records"] for part in json.loads(files["_checkpoint.json"])["parts"])
    before = len(iris.requests(ASSETS))
    export_pages(new_client(iris), wanted(), MemoryStore(files))
    assert len(iris.requests(ASSETS)) - before == (1000 - stored) // 50
    assert json.loads(files["_manifest.json"])["requests"] <= len(iris.requests(ASSETS))


# -- requests that fail


@pytest.mark.parametrize("kind", ["status", "reset_before", "reset_after", "truncated", "revoke"])
def test_storms_pass_without_loss(iris: IrisEmulator, wanted: MakeRequest, kind: str) -> None:
    options = {"status": 503} if kind == "status" else {}
    iris.fault(path=ASSETS, kind=kind, times=None, probability=0.3, **options)
    store = MemoryStore()
    client = new_client(iris, max_attempts=50)
    for _ in range(30):
        try:
            export_pages(client, wanted(max_concurrency=4), store)
        except Exception as error:  # noqa: BLE001 (a second 401 in a row ends a try; the next one goes on)
            assert type(error).__name__ == "IrisAuthenticationError"  # noqa: PT017
            continue
        break
    assert len(set(ids(result_of(store.files)[1]))) == 1000
    assert iris.stats()["faults"] > 2


def test_a_try_that_fails_keeps_what_it_fetched(iris: IrisEmulator, wanted: MakeRequest) -> None:
    iris.fault(path="page=7", kind="status", status=500, times=None)
    store = MemoryStore()
    with pytest.raises(IrisServerError):
        export_pages(new_client(iris, max_attempts=2), wanted(), store)
    assert "_manifest.json" not in store.files
    iris.reset()
    export_pages(new_client(iris), wanted(), store)
    assert len(set(ids(result_of(store.files)[1]))) == 1000
    assert len(iris.requests(ASSETS)) == 13


@pytest.mark.parametrize("max_concurrency", [1, 4])
def test_a_metered_crawl_that_fails_goes_on_at_that_page_and_asks_for_nothing_twice(
    iris: IrisEmulator, wanted: MakeRequest, max_concurrency: int
) -> None:
    iris.settings(aemp_pool_calls=0)
    # Once may be fifty pages a second; twice is the quarter of an hour.
    iris.fault(path="/Fleet/3", kind="rate_limit", times=2)
    store = MemoryStore()
    request = wanted(FLEET, max_concurrency=max_concurrency)
    with pytest.raises(IrisRateLimitError) as raised:
        export_pages(new_client(iris), request, store)
    assert raised.value.retry_after == 900
    forget_limits()
    export_pages(new_client(iris), request, store)
    _, records = result_of(store.files)
    assert len({record["EquipmentHeader"]["EquipmentID"] for record in records}) == len(records) == 800
    asked = times_asked(iris, "/Fleet/")
    assert asked.pop(f"{FLEET}/3?") == 3
    assert set(asked.values()) == {1}
    assert len(asked) == 7


# -- checkpoints


def unfinished(iris: IrisEmulator, request: Any) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with pytest.raises(Killed):
        export_pages(new_client(iris), request, MortalStore(files, dies_at=6, when="after"))
    assert "_checkpoint.json" in files
    return files


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda _: b"",
        lambda data: data.replace(b'"version":1', b'"version":2'),
        lambda _: b"[]",
        lambda data: data.replace(b'"next_item":1', b'"next_item":"x"'),
    ],
    ids=["cut off", "empty", "of a newer version", "no object", "of another shape"],
)
def test_a_checkpoint_that_cannot_be_used_is_said_and_the_export_begins_anew(
    iris: IrisEmulator, wanted: MakeRequest, caplog: pytest.LogCaptureFixture, spoil: Any
) -> None:
    files = unfinished(iris, wanted())
    files["_checkpoint.json"] = spoil(files["_checkpoint.json"])
    export_pages(new_client(iris), wanted(), MemoryStore(files))
    assert len(set(ids(result_of(files)[1]))) == 1000
    assert "_checkpoint.json" in caplog.text


@pytest.mark.parametrize(
    "change",
    [{"query": {"size": 100}}, {"run": Run("dag", "task", "another run", -1)}, {"compression": None}],
    ids=["another request", "another run", "another compression"],
)
def test_a_checkpoint_of_something_else_is_not_used(
    iris: IrisEmulator, wanted: MakeRequest, change: dict[str, Any]
) -> None:
    files = unfinished(iris, wanted())
    before = len(iris.requests(ASSETS))
    export_pages(new_client(iris), wanted(**change), MemoryStore(files))
    _, records = result_of(files)
    assert len(set(ids(records))) == len(records) == 1000
    assert len(iris.requests(ASSETS)) - before == (10 if "query" in change else 20)


def test_a_shorter_run_leaves_nothing_of_the_one_before(iris: IrisEmulator, wanted: MakeRequest) -> None:
    store = MemoryStore({"README.txt": b"not ours"})
    export_pages(new_client(iris), wanted(), store)
    iris.fleet(shrink=900)
    export_pages(new_client(iris), wanted(run=Run("dag", "task", "next run", -1)), store)
    assert store.files.pop("README.txt") == b"not ours"
    manifest, records = result_of(store.files)
    assert (len(records), len(manifest["parts"])) == (100, 1)


def test_while_a_former_result_is_replaced_nobody_can_take_it_for_whole(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    store = MemoryStore()
    export_pages(new_client(iris), wanted(), store)
    seen: list[bool] = []
    store.before = lambda _number, name: (
        seen.append("_manifest.json" in store.files) if "part" in name else None
    )
    export_pages(new_client(iris), wanted(run=Run("dag", "task", "next run", -1)), store)
    assert seen
    assert not any(seen)


def test_a_run_that_dies_while_it_clears_the_folder_leaves_nothing_that_counts_what_is_gone(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    former = unfinished(iris, wanted())
    for dies_at in range(1, 6):
        files = dict(former)
        with pytest.raises(Killed):
            export_pages(
                new_client(iris),
                wanted(run=Run("dag", "task", "next run", -1)),
                MortalStore(files, dies_at, "after"),
            )
        export_pages(new_client(iris), wanted(), MemoryStore(files))
        found = ids(result_of(files)[1])
        assert len(found) == len(set(found)) == 1000


# -- others in the same place


@pytest.mark.parametrize("finished", [True, False])
def test_two_mapped_instances_in_one_place_are_refused(
    iris: IrisEmulator, wanted: MakeRequest, *, finished: bool
) -> None:
    first, second = wanted(run=Run("dag", "task", "run", 0)), wanted(run=Run("dag", "task", "run", 1))
    files: dict[str, bytes] = {}
    if finished:
        export_pages(new_client(iris), first, MemoryStore(files))
    else:
        files = unfinished(iris, first)
    kept = dict(files)
    with pytest.raises(IrisCheckpointError, match="map index 0") as raised:
        export_pages(new_client(iris), second, MemoryStore(files))
    assert "ti.map_index" in str(raised.value)
    assert files == kept


def test_a_try_that_was_given_up_for_lost_stops_when_another_has_taken_over(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    files: dict[str, bytes] = {}
    lost = MemoryStore(files)

    def take_over(number: int, _name: str) -> None:
        if number == 3:
            lost.after = lambda _number, _name: None
            export_pages(new_client(iris), wanted(), MemoryStore(files))

    lost.after = take_over
    with pytest.raises(IrisCheckpointError, match="Another task instance or try"):
        export_pages(new_client(iris), wanted(), lost)
    assert len(set(ids(result_of(files)[1]))) == 1000


# -- a store that refuses


@pytest.mark.parametrize("name", ["part-00001.jsonl.gz", "_checkpoint.json", "_manifest.json"])
def test_a_full_disk_is_said_and_the_next_try_goes_on(
    iris: IrisEmulator, wanted: MakeRequest, name: str
) -> None:
    store = MemoryStore()

    def full(number: int, written: str) -> None:
        if number > 3 and written == name:
            raise OSError(errno.ENOSPC, "No space left on device")

    store.before = full
    with pytest.raises(IrisStorageError, match="No space left on device") as raised:
        export_pages(new_client(iris), wanted(), store)
    assert raised.value.transient
    assert "_manifest.json" not in store.files
    store.before = lambda _number, _name: None
    export_pages(new_client(iris), wanted(), store)
    assert len(set(ids(result_of(store.files)[1]))) == 1000


def test_a_failure_of_iris_is_what_is_raised_even_when_saving_fails_too(
    iris: IrisEmulator, wanted: MakeRequest, caplog: pytest.LogCaptureFixture
) -> None:
    iris.fault(path="page=7", kind="status", status=500, times=None)
    store = MemoryStore()

    def full(number: int, _name: str) -> None:
        if number > 4:
            raise OSError(errno.ENOSPC, "No space left on device")

    store.before = full
    with pytest.raises((IrisServerError, IrisStorageError)):
        export_pages(new_client(iris, max_attempts=1), wanted(part_bytes=10**9), store)


# -- many items


@pytest.mark.parametrize("max_concurrency", [1, 8])
def test_every_record_of_a_fan_out_carries_its_item(
    iris: IrisEmulator, wanted: MakeRequest, max_concurrency: int
) -> None:
    items = pins(iris, 30)
    store = MemoryStore()
    export_pages(new_client(iris), wanted(HOURS, items=items, max_concurrency=max_concurrency), store)
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
        export_pages(new_client(iris, max_attempts=1), request, store)
    export_pages(new_client(iris), request, store)
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
    export_pages(new_client(iris), request, MemoryStore(whole))
    expected = sorted(json.dumps(record) for record in result_of(whole)[1])
    kills = 0
    for files in survivors(iris, request, when):
        kills += 1
        export_pages(new_client(iris), request, MemoryStore(files))
        assert sorted(json.dumps(record) for record in result_of(files)[1]) == expected
    assert kills > 6


def test_items_that_iris_refuses_are_noted_and_passed_over_on_request(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    items = [*pins(iris, 5), {"pin": "no-such-machine"}]
    store = MemoryStore()
    export_pages(new_client(iris), wanted(HOURS, items=items, skip_refused=True, max_concurrency=3), store)
    manifest, records = result_of(store.files)
    assert manifest["skipped"] == [
        {"path_params": {"pin": "no-such-machine"}, "status": 404, "code": "not_found"}
    ]
    assert {record["_request"]["pin"] for record in records} <= {item["pin"] for item in items[:5]}


def test_without_that_request_a_refused_item_fails_the_export(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    items = [*pins(iris, 5), {"pin": "no-such-machine"}]
    with pytest.raises(IrisNotFoundError):
        export_pages(new_client(iris), wanted(HOURS, items=items), MemoryStore())


def test_a_missing_right_is_not_taken_for_an_empty_collection(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    iris.fault(path="/CumulativeOperatingHours/", kind="status", status=403, times=None)
    store = MemoryStore()
    with pytest.raises(IrisPermissionError, match="all 7 items"):
        export_pages(new_client(iris), wanted(HOURS, items=pins(iris, 7), skip_refused=True), store)
    assert "_manifest.json" not in store.files


def test_hopeless_items_are_not_all_asked_for(iris: IrisEmulator, wanted: MakeRequest) -> None:
    iris.fault(path="/CumulativeOperatingHours/", kind="status", status=403, times=None)
    items = pins(iris, 400)
    with pytest.raises(IrisPermissionError):
        export_pages(new_client(iris), wanted(HOURS, items=items, skip_refused=True), MemoryStore())
    assert len(iris.requests("/CumulativeOperatingHours/")) == 101


def test_what_was_skipped_before_a_kill_is_in_the_manifest_after_it(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    items = [{"pin": "no-such-machine"}, *pins(iris, 10)]
    request = wanted(HOURS, items=items, skip_refused=True, part_bytes=1000)
    files: dict[str, bytes] = {}
    with pytest.raises(Killed):
        export_pages(new_client(iris), request, MortalStore(files, dies_at=6, when="after"))
    export_pages(new_client(iris), request, MemoryStore(files))
    assert [one["path_params"] for one in result_of(files)[0]["skipped"]] == [{"pin": "no-such-machine"}]


def test_what_was_skipped_before_a_failure_is_in_the_manifest_once(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    known = pins(iris, 2)
    request = wanted(HOURS, items=[known[0], {"pin": "no-such-machine"}, known[1]], skip_refused=True)
    iris.fault(path=f"/ID/{quote(known[1]['pin'], safe='')}/", kind="status", status=503, times=2)
    store = MemoryStore()
    with pytest.raises(IrisServerError):
        export_pages(new_client(iris), request, store)
    export_pages(new_client(iris), request, store)
    assert [one["path_params"] for one in result_of(store.files)[0]["skipped"]] == [
        {"pin": "no-such-machine"}
    ]


@pytest.mark.parametrize("options", [{"part_bytes": 0}, {"max_concurrency": 0}, {"compression": "zip"}])
def test_what_cannot_work_is_refused_before_anything_is_sent(
    wanted: MakeRequest, options: dict[str, Any]
) -> None:
    with pytest.raises(IrisConfigurationError):
        wanted(**options)
