"""A thousand waits in one event loop: what they ask of IRIS, of the loop, of memory, and whether they are on time.

``python -m dev.benchmarks.triggers`` starts an emulator in a process of its own and 1000 ``IrisTrigger`` that poll it
every 10 seconds, all at once, with asyncio's debug mode on, as a triggerer would run them (no database, no Airflow
scheduler). After 60 seconds they are cancelled. With ``--revoke`` all tokens are revoked in the middle.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import statistics
import time
import tracemalloc
from pathlib import Path
from typing import Any

from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.triggers import IrisTrigger, Timing

ASSETS = "/api/asset/v1/assets"
TRIGGERS = 1000
INTERVAL_S = 10.0
SECONDS = 60.0

#: What has to be reached: token requests, ms, KiB, s.
TARGETS = {"token requests": 1.0, "longest block": 50.0, "memory per trigger": 50.0, "p99 lateness": 1.0}


HARNESS = "the benchmark itself"


class Lateness:
    """Notes how much later than wanted each sleep of a trigger came to its end."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Sleep, and note when it ended."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        await asyncio.sleep(seconds)
        self.seconds.append(loop.time() - due)


class Collections:
    """Times the passes of Python's garbage collector, which stop every thread and count as nobody's step."""

    def __init__(self) -> None:
        self.passes: list[tuple[float, float]] = []
        self._begun = 0.0

    def __call__(self, phase: str, _info: dict[str, int]) -> None:
        """Note a pass."""
        if phase == "start":
            self._begun = time.perf_counter()
        else:
            self.passes.append((self._begun, time.perf_counter()))

    def seconds_since(self, begun: float) -> float:
        """Return how long passes took since a moment."""
        return sum(end - max(start, begun) for start, end in self.passes if end > begun)


class SlowSteps(logging.Handler):
    """Collects what asyncio's debug mode says of steps that held the loop up, without garbage collection."""

    def __init__(self, collections: Collections) -> None:
        super().__init__()
        self.steps: list[tuple[float, str]] = []
        self._collections = collections
        self.began = time.perf_counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the duration and the name of a slow step."""
        # Starting, counting and cancelling a thousand tasks is the benchmark's own step.
        own = HARNESS in str(record.args)
        if not own and isinstance(record.args, tuple) and "took" in record.msg:
            seconds = float(str(record.args[1]))
            collected = self._collections.seconds_since(time.perf_counter() - seconds)
            when = f"{time.perf_counter() - self.began:.0f} s after the start, "
            self.steps.append((seconds - collected, when + str(record.args[0])))


async def follow(number: int) -> None:
    """Run one trigger until it is cancelled."""
    trigger = IrisTrigger(
        endpoint=ASSETS,
        query_params={"size": 1},
        condition=f"totalElements > `{10**9 + number}`",
        poll_interval_s=INTERVAL_S,
        deadline_epoch_s=time.time() + 3600,
    )
    async for event in trigger.run():
        print(f"unexpected: {event}")


def resident_bytes() -> int:
    """Return the memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def run(
    iris: IrisEmulator, late: Lateness, slow: SlowSteps, *, revoke: bool, trace: bool
) -> dict[str, Any]:
    """Run the triggers, and return what was measured."""
    asyncio.get_running_loop().slow_callback_duration = 0.005
    current = asyncio.current_task()
    if current is not None:
        current.set_name(HARNESS)
    # The first one alone, so that imports count neither as memory of a thousand nor as a block: a triggerer has
    # Airflow's modules for reading a connection long since.
    first = asyncio.create_task(follow(0))
    await asyncio.sleep(3)
    slow.steps.clear()
    slow.began = time.perf_counter()
    gc.collect()
    # Passing over Airflow's own heap takes a third of a second, whoever's object was the last straw. It is set aside,
    # so that what is measured is the garbage of a thousand triggers.
    gc.freeze()
    resident, traced = resident_bytes(), tracemalloc.get_traced_memory()[0] if trace else 0
    tasks = [first, *(asyncio.create_task(follow(number)) for number in range(1, TRIGGERS))]
    await asyncio.sleep(SECONDS / 2)
    if revoke:
        await asyncio.to_thread(iris.revoke_tokens)
    await asyncio.sleep(SECONDS / 2)
    seconds = sorted(late.seconds)
    gc.collect()
    grown = resident_bytes() - resident
    traced = tracemalloc.get_traced_memory()[0] - traced if trace else 0
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "resident": grown / TRIGGERS / 1024,
        "traced": traced / TRIGGERS / 1024,
        "late": seconds,
    }


def main() -> None:
    """Measure, and print what came out and which targets were missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--revoke", action="store_true", help="revoke all tokens in the middle")
    parser.add_argument("--trace", action="store_true", help="measure memory with tracemalloc as well (slow)")
    options = parser.parse_args()
    lateness, collections = Lateness(), Collections()
    slow = SlowSteps(collections)
    gc.callbacks.append(collections)
    IrisTrigger.timing = Timing(sleep=lateness.sleep)
    logging.getLogger("asyncio").addHandler(slow)
    logging.getLogger("asyncio").setLevel(logging.WARNING)  # whatever the level of Airflow's own logs is
    logging.getLogger("asyncio").propagate = False
    with IrisEmulator.start(process=True) as iris:
        os.environ["AIRFLOW_CONN_TRACKUNIT_DEFAULT"] = iris.connection_json()
        if options.trace:
            tracemalloc.start()
        found = asyncio.run(run(iris, lateness, slow, revoke=options.revoke, trace=options.trace), debug=True)
        stats = iris.stats()
    late = found["late"]
    longest, where = max(slow.steps, default=(0.0, "nothing"))
    measured = {
        "token requests": stats["token_requests"] - options.revoke,
        "longest block": longest * 1000,
        "memory per trigger": found["traced" if options.trace else "resident"],
        "p99 lateness": statistics.quantiles(late, n=100)[98],
    }
    polls = stats["requests"] - stats["token_requests"]
    print(
        f"{TRIGGERS} triggers, every {INTERVAL_S:.0f} s, for {SECONDS:.0f} s: {polls} polls, {stats['statuses']}"
    )
    print(f"token requests      {stats['token_requests']}{' (one renewal)' if options.revoke else ''}")
    print(f"longest block       {longest * 1000:.1f} ms ({where[:160]})")
    for seconds, step in sorted(slow.steps, reverse=True)[1:6]:
        print(f"  next              {seconds * 1000:.1f} ms ({step[:200]})")
    longest_pass = max(end - start for start, end in collections.passes)
    print(f"garbage collection  {longest_pass * 1000:.1f} ms at the longest; load {os.getloadavg()[0]:.1f}")
    print(f"memory per trigger  {measured['memory per trigger']:.1f} KiB")
    print(f"p99 lateness        {measured['p99 lateness']:.3f} s (longest {late[-1]:.3f} s)")
    missed = [name for name, value in measured.items() if value > TARGETS[name]]
    if missed:
        print(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
