"""``make ui``: a real Airflow 3 with its web interface, the examples, an emulator, and the connection to it.

The parts are those of ``airflow standalone``, started one by one, because standalone opens its log servers to the
network; here everything listens on the loopback interface alone. Runs until Ctrl-C and leaves nothing running.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

from airflow import __version__ as airflow_version

from airflow_provider_trackunit.emulator import IrisEmulator
from dev.airflow_home import EXAMPLES, ROOT, AirflowCommandError, AirflowHome, interrupt_once
from dev.parts import LOOPBACK, PartFailedError, Parts, free_port

if TYPE_CHECKING:
    from pathlib import Path

HEALTHY_WITHIN_S = 180
PARTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> None:
    """Run until a signal comes.

    :raises SystemExit: with 1 when Airflow does not start or a part of it ends by itself
    """
    if airflow_version.startswith("2."):
        raise SystemExit("make ui needs Airflow 3: run make ui, or make ui AIRFLOW=3.0")
    interrupt_once()
    home = AirflowHome(ROOT / ".airflow" / f"ui-{airflow_version}")
    try:
        _say("Preparing the database ...")
        home.migrate()
        with IrisEmulator.start(assets=5000, process=True) as iris, Parts(home.path) as parts:
            _import_connection(home, iris.connection_json())
            home.run("pools", "import", str(EXAMPLES / "pools.json"), timeout_s=120)
            port = free_port()
            start_airflow(home, port, parts)
            _say("Waiting for Airflow ...")
            parts.wait_until(lambda: healthy(port) and passwords(home).exists(), "Airflow", HEALTHY_WITHIN_S)
            _say(_welcome(home, port, iris.url))
            while True:
                parts.refuse_ended()
                time.sleep(1)
    except (AirflowCommandError, PartFailedError) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        _say("\nStopped.")


def _import_connection(home: AirflowHome, connection: str) -> None:
    """Put the connection into the database, where its form can be looked at."""
    file = home.path / "connections.json"
    file.write_text(json.dumps({"trackunit_default": json.loads(connection)}))
    home.run("connections", "import", "--overwrite", str(file), timeout_s=120)
    file.unlink()


def start_airflow(home: AirflowHome, port: int, parts: Parts) -> None:
    """Start the parts of an Airflow 3 with its web interface on a port."""
    url = f"http://{LOOPBACK}:{port}"
    environment = home.environment(
        AIRFLOW__API__BASE_URL=url,
        AIRFLOW__API__HOST=LOOPBACK,
        AIRFLOW__API__PORT=str(port),
        AIRFLOW__API__WORKERS="1",
        AIRFLOW__API_AUTH__JWT_SECRET=secrets.token_hex(32),
        AIRFLOW__API__SECRET_KEY=secrets.token_hex(32),
        AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{url}/execution/",
        AIRFLOW__CORE__EXECUTOR="LocalExecutor",
        AIRFLOW__CORE__PARALLELISM="4",
        AIRFLOW__CORE__TEST_CONNECTION="Enabled",
    )
    for name, arguments in PARTS.items():
        parts.start(name, [sys.executable, "-m", "airflow", *arguments], environment)


def answers(url: str) -> bool:
    """Return whether a server on the loopback interface answers with success."""
    try:
        with _OPENER.open(url, timeout=10):
            return True
    except OSError:
        return False


def healthy(port: int) -> bool:
    """Return whether all parts of an Airflow 3 say that they are well."""
    url = f"http://{LOOPBACK}:{port}/api/v2/monitor/health"
    try:
        with _OPENER.open(url, timeout=10) as response:
            health = json.load(response)
    except (OSError, ValueError):
        return False
    names = ("metadatabase", "scheduler", "dag_processor", "triggerer")
    return all((health.get(name) or {}).get("status") == "healthy" for name in names)


def _welcome(home: AirflowHome, port: int, iris_url: str) -> str:
    user, password = next(iter(json.loads(passwords(home).read_text()).items()))
    rows = {
        "Airflow": f"http://{LOOPBACK}:{port}",
        "login": f"{user} / {password}",
        "connection": "trackunit_default, to the emulator (Admin, Connections; Test is switched on)",
        "emulator": iris_url,
        "examples": "DAGs, tag example; trigger one and let it unpause",
        "logs": str(home.path),
    }
    return (
        "\n"
        + "\n".join(f"  {name:<11} {value}" for name, value in rows.items())
        + "\n\nCtrl-C stops everything."
    )


def passwords(home: AirflowHome) -> Path:
    """Return the file in which Airflow 3 writes the passwords that it made up, by user."""
    return home.path / "simple_auth_manager_passwords.json.generated"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
