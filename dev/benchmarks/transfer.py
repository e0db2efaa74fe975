"""What a transfer takes, side by side with what people use today.

``make bench`` prints the tables as Markdown. Nothing here fails a build: numbers are for people.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.emulator import IrisEmulator
from dev.benchmarks.contenders import LINES, PARQUET

if TYPE_CHECKING:
    from collections.abc import Iterator

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
OURS = "IrisToObjectStorageOperator"
OURS_TYPED = "typed columns"
MEASURED = "MEASURED "


@contextmanager
def stub(records: int, latency_ms: float) -> Iterator[str]:
    """Yield the URL of a stub server in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "dev.benchmarks.stub",
        f"--records={records}",
        f"--latency-ms={latency_ms}",
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None  # noqa: S101 (asked for above)
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.terminate()
        server.wait()


def measure(name: str, url: str, concurrency: int) -> dict[str, float]:
    """Return what one run of a contender took, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "AIRFLOW_HOME": f"{folder}/airflow",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        done = subprocess.run(
            [sys.executable, "-m", "dev.benchmarks.contenders", name, url, f"{folder}/out", str(concurrency)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    line = next((line for line in done.stdout.splitlines() if line.startswith(MEASURED)), None)
    if line is None:
        raise RuntimeError(f"{name} measured nothing:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    measured: dict[str, float] = json.loads(line.removeprefix(MEASURED))
    return measured


def side_by_side(names: list[str], records: int, latency_ms: float, concurrency: int, rounds: int) -> None:
    """Print medians and ratios of the contenders, which take turns in every round; the first is ours."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with stub(records, latency_ms) as url:
        for _ in range(rounds):
            for name in names:
                runs[name].append(measure(name, url, concurrency))
    ours = medians(runs[names[0]])
    print(
        f"\n{records} assets, 1000 a page, {latency_ms:.0f} ms latency, max_concurrency {concurrency}, {rounds} rounds\n"
    )
    print("| | records/s | CPU s | peak MiB over idle | we are faster | we use less CPU |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in names:
        one = medians(runs[name])
        print(
            f"| {name} | {one['records'] / one['wall_s']:,.0f} | {one['cpu_s']:.2f} | "
            f"{one['peak_mib_over_idle']:.0f} | {one['wall_s'] / ours['wall_s']:.1f}x | "
            f"{one['cpu_s'] / ours['cpu_s']:.1f}x |",
            flush=True,
        )


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each measure."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def memory(sizes: list[int]) -> None:
    """Print the peak memory of our transfer for fleets of different sizes."""
    print("\nPeak memory of a transfer with part_bytes of 64 MiB, in MiB over idle\n")
    print("| records | JSON Lines | Parquet |\n|---:|---:|---:|")
    for records in sizes:
        with stub(records, 0) as url:
            peaks = [measure(name, url, 4)["peak_mib_over_idle"] for name in (OURS, OURS_TYPED)]
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
        "parts", nargs="*", default=["throughput", "parquet", "latency", "memory", "limit", "fan-out"]
    )
    options = parser.parse_args()
    parts = {
        "throughput": lambda: side_by_side(list(LINES), 100_000, 0, 4, options.rounds),
        "parquet": lambda: side_by_side(list(PARQUET), 100_000, 0, 4, options.rounds),
        "latency": lambda: side_by_side(
            [OURS, "requests loop", "aiohttp + orjson"], 100_000, 50, 4, options.rounds
        ),
        "memory": lambda: memory([100_000, 1_000_000]),
        "limit": lambda: fleet_at_the_limit(options.rounds),
        "fan-out": lambda: fan_out(options.rounds),
    }
    for name in options.parts:
        parts[name]()


if __name__ == "__main__":
    main()
