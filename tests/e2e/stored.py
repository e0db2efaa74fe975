"""Connections that are stored without the form: by the commands of the docs, and by ``make ui``."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Final

from dev.ui import store_connection
from tests.docs.texts import blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_trackunit.emulator import IrisEmulator
    from dev.airflow_home import AirflowHome

CONN_ID: Final = "trackunit_default"


def stored_connections(home: AirflowHome, iris: IrisEmulator) -> Iterator[tuple[str, dict[str, str]]]:
    """Store one connection after the other, each in the place of the one before.

    Yields what it is called here, and its secrets by the labels of the form.
    """
    for number, command in enumerate(_commands(), 1):
        who = "password" if "--conn-login" in command else "client_credentials"
        connection = json.loads(iris.connection_json(who))
        home.run("connections", "delete", CONN_ID, timeout_s=120)
        home.run(*_to_emulator(command, connection), timeout_s=120)
        yield f"command {number} of the docs", _secrets(connection)
    connection = iris.connection_json()
    store_connection(home, connection)
    yield "the connection of make ui", _secrets(json.loads(connection))


def _commands() -> list[list[str]]:
    """Return the words of each command of the docs that stores a connection to IRIS, without the first."""
    lines = [line for block in blocks("sh") for line in block.code.replace("\\\n", " ").splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith(f"airflow connections add {CONN_ID} ")]


def _to_emulator(command: list[str], connection: dict[str, Any]) -> list[str]:
    """Return a command with the emulator's values in the place of those that a reader has to fill in."""
    values: dict[str, Callable[[str], str]] = {
        "--conn-host": lambda _: connection["host"],
        "--conn-login": lambda _: connection["login"],
        "--conn-password": lambda _: connection["password"],
        "--conn-extra": lambda shown: _filled_in(json.loads(shown), connection["extra"]),
    }
    words = list(command)
    for at, word in enumerate(words[:-1]):
        if word in values:
            words[at + 1] = values[word](words[at + 1])
    return words


def _filled_in(shown: dict[str, str], extra: dict[str, str]) -> str:
    """Return the members that the docs show, with the emulator's values, and where its tokens are."""
    return json.dumps({name: extra[name] for name in [*shown, "auth_url"]})


def _secrets(connection: dict[str, Any]) -> dict[str, str]:
    password = {"API password": connection["password"]} if "password" in connection else {}
    return password | {"Client secret": connection["extra"]["client_secret"]}
