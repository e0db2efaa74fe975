"""``make ui``: a real Airflow with its web interface, the examples, an emulator, and the connection to it.

The parts are those of ``airflow standalone``, started one by one, because standalone opens its log servers to the
network; here everything listens on the loopback interface alone. Runs until Ctrl-C and leaves nothing running.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow import __version__ as airflow_version

from airflow_provider_trackunit.connection import hidden_fields
from airflow_provider_trackunit.emulator import IrisEmulator
from dev.airflow_home import EXAMPLES, ROOT, AirflowCommandError, AirflowHome, interrupt_once
from dev.parts import LOOPBACK, PartFailedError, Parts, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HEALTHY_WITHIN_S = 180
PARTS_OF_2 = {
    "webserver": ["webserver"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
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
    interrupt_once()
    home = AirflowHome(ROOT / ".airflow" / f"ui-{airflow_version}")
    try:
        _say("Preparing the database ...")
        home.migrate()
        with IrisEmulator.start(assets=5000, process=True) as iris, Parts(home.path) as parts:
            store_connection(home, iris.connection_json())
            home.run("pools", "import", str(EXAMPLES / "pools.json"), timeout_s=120)
            _say("Starting Airflow ...")
            _say(_welcome(home, started(home, parts), iris))
            while True:
                parts.refuse_ended()
                time.sleep(1)
    except (AirflowCommandError, PartFailedError) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        _say("\nStopped.")


def store_connection(home: AirflowHome, connection: str) -> None:
    """Put the connection into the database, where its form can be looked at and its test be pressed."""
    stored = json.loads(connection)
    if "port" not in hidden_fields():
        # Where the test works with a port of its own only.
        stored["host"], _, port = stored["host"].rpartition(":")
        stored["port"] = int(port)
    file = home.path / "connections.json"
    file.write_text(json.dumps({"trackunit_default": stored}))
    home.run("connections", "import", "--overwrite", str(file), timeout_s=120)
    file.unlink()


@dataclass(frozen=True)
class Access:
    """Where a web interface is, and who may enter."""

    url: str
    user: str
    password: str


def started(home: AirflowHome, parts: Parts) -> Access:
    """Start an Airflow with its web interface, and wait until it is well."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    if airflow_version.startswith("2."):
        access = _start_airflow_2(home, url, parts)
        parts.wait_until(lambda: answers(f"{url}/health"), "Airflow", HEALTHY_WITHIN_S)
        return access
    _start_airflow_3(home, url, parts)
    parts.wait_until(lambda: healthy(port) and passwords(home).exists(), "Airflow", HEALTHY_WITHIN_S)
    return Access(url, *next(iter(json.loads(passwords(home).read_text()).items())))


def _start_airflow_2(home: AirflowHome, url: str, parts: Parts) -> Access:
    access = Access(url, "admin", secrets.token_urlsafe(16))
    who = ["--role", "Admin", "--firstname", "Ada", "--lastname", "Min", "--email", "admin@example.com"]
    # Of an earlier start, with another password.
    with suppress(AirflowCommandError):
        home.run("users", "delete", "--username", access.user, timeout_s=120)
    home.run("users", "create", "--username", access.user, "--password", access.password, *who, timeout_s=120)
    environment = home.environment(
        AIRFLOW__WEBSERVER__BASE_URL=url,
        AIRFLOW__WEBSERVER__SECRET_KEY=secrets.token_hex(32),
        AIRFLOW__WEBSERVER__WEB_SERVER_HOST=LOOPBACK,
        AIRFLOW__WEBSERVER__WEB_SERVER_PORT=url.rpartition(":")[2],
        AIRFLOW__WEBSERVER__WORKERS="1",
        # On a busy machine it miscounts its own workers, waits for the right number, and then ends itself.
        AIRFLOW__WEBSERVER__WEB_SERVER_MASTER_TIMEOUT="0",
        AIRFLOW__CORE__TEST_CONNECTION="Enabled",
    )
    _start_parts(PARTS_OF_2, environment, parts)
    return access


def _start_airflow_3(home: AirflowHome, url: str, parts: Parts) -> None:
    environment = home.environment(
        AIRFLOW__API__BASE_URL=url,
        AIRFLOW__API__HOST=LOOPBACK,
        AIRFLOW__API__PORT=url.rpartition(":")[2],
        AIRFLOW__API__WORKERS="1",
        AIRFLOW__API_AUTH__JWT_SECRET=secrets.token_hex(32),
        AIRFLOW__API__SECRET_KEY=secrets.token_hex(32),
        AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{url}/execution/",
        AIRFLOW__CORE__EXECUTOR="LocalExecutor",
        AIRFLOW__CORE__PARALLELISM="4",
        AIRFLOW__CORE__TEST_CONNECTION="Enabled",
    )
    _start_parts(PARTS, environment, parts)


def _start_parts(commands: Mapping[str, list[str]], environment: Mapping[str, str], parts: Parts) -> None:
    for name, arguments in commands.items():
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


def _welcome(home: AirflowHome, access: Access, iris: IrisEmulator) -> str:
    rows = {
        "Airflow": access.url,
        "login": f"{access.user} / {access.password}",
        "connection": "trackunit_default, to the emulator (Admin, Connections; Test is switched on)",
        **_secrets_to_type(json.loads(iris.connection_json())),
        "emulator": iris.url,
        "examples": "DAGs, tag example; trigger one and let it unpause",
        "logs": str(home.path),
    }
    return (
        "\n"
        + "\n".join(f"  {name:<11} {value}" for name, value in rows.items())
        + "\n\nCtrl-C stops everything."
    )


def _secrets_to_type(connection: dict[str, Any]) -> dict[str, str]:
    """Return what Airflow 2 wants again before it tests a stored connection: its form does not fill in a secret."""
    if not airflow_version.startswith("2."):
        return {}
    secret = connection["extra"]["client_secret"]
    return {
        "to test it": f"type API password {connection['password']} and Client secret {secret} again first"
    }


def passwords(home: AirflowHome) -> Path:
    """Return the file in which Airflow 3 writes the passwords that it made up, by user."""
    return home.path / "simple_auth_manager_passwords.json.generated"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
