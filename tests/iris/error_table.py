"""What can come in the place of an answer, and what it means: the table that the clients and the docs are held to."""

from __future__ import annotations

import gzip
import json
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.iris.errors import (
    IrisAuthenticationError,
    IrisBadRequestError,
    IrisConfigurationError,
    IrisError,
    IrisNoAnswerError,
    IrisNotFoundError,
    IrisPermissionError,
    IrisRateLimitError,
    IrisServerError,
    IrisUnexpectedResponseError,
)
from tests.iris.scripted import http

if TYPE_CHECKING:
    from collections.abc import Callable

ASSETS = {"endpoint": "/api/asset/v1/assets"}
GRAPHQL = {"endpoint": "/api/graphql/", "method": "POST", "json": {"query": "{ assets { id } }"}}
QUERY = "/api/time-series/v1/assets/a/prometheus/api/v1/query"
BY_GET = {"endpoint": QUERY, "query_params": {"query": "up"}}
BY_POST = {"endpoint": QUERY, "method": "POST", "json": {"query": "up"}}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    :param what: what came, as the docs say it
    :param error: what it becomes
    :param again: whether it may pass, so that the request is sent again
    :param came: every answer that the line speaks of, or what a server does with a connection
    :param asked: what was asked for; each of these with each of ``came``
    :param sent: how often the request goes out where two attempts are allowed
    """

    what: str
    error: type[IrisError]
    again: bool
    came: dict[str, bytes | Callable[[socket.socket], None] | None]
    asked: tuple[dict[str, Any], ...] = field(default=(ASSETS,))
    sent: int = 0

    @property
    def times(self) -> int:
        return self.sent or (2 if self.again else 1)


def alert(description: int) -> Callable[[socket.socket], None]:
    """Return how a server refuses a handshake (RFC 8446, 6)."""

    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"\x15\x03\x03\x00\x02\x02" + bytes([description]))

    return refuse


def hang_up(connection: socket.socket) -> None:
    """Say nothing."""


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def speak_plainly(connection: socket.socket) -> None:
    connection.sendall(http(status="400 Bad Request"))


def statuses(*numbers: int) -> dict[str, Any]:
    return {str(number): http(status=f"{number} X") for number in numbers}


def packed(status: str, *codings: str) -> dict[str, Any]:
    return {coding: http(b"\x1b\x07\x00\xf8", status=status, Content_Encoding=coding) for coding in codings}


def graphql(*codes: str | None, data: Any = None, **extensions: Any) -> bytes:
    errors = [{"message": "m", "extensions": {"code": code, **extensions} if code else {}} for code in codes]
    return http(json.dumps({"data": data, "errors": errors}).encode())


def promql(**members: Any) -> bytes:
    return http(json.dumps({"data": {"resultType": "vector", "result": []}, **members}).encode())


def failed_query(kind: str) -> bytes:
    return promql(status="error", errorType=kind, error="m")


HALF = b'{"content": [{"id": "a"}, {"id": '
CHUNKED = http(b"", Content_Length="", Transfer_Encoding="chunked")

TABLE = [
    Row(
        "a certificate that is not trusted here",
        IrisConfigurationError,
        False,
        {"self-signed": None},
        sent=0,
    ),
    Row(
        "no TLS: an alert, a connection that ends, plain http in its place",
        IrisNoAnswerError,
        True,
        {
            "internal error": alert(80),
            "handshake failure": alert(40),
            "an end": hang_up,
            "a reset": reset,
            "plain http": speak_plainly,
        },
    ),
    Row(
        "an answer that breaks off, whether it said how long it is or not",
        IrisNoAnswerError,
        True,
        {
            "nothing": b"",
            "with a length": http(HALF, Content_Length="500"),
            "without a length": http(HALF, Content_Length=""),
            "without a length, in a number": http(b'{"totalElements": 1', Content_Length=""),
            "without a length, nothing": http(b"", Content_Length=""),
            "without a length, nothing, by way of a proxy": http(b"", "203 X", Content_Length=""),
            "in a chunk": CHUNKED + b"40\r\n" + HALF,
            "between chunks": CHUNKED + b"%x\r\n%s\r\n" % (len(HALF), HALF),
            "in the size of the first chunk": CHUNKED + b"00",
            "in the size of a chunk": CHUNKED + b"%x\r\n%s\r\n0" % (len(HALF), HALF),
            "a chunk of less than nothing": CHUNKED + b"-5\r\n{}\r\n0\r\n\r\n",
            "a chunk of one less than nothing": CHUNKED + b"-1\r\n{}\r\n0\r\n\r\n",
            "behind the last chunk": CHUNKED + b"2\r\n{}\r\n0\r\nDigest: ",
            "packed": http(gzip.compress(HALF * 9)[:-9], Content_Encoding="gzip", Content_Length=""),
        },
    ),
    Row(
        "a head that cannot be read, or that leaves open where the answer ends",
        IrisNoAnswerError,
        True,
        {
            "no HTTP": b'{"content": []}',
            "no status": http(status="099 X"),
            "another protocol": http(b"", status="101 X"),
            "no length": http(b"", Content_Length="x"),
            "no length, half": http(HALF, Content_Length="x"),
            "a length of 5000 digits": http(b"{}", Content_Length="9" * 5000),
            "less than nothing": http(b"", Content_Length="-1"),
            "two lengths": http(b"{}", Content_Length="2\r\nContent-Length: 3"),
            "no header": http(b"", Connection="close\r\nno header", Content_Length="").replace(
                b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n"
            ),
            "no header, chunks": CHUNKED.replace(b"Transfer", b"no header\r\nTransfer") + b"0\r\n\r\n",
            "a break in a header": http(b"{}", A="b\rContent-Length: 1"),
            "a coding of the transfer": CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n",
            "an unknown coding of the transfer": CHUNKED.replace(b"chunked", b"xchunked") + b"0\r\n\r\n",
        },
    ),
    Row(
        "HTTP 401, and once more with a new token",
        IrisAuthenticationError,
        False,
        statuses(401),
        sent=2,
    ),
    Row("HTTP 403", IrisPermissionError, False, statuses(403)),
    Row("HTTP 404", IrisNotFoundError, False, statuses(404)),
    Row("HTTP 408, HTTP 425", IrisServerError, True, statuses(408, 425)),
    Row("HTTP 429", IrisRateLimitError, True, {**statuses(429), **packed("429 X", "br", "gzip")}),
    Row(
        "HTTP 400 and every other 4xx",
        IrisBadRequestError,
        False,
        {**statuses(400, 402, 405, 406, 409, 410, 413, 415, 422, 451), **packed("400 X", "br", "gzip")},
    ),
    Row(
        "HTTP 5xx, however it is packed",
        IrisServerError,
        True,
        {
            **statuses(500, 501, 502, 503, 504),
            **packed("503 X", "br", "zstd", "gzip", "gzip, gzip", "unknown"),
        },
    ),
    Row("HTTP 3xx", IrisUnexpectedResponseError, False, statuses(301, 302, 303, 308)),
    Row(
        "a web page, XML, text, JSON that is none",
        IrisUnexpectedResponseError,
        False,
        {
            "a web page": http(b"<!doctype html>", Content_Type="text/html"),
            "a web page with 404": http(b"<!doctype html>", status="404 X", Content_Type="text/html"),
            "XML": http(b"<Fleet/>", Content_Type="application/xml"),
            "text": http(b"fine", Content_Type="text/plain"),
            "broken JSON": http(b'{"content" [}'),
        },
    ),
    Row(
        "a success that is packed in a way nobody asked for",
        IrisUnexpectedResponseError,
        False,
        packed("200 OK", "br", "zstd"),
    ),
    Row(
        "GraphQL: `UNAUTHENTICATED` among the errors, and once more with a new token",
        IrisAuthenticationError,
        False,
        {
            "alone": graphql("UNAUTHENTICATED"),
            "as the second": graphql("INTERNAL_SERVER_ERROR", "UNAUTHENTICATED"),
        },
        (GRAPHQL,),
        sent=2,
    ),
    Row(
        "GraphQL: `RATE_LIMITED` among the errors",
        IrisRateLimitError,
        True,
        {
            "alone": graphql("RATE_LIMITED", resetIn=5000),
            "as the second": graphql("FORBIDDEN", "RATE_LIMITED", resetIn=5000),
            "beside data": graphql(None, "RATE_LIMITED", data={"assets": []}),
        },
        (GRAPHQL,),
    ),
    Row(
        "GraphQL: `FORBIDDEN`",
        IrisPermissionError,
        False,
        {"alone": graphql("FORBIDDEN"), "beside data": graphql("FORBIDDEN", data={"assets": []})},
        (GRAPHQL,),
    ),
    Row(
        "GraphQL: `QUERY_COMPLEXITY_REACHED`, `GRAPHQL_VALIDATION_FAILED`, `GRAPHQL_PARSE_FAILED`, `BAD_USER_INPUT`, or "
        "nothing but codes that are not known",
        IrisBadRequestError,
        False,
        {
            "complexity": graphql("QUERY_COMPLEXITY_REACHED"),
            "validation": graphql("GRAPHQL_VALIDATION_FAILED"),
            "parsing": graphql("GRAPHQL_PARSE_FAILED"),
            "input": graphql("BAD_USER_INPUT"),
            "with one that passes": graphql("INTERNAL_SERVER_ERROR", "GRAPHQL_VALIDATION_FAILED"),
            "not known": graphql("SURPRISE"),
            "no code": graphql(None),
            "beside data": graphql(None, data={"assets": []}),
        },
        (GRAPHQL,),
    ),
    Row(
        "GraphQL: `INTERNAL_SERVER_ERROR`, and none of the above",
        IrisServerError,
        True,
        {
            "alone": graphql("INTERNAL_SERVER_ERROR"),
            "beside data": graphql("INTERNAL_SERVER_ERROR", data={"assets": []}),
            "with what follows from it": graphql(None, "INTERNAL_SERVER_ERROR"),
        },
        (GRAPHQL,),
    ),
    Row(
        "GraphQL: neither data nor errors",
        IrisUnexpectedResponseError,
        False,
        {
            "nothing": http(b"{}"),
            "no data": http(b'{"data": null}'),
            "no errors": http(b'{"data": null, "errors": []}'),
            "a list": http(b'{"data": [1]}'),
            "a gateway": http(b'{"message": "fine"}'),
        },
        (GRAPHQL,),
    ),
    Row(
        "time series: `isPartial`, or the error `timeout`, `canceled`, `unavailable` or `internal`",
        IrisServerError,
        True,
        {
            "partial": promql(status="success", isPartial=True),
            **{kind: failed_query(kind) for kind in ("timeout", "canceled", "unavailable", "internal")},
        },
        (BY_GET, BY_POST),
    ),
    Row(
        "time series: any other error",
        IrisBadRequestError,
        False,
        {kind: failed_query(kind) for kind in ("bad_data", "execution", "surprise")},
        (BY_GET, BY_POST),
    ),
    Row(
        "time series: neither success nor error",
        IrisUnexpectedResponseError,
        False,
        {"no status": promql(), "another": promql(status="perhaps")},
        (BY_GET, BY_POST),
    ),
]
