"""``python -m tests.system [scenario ...]``: what waits, in a real Airflow, through all that may happen to it.

The Airflow is that of the environment (2.11 and later), with a real triggerer; its database is SQLite in a scratch
folder. A line for each scenario says what was observed; the end is 1 when one of them failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dev.airflow_home import EXAMPLES, AirflowCommandError, AirflowHome, interrupt_once
from dev.parts import Parts
from tests.system.examples import EXAMPLE_DAGS, OUR_DAGS, examples_run, gather_dags
from tests.system.hooks import async_tasks
from tests.system.live import AIRFLOW, AIRFLOW_VERSION, HAS_REST_API_OF_3, Iris, LiveAirflow, ScenarioError
from tests.system.secrets import nothing_told
from tests.system.transfers import transfers_interrupted
from tests.system.waits import iris_down, rescheduled, triggerer_killed
from tests.system.watcher import watched
from tests.system.webhooks import webhook_received

if TYPE_CHECKING:
    from collections.abc import Callable

    Scenario = Callable[[LiveAirflow, Iris], str]

SCENARIOS: dict[str, Scenario] = {
    "triggerer-killed": triggerer_killed,
    **({"rescheduled": rescheduled} if AIRFLOW_VERSION >= (3, 4) else {}),
    "iris-down": iris_down,
    "transfers": transfers_interrupted,
    **({"async": async_tasks} if AIRFLOW_VERSION >= (3, 2) else {}),
    **({"watcher": watched, "webhook": webhook_received} if HAS_REST_API_OF_3 else {}),
    "examples": examples_run,
    "secrets": nothing_told,
}


def main() -> None:
    """Run all scenarios, or those that are named.

    :raises SystemExit: with 1 when one failed
    """
    parser = argparse.ArgumentParser(prog="python -m tests.system", description=__doc__)
    parser.add_argument("scenario", nargs="*", help=f"one of {', '.join(SCENARIOS)}; without any, all")
    wanted = parser.parse_args().scenario or list(SCENARIOS)
    unknown = set(wanted) - set(SCENARIOS)
    if unknown:
        parser.error(f"not on Airflow {AIRFLOW}: {', '.join(sorted(unknown))}")
    interrupt_once()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="airflow-system-", ignore_cleanup_errors=True) as folder:
        dags = Path(folder) / "dags"
        gather_dags(dags)
        home = AirflowHome(Path(folder) / "home", dags)
        home.migrate()
        home.run("pools", "import", str(EXAMPLES / "pools.json"), timeout_s=120)
        with Iris() as iris, Parts(home.path) as parts:
            airflow = LiveAirflow(home, parts, log_level="DEBUG" if "secrets" in wanted else "INFO")
            failed = not _passes("start", _started, airflow, iris)
            if not failed:
                # All of them, so that one run shows everything that is wrong.
                passed = [_passes(name, SCENARIOS[name], airflow, iris) for name in wanted]
                failed = not all(passed)
    _say(f"{'FAILED' if failed else 'all good'} after {time.monotonic() - begun:.0f} s")
    if failed:
        raise SystemExit(1)


def _started(airflow: LiveAirflow, iris: Iris) -> str:
    airflow.start(iris.handle.connection_json(), [*OUR_DAGS, *EXAMPLE_DAGS])
    return f"healthy, {len(OUR_DAGS) + len(EXAMPLE_DAGS)} DAGs"


def _passes(name: str, scenario: Scenario, airflow: LiveAirflow, iris: Iris) -> bool:
    begun = time.monotonic()
    try:
        observed = scenario(airflow, iris)
    except (ScenarioError, AirflowCommandError, OSError, ValueError) as error:
        _say(f"{name}: FAILED after {time.monotonic() - begun:.0f} s: {error}\n{airflow.logs()}")
        return False
    _say(f"{name}: {time.monotonic() - begun:.0f} s: {observed}")
    return True


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} Airflow {AIRFLOW}: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
