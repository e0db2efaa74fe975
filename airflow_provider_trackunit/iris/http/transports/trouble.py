"""What the failures of an HTTP library mean. Pure.

Every library has exceptions of its own. A client says which :class:`Trouble` they are; what that means, and what
to tell a person, is decided here once.
"""

from __future__ import annotations

import ssl
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Final

from urllib3.util.ssl_match_hostname import CertificateError as CertificateOfAnotherHost

from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisError,
    IrisNoAnswerError,
    one_line,
)

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.http.wire import Request

#: A server that is there accepts a connection at once; the whole timeout is for the answer.
CONNECT_TIMEOUT_S: Final = 10.0

#: More connections than any sensible max_concurrency, so that no thread throws its connection away; for an event
#: loop the most that are open at once.
MAX_CONNECTIONS: Final = 64

#: A longer line of a head is none. As http.client has it; aiohttp by itself would give up at eight thousand, which the
#: header of a policy can be.
LONGEST_LINE_BYTES: Final = 64 * 1024

# urllib3 1.26, which requests still allows, compares the name itself; since 2.0 ``ssl`` does.
_UNTRUSTED: Final = (ssl.SSLCertVerificationError, CertificateOfAnotherHost)

# The parts of OpenSSL that read a file of certificates.
_LIBRARIES_OF_FILES: Final = frozenset({"X509", "PEM", "ASN1"})


class Trouble(Enum):
    """The ways in which no answer comes."""

    UNTRUSTED = auto()
    NO_TLS = auto()
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


_IF_TLS_FAILS: Final = "The server is overloaded or restarts, or it speaks no TLS: if it stays so, check the URL in the connection"
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
        Trouble.NO_TLS: (f"no TLS connection to {origin}. {_IF_TLS_FAILS}", True),
        Trouble.SLOW_ANSWER: (f"{origin} did not answer in time", True),
        Trouble.BROKEN: (f"the connection to {origin} broke off", True),
        Trouble.SLOW_BODY: ("the answer was not complete in time", True),
        Trouble.CUT_BODY: ("the answer broke off", True),
    }[trouble]
    return IrisNoAnswerError(f"{request.label}: {what}", sent=sent)


def closed_meanwhile(what: str, *, sent: bool) -> IrisNoAnswerError:
    """Return the error of what was under way when its client was closed. It is not tried again: nobody closes that again."""
    error = IrisNoAnswerError(f"{what}: the client was closed meanwhile", sent=sent)
    error.retried = True
    return error


def trouble_with_tls(error: BaseException) -> Trouble:
    """Return what an error of TLS means: only a certificate that is not trusted is one that a person has to mend.

    An alert of the server, an end in the middle of the handshake or an answer without TLS comes from servers that
    are overloaded or restart. HTTP libraries wrap the error of ``ssl`` several deep, each in its own way.
    """
    if isinstance(error, _UNTRUSTED):
        return Trouble.UNTRUSTED
    if getattr(error, "library", None) in _LIBRARIES_OF_FILES:
        return Trouble.NO_ROOTS
    inner = (error.__cause__, getattr(error, "reason", None), *error.args)
    found = (trouble_with_tls(one) for one in inner if isinstance(one, Exception))
    return next((one for one in found if one is not Trouble.NO_TLS), Trouble.NO_TLS)


def readable(ca_bundle: str) -> str:
    """Return the path of the CA bundle, which has to exist on this machine."""
    try:
        found = Path(ca_bundle).is_file()
    except OSError:  # a name longer than any file can have
        found = False
    if not found:
        raise IrisConfigurationError(
            f"CA bundle (extra 'ca_bundle'): there is no file {one_line(ca_bundle, 200)} on this machine"
        )
    return ca_bundle
