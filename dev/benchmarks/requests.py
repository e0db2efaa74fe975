"""What one request costs, and how near many of them come to what the network allows.

Side by side with what people use today and with 0.1.0 of this provider. ``make bench`` prints the tables as Markdown.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dev.benchmarks.asking import MACHINES, PAGE, PAGES, REQUESTS
from dev.benchmarks.former import FORMER, former_tree
from dev.benchmarks.measuring import Entry, in_turn, stub

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dev.benchmarks.measuring import Run

LATENCY_MS = 50
AIOHTTP = "aiohttp by hand"

# Sleeps through every latency, one after the other: once is enough.
HTTP_OPERATOR = "HttpOperator, one at a time"


def entries(case: str, former: Path | None) -> list[Entry]:
    """Return who takes part in a case, but for HttpOperator."""
    module = "dev.benchmarks.asking"
    ours: list[tuple[str, str, Path | None]] = [("IrisHook", "sync", None), ("async client", "async", None)]
    if former is not None:
        ours += [(f"IrisHook of {FORMER}", "sync", former), (f"async client of {FORMER}", "async", former)]
    others = [("requests by hand", "requests", None), (AIOHTTP, "aiohttp", None)]
    return [Entry(shown, module, case, name, tree) for shown, name, tree in (*ours, *others)]


def http_operator(case: str) -> Entry:
    """Return HttpOperator in a case."""
    return Entry(HTTP_OPERATOR, "dev.benchmarks.asking", case, "HttpOperator")


def cpu(former: Path | None, rounds: int) -> None:
    """Print the CPU of one request."""
    print(f"\nCPU of one request, one after the other; median of {rounds} rounds of {REQUESTS}\n")
    print("| | ms |\n|---|---:|")
    contenders = [*entries("one by one", former), http_operator("one by one")]
    with stub(REQUESTS, 1, 0) as url:
        for shown, run in in_turn(contenders, url, 1, rounds).items():
            print(f"| {shown} | {run.cpu_s / REQUESTS * 1000:.2f} |", flush=True)


def many(
    case: str, title: str, size: tuple[int, int], former: Path | None, *, rounds: int, at_once: int
) -> None:
    """Print how long many requests take, so many at once.

    :param size: how many requests, and how many records to each
    """
    requests, records = size
    allowed_s = requests / at_once * LATENCY_MS / 1000
    print(f"\n{title}, {LATENCY_MS} ms latency, {at_once} at once; median of {rounds} rounds. The latency ")
    print(f"allows {allowed_s:.2f} s\n")
    print(f"| | s | of what latency allows | of {AIOHTTP} | CPU s |\n|---|---:|---:|---:|---:|")
    with stub(requests * records, records, LATENCY_MS) as url:
        runs: Mapping[str, Run] = {
            **in_turn(entries(case, former), url, at_once, rounds),
            **in_turn([http_operator(case)], url, at_once, 1),
        }
    for shown, run in runs.items():
        print(
            f"| {shown} | {run.wall_s:.2f} | {run.wall_s / allowed_s:.2f}x | "
            f"{run.wall_s / runs[AIOHTTP].wall_s:.2f}x | {run.cpu_s:.2f} |",
            flush=True,
        )


def main() -> None:
    """Run everything, or the parts that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("parts", nargs="*", default=["cpu", "pages", "machines"])
    options = parser.parse_args()
    several: dict[str, int] = {"rounds": options.rounds, "at_once": options.at_once}
    with former_tree() as former:
        parts: dict[str, Callable[[], None]] = {
            "cpu": lambda: cpu(former, options.rounds),
            "pages": lambda: many(
                "pages", f"{PAGES} pages of {PAGE} assets", (PAGES, PAGE), former, **several
            ),
            "machines": lambda: many(
                "machines", f"{MACHINES} machines one by one", (MACHINES, 1), former, **several
            ),
        }
        for name in options.parts:
            parts[name]()


if __name__ == "__main__":
    main()
