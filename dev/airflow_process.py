"""Airflow commands one after the other in one process: what Airflow loads, it loads once.

To load and to begin takes it some nine seconds of CPU, a DAG of a few tasks less than one.

``python -m dev.airflow_process`` is that process. It reads a command from each line, as JSON, and ends what the command
prints with a line of its own.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import threading
import traceback
from typing import IO, TYPE_CHECKING, Any, Final, Self, cast

from dev.airflow_home import AirflowCommandError, AirflowHome, kill_group

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_END: Final = "== the command ended with exit code "


class OneProcessHome(AirflowHome):
    """A home whose commands run in one process, which begins with the first of them; a context manager that ends it.

    For commands that succeed one by one: what one of them leaves in the memory of the process, the next one finds.
    """

    def __init__(self, path: Path, dags: Path) -> None:
        super().__init__(path, dags)
        self._process: subprocess.Popen[str] | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        """Return the home."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        if self._process is not None:
            kill_group(self._process)
            self._process.communicate()

    def run(self, *arguments: str, timeout_s: float, connection: str | None = None, **settings: str) -> str:
        """Return what an Airflow command printed; threads take turns.

        :param settings: more variables; those that Airflow reads while it is loaded count in the first command alone
        :raises AirflowCommandError: when it fails, or is not done after ``timeout_s`` seconds and was killed
        """
        with self._turn:
            process = self._begun()
            command = {"arguments": arguments, "environment": self.environment(connection, **settings)}
            clock = threading.Timer(timeout_s, kill_group, [process])
            clock.start()
            try:
                print(json.dumps(command), file=cast("IO[str]", process.stdin), flush=True)
                *lines, end = _lines_of_one(process)
            finally:
                clock.cancel()
        output, code = "".join(lines), end.removeprefix(_END).strip()
        if code != "0":
            raise AirflowCommandError(f"airflow {' '.join(arguments)} failed ({code}):\n{output}")
        return output

    def _begun(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", __name__],
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        return self._process


def _lines_of_one(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield what one command prints, and the line that ends it; at last, whatever becomes of the process."""
    for line in cast("IO[str]", process.stdout):
        yield line
        if line.startswith(_END):
            return
    yield "the process is gone: killed after its time, or it ended by itself"


def main() -> None:
    """Run the commands that are asked for until there are no more."""
    with os.fdopen(os.dup(sys.stdin.fileno())) as asked:
        os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
        for line in asked:
            command: dict[str, Any] = json.loads(line)
            os.environ.update(command["environment"])
            code = _run(command["arguments"])
            sys.stderr.flush()
            print(f"\n{_END}{code}", flush=True)


def _run(arguments: list[str]) -> int:
    sys.argv = ["airflow", *arguments]
    try:
        runpy.run_module("airflow", run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001 - whatever a command raises is its failure
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
