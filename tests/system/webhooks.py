"""The recipe of the docs in which a webhook starts a DAG, word for word: its receiver, its DAG, and a real API server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import socket
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING

from dev.parts import LOOPBACK, Parts, free_port
from tests.docs.texts import Block, blocks
from tests.system.live import demand

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.live import Iris, LiveAirflow

DAG = "machine_left_its_site"
PAGE = "docs/recipes/webhooks.md"
# The first of the emulator's fleet.
ASSET = "00000000-0000-0000-0000-000001500000"
_READY_WITHIN_S = 60
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def write_dag(folder: Path) -> None:
    """Write the DAG of the recipe into the folder of the DAGs."""
    (folder / f"{DAG}.py").write_text(_block(is_dag=True).code)


def webhook_received(airflow: LiveAirflow, iris: Iris) -> str:
    """Send what IRIS sends: signed, signed twice over, by somebody else; and while Airflow does not take it."""
    key = secrets.token_bytes(24)
    port = free_port()
    folder = airflow.home.path / "receiver"
    folder.mkdir()
    (folder / "receiver.py").write_text(_block(is_dag=False).code)
    airflow.unpause(DAG)
    with Parts(folder) as parts:
        environment = {
            **os.environ,
            "WEBHOOK_SECRET": "whsec_" + base64.b64encode(key).decode(),
            "AIRFLOW_API": airflow.url,
            "AIRFLOW_TOKEN": airflow.token(),
        }
        command = ["-m", "uvicorn", "receiver:app", "--port", str(port), "--app-dir", str(folder)]
        parts.start("receiver", [sys.executable, *command], environment)
        parts.wait_until(lambda: _listens(port), "the receiver", _READY_WITHIN_S)
        url = f"http://{LOOPBACK}:{port}/trackunit"
        event = {"assetId": ASSET}
        forged = _sent(url, "forged", event, secrets.token_bytes(24))
        first, again = _sent(url, "left", event, key), _sent(url, "left", event, key)
    demand(forged == 401, f"what nobody signed: HTTP {forged}")
    demand((first, again) == (204, 204), f"a message and its repetition: HTTP {first} and {again}")
    run_id = "webhook__left"
    airflow.wait_until(
        lambda: airflow.runs(DAG).get(run_id) in {"success", "failed"}, f"{run_id} of {DAG}", 120
    )
    demand(airflow.runs(DAG) == {run_id: "success"}, f"runs: {airflow.runs(DAG)}")
    machine = airflow.result(DAG, run_id, "machine")
    demand(ASSET in json.dumps(machine), f"the run asked for {ASSET} and got {machine}")
    return "signed and delivered twice: one run, which read the machine; signed by somebody else: HTTP 401, no run"


def _block(*, is_dag: bool) -> Block:
    (found,) = (one for one in blocks("python") if one.text == PAGE and one.is_dag is is_dag)
    return found


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


def _sent(url: str, message_id: str, event: dict[str, str], key: bytes) -> int:
    """Send an event as Svix signs it, and return the status of the answer."""
    body, stamp = json.dumps(event).encode(), str(int(time.time()))
    signed = hmac.digest(key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256)
    headers = {
        "Content-Type": "application/json",
        "svix-id": message_id,
        "svix-timestamp": stamp,
        "svix-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
    try:
        with _OPENER.open(urllib.request.Request(url, body, headers), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
