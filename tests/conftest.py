"""Every test session has an Airflow home of its own, which is gone afterwards.

The settings are made here, before anything imports Airflow, because Airflow reads them while it is imported.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from dev.airflow_home import AirflowHome

_AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="airflow-home-"))

for _name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[_name]
os.environ |= {
    "AIRFLOW_HOME": str(_AIRFLOW_HOME),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(_AIRFLOW_HOME / "dags"),
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
    # A warning of Airflow 2.11 about itself, given on every import of a trigger.
    "AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY": "True",
    # A proxy of the machine has no business between a test and its own loopback server.
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}

# How many examples a property gets; a state machine, whose examples are long, divides it by twenty. A gate must not fail by
# chance, so under CI the examples are always the same; elsewhere each run tries new ones, and says how to try a
# failing one again.
settings.register_profile(
    "commit",
    max_examples=200,
    stateful_step_count=15,
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
)
settings.register_profile(
    "nightly", max_examples=10_000, stateful_step_count=15, deadline=None, print_blob=True
)
# Two thousand sequences of a state machine, each twice as long.
settings.register_profile(
    "sequences", max_examples=40_000, stateful_step_count=30, deadline=None, print_blob=True
)
settings.register_profile("fleets", max_examples=1_000, deadline=None, print_blob=True)
settings.load_profile("commit")


# Beside the Airflow that made it: an environment that is made anew has none.
_MIGRATED = Path(sys.prefix) / "migrated-airflow-home"


@pytest.fixture(scope="session")
def migrated_home(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    """Return a home with an empty database, to be copied by what runs a DAG."""
    home = AirflowHome(_MIGRATED)
    # Every worker of every session wants one, and to make it takes ten seconds of CPU.
    with _MIGRATED.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        home.migrate()
    return home.copied(tmp_path_factory.mktemp("airflow") / "migrated")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the Airflow home."""
    shutil.rmtree(_AIRFLOW_HOME, ignore_errors=True)
