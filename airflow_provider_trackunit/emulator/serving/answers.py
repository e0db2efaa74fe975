"""Answers in the vendor's shapes: JSON, the error object, the single-page app, a refused call."""

from email.utils import formatdate
from math import ceil
from typing import Any

import msgspec
from starlette.responses import Response

JSON = "application/json"
# What the Manager application serves for every path its API router does not know.
SPA_PAGE = b'<!doctype html><html><head><title>Trackunit Manager</title></head><body><div id="root"></div></body></html>'
_ENCODER = msgspec.json.Encoder()


class RefusedError(Exception):
    """A request the vendor answers with an error; carries that answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def encoded(value: Any) -> bytes:
    """Return compact JSON."""
    return _ENCODER.encode(value)


def json_answer(value: Any, status: int = 200) -> Response:
    """Answer with a value as JSON."""
    return Response(encoded(value), status, media_type=JSON)


def no_content() -> Response:
    """Answer 204."""
    return Response(status_code=204)


def error(status: int, code: str, message: str) -> Response:
    """Answer with the vendor's error object (developer hub: errors)."""
    return json_answer({"status": status, "code": code, "message": message}, status)


def refused(status: int, code: str, message: str) -> RefusedError:
    """Return the exception that answers with the vendor's error object."""
    return RefusedError(error(status, code, message))


def violation(field: str, value: str, rule: str) -> RefusedError:
    """Return the exception that answers 400 with one constraint violation (developer hub: errors)."""
    body = {
        "violations": [{"field": field, "message": f"value '{value}' was rejected: {rule}"}],
        "message": "Constraint violation",
        "status": 400,
        "code": "constraint_violation",
    }
    return RefusedError(json_answer(body, 400))


def not_found(what: str) -> RefusedError:
    """Return the exception that answers 404 with the vendor's error object."""
    return refused(404, "not_found", f"{what} was not found")


def spa_page(status: int) -> Response:
    """Answer with the HTML of the Manager application."""
    return Response(SPA_PAGE, status, media_type="text/html")


def oauth_error(status: int, code: str, description: str) -> RefusedError:
    """Return the exception that answers as RFC 6749, section 5.2, says."""
    return RefusedError(json_answer({"error": code, "error_description": description}, status))


def retry_header(style: str, wall_s: float, wall_now: float) -> dict[str, str]:
    """Return the ``Retry-After`` header in the chosen style, or none."""
    if style == "seconds":
        return {"Retry-After": str(max(1, ceil(wall_s)))}
    if style == "date":
        return {"Retry-After": formatdate(ceil(wall_now + wall_s), usegmt=True)}
    return {}


def limit_reached(body: str, headers: dict[str, str]) -> Response:
    """Answer 429; its body is not documented, so it can be one of several."""
    if body == "json":
        response = error(429, "too_many_requests", "Rate limit exceeded")
    elif body == "html":
        response = Response(
            "<html><body><h1>429 Too Many Requests</h1></body></html>", 429, media_type="text/html"
        )
    else:
        response = Response("" if body == "empty" else "Too Many Requests", 429, media_type="text/plain")
    response.headers.update(headers)
    return response
