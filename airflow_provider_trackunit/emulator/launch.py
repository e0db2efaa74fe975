"""Starting the emulator as a process of its own, and what it needs for that. Standard library only."""

import subprocess
import sys

FIRST_LINE = "IRIS emulator on "
STOP_TIMEOUT_S = 30.0


class ServerProcess:
    """The emulator as a child process, ended by its own id."""

    def __init__(self, assets: int, seed: int, port: int) -> None:
        command = [sys.executable, "-m", "airflow_provider_trackunit.emulator"]
        command += ["--assets", str(assets), "--seed", str(seed), "--port", str(port)]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module
        line = self._child.stdout.readline() if self._child.stdout else ""
        if not line.startswith(FIRST_LINE):
            self.stop()
            raise RuntimeError(f"the emulator did not start; it said: {line!r}")
        self.url = line.removeprefix(FIRST_LINE).strip()

    def stop(self) -> None:
        """End the process and wait for it."""
        self._child.terminate()
        try:
            self._child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._child.stdout:
            self._child.stdout.close()


def require_server_libraries() -> None:
    """Say what to install if starlette or uvicorn is missing.

    :raises ImportError: if so.
    """
    try:
        import starlette  # noqa: F401 - only whether it is there
        import uvicorn  # noqa: F401 - as above
    except ImportError as exc:
        raise ImportError(
            "The IRIS emulator needs starlette and uvicorn: install airflow-provider-trackunit[emulator]"
        ) from exc
