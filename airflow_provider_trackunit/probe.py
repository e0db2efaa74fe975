"""Looks once at what an account may read and how IRIS answers it, for a person or a bug report.

::

    airflow trackunit probe --conn-id trackunit_default                       # Airflow 3.2 and newer
    python -m airflow_provider_trackunit.probe --conn-id trackunit_default    # any Airflow

It needs the connections of Airflow, as ``airflow connections get`` does. It reads each endpoint of the catalogue once, writes
nothing, and spends no call that counts singly unless ``--metered`` says so.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit import connection
from airflow_provider_trackunit.iris.calls import BASE_URL
from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_trackunit.iris.probe.report import Report

_DOES: Final = (
    "Read each endpoint of the catalogue once and say what this account may read and how IRIS answers."
)
_ARGUMENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "--conn-id": {"default": connection.DEFAULT_CONN_ID, "help": "the connection (%(default)s)"},
    "--metered": {
        "action": "store_true",
        "help": "also spend one call of each endpoint that answers only so often: AEMP, asset events",
    },
    "--report": {
        "default": "trackunit-probe.json",
        "metavar": "FILE",
        "help": "the file for a bug report (%(default)s); it holds no value of a record",
    },
}


def look(trackunit_conn_id: str = connection.DEFAULT_CONN_ID, *, metered: bool = False) -> Report:
    """Return what an account may read and how IRIS answers it.

    :param metered: whether to spend one call of each endpoint whose calls count singly
    :raises IrisConfigurationError: when the connection is missing, incomplete or contradictory
    :raises IrisTokenError: when the token endpoint refuses the credentials
    :raises IrisNoAnswerError: when the token endpoint cannot be reached
    """
    from airflow_provider_trackunit.iris.probe.asking import PROBING, WatchedClient, probe
    from airflow_provider_trackunit.iris.probe.report import report
    from airflow_provider_trackunit.iris.probe.switches import switches

    stored = _stored(trackunit_conn_id)
    now, is_key = dt.datetime.now(dt.UTC), not stored.credentials.username
    with (
        connection.errors_name(trackunit_conn_id),
        WatchedClient(stored.credentials, stored.base_url, ca_bundle=stored.ca_bundle, **PROBING) as client,
    ):
        token = client.authenticate()
        seen = list(probe(client, now, metered=metered))
    return report(
        seen,
        now=now,
        is_key=is_key,
        scope=token.scope or "",
        token_lifetime_s=token.expires_in_s,
        own_host=client.origin == BASE_URL,
        metered=metered,
        emulator=switches(seen, token, is_key=is_key),
    )


def _stored(trackunit_conn_id: str) -> connection.ConnectionSettings:
    from airflow_provider_trackunit._compat import connection_of_command_line, mask_secrets
    from airflow_provider_trackunit.iris.secrecy import spellings

    with connection.errors_name(trackunit_conn_id):
        found = connection_of_command_line(trackunit_conn_id)
        if found is None:
            raise IrisConfigurationError("There is no such connection")
        stored = connection.read_connection(found)
    mask_secrets(*spellings(stored.credentials.secrets))
    return stored


def run(given: argparse.Namespace) -> int:
    """Do what the command line says, and return the exit status: 1 when nothing could be asked."""
    from airflow_provider_trackunit.iris.probe.report import text

    try:
        found = look(given.conn_id, metered=given.metered)
        Path(given.report).write_bytes(found.json())
    except (IrisError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(
        f"{text(found)}\n\nReport: {given.report}. It holds names of members, counts and times, and no value of a record; "
        "read it before you attach it.\n"
    )
    return 0


def run_in_airflow(given: argparse.Namespace) -> None:
    """Do what ``airflow trackunit probe`` says.

    :raises SystemExit: with the status of :func:`run`
    """
    raise SystemExit(run(given))


def get_cli_commands() -> list[Any]:
    """Return the commands that this provider adds to Airflow's own, for Airflow 3.2 and newer."""
    commands: Any = import_module("airflow.cli.cli_config")  # without types
    arguments = [commands.Arg(flags=(name,), **settings) for name, settings in _ARGUMENTS.items()]
    probe = commands.ActionCommand(name="probe", help=_DOES, func=run_in_airflow, args=arguments)
    return [commands.GroupCommand(name="trackunit", help="Trackunit IRIS", subcommands=[probe])]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_trackunit.probe", description=_DOES)
    for name, settings in _ARGUMENTS.items():
        parser.add_argument(name, **settings)
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
