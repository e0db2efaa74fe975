"""IrisToObjectStorageOperator in real stores, with real assets and the real OpenLineage provider."""

from __future__ import annotations

import gzip
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path, PosixPath
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit._compat import (
    AIRFLOW_VERSION,
    AirflowException,
    AirflowFailException,
    TaskDeferred,
    object_storage_path,
)
from airflow_provider_trackunit.iris.errors import IrisRateLimitError, IrisStorageError
from airflow_provider_trackunit.iris.http.pacing import forget_limits
from airflow_provider_trackunit.results import read_manifest, read_records
from airflow_provider_trackunit.storage import FolderStore, dataset_of
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator
from tests.airflow.orders import CHANGING, ORDERS, PAGE_OF_ORDERS, answer_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_trackunit.emulator import IrisEmulator

ASSETS = "/api/asset/v1/assets"
FLEET = "/public/api/aemp/v2/15143/-3/Fleet"


def context(run_id: str = "run", map_index: int = -1, **others: Any) -> Any:
    instance = SimpleNamespace(dag_id="dag", task_id="pull", run_id=run_id, map_index=map_index)
    return {"ti": instance, **others}


def transfer(output_path: Any, **arguments: Any) -> IrisToObjectStorageOperator:
    path = f"file://{output_path}" if isinstance(output_path, PosixPath) else output_path
    defaults: dict[str, Any] = {"task_id": "pull", "endpoint": ASSETS, "output_path": path}
    return IrisToObjectStorageOperator(**{**defaults, **arguments})


def records_in(folder: Path) -> list[dict[str, Any]]:
    manifest = json.loads((folder / "_manifest.json").read_bytes())
    names = {"_manifest.json", *(part["name"] for part in manifest["parts"])}
    names |= {manifest["skipped_file"]} - {None}
    assert {file.name for file in folder.iterdir()} == names
    return [
        json.loads(line)
        for part in manifest["parts"]
        for line in gzip.decompress((folder / part["name"]).read_bytes()).splitlines()
    ]


def test_a_fleet_lands_in_a_folder_and_the_manifest_is_the_result(
    iris_connection: IrisEmulator, tmp_path: Path
) -> None:
    manifest = transfer(tmp_path / "out", query_params={"size": 50}, part_bytes=50_000).execute(context())
    assert len({record["id"] for record in records_in(tmp_path / "out")}) == 250
    assert json.loads((tmp_path / "out" / "_manifest.json").read_bytes()) == manifest
    assert json.loads(json.dumps(manifest)) == manifest
    assert iris_connection.stats()["token_requests"] == 1


@pytest.mark.parametrize("output", ["{folder}", "file://{folder}/", "file://{folder}"])
def test_a_folder_can_be_written_in_several_ways(
    iris_connection: IrisEmulator, tmp_path: Path, output: str
) -> None:
    transfer(output.format(folder=tmp_path / "out")).execute(context())
    assert len(records_in(tmp_path / "out")) == 250


def test_a_fan_out_takes_its_items_from_a_list(iris_connection: IrisEmulator, tmp_path: Path) -> None:
    first = transfer(tmp_path / "fleet", endpoint=FLEET)
    first.execute(context())
    pins = [record["EquipmentHeader"].get("PIN") for record in records_in(tmp_path / "fleet")]
    items = [{"pin": pin} for pin in pins if pin][:20]
    manifest = transfer(
        tmp_path / "hours",
        endpoint=f"{FLEET}/Equipment/ID/{{pin}}/CumulativeOperatingHours/2026-01-01T00:00:00Z/2026-01-14T00:00:00Z",
        path_params=[*items, {"pin": "no-such-machine"}],
        on_item_error="skip",
    ).execute(context())
    assert {record["_request"]["pin"] for record in records_in(tmp_path / "hours")} <= {
        one["pin"] for one in items
    }
    assert [one["path_params"]["pin"] for one in manifest["skipped"]] == ["no-such-machine"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"path_params": "[{'pin': 1}]"}, "render_template_as_native_obj"),
        ({"path_params": [1]}, "every item must be a mapping"),
        ({"on_item_error": "ignore"}, "on_item_error"),
        ({"compression": "zip"}, "compression"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"endpoint": f"{ASSETS}/{{assetId}}", "path_params": [{"id": "x"}]}, "no value for assetId"),
    ],
)
def test_arguments_that_cannot_work_fail_at_once_and_say_which(
    iris_connection: IrisEmulator, tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(AirflowFailException, match=said):
        transfer(tmp_path / "out", **arguments).execute(context())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("request_", "answer"), CHANGING.values(), ids=CHANGING)
def test_a_request_that_may_change_something_is_sent_once_and_one_page_of_several_is_no_result(
    iris_connection: IrisEmulator, tmp_path: Path, request_: dict[str, Any], answer: Any
) -> None:
    answer_with(iris_connection, request_["endpoint"], answer)
    with pytest.raises(AirflowFailException, match="If it only reads, say paginate=True"):
        transfer(tmp_path, **request_).execute(context())
    assert len(iris_connection.requests(request_["endpoint"])) == 1
    assert not (tmp_path / "_manifest.json").exists()


@pytest.mark.parametrize(
    "answer", [{**PAGE_OF_ORDERS, "totalPages": 1, "totalElements": 1}, {"id": "o"}, [{"id": "o"}]]
)
def test_what_a_request_that_may_change_something_answers_as_a_whole_is_a_result(
    iris_connection: IrisEmulator, tmp_path: Path, answer: Any
) -> None:
    answer_with(iris_connection, ORDERS, answer)
    transfer(tmp_path, endpoint=ORDERS, method="POST", json={"item": 1}).execute(context())
    assert records_in(tmp_path) == [{"id": "o"}]
    assert len(iris_connection.requests(ORDERS)) == 1


def test_a_list_of_items_sends_a_request_that_may_change_something_once_for_each(
    iris_connection: IrisEmulator, tmp_path: Path
) -> None:
    answer_with(iris_connection, ORDERS, {"id": "o"})
    items = [{"order": number} for number in range(20)]
    transfer(tmp_path, endpoint=ORDERS + "/{order}", method="POST", path_params=items).execute(context())
    asked = sorted(f"{ORDERS}/{number}" for number in range(20))
    assert sorted(one["path"] for one in iris_connection.requests(ORDERS)) == asked


def test_a_post_to_an_unknown_path_is_walked_where_that_is_written_out(
    iris_connection: IrisEmulator, tmp_path: Path
) -> None:
    # One at a time: the answers have an order, and each says which page it is.
    for number in range(3):
        answer_with(iris_connection, ORDERS, {**PAGE_OF_ORDERS, "number": number}, times=1)
    manifest = transfer(tmp_path, endpoint=ORDERS, method="POST", paginate=True, max_concurrency=1).execute(
        context()
    )
    assert manifest["records"] == manifest["announced"] == len(iris_connection.requests(ORDERS)) == 3


def test_the_first_page_alone_is_a_result_where_that_is_written_out(
    iris_connection: IrisEmulator, tmp_path: Path
) -> None:
    manifest = transfer(tmp_path, query_params={"size": 20}, paginate=False).execute(context())
    assert (manifest["records"], manifest["announced"]) == (20, None)
    assert len(iris_connection.requests(ASSETS)) == 1


def test_two_mapped_instances_that_ask_for_different_things_in_one_folder_are_refused(
    iris_connection: IrisEmulator, tmp_path: Path
) -> None:
    transfer(tmp_path).execute(context(map_index=0))
    with pytest.raises(AirflowFailException, match="map index 0"):
        transfer(tmp_path, query_params={"size": 50}).execute(context(map_index=1))
    assert len(records_in(tmp_path)) == 250


def test_a_limit_that_lasts_keeps_what_came_and_says_when_to_go_on(
    iris_connection: IrisEmulator, tmp_path: Path
) -> None:
    # Once may be fifty pages a second; twice is the quarter of an hour.
    iris_connection.fault(path="/Fleet/2", kind="rate_limit", times=2)
    with pytest.raises(IrisRateLimitError) as raised:
        transfer(tmp_path, endpoint=FLEET, max_concurrency=1).execute(context())
    assert raised.value.retry_after == 900
    kept = {file.name for file in tmp_path.iterdir()} - {"_checkpoint.json"}
    assert len(kept) == 1
    assert kept.pop().startswith("part-00000-")
    forget_limits()
    transfer(tmp_path, endpoint=FLEET).execute(context())
    assert len(records_in(tmp_path)) == 200
    assert len(iris_connection.requests("/Fleet/1")) == 1


def test_a_place_that_cannot_be_written_is_said(iris_connection: IrisEmulator, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(IrisStorageError, match="could not be written or read"):
        transfer(tmp_path / "file" / "out").execute(context())


def test_a_local_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    store = FolderStore.at(f"file://{tmp_path}", None)
    store.write("part-00000.jsonl", b"old")
    (tmp_path / "part-00001.jsonl.unfinished").write_bytes(b"of a process that was killed")
    (tmp_path / "part-00002.jsonl").mkdir()
    (tmp_path / "part-00002.jsonl" / "x").mkdir()
    with pytest.raises(OSError):
        store.write("part-00002.jsonl", b"cannot be")
    assert sorted(store.names()) == ["part-00000.jsonl", "part-00001.jsonl.unfinished", "part-00002.jsonl"]
    assert store.read("part-00000.jsonl") == b"old"


@pytest.mark.parametrize("name", ["_checkpoint.json", "part-00000-0123456789abcdef.jsonl"])
def test_two_who_write_one_file_at_once_leave_the_one_or_the_other(tmp_path: Path, name: str) -> None:
    texts = [bytes([letter]) * 300_000 for letter in b"abcd"]

    def write(text: bytes) -> None:
        for _ in range(20):
            FolderStore.at(f"file://{tmp_path}", None).write(name, text)
            assert (tmp_path / name).read_bytes() in texts

    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(write, texts))
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("path", ["lake/fleet", "./fleet", "fleet", ""])
def test_a_relative_path_is_refused_because_it_is_another_folder_on_every_worker(
    iris_connection: IrisEmulator, path: str
) -> None:
    with pytest.raises(AirflowFailException, match="absolute path"):
        transfer(path).execute(context())


def test_a_store_that_is_not_installed_is_named_with_what_brings_it(iris_connection: IrisEmulator) -> None:
    with pytest.raises(AirflowFailException, match="apache-airflow-providers-google"):
        transfer("gs://lake/fleet").execute(context())


def test_an_object_storage_path_is_as_good_as_its_text(iris_connection: IrisEmulator, tmp_path: Path) -> None:
    path = object_storage_path(f"file://{tmp_path}/out", None)
    manifest = transfer(path).execute(context())
    assert manifest["output_path"] == str(path)
    assert len(records_in(tmp_path / "out")) == 250


def test_a_task_that_is_killed_stops_asking_and_keeps_what_came(
    iris_connection: IrisEmulator, tmp_path: Path
) -> None:
    iris_connection.settings(latency_ms=20)
    operator = transfer(tmp_path, query_params={"size": 5}, max_concurrency=2)

    def kill() -> None:
        while len(iris_connection.requests(ASSETS)) < 10:
            threading.Event().wait(0.005)
        operator.on_kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(AirflowException, match="told to stop"):
        operator.execute(context())
    killer.join()
    asked = len(iris_connection.requests(ASSETS))
    transfer(tmp_path, query_params={"size": 5}).execute(context())
    assert len({record["id"] for record in records_in(tmp_path)}) == 250
    assert asked + 50 - asked == len(iris_connection.requests(ASSETS))


def test_a_task_that_is_killed_before_it_begins_asks_for_nothing(
    iris_connection: IrisEmulator, tmp_path: Path
) -> None:
    operator = transfer(tmp_path)
    operator.on_kill()
    with pytest.raises(AirflowException, match="told to stop"):
        operator.execute(context())
    assert iris_connection.requests(ASSETS) == []


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Return the URL of an S3 server with a bucket called ``lake``."""
    boto3 = import_module("boto3")
    server_module = import_module("moto.server")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=url, region_name="eu-west-1", aws_access_key_id="id", aws_secret_access_key="key"
    )
    client.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    yield url
    server.stop()


@pytest.mark.parametrize(
    ("output_path", "output_conn_id"),
    [("s3://lake_conn@lake/a/fleet", None), ("s3://lake/b/fleet/", "lake_conn")],
)
def test_a_fleet_lands_in_s3_and_a_second_run_replaces_it(
    iris_connection: IrisEmulator,
    monkeypatch: pytest.MonkeyPatch,
    s3: str,
    output_path: str,
    output_conn_id: str | None,
) -> None:
    connection = {
        "conn_type": "aws",
        "login": "id",
        "password": "a-long-secret-key",
        "extra": {"endpoint_url": s3, "region_name": "eu-west-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_LAKE_CONN", json.dumps(connection))

    def pull(run_id: str) -> dict[str, Any]:
        operator = transfer(
            output_path,
            output_conn_id=output_conn_id,
            query_params={"size": 50},
            part_bytes=50_000,
            max_concurrency=1,  # pages that come together may go into one part
        )
        return operator.execute(context(run_id))

    first = pull("first")
    iris_connection.fleet(shrink=200)
    second = pull("second")
    store = FolderStore.at(output_path, output_conn_id)
    assert len(first["parts"]) > len(second["parts"]) == 1
    assert sorted(store.names()) == ["_manifest.json", second["parts"][0]["name"]]
    part = store.read(second["parts"][0]["name"])
    assert part is not None
    assert len(part) == second["parts"][0]["bytes"]
    assert len(gzip.decompress(part).splitlines()) == 50
    assert "a-long-secret-key" not in store.label
    read = list(read_records(read_manifest(output_path, conn_id=output_conn_id)))
    assert len({record["id"] for record in read}) == 50
    assert list(read_records(second)) == read


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("s3://conn@lake/a/fleet/", ("s3://lake", "a/fleet")),
        ("gs://lake/fleet", ("gs://lake", "fleet")),
        ("file:///data/fleet", ("file", "/data/fleet")),
        ("/data/fleet/", ("file", "/data/fleet")),
        ("s3://lake", ("s3://lake", "/")),
    ],
)
def test_a_folder_is_named_in_lineage_without_its_connection(folder: str, expected: tuple[str, str]) -> None:
    assert dataset_of(folder) == expected


def test_the_counts_go_to_the_events_of_the_outlets(iris_connection: IrisEmulator, tmp_path: Path) -> None:
    asset: Any
    if AIRFLOW_VERSION >= (3, 0):
        asset = import_module("airflow.sdk").Asset(name="fleet", uri="s3://lake/fleet")
        events = import_module("airflow.sdk.execution_time.context").OutletEventAccessors()
    else:
        asset = import_module("airflow.datasets").Dataset("s3://lake/fleet")
        events = import_module("airflow.utils.context").OutletEventAccessors()
    events[asset].extra["kept"] = 1
    transfer(tmp_path, outlets=[asset]).execute(context(outlet_events=events))
    assert events[asset].extra == {
        "kept": 1,
        "endpoint": ASSETS,
        "records": 250,
        "parts": 1,
        "manifest": f"file://{tmp_path}/_manifest.json",
    }


def test_every_argument_of_the_request_and_the_place_is_templated(tmp_path: Path) -> None:
    operator = transfer("s3://lake/{{ x }}", path_params=[{"pin": "{{ x }}"}], output_conn_id="{{ x }}")
    variables: Any = {"x": "v"}
    operator.render_template_fields(variables)
    assert operator.output_path == "s3://lake/v"
    assert operator.path_params == [{"pin": "v"}]
    assert operator.output_conn_id == "v"


def resumed(operator: IrisToObjectStorageOperator, deferred: TaskDeferred, run: Any) -> Any:
    """Return what the task comes to when its trigger has reported: a new operator, and only what a database keeps."""
    forget_limits()  # the pause is over, in another process
    _, arguments = deferred.trigger.serialize()
    event = json.loads(json.dumps({"status": "done", "state": arguments["state"]}))
    return getattr(operator, deferred.method_name)(run, event=event)


def test_a_limit_that_lasts_gives_the_slot_back_and_the_transfer_goes_on_from_its_checkpoint(
    iris_connection: IrisEmulator, tmp_path: Path
) -> None:
    iris_connection.settings(aemp_pool_calls=0)
    iris_connection.fault(path="/Fleet/2", kind="rate_limit", times=4)

    def operator() -> IrisToObjectStorageOperator:
        return transfer(tmp_path, endpoint=FLEET, deferrable=True)

    with pytest.raises(TaskDeferred) as first:
        operator().execute(context())
    assert first.value.trigger.serialize()[1]["resume_at_epoch_s"] == pytest.approx(time.time() + 900, abs=20)
    with pytest.raises(TaskDeferred) as second:
        resumed(operator(), first.value, context())
    manifest = resumed(operator(), second.value, context())
    assert manifest["records"] == len(records_in(tmp_path)) == 200
    assert len(iris_connection.requests("/Fleet/1")) == 1
    assert iris_connection.stats()["token_requests"] == 3


def run_to_end(make: Any, iris: IrisEmulator, pass_s: float) -> tuple[dict[str, Any], int]:
    """Return the manifest and how often the task was deferred, with so much of IRIS's time passing each time."""
    deferred: TaskDeferred | None = None
    for count in range(100):
        try:
            return (resumed(make(), deferred, context()) if deferred else make().execute(context())), count
        except TaskDeferred as again:
            deferred = again
            iris.advance(pass_s)
    raise AssertionError("deferred a hundred times")


def test_a_limit_that_never_gives_way_ends_the_task(iris_connection: IrisEmulator, tmp_path: Path) -> None:
    iris_connection.fault(path="/Fleet/1", kind="rate_limit", times=None)
    with pytest.raises(IrisRateLimitError):
        run_to_end(lambda: transfer(tmp_path, endpoint=FLEET, deferrable=True), iris_connection, 900)
    assert len(iris_connection.requests("/Fleet/1")) < 30


def test_a_transfer_that_gets_on_may_be_deferred_as_often_as_it_takes(
    iris_connection: IrisEmulator, tmp_path: Path
) -> None:
    iris_connection.settings(event_step_s=60)
    request: dict[str, Any] = {
        "endpoint": "/public/api/eventlog/v3/asset-event/log",
        "method": "POST",
        "json": {"fromTime": "2026-01-14T00:00:00Z", "toTime": "2026-01-15T00:00:00Z"},
        "query_params": {"size": 60},
        "deferrable": True,
    }
    manifest, deferrals = run_to_end(lambda: transfer(tmp_path, **request), iris_connection, 1800)
    assert deferrals > 10
    assert manifest["announced"] == manifest["records"] == len({one["id"] for one in records_in(tmp_path)})
    assert iris_connection.stats()["rate_limited"] == 0


@pytest.mark.parametrize("event", [None, {}, {"status": "error", "state": {}}, "done", {"status": "done"}])
def test_a_missing_or_unknown_event_fails_the_transfer(
    iris_connection: IrisEmulator, tmp_path: Path, event: Any
) -> None:
    with pytest.raises(ValueError, match="resumed"):
        transfer(tmp_path).resume(context(), event=event)
    assert not list(tmp_path.iterdir())
