"""Bytes on a real connection, through both clients: a lie about lengths, chunks or compression is never an answer."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.aio import AsyncIrisClient
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.iris.http.tokens import Credentials, Token
from tests.fuzz.wires import checked
from tests.iris.scripted import ScriptedServer, http, token_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNKED = {"Transfer_Encoding": "chunked", "Content_Length": ""}
PAYLOAD = {"content": [{"id": number, "name": "m\u00e5chine"} for number in range(40)]}
BODY = json.dumps(PAYLOAD, ensure_ascii=False).encode()
TERABYTE = 10**12


@dataclass
class Wire:
    """A server that says what an example wants, and a client of each kind that has its token already."""

    server: ScriptedServer
    threads: IrisClient
    loop: AsyncIrisClient
    runner: asyncio.Runner

    def outcomes(self, answer: bytes) -> list[Any]:
        """Return what each client makes of an answer: the decoded body, or one of our errors."""
        self.server.answers[:] = [answer]
        found: list[Any] = []
        for name in ("threads", "loop"):
            try:
                found.append(self.run(name))
            except IrisError as error:
                found.append(checked(error))
        return found

    def run(self, name: str) -> Any:
        """Return the decoded body that one of the clients reads."""
        return self.threads.run("/api/x") if name == "threads" else self.runner.run(self.loop.run("/api/x"))


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with ScriptedServer(token_answer()) as server, asyncio.Runner() as runner:
        credentials = Credentials("client", "s", "user", "p", auth_url=f"{server.url}/token")
        limits: dict[str, Any] = {"max_attempts": 1, "timeout_s": 20.0}
        threads = IrisClient(credentials, server.url, **limits)
        loop = AsyncIrisClient(credentials, server.url, **limits)
        threads.authenticate()
        runner.run(loop.authenticate())
        yield Wire(server, threads, loop, runner)
        threads.close()
        runner.run(loop.close())


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


LENGTHS = st.sampled_from(
    [str(len(BODY))] * 6
    + ["0", "7", str(len(BODY) - 1), str(len(BODY) + 1), str(TERABYTE), "9" * 30, "-1", "x", "", "0x10", "+5"]
    + [f"{len(BODY)}, {len(BODY)}", "\u0661"]
)  # fmt: skip
CODINGS = st.sampled_from(
    [
        "",
        "",
        "",
        "gzip",
        "gzip",
        "deflate",
        "br",
        "zstd",
        "gzip, gzip",
        "identity",
        "x-gzip",
        "GZIP",
        "compress",
        "\u00ff",
    ]
)
TRANSFERS = st.sampled_from(
    ["", "", "", "", "chunked", "chunked", "chunked, chunked", "gzip, chunked", "identity", "xchunked"]
)
BODIES = st.sampled_from(
    [
        *[BODY] * 6,
        *[gzip.compress(BODY)] * 4,
        gzip.compress(gzip.compress(BODY)),
        gzip.compress(BODY)[:-9],
        gzip.compress(BODY) + b"behind it",
        gzip.compress(BODY) * 2,
        zlib.compress(BODY),
        BODY[:-1],
        b"",
    ]
)
FRAMES = st.sampled_from(
    [
        *[lambda body: body] * 5,
        *[lambda body: chunked(body, 7)] * 4,
        lambda body: chunked(body, 1000)[:-5],
        lambda body: chunked(body, 1000).replace(b"\r\n", b"\n"),
        lambda body: b"ffffffffffffffff\r\n" + body,
        lambda body: b"-5\r\n" + body,
        lambda body: b"%x;ext=%b\r\n%b\r\n0\r\n\r\n" % (len(body), b"x" * 5000, body),
        lambda body: chunked(body, 1000)[:-2] + b"Trailer: x\r\n" * 50 + b"\r\n",
    ]
)
STARTS = st.sampled_from(
    [
        *["HTTP/1.1 200 OK"] * 12, "HTTP/1.0 200 OK", "HTTP/1.1 200", "HTTP/2 200", "HTTP/1.1 99999 x",
        "HTTP/1.1 -1 x", "HTTP/1.1 abc", "ICY 200 OK", "", "HTTP/1.1 204 None", "HTTP/1.1 304 Same",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK", "HTTP/1.1 103 Hints\r\n\r\n" * 3 + "HTTP/1.1 200 OK",
    ]
)  # fmt: skip
OTHERS = st.sampled_from(
    ["", "", "", "", "X: " + "y" * 70_000, "X-Y: z\r\n" * 200, "no colon", ": no name", "X: a\r\n folded",
     "X\x00: y", "X: \x00", "Set-Cookie: a=b", "Content-Length: 3", "\u00e5: \u00e5"]
)  # fmt: skip


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Return an answer whose head and body may contradict each other."""
    fields = {
        "Content-Length": draw(LENGTHS),
        "Content-Encoding": draw(CODINGS),
        "Transfer-Encoding": draw(TRANSFERS),
        "Content-Type": draw(st.sampled_from(["application/json", "application/json", "", "text/html"])),
        "Connection": "close",
    }
    lines = [draw(STARTS), *(f"{name}: {value}" for name, value in fields.items() if value), draw(OTHERS)]
    head = "\r\n".join(line for line in lines if line) + "\r\n\r\n"
    framed: bytes = draw(FRAMES)(draw(BODIES))
    return head.encode() + framed


ONE_WIRE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@ONE_WIRE
@given(answer=st.one_of(answers(), answers(), answers(), st.binary(max_size=200)))
def test_whatever_comes_over_the_wire_is_the_whole_answer_or_one_of_our_errors(
    wire: Wire, answer: bytes
) -> None:
    for outcome in wire.outcomes(answer):
        # The size of a chunk, sent as if it were no chunk and with nothing behind it, is JSON: a number.
        assert isinstance(outcome, IrisError | int | float) or outcome in (PAYLOAD, None)


@ONE_WIRE
@given(
    size=st.integers(1, 3000), zipped=st.booleans(), framing=st.sampled_from(["length", "chunks", "close"])
)
def test_an_honest_answer_arrives_whole_however_it_is_framed(
    wire: Wire, size: int, framing: str, *, zipped: bool
) -> None:
    body = gzip.compress(BODY) if zipped else BODY
    headers = {"Content_Encoding": "gzip" if zipped else ""}
    if framing == "chunks":
        headers |= {"Transfer_Encoding": "chunked", "Content_Length": ""}
        body = chunked(body, size)
    elif framing == "close":
        headers |= {"Content_Length": ""}
    assert wire.outcomes(http(body, **headers)) == [PAYLOAD, PAYLOAD]


@pytest.mark.parametrize("size", [2**18 * times + over for times in (1, 2, 5) for over in (-1, 0, 1)])
@pytest.mark.parametrize("filling", [b" ", b"0123456789abcdef"])
def test_a_packed_answer_arrives_whole_whatever_its_size(wire: Wire, size: int, filling: bytes) -> None:
    text = (filling * size)[: size - 2]
    body = gzip.compress(b'"' + text + b'"')
    assert wire.outcomes(http(body, Content_Encoding="gzip")) == [text.decode()] * 2
    assert wire.outcomes(http(chunked(body, 5), Content_Encoding="gzip", **CHUNKED)) == [text.decode()] * 2


MIB = 1024 * 1024
SPACES = b" " * (64 * MIB)


def _bomb(rounds: int) -> bytes:
    data = SPACES
    for _ in range(rounds):
        data = gzip.compress(data, 9)
    return data


BOMBS: dict[str, Callable[[], bytes]] = {
    "more than it says it is": lambda: http(BODY, Content_Length=str(TERABYTE)),
    "a body without an end": lambda: http(b" " * (4 * MIB), Content_Length=str(TERABYTE)),
    "chunks without an end": lambda: http(
        chunked(b" " * (4 * MIB), 60_000), Transfer_Encoding="chunked", Content_Length=""
    ),
    "a chunk of a terabyte": lambda: http(
        b"%x\r\n" % TERABYTE + b" " * (4 * MIB), Transfer_Encoding="chunked", Content_Length=""
    ),
    "a bomb": lambda: http(_bomb(1), Content_Encoding="gzip"),
    "a bomb in a bomb": lambda: http(_bomb(2), Content_Encoding="gzip, gzip"),
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_no_answer_fills_the_memory(wire: Wire, name: str) -> None:
    """Shown with answers of the token endpoint, which are read in the same way, up to a limit that is small."""
    answer = BOMBS[name]()
    for client in wire.threads, wire.loop:
        client._tokens.discard(client._tokens.usable() or Token("", 0, 0))
    wire.server.answers[:] = [answer]
    tracemalloc.start()
    try:
        with pytest.raises(IrisError) as by_threads:
            wire.threads.authenticate()
        with pytest.raises(IrisError) as by_loop:
            wire.runner.run(wire.loop.authenticate())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        wire.server.answers[:] = [token_answer()]
        wire.threads.authenticate()
        wire.runner.run(wire.loop.authenticate())
    if name not in {"more than it says it is", "a bomb in a bomb"}:
        assert "larger than" in str(by_threads.value)
        assert "larger than" in str(by_loop.value)
    assert peak < 16 * MIB, f"{peak / MIB:.0f} MiB"


@pytest.mark.parametrize(
    "value",
    [
        "..%2f",
        "%",
        "a/b",
        "\u00e5 b",
        "?x#y",
        "\x00",
        ".a",
        "~",
        "+&=",
        "{}",
        "%2e%2e",
        "\r\nX: 1",
        "*" * 3000,
    ],
)
def test_both_clients_send_a_value_in_the_very_same_bytes(wire: Wire, value: str) -> None:
    wire.server.answers[:] = [http(b"{}")]
    request: dict[str, Any] = {"path_params": {"pin": value}, "query_params": {"q": value}}
    before = len(wire.server.asked)
    wire.threads.run("/api/x/{pin}/y", **request)
    wire.runner.run(wire.loop.run("/api/x/{pin}/y", **request))
    first, second = wire.server.asked[before:]
    assert first.line == second.line
    assert first.headers == second.headers
