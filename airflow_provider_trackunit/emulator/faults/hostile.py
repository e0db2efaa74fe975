"""A server that means harm: what it answers when the switch ``hostile`` names one of its tricks.

A trick takes the place of every answer whose raw path contains ``hostile_path``; the token endpoints are left
alone unless ``hostile_path`` names them, so that a client gets as far as the trick. Where a trick leads elsewhere,
that is ``foreign_host``, which a test points at a listener of its own.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.responses import Response, StreamingResponse

from airflow_provider_trackunit.emulator.serving.answers import JSON, error, json_answer
from airflow_provider_trackunit.emulator.serving.routing import Call
from airflow_provider_trackunit.emulator.settings import Trick

TOKEN_PATH = "/token"  # noqa: S105 - a path
PIECE = b" " * 65_536
TERABYTE = 10**12
BOMB_BLOCKS = 256
HUGE_TOKEN_BYTES = 100_000_000
DRIP_S = 0.05
YEAR_S = 365 * 86_400
NAMES = (
    "../../../etc/passwd",
    "/etc/passwd",
    "..\\..\\evil",
    "part-00000.jsonl",
    "_manifest.json",
    "a\x00b",
    "file:///x",
)


def hostile_answer(call: Call) -> Response | None:
    """Return the answer of the trick that is switched on, or None when this request is not to be tricked."""
    settings = call.world.settings
    if settings.hostile is None or settings.hostile_path not in call.path:
        return None
    aimed_at_tokens = TOKEN_PATH in settings.hostile_path or settings.hostile == "huge_token"
    if call.path.startswith(TOKEN_PATH) != aimed_at_tokens:
        return None
    return TRICKS[settings.hostile](call)


def _elsewhere(call: Call) -> str:
    return call.world.settings.foreign_host + call.path


def _number(call: Call) -> int:
    """Return the number of the page that is asked for, by whatever name."""
    last = call.path.rpartition("/")[2]
    given = [call.query.get("page", ""), (call.query.get("after") or "").removeprefix("c"), last]
    return next((int(text) for text in given if text.isdecimal() and len(text) < 12), 0)


def _page(call: Call, records: list[Any], pages: int, **more: Any) -> Response:
    """Answer with records in the envelopes of every paging style at once."""
    number, stem = _number(call), call.path.rstrip("0123456789").rstrip("/")
    base = more.pop("base", str(call.headers.get("host", "")))
    base = base if "://" in base else f"http://{base}"
    links = [
        {"rel": "next", "href": f"{base}{stem}/{number + 1}"},
        {"rel": "last", "href": f"{base}{stem}/{min(pages, 10**9 - 1)}"},
    ]
    if "/aemp/" in call.path:
        return json_answer({"links": links, "equipment": records, **more})
    if call.method == "POST" and "graphql" in call.path:
        end = {"hasNextPage": True, "endCursor": f"c{number + 1}"}
        return json_answer(
            {"data": {"assets": {"edges": [{"node": one} for one in records], "pageInfo": end}}}
        )
    counts = {"totalPages": pages, "totalElements": pages, "number": number, "size": 1}
    return json_answer({**counts, "content": records, **more})


def _redirect(call: Call) -> Response:
    return Response(status_code=307, headers={"Location": _elsewhere(call)})


def _foreign_links(call: Call) -> Response:
    base = call.world.settings.foreign_host
    answer = _page(call, [{"id": 1, "href": _elsewhere(call)}], 9, base=base, next=_elsewhere(call))
    answer.headers["Link"] = f'<{_elsewhere(call)}>; rel="next"'
    answer.headers["Content-Location"] = answer.headers["Refresh"] = _elsewhere(call)
    return answer


def _moving_cursor(call: Call) -> Response:
    """Answer with one new record and a cursor that nobody has seen, for ever."""
    number = _number(call)
    return json_answer({"limit": 1, "after": f"c{number + 1}", "content": [{"id": number, "timeOn": number}]})


def _repeated_pages(call: Call) -> Response:
    return _page(call, [{"id": 1}, {"id": 2}], 10**9)


def _absurd_counts(call: Call) -> Response:
    return _page(call, [{"id": _number(call)}], 10**18)


def _climbing_names(_call: Call) -> Response:
    records = [{"id": name, "name": name, "path": name, "endpoint": name} for name in NAMES]
    answer = json_answer({"totalPages": 1, "totalElements": len(records), "number": 0, "content": records})
    answer.headers["Content-Disposition"] = f'attachment; filename="{NAMES[0]}"'
    return answer


async def _for_ever() -> AsyncIterator[bytes]:
    yield b'{"content": ["'
    while True:
        yield PIECE
        # A client that is gone is noticed by another task.
        await asyncio.sleep(0)


async def _drops() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(DRIP_S)


def _terabyte(_call: Call) -> Response:
    return StreamingResponse(_for_ever(), media_type=JSON, headers={"Content-Length": str(TERABYTE)})


def _endless_body(_call: Call) -> Response:
    return StreamingResponse(_for_ever(), media_type=JSON)


def _gzip_bomb(_call: Call) -> Response:
    """Answer with four megabytes that unpack to four gigabytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    beginning = packer.compress(b'{"content": ["') + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush the packer begins anew, so one block can be repeated.
    block = packer.compress(b" " * 2**24) + packer.flush(zlib.Z_FULL_FLUSH)
    return Response(beginning + block * BOMB_BLOCKS, media_type=JSON, headers={"Content-Encoding": "gzip"})


def _slow_body(_call: Call) -> Response:
    return StreamingResponse(_drops(), media_type=JSON)


def _year_long_wait(_call: Call) -> Response:
    return Response("Too Many Requests", 429, headers={"Retry-After": str(YEAR_S)}, media_type="text/plain")


def _never_authorized(_call: Call) -> Response:
    return error(401, "unauthorized", "The access token is invalid")


def _huge_token(_call: Call) -> Response:
    token = (
        b'{"token_type": "Bearer", "expires_in": 3600, "access_token": "' + b"x" * HUGE_TOKEN_BYTES + b'"}'
    )
    return Response(token, media_type=JSON)


def _echo(call: Call) -> Response:
    """Answer 400 with everything that was sent, in the members that clients like to show."""
    sent = (
        f"{call.headers.get('authorization', '')} {call.body.decode(errors='replace')} ?{call.query_string}"
    )
    violations = [{"field": sent, "message": sent}]
    body = {
        "error": "invalid_client",
        "error_description": sent,
        "status": 400,
        "code": sent,
        "message": sent,
    }
    return json_answer({**body, "violations": violations}, 400)


TRICKS: dict[Trick, Callable[[Call], Response]] = {
    "redirect": _redirect,
    "foreign_links": _foreign_links,
    "moving_cursor": _moving_cursor,
    "repeated_pages": _repeated_pages,
    "absurd_counts": _absurd_counts,
    "climbing_names": _climbing_names,
    "terabyte": _terabyte,
    "endless_body": _endless_body,
    "gzip_bomb": _gzip_bomb,
    "slow_body": _slow_body,
    "year_long_wait": _year_long_wait,
    "never_authorized": _never_authorized,
    "huge_token": _huge_token,
    "echo": _echo,
}
