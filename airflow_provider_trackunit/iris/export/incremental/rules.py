"""How a request is read on, and when a run is: what a person decides. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.export.incremental.cursors import epoch_s


@dataclass(frozen=True, slots=True)
class Rules:
    """How a request is read on.

    :param start_s: where an item begins that was never read, in seconds since the epoch
    :param lookback_s: so much before its cursor is read again
    :param step_s: the longest window; None for what the endpoint allows
    :param per_item: whether every item has a cursor of its own
    :param field: JMESPath of what makes a record the newest
    """

    start_s: int
    lookback_s: int = 0
    step_s: int | None = None
    per_item: bool = False
    field: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.lookback_s < 0:
            raise IrisConfigurationError("lookback must be 0 or more")
        if self.step_s is not None and self.step_s < 1:
            raise IrisConfigurationError("step must be a second or more")


@dataclass(frozen=True, slots=True)
class RunTime:
    """When a run is, in seconds since the epoch.

    :param end_s: where it ends
    :param begin_s: where its data interval begins; None when it has none
    """

    end_s: float
    begin_s: float | None = None


def moment_s(given: Any, argument: str) -> int:
    """Return a moment that a person gave, in whole seconds since the epoch.

    :raises IrisConfigurationError: when it is none; the text names the argument
    """
    try:
        return epoch_s(given if isinstance(given, str) else given.isoformat())
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise IrisConfigurationError(
            f"{argument}: {given!r} is no moment; write it as 2026-01-31T00:00:00Z"
        ) from None
