"""``make mutants``: change the pure modules of the client in thousands of small ways, and ask which a test notices.

mutmut makes the changes (mutants), one at a time, and runs the tests that reach the changed function; its settings
are in ``pyproject.toml``. A mutant that no test notices is shown by ``mutmut show`` and its name.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

from dev.environments import ROOT

#: Least share of all mutants that a test has to notice, those that change nothing anybody could notice included.
LEAST_PERCENT = 85

#: Where mutmut works, and keeps what it found.
_WORKPLACE = ROOT / "mutants"
_MUTMUT = str(Path(sys.executable).with_name("mutmut"))

# One that makes a test run for ever is noticed too.
_NOTICED = ("killed", "timeout")
_COLUMNS = ("module", "mutants", *_NOTICED, "survived", "no tests", "noticed")


def main() -> None:
    """Try all mutants, from the first to the last, and print the table.

    :raises SystemExit: with 1 when too few were noticed
    """
    # What an earlier run found is not asked again, although the tests may have become better since.
    shutil.rmtree(_WORKPLACE, ignore_errors=True)
    subprocess.run([_MUTMUT, "run"], check=True, cwd=ROOT)  # noqa: S603 - our own environment's
    found = statuses(_results())
    print("\n".join(table(found)))
    if percent(sum(found.values(), Counter())) < LEAST_PERCENT:
        raise SystemExit(f"Fewer than {LEAST_PERCENT} % of the mutants were noticed by a test")


def _results() -> str:
    command = [_MUTMUT, "results", "--all", "true"]
    return subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout  # noqa: S603 - as above


def statuses(results: str) -> dict[str, Counter[str]]:
    """Return how many mutants of each module had which end, from the lines of ``mutmut results``."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for line in results.splitlines():
        mutant, _, status = line.strip().partition(": ")
        if status:
            found[mutant.split(".")[-2]][status] += 1
    return found


def percent(ends: Counter[str]) -> float:
    """Return the share of mutants that were noticed."""
    return 100 * sum(ends[one] for one in _NOTICED) / max(ends.total(), 1)


def table(found: dict[str, Counter[str]]) -> list[str]:
    """Return the lines of a table, one for each module, and the sum."""
    lines = [_line(*_COLUMNS)]
    for module, ends in [*sorted(found.items()), ("all", sum(found.values(), Counter()))]:
        counts = [ends[one] for one in _COLUMNS[2:-1]]
        lines.append(_line(module, ends.total(), *counts, f"{percent(ends):.1f} %"))
    return lines


def _line(module: str, *values: object) -> str:
    return f"{module:<14}" + "".join(f"{value!s:>10}" for value in values)


if __name__ == "__main__":
    main()
