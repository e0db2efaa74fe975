"""Every mode fails in a real Airflow at DEBUG, one of them in the triggerer, and nothing of its home tells a secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.secrets.needles import CLIENT_SECRET, PASSWORD, QUERY, found_under
from tests.system.live import demand

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.live import Iris, LiveAirflow

DAG = "secrets_failing"
CONNECTIONS = "secrets-connections.json"
# The query is an argument of the task. At DEBUG the supervisor of Airflow 3 logs the arguments of a trigger, and they
# are stored with it; no credential is among them.
HOLDS_ARGUMENTS = ("scheduler.log", "airflow.db", "airflow.db-wal")


def nothing_told(airflow: LiveAirflow, iris: Iris) -> str:
    """Let the API repeat all that it is sent, to every mode, and search the home of Airflow."""
    handle = iris.handle
    before = {"client_secret": handle.client_secret, "password": handle.password}
    handle.use_credentials(client_secret=CLIENT_SECRET, password=PASSWORD)
    file = airflow.home.path / CONNECTIONS
    _store(airflow, file, trackunit_default=json.loads(handle.connection_json()))
    try:
        # The endpoint of one sensor is left alone until it waits in the triggerer.
        handle.hostile("echo", path="/api/asset/v1/")
        airflow.run(DAG)
        airflow.wait_until(lambda: "deferred" in airflow.states(DAG), "the deferral", 240)
        handle.hostile("echo", path="/api/asset/")
        airflow.wait_until(lambda: airflow.is_over(DAG), "the end of all tasks", 240)
    finally:
        handle.hostile(None)
        handle.use_credentials(**before)
        _store(airflow, file, trackunit_default=json.loads(handle.connection_json()))
    states = airflow.states(DAG)
    demand(states.count("failed") >= len(states) - 1, f"not all failed: {states}")
    file.unlink()
    found = found_under(airflow.home.path)
    told = {
        place: set(names) - ({"query"} if place in HOLDS_ARGUMENTS else set())
        for place, names in found.items()
    }
    told = {place: names for place, names in told.items() if names}
    demand(not told, f"told: {told}")
    logs = sum(1 for _ in airflow.home.path.rglob("*.log"))
    return (
        f"{len(states)} tasks, {states.count('failed')} failed, one of them in the triggerer; "
        f"{logs} logs and all tables searched"
    )


def _store(airflow: LiveAirflow, file: Path, **connections: object) -> None:
    signature = {"conn_type": "generic", "password": QUERY}
    file.write_text(json.dumps({**connections, "signature": signature}))
    airflow.home.run("connections", "import", "--overwrite", str(file), timeout_s=120)
