"""``make demo``: a whole fleet out of a local IRIS, through a real Airflow.

Starts the emulator, runs ``example_dags/iris_fleet_snapshot.py`` with ``airflow dags test`` on SQLite, and prints
what came. Nothing is left running, however it ends.
"""

from __future__ import annotations

import json
import time
from typing import Any

from airflow import __version__ as airflow_version

from airflow_provider_trackunit import __version__
from airflow_provider_trackunit.emulator import IrisEmulator
from dev.airflow_home import ROOT, AirflowCommandError, AirflowHome, TaskRun, interrupt_once

ASSETS = 5000
DAG = "iris_fleet_snapshot"
LOG = ROOT / ".airflow" / "demo.log"


def main() -> None:
    """Run the demo.

    :raises SystemExit: when the DAG failed; the log of Airflow is printed first
    """
    interrupt_once()
    home = AirflowHome(ROOT / ".airflow" / f"demo-{airflow_version}")
    try:
        _say(f"Airflow {airflow_version} on SQLite: {home.path.relative_to(ROOT)}")
        home.migrate()
        with IrisEmulator.start(assets=ASSETS, process=True) as iris:
            _say(f"IRIS emulator with {ASSETS} assets: {iris.url}")
            _say(f"airflow dags test {DAG}")
            begun = time.monotonic()
            tasks = home.test_dag(DAG, iris.connection_json())
            seconds = time.monotonic() - begun
            print(_report(tasks, iris, seconds))
    except AirflowCommandError as error:
        LOG.write_text(str(error))
        _say(f"{error}\n\nThe demo failed. What Airflow printed is above, and in {LOG.relative_to(ROOT)}.")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit("Stopped.") from None


def _report(tasks: dict[str, TaskRun], iris: IrisEmulator, seconds: float) -> str:
    summary: dict[str, Any] = tasks["summarise"].result
    asked = iris.requests("/Fleet/")
    stats = iris.stats()
    times = [request["at"] for request in iris.requests()]
    rows = {
        "records": f"{len(tasks['machines'].result)} machines of a fleet of {ASSETS} assets, "
        f"{summary['with_position']} with a position",
        "pages": f"{len(asked)} of at most 100 machines",
        "token requests": stats["token_requests"],
        "refused (429)": stats["rate_limited"],
        "seconds": f"{max(times) - min(times):.1f} between the first request and the last, "
        f"{seconds:.1f} with Airflow's start and end",
    }
    lines = [f"airflow-provider-trackunit {__version__} extracted:", ""]
    lines += [f"  {name:<15} {value}" for name, value in rows.items()]
    first = json.dumps(summary["first"], indent=2, ensure_ascii=False)
    lines += ["", "The first record:", "", *(f"  {line}" for line in first.splitlines()), ""]
    lines += ["Everything is stopped. Next: make ui, or the README for your own account."]
    return "\n" + "\n".join(lines)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
