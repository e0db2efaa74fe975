"""Programs that run side by side, each with a log, and all ended by their own process ids however it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import psutil  # type: ignore[import-untyped,unused-ignore] # comes with Airflow, its types may not

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

LOOPBACK = "127.0.0.1"
STOPPED_WITHIN_S = 20
_LOG_LINES = 30


class PartFailedError(Exception):
    """A part ended, or did not get ready; the text says which and where its log is."""


@dataclass(frozen=True)
class _Part:
    process: subprocess.Popen[bytes]
    stop_signal: int


class Parts:
    """Running programs by name.

    ::

        with Parts(folder) as parts:
            parts.start("scheduler", [sys.executable, "-m", "airflow", "scheduler"], environment)
            parts.wait_until(healthy, "Airflow", within_s=180)

    :param folder: where the logs are written, ``<name>.log``
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, _Part] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        stop_signal: int = signal.SIGTERM,
        user: str | None = None,
    ) -> None:
        """Start a program.

        :param stop_signal: what ends it in good order
        :param user: whom it runs as; None for the user of this process
        """
        account: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        with self.log(name).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for our process, which stops the parts itself.
                start_new_session=True,
                **account,
            )
        self._running[name] = _Part(process, stop_signal)

    def log(self, name: str) -> Path:
        """Return the file that a part writes to."""
        return self._folder / f"{name}.log"

    def kill(self, name: str) -> int:
        """End a part and every process under it at once, as a lost machine does, and return how many they were."""
        process = self._running.pop(name).process
        family = _family(process.pid)
        process.kill()
        _kill(family)
        process.wait()
        return 1 + len(family)

    def refuse_ended(self) -> None:
        """Check that every part runs.

        :raises PartFailedError: when one has ended by itself
        """
        for name, part in self._running.items():
            if part.process.poll() is not None:
                last = "\n".join(self.log(name).read_text(errors="replace").splitlines()[-_LOG_LINES:])
                raise PartFailedError(f"{last}\n\nThe {name} ended. Its log: {self.log(name)}")

    def wait_until(self, ready: Callable[[], bool], what: str, within_s: float) -> None:
        """Wait for a condition while the parts run.

        :raises PartFailedError: when a part ends, or the time is over
        """
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            self.refuse_ended()
            if ready():
                return
            time.sleep(0.5)
        raise PartFailedError(f"{what} was not ready after {within_s:.0f} s; the logs are in {self._folder}")

    def stop(self) -> None:
        """End the parts and every process under them; those that linger are killed."""
        parts, self._running = self._running, {}
        family = [process for part in parts.values() for process in _family(part.process.pid)]
        for part in parts.values():
            part.process.send_signal(part.stop_signal)
        deadline = time.monotonic() + STOPPED_WITHIN_S
        for part in parts.values():
            try:
                part.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                part.process.kill()
                part.process.wait()
        # A process id that went to somebody else meanwhile is not "running" in the eyes of psutil.
        _kill(psutil.wait_procs(family, timeout=1)[1])


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
    return port


def _family(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=STOPPED_WITHIN_S)
