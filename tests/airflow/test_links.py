"""The buttons beside a task: where they lead, and that they survive the way into the database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_trackunit import get_provider_info
from airflow_provider_trackunit._compat import AIRFLOW_VERSION
from airflow_provider_trackunit.iris.catalogue.endpoints import ENDPOINTS
from airflow_provider_trackunit.iris.catalogue.hub import HUB, PAGES, page_of, source_name
from airflow_provider_trackunit.links import DeveloperHubLink, ResultFolderLink, console_url
from airflow_provider_trackunit.operators import IrisApiOperator
from airflow_provider_trackunit.sensors import IrisSensor
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

ASSETS = "/api/asset/v1/assets"
KEY: Any = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1)


def test_every_source_of_the_catalogue_has_a_page_and_every_page_a_row() -> None:
    assert {source_name(row.source) for row in ENDPOINTS} == set(PAGES)


@pytest.mark.parametrize(
    ("method", "endpoint", "page"),
    [
        ("GET", ASSETS, "Assets API"),
        ("get", f"https://iris.trackunit.com{ASSETS}/{{assetId}}?size=1", "Assets API"),
        ("GET", f"{ASSETS}/{{{{ params.asset }}}}", "Assets API"),
        ("POST", "/public/api/eventlog/v3/asset-event/log", "Asset event API"),
        # Another method of a path that is known, such as a change, is on the same page.
        ("PATCH", "/api/site/v1/sites/{siteId}", "Site API"),
        ("GET", "/public/api/aemp/v2/15143/-3/Fleet", "Export ISO 15143-3 (AEMP 2.0)"),
    ],
)
def test_an_endpoint_leads_to_the_page_that_documents_it(method: str, endpoint: str, page: str) -> None:
    assert page_of(endpoint, method) == f"{HUB}/{PAGES[page]}"


def test_an_endpoint_without_a_row_leads_to_the_hub() -> None:
    assert page_of("/api/nobody/knows") == HUB


@pytest.mark.parametrize(
    ("folder", "url"),
    [
        ("s3://lake/a b/fleet", "https://s3.console.aws.amazon.com/s3/buckets/lake?prefix=a%20b/fleet/"),
        ("s3://conn@lake/fleet/", "https://s3.console.aws.amazon.com/s3/buckets/lake?prefix=fleet/"),
        ("s3://lake", "https://s3.console.aws.amazon.com/s3/buckets/lake?prefix="),
        ("gs://lake/fleet", "https://console.cloud.google.com/storage/browser/lake/fleet/"),
        ("abfs://container@account.dfs.core.windows.net/fleet", ""),
        ("file:///data/fleet", ""),
        ("/data/fleet", ""),
    ],
)
def test_a_folder_leads_to_its_place_in_the_console_of_its_store(folder: str, url: str) -> None:
    assert console_url(folder) == url


def stored() -> Any:
    """Return a DAG with each of our operators, as it comes out of the database."""
    kind: Any = import_module("airflow.sdk" if AIRFLOW_VERSION >= (3, 0) else "airflow").DAG
    with kind("d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        IrisApiOperator(task_id="call", endpoint=ASSETS)
        IrisSensor(task_id="wait", endpoint=ASSETS)
        IrisToObjectStorageOperator(task_id="pull", endpoint=ASSETS, output_path="s3://lake/{{ ds }}")
        IrisToObjectStorageOperator.partial(task_id="each", endpoint=ASSETS).expand(
            output_path=["s3://lake/a"]
        )
    serialization = import_module("airflow.serialization.serialized_objects")
    serialized = serialization.DagSerialization if AIRFLOW_VERSION >= (3, 2) else serialization.SerializedDAG
    return serialized.from_dict(json.loads(json.dumps(serialized.to_dict(dag))))


@pytest.mark.parametrize(
    ("task_id", "names"),
    [
        ("call", {"Trackunit developer hub"}),
        ("wait", {"Trackunit developer hub"}),
        ("pull", {"Trackunit developer hub", "Result folder"}),
        ("each", {"Trackunit developer hub", "Result folder"}),
    ],
)
def test_the_links_of_a_task_survive_the_way_into_the_database(task_id: str, names: set[str]) -> None:
    assert {link.name for link in stored().get_task(task_id).operator_extra_links} == names


def test_every_class_of_a_link_is_declared() -> None:
    classes = {DeveloperHubLink, ResultFolderLink}
    declared = {f"{one.__module__}.{one.__name__}" for one in classes}
    assert set(get_provider_info()["extra-links"]) == declared


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 0), reason="Airflow 2 asks when somebody looks")
def test_a_worker_of_airflow_3_makes_the_links_of_the_task_that_it_ran() -> None:
    operator = IrisToObjectStorageOperator(task_id="t", endpoint=ASSETS, output_path="s3://lake/fleet")
    assert ResultFolderLink().get_link(operator, ti_key=KEY) == console_url("s3://lake/fleet")
    assert DeveloperHubLink().get_link(operator, ti_key=KEY) == page_of(ASSETS)


@pytest.mark.skipif(AIRFLOW_VERSION >= (3, 0), reason="Airflow 3 keeps the links that the worker made")
@pytest.mark.parametrize(
    ("returned", "url"),
    [
        ({"output_path": "s3://lake/2026-01-15"}, console_url("s3://lake/2026-01-15")),
        (None, ""),
        ("not a manifest", ""),
    ],
)
def test_the_web_server_of_airflow_2_makes_them_of_what_the_task_returned(
    monkeypatch: pytest.MonkeyPatch, returned: Any, url: str
) -> None:
    xcom = import_module("airflow.models").XCom
    monkeypatch.setattr(xcom, "get_value", lambda **_: returned)
    task = stored().get_task("pull")
    assert ResultFolderLink().get_link(task, ti_key=KEY) == url
    assert DeveloperHubLink().get_link(task, ti_key=KEY) == page_of(ASSETS)
