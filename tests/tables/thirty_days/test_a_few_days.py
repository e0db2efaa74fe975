"""The short form of ``make thirty-days``: a few machines, a few days, the same troubles, in DuckDB alone."""

from __future__ import annotations

import subprocess
import sys

# Whose month has kills of transfers and of loads, a run that is cleared, and two that are back-filled.
SEED = "4"


def test_after_days_of_kills_nothing_is_lost_and_every_machine_day_is_true_or_flagged() -> None:
    """In a process of its own, which lives in another time."""
    arguments = ["--machines", "4", "--days", "3", "--seed", SEED, "--without-postgresql"]
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "tests.tables.thirty_days", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert f"seed {SEED}: all hold" in done.stdout
