"""What a process holds: file descriptors, threads and memory, noted every few simulated minutes."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a process."""

    at_s: float
    descriptors: int
    threads: int
    resident_mib: float

    @classmethod
    def of(cls, pid: int, at_s: float) -> Sample:
        """Return what the process holds now."""
        process = Path(f"/proc/{pid}")
        pages = int((process / "statm").read_text().split()[1])
        return cls(
            at_s,
            len(list((process / "fd").iterdir())),
            len(list((process / "task").iterdir())),
            pages * os.sysconf("SC_PAGE_SIZE") / MIB,
        )


@dataclass(frozen=True, slots=True)
class Span:
    """The smallest, the middle and the largest value of a gauge within an hour."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, samples: list[Sample], begin_s: float, value: Callable[[Sample], float]) -> Span:
        """Return that of the hour that begins then."""
        values = [value(one) for one in samples if begin_s <= one.at_s < begin_s + 3600]
        return cls(min(values), statistics.median(values), max(values))

    def __str__(self) -> str:
        """Return the three, in this order."""
        return "/".join(f"{value:.0f}" for value in (self.least, self.median, self.most))
