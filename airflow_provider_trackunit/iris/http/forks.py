"""What a child process has to begin anew: locks that nobody is there to release, connections that the parent uses."""

from __future__ import annotations

import os
from typing import Final, Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """What can begin again in a child process."""

    def renew(self) -> None:
        """Forget the threads of the parent, and let go of its connections."""


_living: Final[WeakSet[Renewable]] = WeakSet()


def renew_after_fork(one: Renewable) -> None:
    """Have this renewed in every child process, as long as it lives."""
    _living.add(one)


def _renew_all() -> None:
    for one in list(_living):
        one.renew()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_renew_all)
