"""Lines of JSON between the scheduler and its two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_STOPPED_WITHIN_S = 20.0


class Program:
    """A process of ours that takes lines and gives lines.

    :param module: started with ``python -m``
    :param take: called with every line it gives, from a thread of its own; None says that it has ended
    :param log: takes what it prints
    """

    def __init__(
        self,
        module: str,
        arguments: list[str],
        environment: Mapping[str, str],
        log: Path,
        take: Callable[[dict[str, Any] | None], None],
    ) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                # Ctrl-C is for the scheduler, which stops its processes itself.
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, args=(take,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, message: dict[str, Any]) -> None:
        """Give it a line."""
        # One that has ended takes no line; that it has is told by the reader.
        with suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.write(json.dumps(message) + "\n")
                self._process.stdin.flush()

    def stop(self) -> None:
        """Let it end, which it does when nothing more can come."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(_STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_STOPPED_WITHIN_S)

    def last_words(self, lines: int = 30) -> str:
        """Return the end of what it printed."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def _read(self, take: Callable[[dict[str, Any] | None], None]) -> None:
        for line in self._process.stdout or ():
            take(json.loads(line))
        take(None)


class Reports:
    """What such a process gives its parent. Whatever else it prints goes to its log."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        self._lock = threading.Lock()
        os.dup2(2, 1)

    def send(self, message: dict[str, Any]) -> None:
        """Give a line; from any thread."""
        with self._lock:
            self._out.write(json.dumps(message) + "\n")
            self._out.flush()


def orders() -> Iterator[dict[str, Any]]:
    """Yield what the parent sends, until it has nothing more to say."""
    for line in sys.stdin:
        yield json.loads(line)
