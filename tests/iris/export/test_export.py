"""An export is complete, once, or not there: after kills, faults, full disks, and with others in the same place."""

from __future__ import annotations

import errno
import itertools
import json
import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.iris.errors import (
    IrisCheckpointError,
    IrisConfigurationError,
    IrisPermissionError,
    IrisRateLimitError,
    IrisServerError,
    IrisStorageError,
)
from airflow_provider_trackunit.iris.export.export import Export
from airflow_provider_trackunit.iris.export.manifest import Run
from airflow_provider_trackunit.iris.http.pacing import forget_limits

from .conftest import ASSETS, FLEET, HOURS, MakeRequest, new_client, survivors, times_asked
from .stores import Killed, MemoryStore, MortalStore, result_of

if TYPE_CHECKING:
    from airflow_provider_trackunit.emulator import IrisEmulator


def records_of(files: dict[str, bytes]) -> list[dict[str, Any]]:
    manifest = json.loads(files["_manifest.json"])
    return result_of(
        {name: files[name] for name in ["_manifest.json", *(p["name"] for p in manifest["parts"])]}
    )[1]


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in records]


# -- what comes out


@pytest.mark.parametrize("max_concurrency", [1, 4])
@pytest.mark.parametrize("compression", ["gzip", None])
def test_every_record_is_there_once(
    iris: IrisEmulator, wanted: MakeRequest, max_concurrency: int, compression: str | None
) -> None:
    store = MemoryStore()
    Export(new_client(iris), wanted(max_concurrency=max_concurrency, compression=compression), store).run()
    manifest, records = result_of(store.files)
    assert sorted(ids(records)) == sorted(ids(list(new_client(iris).records(ASSETS))))
    assert len(manifest["parts"]) > 3
    assert manifest["announced"] == manifest["records"] == 1000
    assert manifest["requests"] == 20
    assert manifest["endpoint"] == ASSETS
    assert manifest["started_at"] <= manifest["finished_at"]
    assert manifest["run"] == {"dag_id": "dag", "task_id": "task", "run_id": "run", "map_index": -1}


def test_an_empty_collection_is_a_result_without_parts(iris: IrisEmulator, wanted: MakeRequest) -> None:
    iris.fleet(shrink=1000)
    store = MemoryStore()
    Export(new_client(iris), wanted(), store).run()
    manifest, records = result_of(store.files)
    assert (manifest["parts"], records) == ([], [])


def test_no_items_are_a_result_without_parts(iris: IrisEmulator, wanted: MakeRequest) -> None:
    store = MemoryStore()
    Export(new_client(iris), wanted(HOURS, items=[]), store).run()
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
    Export(new_client(iris), wanted(), store).run()
    manifest = json.loads(store.files["_manifest.json"])
    assert manifest["announced"] == manifest["records"] == 900
    assert "1000 records were announced at first and 900 at the end" in caplog.text


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name.startswith("airflow_provider_trackunit")]


def test_the_log_has_a_line_every_half_minute_and_one_at_the_end(
    iris: IrisEmulator, wanted: MakeRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airflow_provider_trackunit")
    clock = itertools.count(step=2)  # two seconds from look to look
    Export(new_client(iris), wanted(part_bytes=10**9), MemoryStore(), clock=lambda: next(clock)).run()
    *during, end = lines_of(caplog)
    assert 2 <= len(during) <= 10
    for line in during:
        assert re.fullmatch(
            rf"{ASSETS}: \d+ of 20 pages; \d+ records, \d+ records/s(, about \d+ s left)?", line
        ), line
    assert "1000 records in" in end
    assert "20 requests" in end


def test_a_quick_export_of_one_collection_says_one_line_and_nothing_of_items(
    iris: IrisEmulator, wanted: MakeRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airflow_provider_trackunit")
    Export(new_client(iris), wanted(), MemoryStore()).run()
    (line,) = lines_of(caplog)
    assert "item" not in line


# -- killed


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("max_concurrency", [1, 4])
def test_killed_at_any_write_the_next_try_completes_it_with_every_record_once(
    iris: IrisEmulator, wanted: MakeRequest, when: str, max_concurrency: int
) -> None:
    request = wanted(max_concurrency=max_concurrency)
    expected = sorted(ids(list(new_client(iris).records(ASSETS))))
    kills = 0
    for files in survivors(iris, request, when):
        kills += 1
        Export(new_client(iris), request, MemoryStore(files)).run()
        assert sorted(ids(result_of(files)[1])) == expected, f"killed {when} change {kills}"
    # How many writes there are depends on how the pages came together where several are asked for at once.
    assert kills > 8


def test_killed_again_and_again_it_still_comes_to_its_end(iris: IrisEmulator, wanted: MakeRequest) -> None:
    files: dict[str, bytes] = {}
    for _ in range(40):
        if "_manifest.json" in files and "_checkpoint.json" not in files:
            break
        with suppress(Killed):
            # Claim, announcement, manifest, withdrawal and the last deletion are the least that a try has to do.
            Export(new_client(iris), wanted(), MortalStore(files, dies_at=5, when="after")).run()
    assert len(ids(result_of(files)[1])) == 1000


def test_a_resumed_export_asks_for_no_page_that_is_stored(iris: IrisEmulator, wanted: MakeRequest) -> None:
    files: dict[str, bytes] = {}
    with pytest.raises(Killed):
        Export(new_client(iris), wanted(), MortalStore(files, dies_at=6, when="after")).run()
    stored = sum(part["records"] for part in json.loads(files["_checkpoint.json"])["parts"])
    before = len(iris.requests(ASSETS))
    Export(new_client(iris), wanted(), MemoryStore(files)).run()
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
            Export(client, wanted(max_concurrency=4), store).run()
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
        Export(new_client(iris, max_attempts=2), wanted(), store).run()
    assert "_manifest.json" not in store.files
    iris.reset()
    Export(new_client(iris), wanted(), store).run()
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
        Export(new_client(iris), request, store).run()
    assert raised.value.retry_after == 900
    forget_limits()
    Export(new_client(iris), request, store).run()
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
        Export(new_client(iris), request, MortalStore(files, dies_at=6, when="after")).run()
    assert "_checkpoint.json" in files
    return files


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda _: b"",
        lambda data: data.replace(b'"version":3', b'"version":4'),
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
    Export(new_client(iris), wanted(), MemoryStore(files)).run()
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
    Export(new_client(iris), wanted(**change), MemoryStore(files)).run()
    _, records = result_of(files)
    assert len(set(ids(records))) == len(records) == 1000
    assert len(iris.requests(ASSETS)) - before == (10 if "query" in change else 20)


def test_a_shorter_run_leaves_nothing_of_the_one_before(iris: IrisEmulator, wanted: MakeRequest) -> None:
    store = MemoryStore({"README.txt": b"not ours"})
    Export(new_client(iris), wanted(), store).run()
    iris.fleet(shrink=900)
    Export(new_client(iris), wanted(run=Run("dag", "task", "next run", -1)), store).run()
    assert store.files.pop("README.txt") == b"not ours"
    manifest, records = result_of(store.files)
    assert (len(records), len(manifest["parts"])) == (100, 1)


def reader_of(files: dict[str, bytes]) -> list[str]:
    """Return what a reader gets who follows the manifest now."""
    manifest = json.loads(files["_manifest.json"])
    assert all(len(files[part["name"]]) == part["bytes"] for part in manifest["parts"])
    return ids(records_of(files))


def test_while_a_former_result_is_replaced_a_reader_gets_the_one_or_the_other_whole(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    store = MemoryStore()
    Export(new_client(iris), wanted(), store).run()
    old = sorted(reader_of(store.files))
    iris.fleet(shrink=100)
    new = sorted(ids(list(new_client(iris).records(ASSETS))))
    seen: list[bool] = []

    def look(_number: int, _name: str) -> None:
        found = sorted(reader_of(store.files))
        assert found in (old, new)
        seen.append(found == new)

    store.before = store.after = look
    Export(new_client(iris), wanted(run=Run("dag", "task", "next run", -1)), store).run()
    assert seen == sorted(seen)
    assert {False, True} == set(seen)


@pytest.mark.parametrize("times", [1, None], ids=["the first request", "all of them"])
def test_a_finished_task_that_is_cleared_and_refused_leaves_the_former_result_as_it_was(
    iris: IrisEmulator, wanted: MakeRequest, times: int | None
) -> None:
    store = MemoryStore()
    Export(new_client(iris), wanted(), store).run()
    kept = dict(store.files)
    iris.fault(path=ASSETS, kind="status", status=403, times=times)
    with pytest.raises(IrisPermissionError):
        Export(new_client(iris), wanted(), store).run()
    assert {name: store.files[name] for name in kept} == kept


def test_a_run_that_dies_while_it_clears_the_folder_leaves_nothing_that_counts_what_is_gone(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    former = unfinished(iris, wanted())
    for dies_at in range(1, 6):
        files = dict(former)
        with pytest.raises(Killed):
            Export(
                new_client(iris),
                wanted(run=Run("dag", "task", "next run", -1)),
                MortalStore(files, dies_at, "after"),
            ).run()
        Export(new_client(iris), wanted(), MemoryStore(files)).run()
        found = ids(result_of(files)[1])
        assert len(found) == len(set(found)) == 1000


# -- others in the same place


@pytest.mark.parametrize("finished", [True, False])
def test_two_mapped_instances_that_ask_for_different_things_in_one_place_are_refused(
    iris: IrisEmulator, wanted: MakeRequest, *, finished: bool
) -> None:
    first = wanted(run=Run("dag", "task", "run", 0))
    second = wanted(run=Run("dag", "task", "run", 1), query={"size": 100})
    files: dict[str, bytes] = {}
    if finished:
        Export(new_client(iris), first, MemoryStore(files)).run()
    else:
        files = unfinished(iris, first)
    kept = dict(files)
    with pytest.raises(IrisCheckpointError, match="map index 0") as raised:
        Export(new_client(iris), second, MemoryStore(files)).run()
    assert "ti.map_index" in str(raised.value)
    assert files == kept


@pytest.mark.parametrize("finished", [True, False])
def test_an_instance_whose_map_index_changed_goes_on_in_its_own_folder(
    iris: IrisEmulator, wanted: MakeRequest, *, finished: bool
) -> None:
    """The list of a mapped task changed and the task was cleared: the same machine now has another index."""
    first, second = wanted(run=Run("dag", "task", "run", 0)), wanted(run=Run("dag", "task", "run", 3))
    files: dict[str, bytes] = {}
    if finished:
        Export(new_client(iris), first, MemoryStore(files)).run()
    else:
        files = unfinished(iris, first)
    Export(new_client(iris), second, MemoryStore(files)).run()
    assert len(set(ids(result_of(files)[1]))) == 1000


def test_a_try_that_was_given_up_for_lost_stops_when_another_has_taken_over(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    files: dict[str, bytes] = {}
    lost = MemoryStore(files)

    def take_over(number: int, _name: str) -> None:
        if number == 3:
            lost.after = lambda _number, _name: None
            Export(new_client(iris), wanted(), MemoryStore(files)).run()

    lost.after = take_over
    with pytest.raises(IrisCheckpointError, match="Another task instance or try"):
        Export(new_client(iris), wanted(), lost).run()
    assert len(set(ids(result_of(files)[1]))) == 1000


# -- a store that refuses


@pytest.mark.parametrize("name", ["part-00001", "_checkpoint.json", "_manifest.json"])
def test_a_full_disk_is_said_and_the_next_try_goes_on(
    iris: IrisEmulator, wanted: MakeRequest, name: str
) -> None:
    store = MemoryStore()

    def full(number: int, written: str) -> None:
        if number > 3 and written.startswith(name):
            raise OSError(errno.ENOSPC, "No space left on device")

    store.before = full
    with pytest.raises(IrisStorageError, match="No space left on device") as raised:
        Export(new_client(iris), wanted(), store).run()
    assert raised.value.transient
    assert "_manifest.json" not in store.files
    store.before = lambda _number, _name: None
    Export(new_client(iris), wanted(), store).run()
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
        Export(new_client(iris, max_attempts=1), wanted(part_bytes=10**9), store).run()


@pytest.mark.parametrize("options", [{"part_bytes": 0}, {"max_concurrency": 0}, {"compression": "zip"}])
def test_what_cannot_work_is_refused_before_anything_is_sent(
    wanted: MakeRequest, options: dict[str, Any]
) -> None:
    with pytest.raises(IrisConfigurationError):
        wanted(**options)
