"""The connection form, and what a filled-in connection means.

One table of fields serves every Airflow version: newer ones read it from ``get_provider_info``, older ones
through two class methods of the hook. :func:`read_connection` is the other direction: from the stored
connection to the settings of a client. Imports no Airflow, so it can be read before Airflow is.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata as packages
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.iris.calls import BASE_URL
from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisTokenError
from airflow_provider_trackunit.iris.secrecy import Secret, SecretMembers
from airflow_provider_trackunit.settings import LABELS, CallSettings, stored_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_trackunit.iris.http.tokens import Credentials

CONN_TYPE: Final = "trackunit"
HOOK_NAME: Final = "Trackunit IRIS"
DEFAULT_CONN_ID: Final = "trackunit_default"

RELABELING: Final = {"login": "API username", "password": "API password", "host": "Base URL"}
PLACEHOLDERS: Final = {
    "host": BASE_URL,
    "port": "443, so that this Airflow can test the connection",
    "login": "API user; empty for an API key",
    "password": "Shown once, when the API user is created; empty for an API key",
}


# What Airflow 2 and 3 show in the place of a stored secret, and take for "unchanged" when it comes back.
_STAND_INS: Final = ("RATHER_LONG_SENSITIVE_FIELD_PLACEHOLDER", "***")


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of the form beyond those that every connection has; stored in the connection's extra."""

    label: str
    description: str
    secret: bool = False
    number: Mapping[str, Any] | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """What may stand in it, as JSON Schema."""
        if self.number is not None:
            return dict(self.number)
        return {"type": ["string", "null"], **({"format": "password"} if self.secret else {})}


#: By the name each has in the extra. No name holds a word like "token": Airflow would mask its value.
FORM_FIELDS: Final = {
    "client_id": FormField("Client ID", "Of the API user or API key (Manager, Administration, API Access)"),
    "client_secret": FormField("Client secret", "Of the API user or API key", secret=True),
    "scope": FormField(
        "Scope", "Empty means api. For an API key: the scopes it was given, separated by blanks"
    ),
    "auth_url": FormField(
        "Auth URL",
        "Usually empty: https://auth.trackunit.com/token, or …/token/v2 when API username is empty",
    ),
    "ca_bundle": FormField("CA bundle", "Path of a PEM file on the workers, for networks that inspect TLS"),
    "timeout_s": FormField(
        LABELS["timeout_s"],
        "Seconds for one answer; empty means 60",
        number={"type": ["number", "null"], "exclusiveMinimum": 0},
    ),
    "max_attempts": FormField(
        LABELS["max_attempts"],
        "How often one request is sent at the most; empty means 4",
        number={"type": ["integer", "null"], "minimum": 1},
    ),
    "max_wait_s": FormField(
        LABELS["max_wait_s"],
        "Seconds that a worker sleeps for a limit or a retry; empty means 120",
        number={"type": ["number", "null"], "minimum": 0},
    ),
}


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """What a client needs from a connection."""

    credentials: Credentials
    base_url: str
    ca_bundle: str | None
    call: CallSettings = field(default_factory=CallSettings)


@contextmanager
def errors_name(trackunit_conn_id: str) -> Iterator[None]:
    """Add the id of the connection to what a person has to mend, because there may be several of them."""
    try:
        yield
    except (IrisConfigurationError, IrisTokenError) as error:
        name = f"(connection {trackunit_conn_id!r})"
        if name not in str(error):
            error.args = (f"{error} {name}",)
        raise


def read_connection(connection: Any) -> ConnectionSettings:
    """Return the settings that an Airflow connection holds.

    The extra is parsed here, because Airflow's own ``extra_dejson`` talks to the supervisor, which must not
    happen inside an event loop.

    :param connection: an Airflow connection (``host``, ``port``, ``login``, ``password``, ``extra``)
    :raises IrisConfigurationError: when a field is missing, malformed or contradictory; the text names it
    """
    stored = _Stored(
        host=(connection.host or "").strip() or BASE_URL,
        port=connection.port,
        login=(connection.login or "").strip(),
        password=Secret(connection.password or ""),
        extra=Secret((connection.extra or "").strip() or "{}"),
    )
    # The repr of Airflow 3's connection shows its secrets, and tracebacks can show the variables of their frames.
    del connection
    return _settings_of(stored)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What a connection holds, with a repr that can be shown."""

    host: str = field(repr=False)
    port: int | None
    login: str = field(repr=False)
    password: Secret
    extra: Secret


def _settings_of(stored: _Stored) -> ConnectionSettings:
    from airflow_provider_trackunit.iris.http.tokens import Credentials

    extra = _read_extra(stored.extra)
    host = Secret(stored.host)
    if stored.port and not _has_port(host):
        host = Secret(f"{host.rstrip('/')}:{stored.port}")
    return ConnectionSettings(
        credentials=Credentials(
            client_id=_text(extra, "client_id"),
            client_secret=_secret(
                Secret(_text(extra, "client_secret")), "Client secret (extra 'client_secret')"
            ),
            username=stored.login,
            password=_secret(stored.password, "API password (password)"),
            scope=_text(extra, "scope"),
            auth_url=Secret(_text(extra, "auth_url")),
        ),
        base_url=host,
        ca_bundle=_text(extra, "ca_bundle") or None,
        call=stored_settings(extra),
    )


def _read_extra(text: Secret) -> SecretMembers:
    found = _decoded(text)
    if found is None:
        raise IrisConfigurationError("Extra of the connection is not valid JSON")
    if isinstance(found, SecretMembers):
        return found
    raise IrisConfigurationError("Extra of the connection must be a JSON object")


def _decoded(text: Secret) -> SecretMembers | Secret | None:
    """Return the members of a JSON object, something else for another value, None for text that is no JSON.

    Nothing is raised: an error of the parser holds the whole text.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return SecretMembers(found) if isinstance(found, dict) else text


def _text(extra: SecretMembers, name: str) -> str:
    if extra.get(name) is None:
        return ""
    if isinstance(extra[name], bool) or not isinstance(extra[name], str | int):
        raise IrisConfigurationError(f"{FORM_FIELDS[name].label} (extra {name!r}) must be text")
    return str(extra[name]).strip()


def _secret(value: Secret, field: str) -> Secret:
    """Refuse what a form sent for a secret that it does not show, because Airflow did not fill in the stored one."""
    if value in _STAND_INS:
        raise IrisConfigurationError(
            f"{field} came as the stand-in that Airflow shows for a stored value: type it again to test it"
        )
    return value


def _has_port(host: str) -> bool:
    return host.rpartition("://")[2].rstrip("/").rpartition(":")[2].isdigit()


def hidden_fields() -> list[str]:
    """Return the standard fields that the form leaves out: all that have no meaning here.

    The button "Test" of Airflow 3.3.1 and 3.3.2 takes a connection without a port for one to another server and
    refuses it (apache/airflow#73298). There the port stays, and with 443 in it the button works. The box for
    all of the extra stays too: in the form of a stored connection, the button of Airflow 2 breaks without it.
    """
    return ["schema"] if _test_needs_a_port() else ["schema", "port"]


def _test_needs_a_port() -> bool:
    return re.match(r"3\.3\.[12](?!\d)", _airflow_core() or "") is not None


def _airflow_core() -> str | None:
    """Return the version of Airflow 3, None for Airflow 2, which has no package of that name."""
    try:
        return packages.version("apache-airflow-core")
    except packages.PackageNotFoundError:
        return None


def metadata() -> dict[str, Any]:
    """Return the form the way ``get_provider_info`` gives it to Airflow 3.2 and later."""
    return {
        "ui-field-behaviour": {
            "hidden-fields": hidden_fields(),
            "relabeling": dict(RELABELING),
            "placeholders": dict(PLACEHOLDERS),
        },
        "conn-fields": {
            name: {
                "label": field.label,
                "description": field.description,
                "schema": field.schema,
            }
            for name, field in FORM_FIELDS.items()
        },
    }


def field_behaviour() -> dict[str, Any]:
    """Return the form's changed standard fields the way the hook gives them to Airflow before 3.2."""
    return {
        "hidden_fields": hidden_fields(),
        "relabeling": dict(RELABELING),
        "placeholders": dict(PLACEHOLDERS),
    }


def form_widgets() -> dict[str, Any]:
    """Return the form's own fields the way the hook gives them to Airflow before 3.2.

    :raises ImportError: where Airflow has no Flask form libraries; Airflow catches it
    """
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
    from flask_babel import lazy_gettext
    from wtforms import PasswordField, StringField

    def stored_secret(field: Any, **attributes: Any) -> Any:
        # Airflow 2 deletes a secret from the extra when its field comes back empty, and keeps it for its stand-in.
        # So a stored one shows as the stand-in: saving another change must not lose it.
        attributes["value"] = _STAND_INS[0] if field.data else ""
        return BS3PasswordFieldWidget(hide_value=False)(field, **attributes)

    def widget(field: FormField) -> Any:
        if not field.secret:
            return BS3TextFieldWidget()
        return stored_secret if _airflow_core() is None else BS3PasswordFieldWidget()

    return {
        name: (PasswordField if field.secret else StringField)(
            lazy_gettext(field.label), description=field.description, widget=widget(field)
        )
        for name, field in FORM_FIELDS.items()
    }
