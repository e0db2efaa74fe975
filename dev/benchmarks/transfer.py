"""What a transfer takes, side by side with what people use today.

``make bench`` prints the tables as Markdown. Nothing here fails a build: numbers are for people.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.emulator import IrisEmulator
from dev.benchmarks.former import FORMER, former_tree
from dev.benchmarks.measuring import Entry, in_turn, measure, stub

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
PAGE = 1000
RECORDS, LARGE = 100_000, 1_000_000
CONTENDERS = "dev.benchmarks.bringing"
OURS = Entry("IrisToObjectStorageOperator", CONTENDERS, "lines", "operator")
TYPED = Entry("typed columns", CONTENDERS, "typed", "operator")
REQUESTS = Entry("requests by hand", CONTENDERS, "lines", "requests")
HTTP_OPERATOR = Entry("HttpOperator", CONTENDERS, "lines", "HttpOperator")
AIOHTTP = Entry("aiohttp + orjson by hand", CONTENDERS, "lines", "aiohttp")
DLT = Entry("dlt rest_api", CONTENDERS, "lines", "dlt")
DLT_TYPED = Entry("dlt rest_api to Parquet", CONTENDERS, "typed", "dlt")


def of_former(tree: Path | None) -> list[Entry]:
    """Return our operator as it was, where its tree is at hand."""
    if tree is None:
        return []
    return [Entry(f"the same in {FORMER}", CONTENDERS, "lines", "operator", tree)]


def side_by_side(entries: Sequence[Entry], rounds: int, *, latency_ms: float = 0, at_once: int = 4) -> None:
    """Print medians and ratios of the contenders; the first is ours."""
    print(f"\n{RECORDS:,} assets, {PAGE} a page, {latency_ms:.0f} ms latency, {at_once} at once; ", end="")
    print(f"median of {rounds} rounds\n")
    print("| | s | records/s | CPU s | peak MiB over idle | we are faster | we use less CPU |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with stub(RECORDS, PAGE, latency_ms) as url:
        runs = in_turn(entries, url, at_once, rounds)
    ours = runs[entries[0].shown]
    for shown, run in runs.items():
        print(
            f"| {shown} | {run.wall_s:.2f} | {run.done / run.wall_s:,.0f} | {run.cpu_s:.2f} | "
            f"{run.peak_mib_over_idle:.0f} | {run.wall_s / ours.wall_s:.1f}x | {run.cpu_s / ours.cpu_s:.1f}x |",
            flush=True,
        )


def at_once(rounds: int, latency_ms: float = 50) -> None:
    """Print what our transfer gains from more requests on their way at once."""
    print(f"\n{RECORDS:,} assets, {PAGE} a page, {latency_ms:.0f} ms latency; median of {rounds} rounds\n")
    print("| max_concurrency | s | records/s | CPU s | peak MiB over idle |\n|---:|---:|---:|---:|---:|")
    with stub(RECORDS, PAGE, latency_ms) as url:
        for number in (1, 2, 4, 8, 16, 32):
            run = in_turn([OURS], url, number, rounds)[OURS.shown]
            print(
                f"| {number} | {run.wall_s:.2f} | {run.done / run.wall_s:,.0f} | {run.cpu_s:.2f} | "
                f"{run.peak_mib_over_idle:.0f} |",
                flush=True,
            )


def memory() -> None:
    """Print the peak memory of our transfer for fleets of different sizes."""
    print("\nPeak memory of a transfer with part_bytes of 64 MiB, in MiB over idle\n")
    print("| records | JSON Lines | Parquet |\n|---:|---:|---:|")
    for records in (RECORDS, LARGE):
        with stub(records, PAGE, 0) as url:
            peaks = [measure(entry, url, 4).peak_mib_over_idle for entry in (OURS, TYPED)]
        print(f"| {records:,} | {peaks[0]:.0f} | {peaks[1]:.0f} |", flush=True)


def run_here(iris: IrisEmulator, **arguments: Any) -> tuple[dict[str, Any], float]:
    """Return the manifest and the seconds of a transfer in this process."""
    from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

    os.environ["AIRFLOW_CONN_TRACKUNIT_DEFAULT"] = iris.connection_json()
    with tempfile.TemporaryDirectory() as folder:
        operator = IrisToObjectStorageOperator(task_id="t", output_path=f"file://{folder}", **arguments)
        operator.hook.get_conn()
        context: Any = {"ti": SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1)}
        began = time.perf_counter()
        manifest = operator.execute(context)
        return manifest, time.perf_counter() - began


def fleet_at_the_limit(rounds: int) -> None:
    """Print how near a crawl of 300 AEMP pages comes to the permitted 50 pages a second."""
    with IrisEmulator.start(assets=37_500, process=True) as iris:
        rates, refused = [], 0
        for _ in range(rounds):
            iris.reset()
            manifest, seconds = run_here(iris, endpoint=FLEET, max_concurrency=4)
            rates.append(manifest["requests"] / seconds)
            refused += iris.stats()["rate_limited"]
    rate = statistics.median(rates)
    print(
        f"\nAEMP fleet of {manifest['requests']} pages, limit 50 pages/s, {rounds} rounds: median {rate:.1f} pages/s, "
    )
    print(f"{rate / 50:.0%} of the permitted rate, {refused} requests refused with 429")


def fan_out(rounds: int) -> None:
    """Print how near a fan-out over 1000 machines comes to what latency and limit allow."""
    latency_s, concurrency, limit_per_s, count = 0.05, 32, 500, 1000
    with IrisEmulator.start(assets=1500, process=True) as iris:
        fleet, _ = run_fleet(iris)
        items = [{"pin": pin} for pin in fleet][:count]
        times = []
        for _ in range(rounds):
            iris.reset()
            iris.settings(latency_ms=latency_s * 1000)
            _, seconds = run_here(
                iris,
                endpoint=f"{FLEET}/Equipment/ID/{{pin}}/CumulativeOperatingHours/2026-01-14T00:00:00Z/2026-01-15T00:00:00Z",
                path_params=items,
                max_concurrency=concurrency,
            )
            times.append(seconds)
    allowed = max(len(items) / concurrency * latency_s, len(items) / limit_per_s)
    median = statistics.median(times)
    print(
        f"\nFan-out over {len(items)} machines, 50 ms latency, {concurrency} at a time, limit 500/s, {rounds} rounds: "
        f"median {median:.2f} s; latency and limit allow {allowed:.2f} s ({median / allowed:.2f}x)"
    )


def run_fleet(iris: IrisEmulator) -> tuple[list[str], int]:
    """Return the PINs of the fleet."""
    from airflow_provider_trackunit.hooks import IrisHook

    os.environ["AIRFLOW_CONN_TRACKUNIT_DEFAULT"] = iris.connection_json()
    records = list(IrisHook().records(FLEET))
    pins = [record["EquipmentHeader"].get("PIN") for record in records]
    return [pin for pin in pins if pin], len(records)


def main() -> None:
    """Run everything, or the parts that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "parts",
        nargs="*",
        default=["throughput", "parquet", "latency", "at once", "memory", "limit", "fan-out"],
    )
    options = parser.parse_args()
    rounds = options.rounds
    with former_tree() as tree:
        former = of_former(tree)
        parts: dict[str, Callable[[], None]] = {
            "throughput": lambda: side_by_side(
                [OURS, *former, REQUESTS, HTTP_OPERATOR, AIOHTTP, DLT], rounds
            ),
            "parquet": lambda: side_by_side([TYPED, DLT_TYPED], rounds),
            "latency": lambda: side_by_side([OURS, *former, REQUESTS, AIOHTTP], rounds, latency_ms=50),
            "at once": lambda: at_once(rounds),
            "memory": memory,
            "limit": lambda: fleet_at_the_limit(rounds),
            "fan-out": lambda: fan_out(rounds),
        }
        for name in options.parts:
            parts[name]()


if __name__ == "__main__":
    main()
