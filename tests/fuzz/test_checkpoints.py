"""What lies in the folder of a transfer: a checkpoint or a manifest of any bytes costs nothing but the work again."""

from __future__ import annotations

import gzip
import json
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import (
    IrisCheckpointError,
    IrisConfigurationError,
    IrisError,
    IrisPaginationError,
)
from airflow_provider_trackunit.iris.export.export import Export
from airflow_provider_trackunit.iris.export.folder.checkpoint import (
    Checkpoint,
    progress_in,
    read_checkpoint,
    write_checkpoint,
)
from airflow_provider_trackunit.iris.export.manifest import Manifest, Part, Run, Skipped, read_manifest
from airflow_provider_trackunit.iris.export.request import ExportRequest
from airflow_provider_trackunit.iris.http.wire import Request, Response
from airflow_provider_trackunit.iris.pages.frontier import Frontier
from airflow_provider_trackunit.iris.pages.walk import OpenWalk
from tests.fuzz.documents import VALUES, hostile, nearly
from tests.fuzz.wires import JSON, ORIGIN, with_threads
from tests.iris.export.stores import Killed, MemoryStore, MortalStore, result_of

if TYPE_CHECKING:
    from collections.abc import Callable

ENDPOINT = "/api/asset/v1/assets"
RUN = Run("dag", "task", "run", -1)
RECORDS = [{"id": number} for number in range(12)]


def answer(request: Request) -> Response:
    """Answer as an honest server with six pages of two records."""
    query = dict(pair.split("=") for pair in request.url.partition("?")[2].split("&"))
    page = int(query["page"])
    body = {"totalPages": 6, "totalElements": 12, "number": page, "content": RECORDS[page * 2 : page * 2 + 2]}
    return Response(200, JSON, json.dumps(body).encode())


def export(
    store: MemoryStore,
    items: list[dict[str, Any]] | None = None,
    other: Callable[[Request], Response] = answer,
    **options: Any,
) -> Any:
    """Return what an export into a folder comes to."""
    path = ENDPOINT if items is None else "/api/customer/v1/customers/{customer}/assets"
    calls = [make_call(ORIGIN, path, path_params=one) for one in ([None] if items is None else items)]
    request = ExportRequest(
        **{
            "endpoint": path,
            "output_path": "memory://folder",
            "calls": calls,
            "items": items,
            "run": RUN,
            "part_bytes": 1,
            "max_concurrency": 1,
            **options,
        }
    )
    return with_threads(lambda client: Export(client, request, store).run(), other)


def unfinished() -> dict[str, bytes]:
    """Return what an export leaves that is killed in its middle."""
    files: dict[str, bytes] = {}
    try:
        export(MortalStore(files, 7, "after"))
    except Killed:
        return files
    raise AssertionError("the export was not killed")


def finished() -> dict[str, bytes]:
    """Return what an export leaves that comes to its end."""
    store = MemoryStore()
    export(store)
    return store.files


UNFINISHED, FINISHED = unfinished(), finished()
CHECKPOINT = json.loads(UNFINISHED["_checkpoint.json"])
MANIFEST = json.loads(FINISHED["_manifest.json"])


def assert_every_record_once(files: dict[str, bytes]) -> None:
    _, records = result_of(files)
    assert sorted(record["id"] for record in records) == list(range(12))


@given(checkpoint=hostile(st.just(CHECKPOINT)), manifest=st.one_of(st.none(), hostile(st.just(MANIFEST))))
def test_whatever_lies_in_the_folder_every_record_comes_out_once(
    checkpoint: bytes, manifest: bytes | None
) -> None:
    store = MemoryStore({**UNFINISHED, "_checkpoint.json": checkpoint})
    if manifest is not None:
        store.files["_manifest.json"] = manifest
    progress_in(store)
    exchange = export(store)
    if exchange.error is None:
        assert_every_record_once(store.files)
    else:
        # Another mapped instance of this very task may be at work here.
        assert isinstance(exchange.error, IrisCheckpointError)
        assert "output_path of map index" in str(exchange.error)


SIZES = st.one_of(st.integers(0, 7), st.integers(-5, 2**64))
PARTS = [one["name"] for one in CHECKPOINT["parts"]]
NAMES = st.one_of(
    st.sampled_from([*PARTS, f"../{PARTS[0]}", "part-00000.jsonl.gz", "_manifest.json", "notes.txt"]),
    st.text(max_size=5),
)
CURSORS = st.one_of(
    st.fixed_dictionaries({"page": SIZES}, optional={"of": SIZES}),
    st.dictionaries(st.sampled_from(["page", "of", "after", "x"]), VALUES, max_size=3),
)
MAYBE_SIZES = st.none() | st.integers(-1, 2**64)
PAIRS = st.sampled_from([(None, None), (3, 4), (0, 2**64), (-1, None)])
WALKS = st.lists(
    st.builds(
        OpenWalk,
        item=SIZES,
        todo=st.lists(CURSORS, max_size=2).map(tuple),
        reached=SIZES,
        ends_at=MAYBE_SIZES,
        whole=st.booleans(),
        came=SIZES,
        records=SIZES,
        announced=PAIRS,
        pages=PAIRS,
    ),
    max_size=2,
).map(tuple)
FRONTIERS = st.builds(
    Frontier,
    next_item=SIZES,
    open=WALKS,
    given_up=WALKS,
    announced=MAYBE_SIZES,
    pages=MAYBE_SIZES,
    came=SIZES,
)
GENUINE = read_checkpoint(UNFINISHED["_checkpoint.json"])


@given(
    frontier=st.one_of(st.just(GENUINE.frontier), FRONTIERS),
    parts=st.one_of(
        st.just(GENUINE.parts), st.lists(st.builds(Part, NAMES, SIZES, SIZES), max_size=2).map(tuple)
    ),
    lost=st.sets(st.sampled_from(sorted(UNFINISHED))),
    items=st.sampled_from([None, [{"customer": "a"}], [{"customer": "a"}, {"customer": "b"}]]),
)
def test_a_checkpoint_that_was_meant_to_mislead_loses_no_file_and_raises_nothing_else(
    frontier: Frontier, parts: tuple[Part, ...], lost: set[str], items: list[dict[str, Any]] | None
) -> None:
    """Its checksum is right, so it was written so; what it promises can be wrong, what the manifest names is there."""
    files = {name: data for name, data in UNFINISHED.items() if name not in lost}
    genuine = GENUINE if items is None else _begun(items)
    forged = msgspec.structs.replace(genuine, frontier=frontier, parts=parts)
    store = MemoryStore({**files, "notes.txt": b"not ours", "_checkpoint.json": write_checkpoint(forged)})
    exchange = export(store, items)
    assert store.files.pop("notes.txt") == b"not ours"
    if exchange.error is None:
        manifest = json.loads(store.files.pop("_manifest.json"))
        assert {part["name"] for part in manifest["parts"]} == set(store.files)
        for data in store.files.values():
            gzip.decompress(data)
    else:
        assert isinstance(exchange.error, IrisError)


def _begun(items: list[dict[str, Any]]) -> Checkpoint:
    """Return the first checkpoint of an export of these items."""
    files: dict[str, bytes] = {}
    try:
        export(MortalStore(files, 1, "after"), items)
    except Killed:
        return read_checkpoint(files["_checkpoint.json"])
    raise AssertionError("the export was not killed")


@given(data=nearly(st.just(CHECKPOINT)))
def test_a_checkpoint_is_read_as_it_was_written_or_not_at_all(data: bytes) -> None:
    try:
        found = read_checkpoint(data)
    except IrisCheckpointError:
        return
    assert found == GENUINE


@given(data=st.one_of(hostile(st.just(MANIFEST)), hostile(st.just(CHECKPOINT))))
def test_a_manifest_is_read_or_it_is_none(data: bytes) -> None:
    found = read_manifest(data)
    assert found is None or isinstance(found, Manifest)


RUNS = st.builds(Run, st.text(max_size=5), st.text(max_size=5), st.text(max_size=5), st.integers(-1, 99))
SKIPPED = st.builds(
    Skipped,
    st.dictionaries(st.text(max_size=5), VALUES, max_size=2),
    st.none() | st.integers(400, 499),
    st.none() | st.text(max_size=9),
)


KNOWN: dict[str, st.SearchStrategy[Any]] = {
    "run": RUNS,
    "started_at_s": st.floats(0, 1e12),
    "saved_at_s": st.floats(0, 1e12),
    "version": st.just(GENUINE.version),
    "frontier": FRONTIERS,
    "parts": st.lists(st.builds(Part, NAMES, SIZES, SIZES), max_size=3).map(tuple),
    "skipped": st.lists(SKIPPED, max_size=3).map(tuple),
    # As JSON brings them: no infinity, and no NaN.
    "newest": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    "period": st.none() | st.dictionaries(st.text(max_size=5), VALUES, max_size=2),
    "requests": SIZES,
    "checksum": st.just(""),
}
CHECKPOINTS = st.builds(
    Checkpoint,
    **{one.name: st.from_type(one.type) for one in msgspec.structs.fields(Checkpoint)} | KNOWN,
)


@given(checkpoint=CHECKPOINTS)
def test_a_checkpoint_comes_back_as_it_was(checkpoint: Checkpoint) -> None:
    assert read_checkpoint(write_checkpoint(checkpoint)) == checkpoint


@pytest.mark.parametrize("version", [2, 4, 0, -1])
def test_a_checkpoint_of_another_version_is_never_half_understood(version: int) -> None:
    other = write_checkpoint(msgspec.structs.replace(GENUINE, version=version))
    with pytest.raises(IrisCheckpointError, match=f"is of version {version}; this package writes 3"):
        read_checkpoint(other)
    store = MemoryStore({**UNFINISHED, "_checkpoint.json": other})
    assert len(export(store).asked) == len(RECORDS) / 2
    assert_every_record_once(store.files)


def test_a_checkpoint_whose_parts_are_gone_is_not_used() -> None:
    store = MemoryStore({"_checkpoint.json": UNFINISHED["_checkpoint.json"]})
    assert export(store).error is None
    assert_every_record_once(store.files)


def test_a_checkpoint_with_a_cursor_of_another_way_to_page_is_not_used() -> None:
    """As after an update of the provider that knows more of an endpoint."""
    frontier = msgspec.structs.replace(GENUINE.frontier, open=(OpenWalk(0, ({"after": "x"},)),))
    forged = write_checkpoint(msgspec.structs.replace(GENUINE, frontier=frontier))
    store = MemoryStore({**UNFINISHED, "_checkpoint.json": forged})
    exchange = export(store)
    assert not isinstance(exchange.error, IrisConfigurationError)
    assert_every_record_once(store.files)


@pytest.mark.parametrize("held_back", range(3))
def test_pages_that_came_ahead_of_an_error_are_not_taken_for_stored(held_back: int) -> None:
    """As when a person clears a task that ended because the server repeated itself."""
    count, concurrency = 124, 6

    def server(*, repeats: bool) -> Callable[[Request], Response]:
        overtaken = [threading.Event() for _ in range(count)]

        def page(request: Request) -> Response:
            number = int(request.url.rpartition("page=")[2])
            # A page that differs from the others and comes late would begin the count of repetitions anew.
            if number > 5 and number % 3 == held_back:
                # Until all that are asked for with it have come; the last are with fewer.
                overtaken[number].wait(0.1)
            for one in overtaken[: max(0, number + 2 - concurrency)]:
                one.set()
            records = [{"id": 0 if repeats and number > 5 else number}]
            body = {"totalPages": count, "totalElements": count, "number": number, "content": records}
            return Response(200, JSON, json.dumps(body).encode())

        return page

    store = MemoryStore()
    failed = export(store, other=server(repeats=True), max_concurrency=concurrency, part_bytes=200)
    assert isinstance(failed.error, IrisPaginationError)
    before = read_checkpoint(store.files["_checkpoint.json"])
    stored = sum(part.records for part in before.parts)
    assert 0 < stored < count
    asked = export(store, other=server(repeats=False), max_concurrency=concurrency).asked
    _, records = result_of(store.files)
    assert len(records) == count
    assert len(asked) == count - stored
