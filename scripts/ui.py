"""``make ui``: a real Airflow 3 with its web interface, the examples, an emulator, and the connection to it.

The parts are those of ``airflow standalone``, started one by one, because standalone opens its log servers to the
network; here everything listens on the loopback interface alone. Runs until Ctrl-C and leaves nothing running.
"""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

import psutil  # type: ignore[import-untyped,unused-ignore] # comes with Airflow, its types may not
from airflow import __version__ as airflow_version

from airflow_provider_trackunit.emulator import IrisEmulator
from scripts.airflow_home import ROOT, AirflowCommandError, AirflowHome, interrupt_once

if TYPE_CHECKING:
    from pathlib import Path

HEALTHY_WITHIN_S = 180
STOPPED_WITHIN_S = 20
LOOPBACK = "127.0.0.1"
PARTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class PartFailedError(Exception):
    """A part of Airflow ended, or did not become healthy; the text says which and where its log is."""


def main() -> None:
    """Run until a signal comes.

    :raises SystemExit: with 1 when Airflow does not start or a part of it ends by itself
    """
    if airflow_version.startswith("2."):
        raise SystemExit("make ui needs Airflow 3: run make ui, or make ui AIRFLOW=3.0")
    interrupt_once()
    home = AirflowHome(ROOT / ".airflow" / f"ui-{airflow_version}")
    try:
        with ExitStack() as running:
            _say("Preparing the database ...")
            home.migrate()
            iris = running.enter_context(IrisEmulator.start(assets=5000, process=True))
            _import_connection(home, iris.connection_json())
            port = _free_port()
            parts = _start(home, port, running)
            _say("Waiting for Airflow ...")
            _wait_until_healthy(port, parts, home)
            _say(_welcome(home, port, iris.url))
            _watch(parts, home)
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


def _start(home: AirflowHome, port: int, running: ExitStack) -> dict[str, subprocess.Popen[bytes]]:
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
    parts: dict[str, subprocess.Popen[bytes]] = {}
    running.callback(_stop, parts)
    for name, arguments in PARTS.items():
        log = running.enter_context(_log(home, name).open("wb"))
        parts[name] = _start_part(arguments, environment, log)
    return parts


def _start_part(arguments: list[str], environment: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own commands
        [sys.executable, "-m", "airflow", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        # Ctrl-C is for this script, which stops the parts itself.
        start_new_session=True,
    )


def _stop(parts: dict[str, subprocess.Popen[bytes]]) -> None:
    """End the parts and every process under them; those that linger are killed."""
    family = [process for part in parts.values() for process in _family(part.pid)]
    for part in parts.values():
        part.terminate()
    deadline = time.monotonic() + STOPPED_WITHIN_S
    for part in parts.values():
        try:
            part.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            part.kill()
            part.wait()
    # A process id that went to somebody else meanwhile is not "running" in the eyes of psutil.
    for process in psutil.wait_procs(family, timeout=1)[1]:
        process.kill()
    psutil.wait_procs(family, timeout=STOPPED_WITHIN_S)


def _family(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _wait_until_healthy(port: int, parts: dict[str, subprocess.Popen[bytes]], home: AirflowHome) -> None:
    deadline = time.monotonic() + HEALTHY_WITHIN_S
    while time.monotonic() < deadline:
        _refuse_ended(parts, home)
        if _healthy(port) and _passwords(home).exists():
            return
        time.sleep(0.5)
    raise PartFailedError(f"Airflow was not healthy after {HEALTHY_WITHIN_S} s; its logs are in {home.path}")


def _healthy(port: int) -> bool:
    url = f"http://{LOOPBACK}:{port}/api/v2/monitor/health"
    try:
        with _OPENER.open(url, timeout=10) as response:
            health = json.load(response)
    except (OSError, ValueError):
        return False
    names = ("metadatabase", "scheduler", "dag_processor", "triggerer")
    return all((health.get(name) or {}).get("status") == "healthy" for name in names)


def _watch(parts: dict[str, subprocess.Popen[bytes]], home: AirflowHome) -> None:
    while True:
        _refuse_ended(parts, home)
        time.sleep(1)


def _refuse_ended(parts: dict[str, subprocess.Popen[bytes]], home: AirflowHome) -> None:
    for name, part in parts.items():
        if part.poll() is not None:
            log = _log(home, name)
            last = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
            raise PartFailedError(f"{last}\n\nThe {name} of Airflow ended. Its log: {log}")


def _welcome(home: AirflowHome, port: int, iris_url: str) -> str:
    user, password = next(iter(json.loads(_passwords(home).read_text()).items()))
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


def _passwords(home: AirflowHome) -> Path:
    return home.path / "simple_auth_manager_passwords.json.generated"


def _log(home: AirflowHome, name: str) -> Path:
    return home.path / f"{name}.log"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
    return port


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
