"""A filled-in connection becomes the settings of a client, or one error that names the field."""

from __future__ import annotations

import json
from importlib import metadata
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_trackunit.connection import FORM_FIELDS, hidden_fields, read_connection
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.settings import CallSettings

API_USER = {"client_id": "id", "client_secret": "s3cret"}


def stored(
    extra: Any = None,
    *,
    login: str | None = "user",
    password: str | None = "pass",  # noqa: S107 (opens nothing)
    host: str | None = None,
    port: int | None = None,
) -> Any:
    text = extra if extra is None or isinstance(extra, str) else json.dumps(extra)
    return SimpleNamespace(login=login, password=password, host=host, port=port, extra=text)


def test_an_api_user_gets_the_documented_defaults() -> None:
    settings = read_connection(stored(API_USER))
    assert settings.base_url == "https://iris.trackunit.com"
    assert settings.credentials.token_url == "https://auth.trackunit.com/token"
    assert settings.ca_bundle is None


def test_an_api_key_is_a_connection_without_a_login_and_goes_to_the_second_token_endpoint() -> None:
    settings = read_connection(stored(API_USER | {"scope": "asset.view"}, login=None, password=None))
    assert settings.credentials.username == ""
    assert settings.credentials.token_url == "https://auth.trackunit.com/token/v2"


@pytest.mark.parametrize(
    ("connection", "named"),
    [
        (stored({"client_secret": "x"}), "Client ID (extra 'client_id') is missing"),
        (stored({"client_id": "x"}), "Client secret (extra 'client_secret') is missing"),
        (stored(API_USER, password=None), "API password (password) is missing"),
        (stored(API_USER, login=None), "API username (login) is missing"),
        (stored(API_USER, login=None, password=None), "Scope (extra 'scope') is missing"),
        (stored(API_USER | {"auth_url": "http://auth.example.com/token"}), "Auth URL (extra 'auth_url')"),
        (stored(API_USER | {"auth_url": "ftp://x"}), "Auth URL (extra 'auth_url')"),
        (stored(API_USER | {"scope": ["api"]}), "Scope (extra 'scope') must be text"),
        (stored("{"), "Extra of the connection is not valid JSON"),
        (stored("[1]"), "Extra of the connection must be a JSON object"),
        (
            stored(API_USER | {"client_secret": "***"}),
            "Client secret (extra 'client_secret') came as the stand-in",
        ),
        (stored(API_USER, password="***"), "API password (password) came as the stand-in"),
        (stored(None), "Client ID (extra 'client_id') is missing"),
        (stored(API_USER | {"client_id": "a:b"}), "Client ID (extra 'client_id') cannot hold a colon"),
        (stored(API_USER | {"timeout_s": "soon"}), "Timeout (extra 'timeout_s'): 'soon' is not a number"),
        (stored(API_USER | {"timeout_s": 0}), "Timeout (extra 'timeout_s')"),
        (
            stored(API_USER | {"max_attempts": 2.5}),
            "Attempts (extra 'max_attempts'): 2.5 is not a whole number",
        ),
        (stored(API_USER | {"max_attempts": True}), "Attempts (extra 'max_attempts')"),
        (stored(API_USER | {"max_wait_s": -1}), "Longest wait (extra 'max_wait_s')"),
    ],
)
def test_what_is_missing_or_contradictory_is_named(connection: Any, named: str) -> None:
    with pytest.raises(IrisConfigurationError) as raised:
        read_connection(connection)
    assert named in str(raised.value)


@pytest.mark.parametrize(
    ("host", "port", "origin"),
    [
        (None, None, "https://iris.trackunit.com"),
        ("iris.trackunit.com", None, "https://iris.trackunit.com"),
        ("https://IRIS.trackunit.com/", None, "https://iris.trackunit.com"),
        ("http://127.0.0.1", 8080, "http://127.0.0.1:8080"),
        ("http://127.0.0.1:9090", 8080, "http://127.0.0.1:9090"),
        ("gateway.example.com", 8443, "https://gateway.example.com:8443"),
    ],
)
def test_the_base_url_is_read_as_people_write_it(host: str | None, port: int | None, origin: str) -> None:
    settings = read_connection(stored(API_USER, host=host, port=port))
    assert IrisClient(settings.credentials, settings.base_url).origin == origin


@pytest.mark.parametrize(
    "host", ["http://iris.trackunit.com", "ftp://iris.trackunit.com", "https://", "https://x/api"]
)
def test_a_base_url_that_cannot_be_used_names_its_field(host: str) -> None:
    settings = read_connection(stored(API_USER, host=host))
    with pytest.raises(IrisConfigurationError, match="Base URL"):
        IrisClient(settings.credentials, settings.base_url)


def test_no_secret_shows_in_the_settings() -> None:
    settings = read_connection(stored(API_USER, password="p4ssword"))
    assert "s3cret" not in repr(settings)
    assert "p4ssword" not in repr(settings)


def test_no_field_has_a_name_that_airflow_would_mask_in_the_form() -> None:
    words = ("token", "password", "passwd", "api_key", "apikey", "authorization", "private_key")
    plain = [name for name, field in FORM_FIELDS.items() if not field.secret]
    assert not [name for name in plain if any(word in name for word in words)]


@pytest.mark.parametrize(
    ("release", "hidden"),
    [
        (None, ["schema", "port"]),  # Airflow 2 has no package of that name
        ("3.2.2", ["schema", "port"]),
        ("3.3.0", ["schema", "port"]),
        ("3.3.1", ["schema"]),
        ("3.3.2", ["schema"]),
        ("3.3.2rc1", ["schema"]),
        ("3.3.3", ["schema", "port"]),
        ("3.3.10", ["schema", "port"]),
        ("3.4.0", ["schema", "port"]),
    ],
)
def test_the_port_is_shown_where_airflow_tests_no_connection_without_one(
    monkeypatch: pytest.MonkeyPatch, release: str | None, hidden: list[str]
) -> None:
    def version(package: str) -> str:
        if release is None:
            raise PackageNotFoundError(package)
        return release

    monkeypatch.setattr(metadata, "version", version)
    assert hidden_fields() == hidden


@pytest.mark.parametrize("empty", [None, "", " "])
def test_a_setting_that_is_left_empty_says_nothing(empty: Any) -> None:
    found = read_connection(
        stored(API_USER | {"timeout_s": empty, "max_attempts": empty, "max_wait_s": empty})
    )
    assert found.call == CallSettings()


@pytest.mark.parametrize(
    "written",
    [
        {"timeout_s": 7, "max_attempts": 2.0, "max_wait_s": 0},
        {"timeout_s": "7", "max_attempts": " 2", "max_wait_s": "0.0"},
    ],
)
def test_settings_are_read_as_numbers_or_as_the_text_of_a_form(written: dict[str, Any]) -> None:
    assert read_connection(stored(API_USER | written)).call == CallSettings(7.0, 2, 0.0)
