"""How long one call may take, and how often it is tried: given as an argument, else by the connection. Pure.

Every class that calls IRIS takes the same three, and an argument wins over the connection.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.iris.errors import IrisConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A deferral that ends sooner meets a race in Airflow's scheduler and can fail the task (3.0 to 3.3).
LEAST_DEFERRAL_S: Final = 30.0

#: Nobody waits longer than a day, for an answer or for a limit, without being told: such a wait is an error of the try.
#: The longest documented limit that a pause can mend is half an hour.
LONGEST_WAIT_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class CallSettings:
    """The settings of a call; None where nobody said.

    :param timeout_s: longest time for one answer, in seconds
    :param max_attempts: how often one request is sent at the most, the first time included
    :param max_wait_s: a longer wait, for a limit or a retry, is not slept but raised
    """

    timeout_s: float | None = None
    max_attempts: int | None = None
    max_wait_s: float | None = None

    def over(self, others: CallSettings) -> CallSettings:
        """Return these settings, with those of others where nothing is said here."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        return CallSettings(**{**asdict(others), **said})

    def arguments(self) -> dict[str, Any]:
        """Return them as the arguments that hooks, operators, triggers and clients take."""
        return asdict(self)


#: A page of a thousand assets comes in seconds. Four attempts, with their waits, outlive a restart of a server. Two
#: minutes are the longest that a worker slot is worth.
DEFAULTS: Final = CallSettings(timeout_s=60.0, max_attempts=4, max_wait_s=120.0)

#: By their names in the connection's extra, as the form calls them.
LABELS: Final[Mapping[str, str]] = {
    "timeout_s": "Timeout",
    "max_attempts": "Attempts",
    "max_wait_s": "Longest wait",
}

_EXPECTED: Final[Mapping[str, str]] = {
    "timeout_s": "a number of seconds above 0, a day at the most",
    "max_attempts": "a whole number, 1 or more",
    "max_wait_s": "a number of seconds, 0 or more, a day at the most",
}


def given_settings(**given: Any) -> CallSettings:
    """Return the settings that arguments say.

    :raises IrisConfigurationError: when one of them cannot be; the text names it
    """
    return CallSettings(**{name: _read(name, value, name) for name, value in given.items()})


def stored_settings(extra: Mapping[str, Any]) -> CallSettings:
    """Return the settings that the extra of a connection holds, as numbers or as text.

    :raises IrisConfigurationError: when one of them cannot be; the text names its field in the form
    """
    return CallSettings(
        **{name: _read(name, extra.get(name), f"{label} (extra {name!r})") for name, label in LABELS.items()}
    )


def _read(name: str, value: Any, shown_as: str) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = _number(value)
    if name == "max_attempts":
        usable = number >= 1 and number.is_integer()
    else:
        usable = 0 <= number <= LONGEST_WAIT_S and (number > 0 or name == "max_wait_s")
    if not usable:
        raise IrisConfigurationError(f"{shown_as}: {value!r:.40} is not {_EXPECTED[name]}")
    return int(number) if name == "max_attempts" else number


def _number(value: Any) -> float:
    """Return what was written as a number, not a number for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
