"""Sends requests by the library ``requests``, for the client for threads."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.iris.http.transports.body import Body
from airflow_provider_trackunit.iris.http.transports.deadline import answer_within
from airflow_provider_trackunit.iris.http.transports.framing import WholeAnswers
from airflow_provider_trackunit.iris.http.transports.library_logs import without_queries
from airflow_provider_trackunit.iris.http.transports.trouble import (
    CONNECT_TIMEOUT_S,
    MAX_CONNECTIONS,
    Trouble,
    failure,
    trouble_with_tls,
)
from airflow_provider_trackunit.iris.http.wire import Response
from airflow_provider_trackunit.iris.secrecy import SecretMembers

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.iris.http.wire import Request
    from airflow_provider_trackunit.iris.secrecy import Secret

log = logging.getLogger(__name__)

_CHUNK_BYTES: Final = 64 * 1024


class BlockingTransport:
    """The connections of one client, for as many threads as it has.

    :param clock: a monotonic clock
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._connections = WholeAnswers(pool_maxsize=MAX_CONNECTIONS)

    def close(self) -> None:
        """Close the connections. The next request opens a new one."""
        self._connections.close()

    def outcome(
        self, request: Request, left_s: float, ends_at: float, roots: str | None, proxy: Secret | None
    ) -> Response | IrisError:
        """Return the answer to one request, complete, or why there is none.

        Nothing is raised from where the library is at work: tracebacks can show the variables of their frames, and
        here these are headers and half a token.

        :param left_s: seconds that it may take, which end at ``ends_at`` by the clock
        :param roots: the file of trusted certificates, None for the usual
        """
        trouble_of = _trouble_before_answer
        try:
            with (
                without_queries(),
                answer_within(left_s),
                self._connections.send(
                    _prepared(request),
                    stream=True,
                    timeout=(min(CONNECT_TIMEOUT_S, left_s), left_s),
                    verify=roots or True,
                    # Where requests would read the environment, and ~/.netrc, for every request.
                    proxies=SecretMembers({"https": proxy}),
                ) as answer,
            ):
                trouble_of = _trouble_in_body
                coding = answer.headers.get("Content-Encoding", "")
                body = Body(request, answer.status_code, coding, ends_at, self._clock)
                # Packed or not; by the reader of chunks of http.client, and not by another of urllib3.
                while chunk := answer.raw.read(_CHUNK_BYTES, decode_content=False):
                    body.take(chunk)
                # urllib3 1.x passes on an answer that broke off as if it were whole. What an answer without a body says of
                # its length (HEAD, 204, 304) is not counted here.
                if answer.raw.length_remaining:
                    return failure(request, Trouble.CUT_BODY)
                return Response(
                    status=answer.status_code,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    body=body.whole(),
                )
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            log.debug("%s: %s", request.label, type(error).__name__)
            return failure(request, trouble_of(error))
        except IrisError as error:
            return error.with_traceback(None)
        except BaseException as error:
            # What a signal's handler throws in, as Airflow does when a task takes too long, comes from anywhere in the library,
            # and hangs on whatever that has just caught.
            error.__traceback__ = error.__context__ = None
            raise


def _prepared(request: Request) -> requests.PreparedRequest:
    """Return a request in the shape that requests sends, to the byte: nothing of it is left to a session's settings."""
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url, prepared.body = request.method, request.url, request.body
    prepared.headers = CaseInsensitiveDict(request.headers)
    if request.body or request.method not in {"GET", "HEAD"}:
        prepared.headers["Content-Length"] = str(len(request.body or b""))
    return prepared


def _trouble_before_answer(error: Exception) -> Trouble:
    if _is_only_said(error):
        # How requests says that there is no file of trusted certificates where the environment says.
        return Trouble.NO_ROOTS
    if isinstance(error, requests.exceptions.SSLError):
        return trouble_with_tls(error)
    if isinstance(error, requests.exceptions.ProxyError):
        return _trouble_with_proxy(error)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Trouble.SLOW_CONNECT
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
        return Trouble.SLOW_ANSWER
    return Trouble.UNREACHABLE if _never_connected(error) else Trouble.BROKEN


def _trouble_with_proxy(error: requests.exceptions.ProxyError) -> Trouble:
    # One that is reached by https has a certificate of its own.
    if trouble_with_tls(error) is Trouble.UNTRUSTED:
        return Trouble.UNTRUSTED
    return Trouble.BROKEN if _broke_off(error) else Trouble.PROXY


def _trouble_in_body(error: Exception) -> Trouble:
    slow = isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError)
    # Some releases of requests report a read timeout in the body as a ConnectionError around urllib3's own error.
    slow = slow or any(isinstance(cause, urllib3.exceptions.ReadTimeoutError) for cause in error.args)
    return Trouble.SLOW_BODY if slow else Trouble.CUT_BODY


def _broke_off(error: requests.exceptions.ProxyError) -> bool:
    """Return whether there was a connection to the proxy that ended, or took nothing more.

    The request can have left by then: urllib3 speaks of the proxy even if its tunnel was open, because it looks whether
    that was so only once the connection is closed; 1.26 does not look at all.
    """
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    original = getattr(reason, "original_error", None)
    # The bare one is the refusal of the proxy, as http.client has it.
    return isinstance(original, OSError) and not _is_only_said(original)


def _is_only_said(error: Exception) -> bool:
    """Return whether it is an error that Python code made up, and none of the system."""
    return type(error) is OSError and error.errno is None


def _never_connected(error: Exception) -> bool:
    """Return whether the request cannot have left: urllib3 reports a failed connection inside a MaxRetryError."""
    cause = error.args[0] if error.args else None
    return isinstance(cause, urllib3.exceptions.MaxRetryError) and isinstance(
        cause.reason, urllib3.exceptions.NewConnectionError
    )
