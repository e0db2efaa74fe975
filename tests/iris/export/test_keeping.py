"""What came is kept: by the clock, when the task is told to stop, and from one try to the next."""

from __future__ import annotations

import json
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.iris.errors import IrisError, IrisServerError, IrisStorageError
from airflow_provider_trackunit.iris.export.export import Export, ExportStoppedError
from airflow_provider_trackunit.iris.export.folder.checkpoint import read_checkpoint
from airflow_provider_trackunit.iris.export.manifest import Run

from .conftest import ASSETS, FLEET, MakeRequest, credentials_of, new_client, times_asked
from .stores import Killed, MemoryStore, MortalStore, result_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.emulator import IrisEmulator

DAY_S = 86_400.0


def stored(files: dict[str, bytes]) -> int:
    """Return how many records the checkpoint counts."""
    return sum(part.records for part in read_checkpoint(files["_checkpoint.json"]).parts)


# -- by the clock


@pytest.mark.parametrize("interval_s", [30.0, 5.0])
def test_every_page_is_in_a_stored_part_soon_after_it_came_however_small_it_is(
    iris: IrisEmulator, wanted: MakeRequest, interval_s: float
) -> None:
    """On a clock on which every page takes a second."""
    now = [0.0]
    client = new_client(iris)
    fetch = client.run_errand

    def a_second_a_page(errand: Any, cancelled: threading.Event | None = None) -> Any:
        now[0] += 1.0
        return fetch(errand, cancelled)

    client.run_errand = a_second_a_page  # type: ignore[method-assign]
    store = MemoryStore()
    late: list[float] = []

    def look(_number: int, name: str) -> None:
        if name == "_checkpoint.json":
            late.append(now[0] - stored(store.files) / 10)

    store.after = look
    request = wanted(query={"size": 10}, part_bytes=10**9, checkpoint_interval_s=interval_s)
    Export(client, request, store, clock=lambda: now[0]).run()
    assert max(late) <= interval_s + 2
    assert len(result_of(store.files)[0]["parts"]) == pytest.approx(
        100 / interval_s, abs=1.5 + 20 / interval_s
    )


def test_it_is_kept_on_time_while_a_request_does_not_come_back(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    store = MemoryStore()
    kept = threading.Event()

    def look(_number: int, name: str) -> None:
        if name == "_checkpoint.json" and stored(store.files) == 250:
            kept.set()

    store.after = look
    client = new_client(iris)
    fetch = client.run_errand

    def held_up(errand: Any, cancelled: threading.Event | None = None) -> Any:
        if errand.cursor.get("page") == 5:
            assert kept.wait(20)
        return fetch(errand, cancelled)

    client.run_errand = held_up  # type: ignore[method-assign]
    Export(client, wanted(part_bytes=10**9, checkpoint_interval_s=0.2), store).run()
    assert kept.is_set()
    assert len(result_of(store.files)[1]) == 1000


# -- told to stop


def stop_once(export: Export, when: Callable[[], bool]) -> threading.Thread:
    """Tell an export to stop as soon as something is so."""

    def watch() -> None:
        ends_at = time.monotonic() + 20
        while not when() and time.monotonic() < ends_at:
            threading.Event().wait(0.005)
        export.stop()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.parametrize("max_concurrency", [1, 4])
def test_a_task_that_is_told_to_stop_stores_what_came_and_asks_for_nothing_more(
    iris: IrisEmulator, wanted: MakeRequest, max_concurrency: int
) -> None:
    iris.settings(latency_ms=20)
    request = wanted(query={"size": 10}, part_bytes=10**9, max_concurrency=max_concurrency)
    store = MemoryStore()
    export = Export(new_client(iris), request, store)
    thread = stop_once(export, lambda: len(iris.requests(ASSETS)) > 20)
    with pytest.raises(ExportStoppedError):
        export.run()
    thread.join()
    asked = len(iris.requests(ASSETS))
    assert stored(store.files) == asked * 10
    Export(new_client(iris), request, store).run()
    assert set(times_asked(iris, ASSETS).values()) == {1}
    assert len(result_of(store.files)[1]) == 1000


def test_a_thread_that_sleeps_in_a_retry_after_holds_nobody_up_and_sends_nothing_more(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    # Not a 429, which everybody heeds who shares the limit.
    iris.fault(path="page=7", kind="status", status=503, retry_after="100", times=None)
    client = new_client(iris, sleep=None)
    store = MemoryStore()
    export = Export(client, wanted(part_bytes=10**9, max_concurrency=4), store)
    page_7 = f"{ASSETS}?size=50&page=7"
    begun = time.monotonic()
    thread = stop_once(
        export, lambda: len(iris.requests(ASSETS)) > 10 and page_7 in times_asked(iris, ASSETS)
    )
    with pytest.raises(ExportStoppedError):
        export.run()
    assert time.monotonic() - begun < 4
    thread.join()
    asked = len(iris.requests(ASSETS))
    assert not [one for one in threading.enumerate() if one.name.startswith("iris-page") and not gone(one)]
    assert len(iris.requests(ASSETS)) == asked
    assert stored(store.files) >= 400


def gone(thread: threading.Thread) -> bool:
    thread.join(5)
    return not thread.is_alive()


class TaskTimeoutError(BaseException):
    """What Airflow raises out of a signal handler."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this machine has no timers that send signals")
def test_an_exception_out_of_a_signal_handler_stores_what_came(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    iris.settings(latency_ms=10)

    def give_up(_signal: int, _frame: Any) -> None:
        raise TaskTimeoutError

    request = wanted(query={"size": 10}, part_bytes=10**9, max_concurrency=4)
    store = MemoryStore()
    former = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 0.15)
    try:
        with pytest.raises(TaskTimeoutError):
            Export(new_client(iris), request, store).run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    Export(new_client(iris), request, store).run()
    ids = [record["id"] for record in result_of(store.files)[1]]
    assert len(set(ids)) == len(ids) == 1000
    again = [path for path, times in times_asked(iris, ASSETS).items() if times > 1]
    assert len(again) <= 1  # one that was handed over in this very moment


# -- who may go on


def unfinished(iris: IrisEmulator, request: Any, **options: Any) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with pytest.raises(Killed):
        Export(new_client(iris), request, MortalStore(files, dies_at=6, when="after"), **options).run()
    assert stored(files) > 0
    return files


@pytest.mark.parametrize(
    ("age_s", "goes_on"),
    [(60.0, True), (DAY_S - 60, True), (DAY_S + 60, False), (21 * DAY_S, False), (-2 * DAY_S, False)],
)
def test_an_old_checkpoint_is_not_gone_on_from(
    iris: IrisEmulator, wanted: MakeRequest, caplog: pytest.LogCaptureFixture, age_s: float, *, goes_on: bool
) -> None:
    now = time.time()
    files = unfinished(iris, wanted(), wall_clock=lambda: now)
    kept = stored(files)
    before = len(iris.requests(ASSETS))
    Export(new_client(iris), wanted(), MemoryStore(files), wall_clock=lambda: now + age_s).run()
    assert len(iris.requests(ASSETS)) - before == 20 - (kept // 50 if goes_on else 0)
    assert ("resume_within" in caplog.text) is not goes_on
    assert len({record["id"] for record in result_of(files)[1]}) == 1000


def test_another_account_begins_anew_so_that_no_result_holds_records_of_two(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    files = unfinished(iris, wanted())
    before = len(iris.requests(ASSETS))
    second = new_client(iris)
    second.authenticate()
    second.credentials = credentials_of(iris, username="somebody else")
    Export(second, wanted(), MemoryStore(files)).run()
    assert len(iris.requests(ASSETS)) - before == 20
    assert len(result_of(files)[1]) == 1000


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_position_that_iris_does_not_know_any_more_is_given_up_once(
    iris: IrisEmulator, wanted: MakeRequest, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    files = unfinished(iris, wanted())
    page = stored(files) // 50
    iris.fault(path=f"re:page={page}(&|$)", kind="status", status=status, times=1)
    Export(new_client(iris), wanted(), MemoryStore(files)).run()
    assert len({record["id"] for record in result_of(files)[1]}) == 1000
    assert times_asked(iris, ASSETS)[f"{ASSETS}?size=50&page=0"] == 2
    assert "begins anew" in caplog.text


def test_a_position_that_is_refused_again_and_again_fails(iris: IrisEmulator, wanted: MakeRequest) -> None:
    files = unfinished(iris, wanted())
    page = stored(files) // 50
    iris.fault(path=f"re:page={page}(&|$)", kind="status", status=410, times=None)
    with pytest.raises(IrisError) as raised:
        Export(new_client(iris), wanted(), MemoryStore(files)).run()
    assert not raised.value.transient
    assert "_manifest.json" not in files


def test_requests_of_all_tries_are_counted(iris: IrisEmulator, wanted: MakeRequest) -> None:
    iris.fault(path="page=7", kind="status", status=500, times=None)
    store = MemoryStore()
    for _ in range(3):
        with pytest.raises(IrisServerError):
            Export(new_client(iris, max_attempts=2), wanted(), store).run()
    asked = len(iris.requests(ASSETS))
    iris.reset()
    Export(new_client(iris), wanted(), store).run()
    assert json.loads(store.files["_manifest.json"])["requests"] == asked + len(iris.requests(ASSETS))


def test_a_metered_crawl_that_is_stopped_asks_for_no_url_again(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    iris.settings(aemp_pool_calls=0, latency_ms=20)
    request = wanted(FLEET, max_concurrency=2)
    store = MemoryStore()
    export = Export(new_client(iris), request, store)
    thread = stop_once(export, lambda: len(iris.requests("/Fleet/")) >= 3)
    with pytest.raises(ExportStoppedError):
        export.run()
    thread.join()
    Export(new_client(iris), request, store).run()
    assert set(times_asked(iris, "/Fleet/").values()) == {1}
    assert len(result_of(store.files)[1]) == 800


# -- what is swept away


def test_files_of_ours_that_no_result_names_go_with_the_next_result_and_those_of_others_stay(
    iris: IrisEmulator, wanted: MakeRequest
) -> None:
    others = {
        "notes.txt": b"1",
        "part-00000.jsonl.gz": b"not named by a manifest of ours",
        "part-00001-of-somebody.jsonl.gz": b"2",
        "big.csv.unfinished": b"3",
        "part-00000.jsonl.unfinished": b"4",
        "part-00000-0123456789abcdeg.jsonl": b"5",
    }
    ours = {
        "part-00000-0123456789abcdef.jsonl.gz": b"of a try that was killed",
        "part-00004-0123456789abcdef.parquet": b"likewise",
        "skipped-00001-0123456789abcdef.jsonl": b"likewise",
        "part-00001-0123456789abcdef.jsonl.gz.0011223344556677.unfinished": b"likewise",
        "_manifest.json.0011223344556677.unfinished": b"likewise",
    }
    store = MemoryStore({**others, **ours})
    Export(new_client(iris), wanted(), store).run()
    assert {name: store.files.pop(name) for name in others} == others
    assert len(result_of(store.files)[1]) == 1000


def test_a_result_of_version_0_1_0_is_replaced_whole(iris: IrisEmulator, wanted: MakeRequest) -> None:
    old = {
        "endpoint": ASSETS,
        "output_path": "memory://folder",
        "records": 1,
        "parts": [{"name": "part-00000.jsonl.gz", "records": 1, "bytes": 1}],
        "compression": "gzip",
        "announced": 1,
        "skipped": [],
        "requests": 1,
        "started_at": "2026-01-15T06:00:00Z",
        "finished_at": "2026-01-15T06:00:02Z",
        "run": {"dag_id": "dag", "task_id": "task", "run_id": "before", "map_index": -1},
    }
    store = MemoryStore({"_manifest.json": json.dumps(old).encode(), "part-00000.jsonl.gz": b"x"})
    Export(new_client(iris), wanted(), store).run()
    assert len(result_of(store.files)[1]) == 1000


@pytest.mark.parametrize("lands", [True, False], ids=["it landed", "it did not"])
def test_a_manifest_whose_write_raised_is_read_back(
    iris: IrisEmulator, wanted: MakeRequest, *, lands: bool
) -> None:
    store = MemoryStore()

    def raise_once(_number: int, name: str) -> None:
        if name == "_manifest.json":
            store.before = store.after = lambda _number, _name: None
            raise ConnectionResetError("no answer")

    if lands:
        store.after = raise_once
    else:
        store.before = raise_once
    before = len(iris.requests(ASSETS))
    if not lands:
        with pytest.raises(IrisStorageError) as raised:
            Export(new_client(iris), wanted(), store).run()
        assert raised.value.transient
    # Without an error the first time, or after it the second time; the pages are asked for once.
    Export(new_client(iris), wanted(), store).run()
    assert len(result_of(store.files)[1]) == 1000
    assert len(iris.requests(ASSETS)) - before == 20


def test_a_task_whose_clean_up_fails_has_its_result_all_the_same(
    iris: IrisEmulator, wanted: MakeRequest, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    Export(new_client(iris), wanted(), store).run()

    def refuse(_number: int, name: str) -> None:
        if name.startswith("part-") and name in former:
            raise PermissionError("may not delete")

    former = set(store.files)
    store.before = refuse
    Export(new_client(iris), wanted(run=Run("dag", "task", "next", -1)), store).run()
    assert "could not be deleted" in caplog.text
    store.before = lambda _number, _name: None
    Export(new_client(iris), wanted(run=Run("dag", "task", "the one after", -1)), store).run()
    assert len(result_of(store.files)[1]) == 1000
