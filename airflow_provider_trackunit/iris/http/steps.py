"""What a client can be asked to do, as values.

The decisions are generators that yield these. A client does what they say, with threads or on an event loop, and hands
back what came of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.http.wire import Request


class CancelledError(Exception):
    """The caller has left: the request was not sent, or not sent again. Never an answer of IRIS."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait so long; nothing comes of it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GetToken:
    """Give back the current :class:`~.tokens.keeper.Token`, or a new one."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send this and give back the complete :class:`~.wire.Response`."""

    request: Request


Step = Sleep | GetToken | Send
