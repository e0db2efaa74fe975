"""What was asked of the emulator: a bounded log and the counts a test wants to assert on."""

from collections import Counter, deque
from typing import Any

LOGGED_REQUESTS = 50_000
LOGGED_BODY_BYTES = 4096
# The credential is left out: a test reads which token was used from its id.
LOGGED_HEADERS = ("accept", "accept-encoding", "content-type", "host", "tu-preview", "user-agent")


class Journal:
    """The log of requests and the counters."""

    def __init__(self) -> None:
        self.requests: deque[dict[str, Any]] = deque(maxlen=LOGGED_REQUESTS)
        self.calls: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.mutations: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.faults = 0
        self.in_flight = 0
        self.max_in_flight = 0

    def opened(self, entry: dict[str, Any]) -> None:
        """Note a request that came in."""
        self.requests.append(entry)
        self.calls[f"{entry['method']} {entry['path']}"] += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def closed(self, entry: dict[str, Any], status: int | None) -> None:
        """Note how it ended; None is a connection that was cut without an answer."""
        self.in_flight -= 1
        entry["status"] = status
        if status is not None:
            self.statuses[status] += 1

    def stats(self) -> dict[str, Any]:
        """Return the counters."""
        return {
            "requests": sum(self.calls.values()),
            "calls": dict(self.calls),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "rate_limited": self.statuses[429],
            "token_requests": sum(self.tokens.values()),
            "tokens": dict(self.tokens),
            "mutations": dict(self.mutations),
            "faults": self.faults,
            "max_concurrent": self.max_in_flight,
        }
