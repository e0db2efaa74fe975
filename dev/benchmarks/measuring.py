"""How contenders are measured: each run in a process of its own, in turn, against a stub server in another.

What a contender needs before its first request (imports, a connection that is read) is made ready before the clock
starts. A module of contenders is a program: ``python -m dev.benchmarks.asking CASE NAME URL AT_ONCE`` prints one run.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    # Takes the URL of the server, a folder to write into and how many requests may be on their way at once; what it
    # returns does the work, and says how much there was.
    Contender = Callable[[str, str, int], Callable[[], int]]

_ROOT = Path(__file__).parents[2]
_MEASURED = "MEASURED "


class Run(NamedTuple):
    """What one run took."""

    done: float
    wall_s: float
    cpu_s: float
    peak_mib_over_idle: float


class Entry(NamedTuple):
    """A contender as a table names it.

    :param case: the name of its case, and
    :param name: its own, in the module
    :param module: of contenders
    :param tree: the folder of another edition of this provider; None for this one
    """

    shown: str
    module: str
    case: str
    name: str
    tree: Path | None = None


@contextmanager
def stub(records: int, size: int, latency_ms: float) -> Iterator[str]:
    """Yield the URL of a stub server."""
    command = [
        *(sys.executable, "-m", "dev.benchmarks.stub"),
        *(f"--records={records}", f"--size={size}", f"--latency-ms={latency_ms}"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None  # noqa: S101 (asked for above)
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def measure(entry: Entry, url: str, at_once: int) -> Run:
    """Return what one run of a contender took.

    :raises RuntimeError: when it came to no end
    """
    with tempfile.TemporaryDirectory() as folder:
        # A program finds packages where it was started first: that decides which edition is measured.
        environment = {
            **os.environ,
            "PYTHONPATH": str(_ROOT),
            "AIRFLOW_HOME": f"{folder}/airflow",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        done = subprocess.run(
            [sys.executable, "-m", entry.module, entry.case, entry.name, url, f"{folder}/out", str(at_once)],
            cwd=entry.tree or _ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    line = next((line for line in done.stdout.splitlines() if line.startswith(_MEASURED)), None)
    if line is None:
        raise RuntimeError(f"{entry.shown} measured nothing:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return Run(*json.loads(line.removeprefix(_MEASURED)))


def in_turn(entries: Sequence[Entry], url: str, at_once: int, rounds: int) -> dict[str, Run]:
    """Return the medians of every contender; they take turns in each round, so that a slow minute hits all."""
    runs: dict[str, list[Run]] = {entry.shown: [] for entry in entries}
    for _ in range(rounds):
        for entry in entries:
            runs[entry.shown].append(measure(entry, url, at_once))
    return {shown: Run(*map(statistics.median, zip(*taken, strict=True))) for shown, taken in runs.items()}


def connect(url: str) -> None:
    """Make the stub server the default connection of this process, of this provider and of Airflow's HTTP provider."""
    iris = {
        "conn_type": "trackunit",
        "host": url,
        "login": "user",
        "password": "password",
        "extra": {"client_id": "client", "client_secret": "secret", "auth_url": f"{url}/token"},
    }
    host, port = url.removeprefix("http://").split(":")
    http = {"conn_type": "http", "host": host, "port": int(port), "schema": "http"}
    os.environ["AIRFLOW_CONN_TRACKUNIT_DEFAULT"] = json.dumps(iris)
    os.environ["AIRFLOW_CONN_HTTP_DEFAULT"] = json.dumps(http)


def run_named(cases: Mapping[str, Mapping[str, Contender]]) -> None:
    """Run the contender that the command line names, and print what it took."""
    case, name, url, folder, at_once = sys.argv[1:6]
    Path(folder).mkdir(parents=True, exist_ok=True)
    connect(url)
    run = cases[case][name](url, folder, int(at_once))
    idle_mib = _rss_mib()
    began, cpu_began = time.perf_counter(), time.process_time()
    done = run()
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(_MEASURED + json.dumps([done, wall_s, cpu_s, peak_mib - idle_mib]))


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20
