"""The control endpoint and the handle: switches, log, counts, connections, start and stop."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.emulator.api.assets import asset
from airflow_provider_trackunit.emulator.machines.fleet import ON_AEMP, Fleet
from airflow_provider_trackunit.emulator.world import World
from tests.emulator.conftest import ASSETS, FLEET, Api

COMMAND = [sys.executable, "-m", "airflow_provider_trackunit.emulator"]


@pytest.mark.parametrize(
    "switches", [{"nonsense": 1}, {"next_link": "sideways"}, {"aemp_pool_calls": "many"}]
)
def test_a_switch_that_does_not_exist_is_refused(api: Api, switches: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(switches))):
        api.iris.settings(**switches)


def test_the_log_holds_what_a_test_wants_to_know_and_no_secret(api: Api) -> None:
    api.ask(f"{ASSETS}/onboard?dry=1", "POST", json={"name": "Drill"})
    entry = api.iris.requests("onboard")[0]
    assert (entry["method"], entry["path"], entry["query"]) == ("POST", f"{ASSETS}/onboard", "dry=1")
    assert (entry["status"], entry["token"]) == (201, "token-1")
    assert json.loads(entry["body"]) == {"name": "Drill"}
    assert entry["headers"]["accept"] == "application/json"
    everything = json.dumps(api.iris.requests())
    assert api.token not in everything
    assert api.iris.password not in everything


def test_paths_are_logged_as_they_were_sent(api: Api) -> None:
    api.ask(f"{FLEET}/Equipment/ID/A%2FB%2F0000002")
    assert api.iris.requests("A%2FB")[0]["status"] == 200


def test_concurrent_calls_wait_side_by_side(api: Api) -> None:
    api.iris.settings(latency_ms=150)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda page: api.ask(f"{ASSETS}?page={page}"), range(4)))
    assert api.iris.stats()["max_concurrent"] > 1


def test_counts_are_kept_per_path_and_status(api: Api) -> None:
    api.iris.settings(basic_calls_per_s=0, aemp_pool_calls=0)
    api.ask(f"{FLEET}/1")
    api.ask(f"{FLEET}/1")
    stats = api.iris.stats()
    assert stats["calls"][f"GET {FLEET}/1"] == 2
    assert (stats["rate_limited"], stats["token_requests"]) == (1, 1)


def test_a_reset_forgets_everything(api: Api) -> None:
    api.iris.settings(unknown_path_status=404)
    api.iris.fleet(grow=7)
    api.iris.reset()
    assert api.iris.requests() == []
    assert api.iris.settings()["unknown_path_status"] == 200
    assert api.ask(ASSETS).status_code == 401


@pytest.mark.parametrize("style", ["seconds", "date", "none"])
def test_the_hint_to_wait_has_three_forms(api: Api, style: str) -> None:
    api.iris.settings(retry_after=style, aemp_pool_calls=0, limit_body="json")
    api.ask(f"{FLEET}/1")
    hint = api.ask(f"{FLEET}/1").headers.get("Retry-After")
    if style == "none":
        assert hint is None
    elif style == "date":
        assert parsedate_to_datetime(str(hint)).tzinfo
    else:
        assert int(str(hint)) >= 890


def test_the_hint_to_wait_is_in_seconds_of_the_wall(api: Api) -> None:
    api.iris.settings(aemp_pool_calls=0)
    api.iris.scale_time(100)
    api.ask(f"{FLEET}/1")
    assert int(api.ask(f"{FLEET}/1").headers["Retry-After"]) <= 9


@pytest.mark.parametrize("change", [{"shrink": "x"}, {"explode": 1}])
def test_a_change_of_the_fleet_that_makes_no_sense_is_refused(api: Api, change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        api.iris.fleet(**change)


def test_time_only_goes_forward(api: Api) -> None:
    with pytest.raises(ValueError, match="forward"):
        api.iris.advance(-1)
    with pytest.raises(ValueError, match="above zero"):
        api.iris.scale_time(0)


def test_the_connection_comes_as_json_and_as_uri(iris_emulator: IrisEmulator) -> None:
    fields = json.loads(iris_emulator.connection_json())
    assert fields["conn_type"] == "trackunit"
    assert (fields["host"], fields["login"]) == (iris_emulator.url, iris_emulator.username)
    assert fields["extra"]["auth_url"] == iris_emulator.auth_url
    uri = urlsplit(iris_emulator.connection_uri("client_credentials", scope="asset.view"))
    assert (uri.scheme, unquote(str(uri.netloc))) == ("trackunit", iris_emulator.url)
    assert parse_qs(uri.query)["scope"] == ["asset.view"]
    with pytest.raises(ValueError, match="grant"):
        iris_emulator.connection_json("implicit")


def test_a_field_of_the_connection_can_be_left_out(iris_emulator: IrisEmulator) -> None:
    fields = json.loads(iris_emulator.connection_json(login=None, scope=None, ca_bundle="/tmp/ca.pem"))  # noqa: S108 - never opened
    assert "login" not in fields
    assert "scope" not in fields["extra"]
    assert fields["extra"]["ca_bundle"] == "/tmp/ca.pem"  # noqa: S108 - as above


def test_the_fixture_sets_the_connection(iris_connection: IrisEmulator) -> None:
    assert iris_connection.url in os.environ["AIRFLOW_CONN_TRACKUNIT_DEFAULT"]


def test_a_million_assets_run_in_a_process_that_ends_with_the_handle() -> None:
    with IrisEmulator.start(assets=1_000_000, process=True) as iris:
        client = Api(iris)
        last = client.json(f"{ASSETS}?size=1000&page=999")
        client.http.close()
    assert last["totalElements"] == 1_000_000
    assert len(last["content"]) == 1000
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(iris.url, timeout=5)


@pytest.mark.parametrize(
    ("ending", "option", "file"),
    [
        (signal.SIGINT, "--settings", '{"unknown_path_status": 404}'),
        (signal.SIGTERM, "--like", '{"grant": "API user", "emulator": {"unknown_path_status": 404}}'),
    ],
    ids=["switches", "the report of a probe"],
)
def test_the_command_prints_where_it_is_and_ends_on_a_signal(
    ending: signal.Signals, option: str, file: str, tmp_path: Path
) -> None:
    switches = tmp_path / "switches.json"
    switches.write_text(file)
    command = [*COMMAND, "--assets", "10", option, str(switches)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own module
        assert child.stdout
        assert child.stderr
        first = child.stdout.readline()
        assert first.startswith("IRIS emulator on http://127.0.0.1:")
        assert IrisEmulator(first.split()[-1]).settings()["unknown_path_status"] == 404
        child.send_signal(ending)
        rest, complaints = child.stdout.read(), child.stderr.read()
    assert "api_key_client_id: emulator-key" in rest
    assert (complaints, child.returncode) == ("", 0)


@pytest.mark.parametrize(
    ("option", "text"),
    [("--settings", '{"nonsense": 1}'), ("--settings", None), ("--like", '{"seen": []}')],
    ids=["unknown", "no file", "no report"],
)
def test_switches_that_cannot_be_used_end_the_command_with_one_line(
    tmp_path: Path, option: str, text: str | None
) -> None:
    switches = tmp_path / "switches.json"
    if text is not None:
        switches.write_text(text)
    command = [*COMMAND, option, str(switches)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(switches) in done.stderr


def test_the_package_and_the_plugin_import_no_server_library() -> None:
    code = (
        "import sys, airflow_provider_trackunit.emulator.pytest_plugin\n"
        "print([name for name in ('starlette', 'uvicorn', 'airflow') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"  # noqa: S603 - our own module


@pytest.mark.parametrize("hidden", [set(), {0}, {3, 4, 5}, {10, 18, 24}, {0, 1, 2, 29}])
def test_positions_skip_hidden_assets(hidden: set[int]) -> None:
    fleet = Fleet(30)
    fleet.hide(hidden)
    visible = [index for index in range(30) if index not in hidden and index % 10 in ON_AEMP]
    assert fleet.count(ON_AEMP) == len(visible)
    for start in range(len(visible) + 2):
        assert fleet.indexes(start, start + 4, ON_AEMP) == visible[start : start + 4]


def test_the_server_shares_no_code_with_the_client() -> None:
    code = (
        "import sys, airflow_provider_trackunit.emulator.server\n"
        "print([name for name in sys.modules if name.startswith('airflow_provider_trackunit.iris') or name == 'airflow'])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"  # noqa: S603 - our own module


def test_a_record_that_was_forgotten_is_built_again_alike() -> None:
    world = World(10, 1)
    before = [world.record(asset, index, "v1") for index in range(10)]
    world.forget_records()
    assert [world.record(asset, index, "v1") for index in range(10)] == before


def test_a_missing_server_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ImportError, match=r"airflow-provider-trackunit\[emulator\]"):
        IrisEmulator.start()


@pytest.mark.parametrize(("counts", "status"), [(False, 200), (True, 429)])
def test_whether_a_refused_call_uses_up_allowance_can_be_switched(
    api: Api, counts: bool, status: int
) -> None:
    api.iris.settings(aemp_pool_calls=0, refused_calls_count=counts)
    api.ask(f"{FLEET}/1")
    api.iris.advance(600)
    assert api.ask(f"{FLEET}/1").status_code == 429
    api.iris.advance(600)
    assert api.ask(f"{FLEET}/1").status_code == status


def test_limits_can_be_off(api: Api) -> None:
    api.iris.settings(limits_on=False, aemp_pool_calls=0)
    assert [api.ask(f"{FLEET}/1").status_code for _ in range(3)] == [200, 200, 200]


def test_everything_can_be_compressed(api: Api) -> None:
    api.iris.settings(gzip="all")
    response = api.ask(ASSETS, headers={"Accept-Encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert response.json()["totalElements"] == 250


def test_the_account_can_have_other_credentials(api: Api) -> None:
    before = {"client_secret": api.iris.client_secret}
    try:
        api.iris.use_credentials(client_secret='a+/="&%')
        assert api.iris.client_secret == 'a+/="&%'
        assert api.password_grant().status_code == 200
        with pytest.raises(ValueError, match="nickname"):
            api.iris.use_credentials(nickname="x")
    finally:
        api.iris.use_credentials(**before)
