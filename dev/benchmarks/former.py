"""The first edition of this provider, 0.1.0, beside which the present one is measured: its tree, out of the history."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMER = "0.1.0"
_COMMIT = "496d7ec12aa77c86834040ea01d296d10d41c1da"
_ROOT = Path(__file__).parents[2]


@contextmanager
def former_tree() -> Iterator[Path | None]:
    """Yield a folder with the package of 0.1.0; None, and a line that says so, where the history does not have it."""
    command = ["git", "-C", str(_ROOT), "archive", _COMMIT, "airflow_provider_trackunit"]
    archive = subprocess.run(command, capture_output=True, check=False)
    if archive.returncode:
        print(f"\nNot measured: {FORMER}. This copy of the history lacks its commit {_COMMIT[:7]}.")
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(archive.stdout)) as members:
            members.extractall(folder, filter="data")
        yield Path(folder)
