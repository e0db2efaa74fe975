"""Faults on order: rules that a test queues and that spoil the requests they match."""

import random
import re
from typing import Any, Literal

import msgspec

Kind = Literal[
    "status",
    "rate_limit",
    "reset_before",
    "reset_after",
    "truncated",
    "slow",
    "delay",
    "html",
    "garbage",
    "revoke",
    "redirect",
    "huge_length",
    "cut",
    "graphql_errors",
    "partial",
]
#: Faults that spoil the way back only: what was asked for has been done.
PROCESSED: frozenset[str] = frozenset(
    {"reset_after", "truncated", "slow", "delay", "huge_length", "cut", "graphql_errors", "partial"}
)


class Fault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One rule.

    ``path`` is searched in the raw path and query, as plain text, or as a regular expression if it
    begins with ``re:``. ``times`` null means for ever. ``delay_s`` goes with every kind.
    The kinds of :data:`PROCESSED` process the request first, all others leave it unprocessed.
    """

    kind: Kind
    path: str = ""
    method: str | None = None
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    status: int = 503
    body: str = ""
    content_type: str = "text/plain"
    headers: dict[str, str] = {}
    retry_after: str | None = None
    keep_bytes: int | None = None
    chunk_bytes: int = 64
    delay_s: float = 0.0
    location: str = "https://iris.example.net/elsewhere"
    codes: tuple[str, ...] = ("INTERNAL_SERVER_ERROR",)
    reset_in_ms: int | None = None
    keep_data: bool = False

    def matches(self, method: str, target: str) -> bool:
        """Tell whether the rule is about this request."""
        if self.method is not None and self.method.upper() != method:
            return False
        if self.path.startswith("re:"):
            return re.search(self.path[3:], target) is not None
        return self.path in target


class FaultQueue:
    """The rules in order; the first one that matches and is due spoils the request."""

    def __init__(self, seed: int) -> None:
        # Probability is drawn from the seed, so that a run can be repeated.
        self._random = random.Random(seed)  # noqa: S311 - no secret is drawn
        self._rules: list[Fault] = []

    def add(self, rule: dict[str, Any]) -> None:
        """Queue a rule.

        :raises ValueError: for a rule that cannot be read.
        """
        fault = msgspec.convert(rule, Fault)
        if fault.path.startswith("re:"):
            try:
                re.compile(fault.path[3:])
            except re.error as exc:
                raise ValueError(f"the path of the fault is no regular expression: {exc}") from exc
        self._rules.append(fault)

    def due(self, method: str, target: str) -> Fault | None:
        """Return the fault for this request, used up by one, or None."""
        for fault in self._rules:
            if not fault.matches(method, target) or self._random.random() >= fault.probability:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            self._use(fault)
            return fault
        return None

    def _use(self, fault: Fault) -> None:
        if fault.times is None:
            return
        fault.times -= 1
        if fault.times <= 0:
            self._rules.remove(fault)
