"""What came out: the records in the folders of the transfers, and the requests in the emulator's log."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.soak.day import TOKEN_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def names_in(folder: Path, name_of: Callable[[dict[str, Any]], str]) -> Counter[str]:
    """Return how often each record is in the parts that the manifest names."""
    manifest = json.loads((folder / "_manifest.json").read_bytes())
    return Counter(
        name_of(json.loads(line))
        for part in manifest["parts"]
        for line in gzip.decompress((folder / part["name"]).read_bytes()).splitlines()
    )


@dataclass
class Difference:
    """What is missing, what is there twice, and what should not be there at all."""

    wanted: int = 0
    missing: int = 0
    twice: int = 0
    foreign: int = 0

    def add(self, found: Counter[str], wanted: set[str]) -> None:
        """Compare one more collection."""
        self.wanted += len(wanted)
        self.missing += len(wanted - found.keys())
        self.twice += sum(count - 1 for count in found.values())
        self.foreign += len(found.keys() - wanted)

    def __str__(self) -> str:
        """Return all four."""
        return f"{self.wanted} records: {self.missing} missing, {self.twice} twice, {self.foreign} foreign"

    def is_none(self) -> bool:
        """Return whether everything is there once, and something is."""
        return bool(self.wanted) and not (self.missing or self.twice or self.foreign)


@dataclass
class Log:
    """The emulator's log, its times turned into those of the day.

    :param requests: oldest first
    """

    requests: list[dict[str, Any]]
    by_agent: dict[str, list[dict[str, Any]]] = field(init=False)

    def __post_init__(self) -> None:
        """Sort them by who asked."""
        self.by_agent = defaultdict(list)
        for request in self.requests:
            self.by_agent[request["headers"].get("user-agent", "")].append(request)

    @classmethod
    def read(cls, requests: list[dict[str, Any]], ahead_s: float) -> Log:
        """Return the log of an emulator whose clock is so far ahead of the day."""
        return cls([{**request, "at": request["at"] - ahead_s} for request in requests])

    def of(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the requests of one DAG."""
        return self.by_agent[f"soak {dag_id}"]

    def faults(self) -> Counter[str]:
        """Return how often each kind of fault spoiled a request."""
        return Counter(request["fault"] for request in self.requests if "fault" in request)

    def refused(self) -> list[dict[str, Any]]:
        """Return the requests that a limit refused; a 429 that was ordered is none."""
        return [one for one in self.requests if one["status"] == 429 and "fault" not in one]

    def token_answers(self) -> int:
        """Return how many tokens were handed out whole."""
        return sum(1 for one in self.requests if _gives_token(one) and not one.get("fault"))

    def token_answers_lost(self) -> int:
        """Return how many tokens were handed out, or may have been, without an answer that came whole and in time."""
        return sum(1 for one in self.requests if _gives_token(one) and one.get("fault"))


def _gives_token(request: dict[str, Any]) -> bool:
    return str(request["path"]).startswith("/token") and request["status"] in {200, None}


@dataclass(frozen=True)
class Tokens:
    """The tokens that a group of requests used.

    :param used: how many different ones
    :param seconds: between the first request and the last
    :param revoked: how many requests were answered that their token was revoked
    """

    used: int
    seconds: float
    revoked: int

    @classmethod
    def of(cls, requests: list[dict[str, Any]]) -> Tokens:
        """Return those of some requests, which one client sent."""
        times = [one["at"] for one in requests] or [0.0]
        revoked = [one for one in requests if one.get("fault") == "revoke"]
        return cls(
            len({one["token"] for one in requests if one["token"]}), max(times) - min(times), len(revoked)
        )

    def allowed(self) -> int:
        """Return how many a client needs at most: one more for each revocation, renewals a minute ahead of expiry."""
        return 1 + int(self.seconds // (TOKEN_S - 60)) + self.revoked
