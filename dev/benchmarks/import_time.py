"""``make bench``: what importing the operators adds to a DAG file that imports Airflow's BaseOperator anyway.

Each round starts two fresh interpreters, one for each import, in turn, so that a slow minute of the machine hits
both. The first round warms the disk's cache and is not counted.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

ROUNDS = 9
TARGET_MS = 50

_AIRFLOW = """
try:
    from airflow.sdk import BaseOperator
except ImportError:
    from airflow.models import BaseOperator
"""
_OURS = "import airflow_provider_trackunit.operators"

_PROGRAM = """
import time
{before}
begun = time.perf_counter()
{timed}
print((time.perf_counter() - begun) * 1000)
"""


def main() -> None:
    """Print the medians."""
    with tempfile.TemporaryDirectory(prefix="airflow-home-") as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        environment |= {"AIRFLOW_HOME": home}
        rounds = [
            (_milliseconds("", _AIRFLOW, environment), _milliseconds(_AIRFLOW, _OURS, environment))
            for _ in range(ROUNDS + 1)
        ][1:]
    airflow, ours = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(f"Airflow's BaseOperator:                         {airflow:7.0f} ms")
    print(f"airflow_provider_trackunit.operators after it:  {ours:7.0f} ms (target: at most {TARGET_MS} ms)")
    print(f"Medians of {ROUNDS} rounds of fresh interpreters.")


def _milliseconds(before: str, timed: str, environment: dict[str, str]) -> float:
    program = _PROGRAM.format(before=before, timed=timed)
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(result.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
