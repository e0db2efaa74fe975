"""The receiver of the recipe takes what is signed, once, and tells Trackunit to come again while Airflow is away."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from tests.docs.texts import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

RECEIVER = next(one for one in blocks("python") if one.text == "docs/recipes/webhooks.md" and not one.is_dag)
KEY = b"a key that opens nothing"
EVENT = {"assetId": "00000000-0000-0000-0000-000001500000"}


class AirflowApi(BaseHTTPRequestHandler):
    """Answers as Airflow's API server does: a run once, 409 for a second one of the same id."""

    def do_POST(self) -> None:
        server: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = any(body["dag_run_id"] == run["dag_run_id"] for _, run in server.runs)
        status = server.status or (409 if known else 200)
        if status == 200:
            server.runs.append((self.path, body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def airflow() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), AirflowApi)
    server.runs, server.status = [], None
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def receiver(airflow: Any, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("AIRFLOW_API", f"http://127.0.0.1:{airflow.server_port}")
    monkeypatch.setenv("AIRFLOW_TOKEN", "a token")
    monkeypatch.setenv("WEBHOOK_SECRET", "whsec_" + base64.b64encode(KEY).decode())
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(RECEIVER.code, str(RECEIVER), "exec"), names)  # noqa: S102 - a page of ours
    return TestClient(names["app"])


def sent(receiver: TestClient, key: bytes = KEY, age_s: float = 0.0, message_id: str = "msg_1") -> int:
    """Send an event as Svix signs it for the message msg_1, and return the status of the answer."""
    body, stamp = json.dumps(EVENT).encode(), str(int(time.time() - age_s))
    signature = base64.b64encode(hmac.digest(key, b"msg_1." + stamp.encode() + b"." + body, hashlib.sha256))
    headers = {
        "svix-id": message_id,
        "svix-timestamp": stamp,
        "svix-signature": f"v1,c3B1cmlvdXM= v1,{signature.decode()}",
    }
    status: int = receiver.post("/trackunit", content=body, headers=headers).status_code
    return status


def test_a_message_is_one_run_however_often_it_is_delivered(receiver: TestClient, airflow: Any) -> None:
    assert [sent(receiver), sent(receiver)] == [204, 204]
    (run,) = airflow.runs
    assert run == (
        "/api/v2/dags/machine_left_its_site/dagRuns",
        {"dag_run_id": "webhook__msg_1", "logical_date": None, "conf": EVENT},
    )


def test_what_trackunit_did_not_sign_starts_nothing(receiver: TestClient, airflow: Any) -> None:
    assert sent(receiver, key=b"another key") == 401
    assert sent(receiver, age_s=301) == 401
    assert sent(receiver, message_id="msg_2") == 401
    assert receiver.post("/trackunit", json=EVENT).status_code == 401
    assert airflow.runs == []


def test_while_airflow_is_away_trackunit_is_told_to_come_again(receiver: TestClient, airflow: Any) -> None:
    airflow.status = 503
    assert sent(receiver) == 503
    airflow.status = None
    assert sent(receiver) == 204
    assert len(airflow.runs) == 1
