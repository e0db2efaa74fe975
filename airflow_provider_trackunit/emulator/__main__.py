"""``python -m airflow_provider_trackunit.emulator``: an emulator until SIGTERM or SIGINT."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

from airflow_provider_trackunit.emulator.launch import FIRST_LINE, require_server_libraries


def arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_trackunit.emulator",
        description="A local Trackunit IRIS with invented data, on the loopback interface.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose (default)")
    parser.add_argument("--assets", type=int, default=5000, help="size of the fleet")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same data")
    switches = parser.add_mutually_exclusive_group()
    switches.add_argument(
        "--settings", type=Path, metavar="FILE", help="a JSON object of switches that are not as they come"
    )
    switches.add_argument(
        "--like", type=Path, metavar="FILE", help="the report of a probe: answer as that account was answered"
    )
    return parser.parse_args()


def banner(url: str, credentials: dict[str, str], assets: int) -> str:
    """Return what the emulator prints; programs read the first line."""
    lines = [f"{FIRST_LINE}{url}", f"  assets: {assets}", f"  auth_url: {url}/token, {url}/token/v2"]
    lines += [f"  {name}: {value}" for name, value in credentials.items()]
    lines.append("  These credentials open nothing but this emulator. Stop it with Ctrl-C.")
    return "\n".join(lines) + "\n"


def chosen(options: argparse.Namespace) -> dict[str, Any]:
    """Return the switches that the command line names.

    :raises OSError: if the file cannot be read.
    :raises msgspec.MsgspecError: if it is not what it has to be.
    """
    import msgspec

    from airflow_provider_trackunit.emulator.settings import ProbeReport

    if options.settings is not None:
        return msgspec.json.decode(options.settings.read_bytes(), type=dict[str, Any])
    if options.like is not None:
        return msgspec.json.decode(options.like.read_bytes(), type=ProbeReport).emulator
    return {}


def main() -> None:
    """Run until a signal ends it."""
    require_server_libraries()
    import msgspec

    from airflow_provider_trackunit.emulator.server import LOOPBACK, listening_socket, server_for
    from airflow_provider_trackunit.emulator.settings import changed
    from airflow_provider_trackunit.emulator.world import World

    options = arguments()
    listener = listening_socket(options.port)
    listener.listen()
    world = World(options.assets, options.seed)
    try:
        world.use(changed(world.settings, chosen(options)))
    except (OSError, ValueError, msgspec.MsgspecError) as exc:
        sys.exit(f"The switches in {options.settings or options.like} cannot be used: {exc}")
    server = server_for(world)
    for ending in (signal.SIGINT, signal.SIGTERM):
        # However early it comes, a signal is the normal end and no traceback.
        signal.signal(ending, lambda _number, _frame: setattr(server, "should_exit", True))
    url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    credentials = msgspec.to_builtins(world.credentials) | {"api_key_scopes": world.settings.api_key_scopes}
    sys.stdout.write(banner(url, credentials, options.assets))
    sys.stdout.flush()
    asyncio.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    main()
