"""The ways to bring a collection into files that ``transfer`` compares, each as a user would write it.

Every one reads the same pages from the same server, and those of JSON Lines write with the same gzip level. Run as a process of its
own, ``python -m dev.benchmarks.contenders NAME URL FOLDER CONCURRENCY``, one prints its wall and CPU seconds and its
peak memory as JSON; imports and start-up are not counted.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

GZIP_LEVEL = 1
PATH = "/api/asset/v1/assets"
PAGE = 1000


def transfer_operator(url: str, folder: str, concurrency: int) -> Callable[[], int]:
    """Return a run of this provider's operator, with all that it does: token, checkpoint, manifest."""
    from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

    stored = {
        "conn_type": "trackunit",
        "host": url,
        "login": "user",
        "password": "password",
        "extra": {"client_id": "client", "client_secret": "secret", "auth_url": f"{url}/token"},
    }
    os.environ["AIRFLOW_CONN_TRACKUNIT_DEFAULT"] = json.dumps(stored)
    operator = IrisToObjectStorageOperator(
        task_id="fleet", endpoint=PATH, output_path=f"file://{folder}", max_concurrency=concurrency
    )
    context: Any = {"ti": SimpleNamespace(dag_id="d", task_id="fleet", run_id="r", map_index=-1)}
    # Start-up, which is not counted: the modules, and the look-up of installed file systems.
    from airflow_provider_trackunit._compat import object_storage_path

    assert object_storage_path(f"file://{folder}", None).fs  # noqa: S101 (its first use loads what it needs)
    return lambda: int(operator.execute(context)["records"])


def requests_loop(url: str, folder: str, concurrency: int) -> Callable[[], int]:  # noqa: ARG001 (has none)
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


def http_operator(url: str, folder: str, concurrency: int) -> Callable[[], int]:  # noqa: ARG001 (has none)
    """Return a run of the HTTP provider's operator with a pagination function."""
    from airflow.providers.http.operators.http import HttpOperator

    host, port = url.removeprefix("http://").split(":")
    os.environ["AIRFLOW_CONN_HTTP_DEFAULT"] = json.dumps(
        {"conn_type": "http", "host": host, "port": int(port), "schema": "http"}
    )

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
    from airflow_provider_trackunit.iris.export.export import export_pages
    from airflow_provider_trackunit.iris.export.formats.parquet import ParquetEncoding
    from airflow_provider_trackunit.iris.export.request import ExportRequest
    from airflow_provider_trackunit.iris.export.typed.declaring import columns_for
    from airflow_provider_trackunit.iris.http.tokens import Credentials
    from airflow_provider_trackunit.storage import FolderStore

    client = IrisClient(Credentials("client", "secret", "user", "password", auth_url=f"{url}/token"), url)
    encoding = ParquetEncoding(columns_for(PATH))
    encoding.join([])  # start-up, which is not counted: its first use loads what it needs
    store = FolderStore.at(f"file://{folder}", None)
    request = ExportRequest(
        PATH, folder, [make_call(url, PATH)], encoding=encoding, max_concurrency=concurrency
    )
    return lambda: export_pages(client, request, store).records


def dlt_rest_api(url: str, folder: str, concurrency: int) -> Callable[[], int]:  # noqa: ARG001 (has none)
    """Return a dlt pipeline from its rest_api source to local JSON Lines files."""
    return _dlt(url, folder, "jsonl")


def dlt_to_parquet(url: str, folder: str, concurrency: int) -> Callable[[], int]:  # noqa: ARG001 (has none)
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


LINES: dict[str, Callable[[str, str, int], Callable[[], int]]] = {
    "IrisToObjectStorageOperator": transfer_operator,
    "requests loop": requests_loop,
    "HttpOperator": http_operator,
    "dlt rest_api": dlt_rest_api,
    "aiohttp + orjson": aiohttp_orjson,
}
PARQUET: dict[str, Callable[[str, str, int], Callable[[], int]]] = {
    "typed columns": export_to_parquet,
    "dlt rest_api to Parquet": dlt_to_parquet,
}
CONTENDERS = LINES | PARQUET


def rss_mib() -> float:
    """Return the memory of this process now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    """Run one contender and print what it took."""
    name, url, folder, concurrency = sys.argv[1:5]
    Path(folder).mkdir(parents=True, exist_ok=True)
    run = CONTENDERS[name](url, folder, int(concurrency))
    idle_mib = rss_mib()
    began, cpu_began = time.perf_counter(), time.process_time()
    records = run()
    measured = {
        "records": records,
        "wall_s": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu_began,
        "peak_mib_over_idle": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - idle_mib,
    }
    print("MEASURED " + json.dumps(measured))


if __name__ == "__main__":
    main()
