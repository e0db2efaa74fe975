"""A secret stays out of sight, however it is spelled where somebody repeats it."""

from __future__ import annotations

import asyncio
import json
import socket
import traceback
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from airflow_provider_trackunit.iris.aio import AsyncIrisClient
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.http.tokens import Credentials
from airflow_provider_trackunit.iris.http.transports.deadline import BytesInTime
from airflow_provider_trackunit.iris.secrecy import Secret, SecretMembers, redacted
from tests.iris.scripted import TOKEN, ScriptedServer, token_answer

SECRET = 'p&ss "wörd"/+\\ 1'


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        pytest.param(SECRET, "***", id="as it is"),
        pytest.param(json.dumps([SECRET]), '["***"]', id="in JSON"),
        pytest.param(json.dumps([SECRET], ensure_ascii=False), '["***"]', id="in JSON that keeps umlauts"),
        pytest.param(urlencode({"a": SECRET}), "a=***", id="in a form"),
        pytest.param(f"/x/{quote(SECRET, safe='')}/y", "/x/***/y", id="in a path"),
        pytest.param(f"/x/{quote(SECRET)}/y", "/x/***/y", id="in a path that keeps slashes"),
        pytest.param(repr(SECRET.encode()), "b'***'", id="as bytes are shown"),
    ],
)
def test_a_secret_is_starred_however_it_is_spelled(written: str, shown: str) -> None:
    assert redacted(f"before {written} behind", ["other", SECRET]) == f"before {shown} behind"


def test_nothing_but_the_secret_is_starred() -> None:
    assert redacted("a b c", ["b"]) == "a *** c"
    assert redacted("None of it, n or o", ["secret", ""]) == "None of it, n or o"


def test_of_a_secret_that_holds_another_nothing_is_left_over() -> None:
    assert redacted("x abc-def y abc", ["abc", "abc-def"]) == "x *** y ***"


def test_a_secret_is_the_text_it_is_and_does_not_show_it() -> None:
    assert Secret("hunter2") == "hunter2"
    assert "hunter2" not in repr([Secret("hunter2")])
    assert repr(Secret("hunter2")) == "'***'"


def test_an_answer_with_secrets_shows_its_names_only() -> None:
    assert repr(SecretMembers({"token": "hunter2", "expires_in": 7})) == "<expires_in, token>"


class Interrupt(BaseException):
    """What a signal's handler throws in."""


def account(auth_url: str) -> Credentials:
    return Credentials("me", "hunter2", "user", "p4ssword", auth_url=f"{auth_url}/token")


def shown_by(error: BaseException | None) -> list[str]:
    """Return the secrets that an exception shows with the variables of all frames but those of tests, and what it comes of."""
    shown = ""
    while error is not None:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        shown += "".join(str(frame.locals) for frame in told.stack if "/tests/" not in frame.filename)
        error = error.__cause__ or error.__context__
    return [one for one in ("hunter2", "p4ssword", "bWU6aHVudGVyMg", TOKEN) if one in shown]


@pytest.mark.parametrize("answered", [0, 1], ids=["at the token", "behind it"])
def test_what_is_thrown_in_shows_no_secret(monkeypatch: pytest.MonkeyPatch, answered: int) -> None:
    """From the middle of a library, which has headers and bodies in its variables."""
    readinto = BytesInTime.readinto

    def interrupt(one: BytesInTime, buffer: Any) -> int | None:
        came = readinto(one, buffer)
        if len(server.asked) > answered:
            raise Interrupt
        return came

    monkeypatch.setattr(BytesInTime, "readinto", interrupt)
    with (
        ScriptedServer(token_answer()) as server,
        IrisClient(account(server.url), server.url) as client,
        pytest.raises(Interrupt) as caught,
    ):
        client.run("/api/x")
    assert len(server.asked) == answered + 1
    assert shown_by(caught.value) == []


def test_a_request_that_its_caller_leaves_shows_no_secret() -> None:
    async def leave(auth_url: str, url: str) -> None:
        async with AsyncIrisClient(account(auth_url), url) as client, asyncio.timeout(0.5):
            await client.run("/api/x")

    with (
        ScriptedServer(token_answer()) as auth,
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(TimeoutError) as caught,
    ):
        asyncio.run(leave(auth.url, f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert shown_by(caught.value) == []
