"""What the failures of an HTTP library mean, and how much of an answer is read. Pure.

Every library has exceptions of its own. A client says which :class:`Trouble` they are; what that means, and what
to tell a person, is decided here once.
"""

from __future__ import annotations

from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisError,
    IrisNoAnswerError,
    IrisUnexpectedResponseError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.iris.wire import Request

#: A server that is there accepts a connection at once; the whole timeout is for the answer.
CONNECT_TIMEOUT_S: Final = 10.0

#: More connections than any sensible max_concurrency, so that no thread throws its connection away; for an event
#: loop the most that are open at once.
MAX_CONNECTIONS: Final = 64


class Trouble(Enum):
    """The ways in which no answer comes."""

    UNTRUSTED = auto()
    NO_ROOTS = auto()
    UNUSABLE_PROXY = auto()
    PROXY = auto()
    UNREACHABLE = auto()
    SLOW_CONNECT = auto()
    SLOW_ANSWER = auto()
    BROKEN = auto()
    #: The two that happen after the head of the answer came.
    SLOW_BODY = auto()
    CUT_BODY = auto()


_OF_THIS_MACHINE: Final = {
    Trouble.NO_ROOTS: "the file of trusted certificates cannot be read. Check CA bundle (extra 'ca_bundle') of the "
    "connection, or REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE of the environment",
    Trouble.UNUSABLE_PROXY: "the environment names a proxy that cannot be used. Check HTTPS_PROXY and ALL_PROXY: "
    "http://host:port, or https://host:port",
}


def failure(request: Request, trouble: Trouble) -> IrisError:
    """Return the error. The library's own text is left out: it can hold the whole URL."""
    origin = "/".join(request.url.split("/", 3)[:3])
    if trouble is Trouble.UNTRUSTED:
        return IrisConfigurationError(
            f"{request.label}: the TLS certificate of {origin} is not trusted here. On a network that inspects TLS, "
            "set CA bundle (extra 'ca_bundle') of the connection to the PEM file of its root"
        )
    if trouble in _OF_THIS_MACHINE:
        return IrisConfigurationError(f"{request.label}: {_OF_THIS_MACHINE[trouble]}")
    what, sent = {
        Trouble.PROXY: ("the proxy named by the environment did not connect", False),
        Trouble.UNREACHABLE: (
            f"no connection to {origin}. Check the URL in the connection, and the network",
            False,
        ),
        Trouble.SLOW_CONNECT: (f"{origin} did not accept a connection in time", False),
        Trouble.SLOW_ANSWER: (f"{origin} did not answer in time", True),
        Trouble.BROKEN: (f"the connection to {origin} broke off", True),
        Trouble.SLOW_BODY: ("the answer was not complete in time", True),
        Trouble.CUT_BODY: ("the answer broke off", True),
    }[trouble]
    return IrisNoAnswerError(f"{request.label}: {what}", sent=sent)


class Body:
    """The body of one answer while it arrives.

    :param ends_at: when it has to be complete, by ``clock``
    """

    def __init__(self, request: Request, status: int, ends_at: float, clock: Callable[[], float]) -> None:
        self._request = request
        self._status = status
        self._ends_at = ends_at
        self._clock = clock
        self._chunks: list[bytes] = []
        self._size = 0

    def take(self, chunk: bytes) -> None:
        """Keep what arrived.

        :raises IrisUnexpectedResponseError: when it is more than any page
        :raises IrisNoAnswerError: when a dripping server has used up the time
        """
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > self._request.max_body_bytes:
            raise IrisUnexpectedResponseError(
                f"{self._request.label}: the answer is larger than {self._request.max_body_bytes // 2**20} MiB; it was "
                "not read further. If it is a page, ask for smaller ones",
                status=self._status,
            )
        if self._clock() > self._ends_at:
            raise failure(self._request, Trouble.SLOW_BODY)

    def whole(self) -> bytes:
        """Return all of it."""
        return b"".join(self._chunks)


def readable(ca_bundle: str) -> str:
    """Return the path of the CA bundle, which has to exist on this machine."""
    try:
        found = Path(ca_bundle).is_file()
    except OSError:  # a name longer than any file can have
        found = False
    if not found:
        shown = "".join(char if char.isprintable() else "?" for char in ca_bundle[:200])
        raise IrisConfigurationError(
            f"CA bundle (extra 'ca_bundle'): there is no file {shown} on this machine"
        )
    return ca_bundle
