"""Airflow finds the provider, its hook and its connection form, the same on every version."""

from __future__ import annotations

import json
import re
from importlib import import_module
from importlib.metadata import distribution, entry_points, metadata
from pathlib import Path
from typing import Any

import airflow
import pytest

import airflow_provider_trackunit
from airflow_provider_trackunit import __version__, connection, get_provider_info
from airflow_provider_trackunit._compat import AIRFLOW_VERSION
from airflow_provider_trackunit.hooks import IrisHook
from dev.airflow_home import ROOT

jsonschema = import_module("jsonschema")


def found() -> Any:
    """Return what Airflow knows of installed providers, from where this version keeps it."""
    if AIRFLOW_VERSION >= (3, 2):
        return import_module("airflow.sdk.providers_manager_runtime").ProvidersManagerTaskRuntime()
    return import_module("airflow.providers_manager").ProvidersManager()


def test_airflow_finds_the_provider_under_its_own_version() -> None:
    (entry,) = [
        one
        for one in entry_points(group="apache_airflow_provider")
        if one.value.startswith("airflow_provider_trackunit:")
    ]
    assert entry.load()() == get_provider_info()
    provider = (
        import_module("airflow.providers_manager").ProvidersManager().providers["airflow-provider-trackunit"]
    )
    assert provider.version == __version__


def test_the_connection_type_leads_to_the_hook_which_can_be_tested() -> None:
    info = found().hooks["trackunit"]
    assert info is not None
    assert info.hook_class_name == "airflow_provider_trackunit.hooks.IrisHook"
    assert info.hook_name == "Trackunit IRIS"
    assert info.connection_id_attribute_name == "trackunit_conn_id"
    assert info.connection_testable is True


def test_every_module_that_is_declared_exists() -> None:
    info = get_provider_info()
    modules = [
        name
        for kind in ("hooks", "operators", "sensors", "triggers")
        for one in info[kind]
        for name in one["python-modules"]
    ]
    modules += [one["python-module"] for one in info["transfers"]]
    modules += [name.rpartition(".")[0] for name in info["extra-links"]]
    assert len(modules) == 7
    for name in modules:
        import_module(name)


def test_everything_that_is_declared_belongs_to_an_integration() -> None:
    info = get_provider_info()
    assert [one["integration-name"] for one in info["integrations"]] == ["Trackunit"]
    for kind in ("hooks", "operators", "sensors", "triggers"):
        assert {one["integration-name"] for one in info[kind]} == {"Trackunit"}, kind
    assert {one["source-integration-name"] for one in info["transfers"]} == {"Trackunit"}


def test_what_is_declared_is_what_airflow_allows() -> None:
    path = Path(airflow.__file__).parent / "provider_info.schema.json"
    jsonschema.validate(get_provider_info(), json.loads(path.read_text()))


def test_what_is_installed_says_what_it_is_and_which_version() -> None:
    told = metadata("airflow-provider-trackunit")
    assert told["Version"] == __version__ == get_provider_info()["versions"][0]
    # Semantic versioning, in the one spelling that is also the one of Python packages.
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", __version__)
    classifiers = told.get_all("Classifier")
    assert classifiers is not None
    assert {"Framework :: Apache Airflow", "Framework :: Apache Airflow :: Provider"} <= set(classifiers)


def test_what_is_tested_is_the_tree_or_where_there_is_none_the_installed_wheel() -> None:
    source = ROOT / "airflow_provider_trackunit"
    here = Path(airflow_provider_trackunit.__file__).parent
    if source.exists():
        assert here == source
    else:
        assert here == distribution("airflow-provider-trackunit").locate_file("airflow_provider_trackunit")


def test_the_metadata_and_the_class_methods_say_the_same() -> None:
    (declared,) = get_provider_info()["connection-types"]
    behaviour = IrisHook.get_ui_field_behaviour()
    assert declared["ui-field-behaviour"] == {
        key.replace("_", "-"): value for key, value in behaviour.items()
    }
    assert {"get_connection_form_widgets", "get_ui_field_behaviour"} <= set(vars(IrisHook))


@pytest.mark.skipif(AIRFLOW_VERSION >= (3, 0), reason="the Flask form is built by Airflow 2 only")
def test_the_flask_form_has_the_same_fields_with_the_secret_as_a_password_field() -> None:
    from wtforms import Form

    widgets = IrisHook.get_connection_form_widgets()
    form = type("F", (Form,), widgets)()
    assert {name: str(field.label.text) for name, field in form._fields.items()} == {
        name: field.label for name, field in connection.FORM_FIELDS.items()
    }
    assert [name for name, field in form._fields.items() if field.type == "PasswordField"] == [
        "client_secret"
    ]


@pytest.mark.skipif(AIRFLOW_VERSION >= (3, 0), reason="the Flask form is built by Airflow 2 only")
def test_the_flask_form_neither_shows_a_stored_secret_nor_comes_back_without_it() -> None:
    from airflow.www.views import SENSITIVE_FIELD_PLACEHOLDER  # type: ignore[import-untyped,import-not-found,unused-ignore]
    from wtforms import Form

    form = type("F", (Form,), IrisHook.get_connection_form_widgets())()
    assert 'value=""' in form.client_secret()
    form.client_secret.data = "s3cret"
    assert "s3cret" not in form.client_secret()
    assert f'value="{SENSITIVE_FIELD_PLACEHOLDER}"' in form.client_secret()


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 2), reason="the schema describes form fields from Airflow 3.2 on")
def test_the_form_is_what_the_schema_of_airflow_allows() -> None:
    path = Path(airflow.__file__).parent / "provider.yaml.schema.json"
    types: dict[str, Any] = json.loads(path.read_text())["properties"]["connection-types"]
    jsonschema.validate(get_provider_info()["connection-types"], types)
