"""Running the emulator: in a thread of this process, or as the whole process.

It listens on the loopback interface only.
"""

import asyncio
import logging
import socket
import threading

import uvicorn

from airflow_provider_trackunit.emulator.app import EmulatorApp
from airflow_provider_trackunit.emulator.world import World

LOOPBACK = "127.0.0.1"
STOP_TIMEOUT_S = 15.0
# Enough for a burst of a client that opens all its connections at once.
BACKLOG = 2048


def listening_socket(port: int) -> socket.socket:
    """Return a bound loopback socket; port 0 lets the system choose."""
    # asyncio sends small answers at once only on sockets whose protocol is stated to be TCP;
    # without that, every answer on a kept connection waits 40 ms for the client's acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((LOOPBACK, port))
    return listener


def server_for(world: World) -> uvicorn.Server:
    """Return the server of a world, silent and without anything that wraps the application."""
    config = uvicorn.Config(
        EmulatorApp(world),
        loop="asyncio",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # The application sends its own, because uvicorn's is late on a busy machine.
        date_header=False,
        backlog=BACKLOG,
        # Long enough for a client that pauses between two pages to keep its connection.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    # Airflow sets up logging anew and brings the lines of a test's own server back; nobody asked for them.
    logging.getLogger("uvicorn.access").disabled = True
    return uvicorn.Server(config)


class ServerThread:
    """A server in a daemon thread of this process."""

    def __init__(self, assets: int, seed: int, port: int) -> None:
        self._listener = listening_socket(port)
        self.port: int = self._listener.getsockname()[1]
        self._server = server_for(World(assets, seed))
        self._thread = threading.Thread(target=self._run, name="iris-emulator", daemon=True)

    def start(self) -> None:
        """Return once connections are accepted; the first answer follows when the loop is up."""
        # Connections queue from here on, so nobody has to wait for the loop to come up.
        self._listener.listen(BACKLOG)
        self._thread.start()

    def stop(self) -> None:
        """Stop the server and wait for its thread."""
        self._server.should_exit = True
        self._thread.join(STOP_TIMEOUT_S)
        self._listener.close()

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._listener]))
