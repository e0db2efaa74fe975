"""The ways to bring a collection into files that ``transfer`` compares, each as a user would write it.

Every one reads the same pages from the same server, and those of JSON Lines write with the same gzip level.
"""

from __future__ import annotations

import gzip
import json
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from dev.benchmarks.measuring import run_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.benchmarks.measuring import Contender

GZIP_LEVEL = 1
PATH = "/api/asset/v1/assets"
PAGE = 1000


def transfer_operator(_url: str, folder: str, concurrency: int) -> Callable[[], int]:
    """Return a run of this provider's operator, with all that it does: token, checkpoint, manifest."""
    from airflow_provider_trackunit._compat import object_storage_path
    from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

    operator = IrisToObjectStorageOperator(
        task_id="fleet", endpoint=PATH, output_path=f"file://{folder}", max_concurrency=concurrency
    )
    context: Any = {"ti": SimpleNamespace(dag_id="d", task_id="fleet", run_id="r", map_index=-1)}
    # Start-up, which is not counted: the modules, and the look-up of installed file systems.
    object_storage_path(f"file://{folder}", None).exists()
    return lambda: int(operator.execute(context)["records"])


def requests_loop(url: str, folder: str, _concurrency: int) -> Callable[[], int]:
    """Return the loop that most people write."""
    import requests

    def run() -> int:
        session, page, records = requests.Session(), 0, 0
        with gzip.open(f"{folder}/all.jsonl.gz", "wt", compresslevel=GZIP_LEVEL) as out:
            while True:
                answer = session.get(f"{url}{PATH}", params={"page": page, "size": PAGE}, timeout=60)
                answer.raise_for_status()
                body = answer.json()
                for record in body["content"]:
                    out.write(json.dumps(record) + "\n")
                    records += 1
                page += 1
                if page >= body["totalPages"]:
                    return records

    return run


def http_operator(_url: str, folder: str, _concurrency: int) -> Callable[[], int]:
    """Return a run of the HTTP provider's operator with a pagination function."""
    from airflow.providers.http.operators.http import HttpOperator

    def following(response: Any) -> dict[str, Any] | None:
        body = response.json()
        page = body["number"] + 1
        return {"data": {"page": page, "size": PAGE}} if page < body["totalPages"] else None

    def write(responses: list[Any]) -> int:
        records = 0
        with gzip.open(f"{folder}/all.jsonl.gz", "wt", compresslevel=GZIP_LEVEL) as out:
            for response in responses:
                for record in response.json()["content"]:
                    out.write(json.dumps(record) + "\n")
                    records += 1
        return records

    operator = HttpOperator(
        task_id="fleet",
        method="GET",
        endpoint=PATH,
        data={"page": 0, "size": PAGE},
        pagination_function=following,
        response_filter=write,
    )
    context: Any = {}
    return lambda: int(operator.execute(context))


def export_to_parquet(url: str, folder: str, concurrency: int) -> Callable[[], int]:
    """Return a run of what the operator does, with typed columns."""
    from airflow_provider_trackunit.iris.calls import make_call
    from airflow_provider_trackunit.iris.client import IrisClient
    from airflow_provider_trackunit.iris.export.export import Export
    from airflow_provider_trackunit.iris.export.formats.parquet import ParquetEncoding
    from airflow_provider_trackunit.iris.export.request import ExportRequest
    from airflow_provider_trackunit.iris.export.typed.declaring import columns_for
    from airflow_provider_trackunit.iris.http.tokens import Credentials
    from airflow_provider_trackunit.storage import FolderStore

    client = IrisClient(Credentials("client", "secret", "user", "password", auth_url=f"{url}/token"), url)
    encoding = ParquetEncoding(columns_for(PATH))
    # Start-up, which is not counted: its first use loads what it needs, pandas too where that is installed.
    encoding.join([encoding.encode(b"{}\n", None)])
    store = FolderStore.at(f"file://{folder}", None)
    request = ExportRequest(
        PATH, folder, [make_call(url, PATH)], encoding=encoding, max_concurrency=concurrency
    )
    return lambda: Export(client, request, store).run().records


def dlt_rest_api(url: str, folder: str, _concurrency: int) -> Callable[[], int]:
    """Return a dlt pipeline from its rest_api source to local JSON Lines files."""
    return _dlt(url, folder, "jsonl")


def dlt_to_parquet(url: str, folder: str, _concurrency: int) -> Callable[[], int]:
    """Return the same pipeline to Parquet files."""
    return _dlt(url, folder, "parquet")


def _dlt(url: str, folder: str, file_format: str) -> Callable[[], int]:
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    import dlt
    from dlt.sources.rest_api import rest_api_source

    source = rest_api_source(
        {
            "client": {
                "base_url": url,
                "paginator": {"type": "page_number", "base_page": 0, "total_path": "totalPages"},
            },
            "resources": [
                {
                    "name": "assets",
                    "max_table_nesting": 0,
                    "endpoint": {"path": PATH, "params": {"size": PAGE}, "data_selector": "content"},
                }
            ],
        }
    )
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=f"{folder}/state",
        destination=dlt.destinations.filesystem(bucket_url=f"file://{folder}/out"),
        dataset_name="fleet",
    )

    def run() -> int:
        pipeline.run(source, loader_file_format=file_format)
        trace = pipeline.last_trace.last_normalize_info
        return int(trace.row_counts["assets"])

    return run


def aiohttp_orjson(url: str, folder: str, concurrency: int) -> Callable[[], int]:
    """Return what a specialist would write by hand: concurrent requests and the fastest JSON library."""
    import asyncio

    import aiohttp
    import orjson

    async def everything() -> int:
        records = 0
        slots = asyncio.Semaphore(max(concurrency, 4))
        async with aiohttp.ClientSession() as session:

            async def fetch(page: int) -> dict[str, Any]:
                async with slots, session.get(f"{url}{PATH}", params={"page": page, "size": PAGE}) as answer:
                    answer.raise_for_status()
                    body: dict[str, Any] = orjson.loads(await answer.read())
                    return body

            with gzip.open(f"{folder}/all.jsonl.gz", "wb", compresslevel=GZIP_LEVEL) as out:

                def write(body: dict[str, Any]) -> int:
                    lines = b"".join(orjson.dumps(record) + b"\n" for record in body["content"])
                    out.write(lines)
                    return len(body["content"])

                first = await fetch(0)
                records += write(first)
                pages = range(1, first["totalPages"])
                for start in range(0, len(pages), max(concurrency, 4)):
                    batch = pages[start : start + max(concurrency, 4)]
                    for body in await asyncio.gather(*(fetch(page) for page in batch)):
                        records += write(body)
        return records

    return lambda: asyncio.run(everything())


CASES: dict[str, dict[str, Contender]] = {
    "lines": {
        "operator": transfer_operator,
        "requests": requests_loop,
        "HttpOperator": http_operator,
        "aiohttp": aiohttp_orjson,
        "dlt": dlt_rest_api,
    },
    "typed": {"operator": export_to_parquet, "dlt": dlt_to_parquet},
}

if __name__ == "__main__":
    run_named(CASES)
