"""Looks at the state of an incremental transfer, sets it back, or hands it over to another request.

::

    python -m airflow_provider_trackunit.state show s3://lake/events/_state.json --conn-id aws_default
    python -m airflow_provider_trackunit.state set s3://lake/hours/_state.json --until 2026-01-01 --item '{"pin": "A1"}'
    python -m airflow_provider_trackunit.state adopt s3://lake/hours/_state.json

The functions do the same from Python. All of them need the connections of Airflow, as a task does.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisError
from airflow_provider_trackunit.iris.export.folder.store import Files
from airflow_provider_trackunit.iris.export.incremental.claims import Claim
from airflow_provider_trackunit.iris.export.incremental.cursors import (
    Cursors,
    key_of,
    read_cursors,
    write_cursors,
)
from airflow_provider_trackunit.iris.export.incremental.rules import moment_s
from airflow_provider_trackunit.iris.export.manifest import Run
from airflow_provider_trackunit.storage import file_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_trackunit.storage import FolderStore


def show(url: str, *, conn_id: str | None = None) -> dict[str, Any]:
    """Return a state: ``endpoint``, ``run`` that moved it last, and ``until``, or ``items`` with a cursor for each.

    :param url: the file, as ``Incremental(state=…)`` names it
    :param conn_id: the Airflow connection of the store; None for the one in the URL, or the store's default
    :raises FileNotFoundError: when there is none
    :raises IrisCheckpointError: when it cannot be read as one
    """
    found: dict[str, Any] = msgspec.to_builtins(_read(*file_at(url, conn_id, "state")))
    return found


def set_back(
    url: str, until: str, *, item: Mapping[str, Any] | None = None, conn_id: str | None = None
) -> dict[str, Any]:
    """Let the next run read again from a moment on, and return the state. No cursor is ever set ahead.

    :param until: ISO 8601, without a zone in UTC. The next run reads from there, less its ``lookback``
    :param item: the path parameters of the one item that is meant; None for all
    :raises IrisConfigurationError: when the moment or the item cannot be
    :raises IrisCheckpointError: when a run is at work with the state
    """
    until_s, key = moment_s(until, "until"), None if item is None else key_of(item)
    return _change(url, conn_id, lambda cursors: cursors.set_back(until_s, key))


def adopt(url: str, *, conn_id: str | None = None) -> dict[str, Any]:
    """Let the next run take the state over, whatever it asks for, and return the state.

    For a request that was changed and goes on where the former one ended.

    :raises IrisCheckpointError: when a run is at work with the state
    """
    return _change(url, conn_id, lambda cursors: msgspec.structs.replace(cursors, request=""))


def _change(url: str, conn_id: str | None, change: Callable[[Cursors], Cursors]) -> dict[str, Any]:
    store, name = file_at(url, conn_id, "state")
    _read(store, name)
    claim = Claim(store, name, Run("airflow_provider_trackunit.state", "a person", "by hand"))
    claim.take()
    try:
        changed = change(_read(store, name))
        Files(store).write(name, write_cursors(changed))
    finally:
        claim.withdraw()
    found: dict[str, Any] = msgspec.to_builtins(changed)
    return found


def _read(store: FolderStore, name: str) -> Cursors:
    data = Files(store).read(name)
    if data is None:
        raise FileNotFoundError(f"{store.label}/{name}: there is no such file")
    return read_cursors(data, f"{store.label}/{name}")


def _text(state: Mapping[str, Any]) -> str:
    """Return a state as the command shows it: the cursors that are behind come first."""
    run = state["run"]
    lines = [
        f"request:  {state['endpoint']}" + ("" if state["request"] else " (the next one takes it over)"),
        f"last run: {run['run_id']} of {run['dag_id']}.{run['task_id']}",
    ]
    if state["items"] is None:
        return "\n".join([*lines, f"until:    {state['until']}"])
    items = sorted((until, key) for key, until in state["items"].items())
    return "\n".join([*lines, f"items:    {len(items)}", *(f"{until}  {key}" for until, key in items)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    given = _parser().parse_args(arguments)
    where = {"conn_id": given.conn_id}
    try:
        if given.command == "show":
            state = show(given.url, **where)
        elif given.command == "set":
            state = set_back(given.url, given.until, item=_item(given.item), **where)
        else:
            state = adopt(given.url, **where)
    except (IrisError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{_text(state)}\n")
    return 0


def _item(text: str | None) -> Mapping[str, Any] | None:
    try:
        item = None if text is None else json.loads(text)
    except ValueError:
        item = text
    if item is not None and not isinstance(item, dict):
        raise IrisConfigurationError(f"--item: {text} is no JSON object; write it as the state shows it")
    return item


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_trackunit.state", description="The state of an incremental transfer."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, does in (
        ("show", "show how far everything has been read"),
        ("set", "let the next run read again from a moment on; never ahead"),
        ("adopt", "let the next run take the state over, whatever it asks for"),
    ):
        command = commands.add_parser(name, help=does, description=does)
        command.add_argument("url", help="the file, such as s3://lake/events/_state.json")
        command.add_argument("--conn-id", help="the Airflow connection of its store")
        if name == "set":
            command.add_argument("--until", required=True, help="ISO 8601, such as 2026-01-31T00:00:00Z")
            command.add_argument("--item", help="""only this one, such as '{"pin": "A1"}'""")
    return parser


if __name__ == "__main__":
    sys.exit(main())
