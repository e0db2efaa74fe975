"""Spoiled answers: wrong ones, and ones that break on the wire.

A cut connection has to look to the client as it does in the field, so the socket itself is
closed or reset underneath the server.
"""

import asyncio
import socket
import struct
from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from airflow_provider_trackunit.emulator.faults.rules import Fault
from airflow_provider_trackunit.emulator.serving.answers import JSON, json_answer, spa_page

ASGI = tuple[Scope, Receive, Send]
HUGE_BYTES = 10**12
DRIP_S = 0.05
# Linger on, for zero seconds: closing then sends a reset instead of an orderly end.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def spoiled_answer(fault: Fault) -> Response:
    """Return the answer of a fault that does not process the request."""
    if fault.kind == "html":
        return spa_page(200)
    if fault.kind == "garbage":
        return Response(b'{"content": [{"id": ', media_type=JSON)
    if fault.kind == "redirect":
        return RedirectResponse(fault.location, 302)
    limited = fault.kind == "rate_limit"
    response = Response(
        fault.body or ("Too Many Requests" if limited else ""),
        429 if limited else fault.status,
        media_type=fault.content_type,
    )
    if fault.retry_after is not None:
        response.headers["Retry-After"] = fault.retry_after
    response.headers.update(fault.headers)
    return response


def respoken(fault: Fault | None, response: Response) -> Response:
    """Return an answer that says in its JSON, and not in its status, that it is none or not all of it."""
    if fault is None or fault.kind not in {"graphql_errors", "partial"} or response.status_code != 200:
        return response
    said = msgspec.json.decode(response.body)
    if fault.kind == "partial":
        return json_answer(said | {"isPartial": True})
    data = said.get("data") if fault.keep_data else None
    return json_answer({"data": data, "errors": [_graphql_error(fault, code) for code in fault.codes]})


def _graphql_error(fault: Fault, code: str) -> dict[str, Any]:
    # Only the limit says when to come back.
    wait = {} if fault.reset_in_ms is None or code != "RATE_LIMITED" else {"resetIn": fault.reset_in_ms}
    return {"message": code.replace("_", " ").capitalize(), "extensions": {"code": code, **wait}}


async def send_spoiled(fault: Fault, response: Response, asgi: ASGI) -> int | None:
    """Send what is left of the answer; return its status, or None if the connection was reset."""
    if fault.kind in {"reset_before", "reset_after"}:
        await _reset(asgi)
        return None
    kept = len(response.body) // 2 if fault.keep_bytes is None else fault.keep_bytes
    if fault.kind == "truncated":
        await _cut(response, bytes(response.body)[:kept], len(response.body), asgi)
    elif fault.kind == "cut":
        await _end_without_length(response, bytes(response.body)[:kept], asgi)
    elif fault.kind == "huge_length":
        await _cut(response, bytes(response.body), HUGE_BYTES, asgi)
    elif fault.kind == "slow":
        await _drip(fault, response, asgi[2])
    else:
        await response(*asgi)
    return response.status_code


def _transport(send: Send) -> asyncio.Transport:
    """Return the connection under a uvicorn ``send``, which ASGI itself does not reveal."""
    transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]
    return transport


async def _reset(asgi: ASGI) -> None:
    transport = _transport(asgi[2])
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    transport.abort()
    await _gone(asgi[1])


async def _cut(response: Response, sent: bytes, announced: int, asgi: ASGI) -> None:
    headers = [pair for pair in response.raw_headers if pair[0] != b"content-length"]
    headers.append((b"content-length", str(announced).encode()))
    await asgi[2]({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await asgi[2]({"type": "http.response.body", "body": sent, "more_body": True})
    _transport(asgi[2]).close()
    await _gone(asgi[1])


async def _end_without_length(response: Response, sent: bytes, asgi: ASGI) -> None:
    """Send an answer whose end is that of the connection, as servers before HTTP/1.1 did, and end it early."""
    head = f"HTTP/1.1 {response.status_code} OK\r\nContent-Type: {response.media_type}\r\nConnection: close\r\n\r\n"
    transport = _transport(asgi[2])
    transport.write(head.encode() + sent)
    transport.close()
    await _gone(asgi[1])


async def _gone(receive: Receive) -> None:
    """Wait until the server has noticed the end, which keeps it from complaining about half an answer."""
    while (await receive())["type"] != "http.disconnect":
        continue


async def _drip(fault: Fault, response: Response, send: Send) -> None:
    body, step = bytes(response.body), fault.chunk_bytes
    await send(
        {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    )
    for start in range(0, len(body), step):
        await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
        await asyncio.sleep(DRIP_S)
    await send({"type": "http.response.body", "body": b""})
