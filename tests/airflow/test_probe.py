"""The command of the probe: from a shell, and as one of Airflow's own where Airflow takes commands of providers."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from airflow_provider_trackunit import _compat, probe
from airflow_provider_trackunit._compat import AIRFLOW_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from airflow_provider_trackunit.emulator import IrisEmulator
    from dev.airflow_home import AirflowHome


def test_it_prints_what_may_be_read_and_writes_the_report(
    iris_connection: IrisEmulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    assert probe.main(["--report", str(file)]) == 0
    said = capsys.readouterr().out
    assert "Token of an API user: scope 'api', lifetime 3600 s" in said
    assert "read       GET  /api/asset/v1/assets  (250 of 250 records" in said
    written = json.loads(file.read_bytes())
    assert (written["grant"], written["metered"]) == ("API user", False)
    assert iris_connection.requests("15143") == []


def test_a_connection_that_is_not_there_is_one_line_and_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_compat, "connection_of_command_line", lambda _: None)
    file = tmp_path / "report.json"
    assert probe.main(["--conn-id", "mine", "--report", str(file)]) == 1
    assert capsys.readouterr().err == "There is no such connection (connection 'mine')\n"
    assert not file.exists()


def test_a_connection_that_is_not_complete_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", '{"conn_type": "trackunit"}')
    assert probe.main([]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Client ID (extra 'client_id') is missing")


# Airflow takes commands of providers since 3.2; the module is a command everywhere.
COMMAND = (
    ["airflow", "trackunit", "probe"] if AIRFLOW_VERSION >= (3, 2) else ["airflow_provider_trackunit.probe"]
)


def test_it_is_a_command_that_finds_the_connection_in_the_database(
    iris_emulator: IrisEmulator, migrated_home: AirflowHome, tmp_path: Path
) -> None:
    home = migrated_home.copied(tmp_path / "home")
    home.run("connections", "add", "mine", "--conn-json", iris_emulator.connection_json(), timeout_s=120)
    file = tmp_path / "report.json"
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", *COMMAND, "--conn-id", "mine", "--report", str(file)],
        env=home.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, f"Report: {file}." in done.stdout) == (0, True), done.stderr
    assert json.loads(file.read_bytes())["scope"] == "api"
