"""The hook: one connection, one client, one token."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit import _compat
from airflow_provider_trackunit.hooks import IrisHook, form
from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisRateLimitError,
    IrisServerError,
    IrisTokenError,
)
from airflow_provider_trackunit.settings import CallSettings

from .masking import redacted

if TYPE_CHECKING:
    from airflow_provider_trackunit.emulator import IrisEmulator

ASSETS = "/api/asset/v1/assets"
FLEET = "/public/api/aemp/v2/15143/-3/Fleet/1"


def test_a_hook_asks_for_one_token_however_many_requests_it_sends(iris_connection: IrisEmulator) -> None:
    hook = IrisHook()
    hook.run(ASSETS)
    assert len(list(hook.records(ASSETS, query_params={"size": 50}))) == 250
    assert len(list(hook.pages(FLEET, max_concurrency=3))) > 1
    assert iris_connection.stats()["token_requests"] == 1


def test_a_hook_has_one_client_for_its_life(iris_connection: IrisEmulator) -> None:
    hook = IrisHook()
    assert hook.get_conn() is hook.get_conn()


def test_a_hook_is_closed_at_the_end_of_its_block_and_can_be_used_again(
    iris_connection: IrisEmulator,
) -> None:
    IrisHook().close()
    with IrisHook() as hook:
        assert hook.run(ASSETS)["totalElements"] == 250
    assert hook.run(ASSETS)["totalElements"] == 250
    assert iris_connection.stats()["token_requests"] == 1


def test_a_hook_reads_no_connection_before_its_first_use() -> None:
    IrisHook("there_is_no_such_connection")


def test_a_walk_goes_on_from_the_cursor_of_a_page(iris_connection: IrisEmulator) -> None:
    hook = IrisHook()
    pages = list(hook.pages(ASSETS, query_params={"size": 100}))
    rest = list(hook.pages(ASSETS, query_params={"size": 100}, cursor=pages[0].next))
    assert [page.records for page in rest] == [page.records for page in pages[1:]]


def test_the_first_page_is_one_request(iris_connection: IrisEmulator) -> None:
    page = IrisHook().first_page(ASSETS, query_params={"size": 10})
    assert len(page.records) == 10
    assert len(iris_connection.requests(ASSETS)) == 1


def test_an_answer_without_a_body_is_none(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path=ASSETS, kind="status", status=204, body="")
    assert IrisHook().run(ASSETS) is None


def test_the_test_button_says_what_was_granted(iris_connection: IrisEmulator) -> None:
    ok, message = IrisHook().test_connection()
    assert ok
    assert message == "Token granted: scope 'api', lifetime 3600 s. 250 assets can be read."


def test_the_test_button_reads_one_asset_and_no_more(iris_connection: IrisEmulator) -> None:
    IrisHook().test_connection()
    (request,) = iris_connection.requests(ASSETS)
    assert request["query"] == "size=1"


def test_an_api_key_without_the_right_to_read_assets_is_good_all_the_same(
    iris_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_TRACKUNIT_DEFAULT",
        iris_emulator.connection_json("client_credentials", scope="api.iso15143.snapshot"),
    )
    ok, message = IrisHook().test_connection()
    assert ok
    assert "scope 'api.iso15143.snapshot', lifetime 1200 s" in message
    assert "may not read assets" in message


@pytest.mark.parametrize(
    ("grant", "change", "named"),
    [
        ("password", {"client_secret": "wrong-secret"}, "Check Client ID and Client secret"),
        ("password", {"password": "wrong-password"}, "Check API username and API password"),
        ("client_credentials", {"scope": "asset.view account.delete"}, "Check Scope"),
        ("password", {"auth_url": "{url}/nowhere"}, "Check Auth URL"),
        ("password", {"host": "http://127.0.0.1:9"}, "no connection to http://127.0.0.1:9"),
        ("password", {"host": "http://iris.example.com"}, "Base URL (host)"),
        ("password", {"client_id": ""}, "Client ID (extra 'client_id') is missing"),
        ("password", {"ca_bundle": "/there/is/no.pem"}, "CA bundle (extra 'ca_bundle')"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_the_test_button_names_what_is_wrong_and_shows_no_secret(
    iris_emulator: IrisEmulator,
    monkeypatch: pytest.MonkeyPatch,
    grant: str,
    change: dict[str, str],
    named: str,
) -> None:
    stored = changed(iris_emulator, grant, change)
    monkeypatch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", json.dumps(stored))
    ok, message = IrisHook().test_connection()
    assert not ok
    assert named in message
    secrets = [stored.get("password"), stored["extra"].get("client_secret")]
    assert not [secret for secret in secrets if secret and secret in message]


def changed(emulator: IrisEmulator, grant: str, change: dict[str, str]) -> Any:
    stored = json.loads(emulator.connection_json(grant))
    if isinstance(stored["extra"], str):
        stored["extra"] = json.loads(stored["extra"])
    for name, value in change.items():
        place = stored if name in {"login", "password", "host"} else stored["extra"]
        place[name] = value.format(url=emulator.url)
    return stored


def test_the_test_button_does_not_retry(iris_connection: IrisEmulator) -> None:
    iris_connection.fault(path=ASSETS, kind="status", status=503, times=None)
    ok, message = IrisHook().test_connection()
    assert not ok
    assert "HTTP 503" in message
    assert len(iris_connection.requests(ASSETS)) == 1


def test_the_test_button_comes_back_in_time_from_a_server_that_drips(
    iris_connection: IrisEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(form.LIMITS, "budget_s", 2.0)
    iris_connection.fault(path=ASSETS, kind="slow", times=None, chunk_bytes=1)
    began = time.monotonic()
    ok, message = IrisHook().test_connection()
    assert not ok
    assert "in time" in message
    assert time.monotonic() - began < 5  # the whole answer would take half a minute


def test_secrets_and_the_token_are_known_to_the_masker_once_the_client_is_there(
    iris_connection: IrisEmulator,
) -> None:
    client = IrisHook().get_conn()
    token = client.authenticate().value
    line = f"{iris_connection.client_secret} {iris_connection.password} {token}"
    assert redacted(line) == "*** *** ***"


@pytest.mark.parametrize("field", ["client_id", "client_secret"])
def test_an_incomplete_connection_is_an_error_at_the_first_use(
    iris_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_TRACKUNIT_DEFAULT", json.dumps(changed(iris_emulator, "password", {field: ""}))
    )
    with pytest.raises(IrisConfigurationError, match=field):
        IrisHook().run(ASSETS)
    assert iris_emulator.stats()["requests"] == 0


def test_a_wrong_secret_is_asked_for_once(
    iris_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = changed(iris_emulator, "password", {"client_secret": "wrong-secret"})
    monkeypatch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", json.dumps(stored))
    with pytest.raises(IrisTokenError) as raised:
        IrisHook().run(ASSETS)
    assert raised.value.code == "invalid_client"
    assert iris_emulator.stats()["requests"] == 1


def connect(patch: pytest.MonkeyPatch, iris: IrisEmulator, conn_id: str = "here", **extra: Any) -> None:
    stored = changed(iris, "password", {})
    stored["extra"] |= extra
    patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(stored))


# -- settings


def test_settings_come_from_the_connection_and_an_argument_wins_over_it(
    iris_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, iris_emulator, timeout_s="7.5", max_attempts=3)
    assert IrisHook("here").settings == CallSettings(7.5, 3, 120.0)
    assert IrisHook("here", timeout_s=9, max_wait_s=0).settings == CallSettings(9.0, 3, 0.0)
    connect(monkeypatch, iris_emulator)
    assert IrisHook("here").settings == CallSettings(60.0, 4, 120.0)


@pytest.mark.parametrize("by_argument", [True, False], ids=["an argument", "the connection"])
def test_the_settings_are_those_that_a_call_obeys(
    iris_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch, by_argument: bool
) -> None:
    given: Any = {"max_attempts": 2, "max_wait_s": 5}
    connect(monkeypatch, iris_emulator, **({} if by_argument else given))
    iris_emulator.fault(path=ASSETS, kind="status", status=503, headers={"Retry-After": "0"}, times=2)
    hook = IrisHook("here", **(given if by_argument else {}))
    with pytest.raises(IrisServerError):
        hook.run(ASSETS)
    assert len(iris_emulator.requests(ASSETS)) == 2
    iris_emulator.fault(path=ASSETS, kind="rate_limit", retry_after="6", times=None)
    with pytest.raises(IrisRateLimitError):
        hook.run(ASSETS)
    assert len(iris_emulator.requests(ASSETS)) == 3


# -- errors that say where


@pytest.mark.parametrize(
    "use",
    [
        lambda hook: hook.run(ASSETS),
        lambda hook: list(hook.pages(ASSETS)),
        lambda hook: list(hook.records(ASSETS)),
        lambda hook: hook.first_page(ASSETS),
        lambda hook: hook.get_conn(),
    ],
    ids=["run", "pages", "records", "first_page", "get_conn"],
)
@pytest.mark.parametrize(
    "change", [{"client_id": ""}, {"client_secret": "wrong-secret"}, {"max_attempts": "many"}]
)
def test_what_is_wrong_with_a_connection_names_the_connection(
    iris_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch, use: Any, change: dict[str, str]
) -> None:
    connect(monkeypatch, iris_emulator, **change)
    with pytest.raises((IrisConfigurationError, IrisTokenError), match=r"\(connection 'here'\)") as raised:
        use(IrisHook("here"))
    assert str(raised.value).count("'here'") == 1


def test_an_argument_that_cannot_be_sent_names_the_connection_too(iris_connection: IrisEmulator) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^endpoint: .*\(connection 'trackunit_default'\)$"):
        IrisHook().run("https://evil.example.com/x")


def test_the_test_button_names_no_connection_because_airflow_makes_up_its_id(
    iris_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, iris_emulator, "made_up", client_id="")
    assert "made_up" not in IrisHook("made_up").test_connection()[1]


@pytest.mark.parametrize("method", ["run", "pages", "first_page", "records"])
@pytest.mark.parametrize(
    ("argument", "meant"), [("params", "query_params"), ("data", "json"), ("heders", "headers")]
)
def test_an_argument_of_another_client_is_refused_and_says_what_is_meant(
    iris_connection: IrisEmulator, method: str, argument: str, meant: str
) -> None:
    with pytest.raises(
        IrisConfigurationError, match=f"^{argument}: there is no such argument. Write {meant} "
    ):
        getattr(IrisHook(), method)(ASSETS, **{argument: {"size": 1}})
    assert iris_connection.requests(ASSETS) == []


def test_a_secret_too_short_to_be_masked_makes_airflow_warn_of_nothing(
    iris_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr(_compat, "mask_secret", masked.append)
    connect(monkeypatch, iris_emulator, client_secret="api")
    IrisHook("here").test_connection()
    assert iris_emulator.password in masked
    assert [secret for secret in masked if len(secret) < 5] == []
