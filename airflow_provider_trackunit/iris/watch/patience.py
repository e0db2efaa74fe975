"""What a wait survives: transient failures, up to ten in a row. Pure.

A wait outlives a bad minute of IRIS or of the network; after so many failures in a row it is no bad minute.
"""

from __future__ import annotations

import logging
from typing import Final

from airflow_provider_trackunit.iris.errors import IrisError, IrisRateLimitError

log = logging.getLogger(__name__)

_MAX_FAILURES_IN_A_ROW: Final = 10

# A pause may be asked for by mistake, of years by one wrong digit; after so long a wait looks again.
_LONGEST_PAUSE_S: Final = 3600.0


class Patience:
    """Counts the failures in a row of one wait."""

    def __init__(self) -> None:
        self._failures = 0

    def succeeded(self) -> None:
        """Begin to count anew."""
        self._failures = 0

    def survive(self, error: IrisError) -> float:
        """Log a failure, and return how long IRIS said to keep away, an hour at the most.

        A request that our own pacing held back is no failure: it was not sent.

        :raises IrisError: the error itself, when it is permanent or the tenth in a row
        """
        pause_s = min(error.retry_after or 0.0, _LONGEST_PAUSE_S)
        if isinstance(error, IrisRateLimitError) and error.status is None:
            log.info("%s", error)
            return pause_s
        self._failures += 1
        if not error.transient or self._failures >= _MAX_FAILURES_IN_A_ROW:
            raise error
        log.warning("Failure %d of %d in a row: %s", self._failures, _MAX_FAILURES_IN_A_ROW, error)
        return pause_s
