"""The dependency audit fails where a vulnerability is known, and does not call silence of the database good news."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("pip_audit", reason="the audit runs in the environment of the newest Airflow alone")

from dev import audit

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADVISORY = {
    "id": "PYSEC-2026-1",
    "summary": "Sends a header twice.",
    "affected": [
        {
            "package": {"name": "aiohttp", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
        }
    ],
}


class _Advisories(BaseHTTPRequestHandler):
    """Knows one vulnerability, of aiohttp."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = {"vulns": [_ADVISORY]} if asked["package"]["name"] == "aiohttp" else {}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the one it replaces
        """Say nothing."""


@pytest.fixture
def database() -> Iterator[tuple[str, ...]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Advisories)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield "--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_known_vulnerability_is_named_with_the_version_that_mends_it(database: tuple[str, ...]) -> None:
    report = audit.audit(["aiohttp==3.9.2", "jmespath==1.0.1"], *database)

    assert audit.known(report) == ["aiohttp 3.9.2: PYSEC-2026-1, mended in 99.0"]


def test_packages_without_a_known_vulnerability_are_counted(database: tuple[str, ...]) -> None:
    report = audit.audit(["jmespath==1.0.1"], *database)

    assert audit.known(report) == []
    assert audit.verdict(report) == "No vulnerability is known of 1 packages."


def test_a_database_that_knows_no_package_is_no_good_news() -> None:
    report = {"dependencies": [{"name": "aiohttp", "skip_reason": "not found"}], "fixes": []}

    assert audit.verdict(report).startswith("NOT AUDITED")


def test_what_the_client_is_made_of_is_asked_for_and_airflow_is_not() -> None:
    names = {pinned.split("==")[0] for pinned in audit.installed()}

    assert {
        "aiohttp",
        "jmespath",
        "msgspec",
        "requests",
        "urllib3",
        "starlette",
        "uvicorn",
    } <= names
    assert not {name for name in names if name.startswith("apache-airflow")}
