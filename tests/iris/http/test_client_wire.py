"""The client among proxies, certificates, cookies and servers that mean no good; and what it never tells."""

import gzip
import logging
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisError,
    IrisNoAnswerError,
    IrisTokenError,
    IrisUnexpectedResponseError,
)
from airflow_provider_trackunit.iris.http.tokens import Credentials
from tests.iris.conftest import ClientFactory, HandClock, api_user_of
from tests.iris.scripted import TOKEN, ScriptedServer, http, token_answer
from tests.tls import self_signed

ASSETS = "/api/asset/v1/assets"
SECRET, PASSWORD = "hunter2-client-secret", "hunter2-password"


def scripted_client(url: str, auth_url: str | None = None, **arguments: Any) -> IrisClient:
    credentials = Credentials("client", SECRET, "user", PASSWORD, auth_url=auth_url or f"{url}/token")
    clock = HandClock()
    return IrisClient(
        credentials, url, **{"clock": clock, "sleep": clock.sleep, "max_attempts": 1, **arguments}
    )


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


# --- what goes over the wire ---------------------------------------------------------------------------


def test_a_request_has_our_headers_and_no_others() -> None:
    with ScriptedServer(token_answer(), http(b'{"a":1}')) as server, scripted_client(server.url) as client:
        assert client.run("/api/x", query_params={"q": "a b"}) == {"a": 1}
    asked = server.asked[-1]
    assert asked.line == "GET /api/x?q=a%20b HTTP/1.1"
    assert set(asked.headers) == {"host", "accept", "accept-encoding", "user-agent", "authorization"}
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert server.asked[0].headers["authorization"].startswith("Basic ")


def test_a_netrc_entry_does_not_take_the_place_of_the_token(
    client: IrisClient,
    iris_emulator: IrisEmulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\ndefault login x password y\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    assert requests.utils.get_netrc_auth(iris_emulator.url) == ("somebody", "else")
    assert client.run(ASSETS)["totalElements"] == 250
    assert iris_emulator.stats()["statuses"] == {"200": 2}


def test_cookies_are_not_kept() -> None:
    answers = [token_answer(Set_Cookie="a=1; Path=/"), *[http(Set_Cookie="b=2; Path=/")] * 2]
    with ScriptedServer(*answers) as server, scripted_client(server.url) as client:
        client.run("/api/x")
        client.run("/api/x")
    assert ["cookie" in asked.headers for asked in server.asked] == [False] * 3


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed(status: str) -> None:
    with ScriptedServer(http()) as elsewhere:
        redirect = http(b"", status, Location=f"{elsewhere.url}/steal")
        with ScriptedServer(token_answer(), redirect) as server, scripted_client(server.url) as client:
            with pytest.raises(IrisUnexpectedResponseError, match=r"redirect"):
                client.run("/api/x")
            assert len(server.asked) == 2
    assert elsewhere.asked == []


def test_a_redirect_of_the_token_endpoint_is_not_followed_either() -> None:
    with ScriptedServer(token_answer()) as elsewhere:
        redirect = http(b"", "307 Temporary", Location=f"{elsewhere.url}/token")
        with ScriptedServer(redirect) as server, pytest.raises(IrisTokenError, match=r"Auth URL"):
            scripted_client(server.url).run("/api/x")
    assert elsewhere.asked == []


# --- bodies --------------------------------------------------------------------------------------------

RECORDS = b'{"content":[' + b",".join(b'{"id":%d}' % number for number in range(20_000)) + b"]}"


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


CHUNKED = {"Content_Length": "", "Transfer_Encoding": "chunked"}
ZIPPED = gzip.compress(RECORDS)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param([http(RECORDS)], id="plain"),
        pytest.param([http(RECORDS, Content_Length="")], id="until the connection closes"),
        pytest.param([http(RECORDS, Content_Type="application/json; charset")], id="with half a type"),
        pytest.param([http(ZIPPED, Content_Encoding="gzip")], id="gzip"),
        pytest.param([http(chunked(RECORDS, 777), **CHUNKED)], id="chunked"),
        pytest.param([http(chunked(ZIPPED, 99), Content_Encoding="gzip", **CHUNKED)], id="chunked gzip"),
        pytest.param(
            [
                http(b"", Content_Length=str(len(ZIPPED)), Content_Encoding="gzip"),
                *(ZIPPED[at : at + 501] for at in range(0, len(ZIPPED), 501)),
            ],
            id="gzip in many small pieces",
        ),
    ],
)
def test_a_body_arrives_whole_however_it_is_sent(answer: list[bytes]) -> None:
    with ScriptedServer(token_answer(), answer) as server, scripted_client(server.url) as client:
        assert len(client.run("/api/x")["content"]) == 20_000


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(RECORDS)[:-1], id="one byte short"),
        pytest.param(http(ZIPPED, Content_Encoding="gzip")[:-10], id="gzip, cut"),
        pytest.param(http(chunked(RECORDS, 777), **CHUNKED)[:-5], id="chunked, without its end"),
        pytest.param(http(b"not gzip", Content_Encoding="gzip"), id="not gzip at all"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-", id="half a header"),
        pytest.param(b"garbage\r\n\r\n", id="no HTTP"),
    ],
)
def test_a_body_that_is_not_whole_is_no_answer(answer: bytes) -> None:
    with ScriptedServer(token_answer(), answer) as server, scripted_client(server.url) as client:
        with pytest.raises(IrisNoAnswerError) as caught:
            client.run("/api/x")
        assert caught.value.sent
        assert caught.value.transient


def test_a_body_without_an_end_does_not_fill_the_memory() -> None:
    # A quarter of a megabyte on the wire, and far too much when it is unpacked.
    packed = gzip.compress(b" " * 1024 * 1024, 9) * 300
    bomb = http(packed, Content_Encoding="gzip")
    with (
        ScriptedServer(token_answer(), bomb) as server,
        scripted_client(server.url) as client,
        pytest.raises(IrisUnexpectedResponseError, match=r"larger than 256 MiB"),
    ):
        client.run("/api/x")


def test_the_head_of_an_answer_is_enough_for_head() -> None:
    head = http(b"", Content_Length="1000")
    with ScriptedServer(token_answer(), head) as server, scripted_client(server.url) as client:
        assert client.run("/api/x", method="HEAD") is None


def test_a_server_that_accepts_and_never_answers_is_given_up() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, ScriptedServer(token_answer()) as auth:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = scripted_client(url, f"{auth.url}/token", timeout_s=0.2, clock=time.monotonic)
        with pytest.raises(IrisNoAnswerError, match=r"did not answer in time") as caught:
            client.run("/api/x")
        assert caught.value.sent


def dripping(piece: bytes) -> Iterator[bytes]:
    """Yield a line every 20 ms, for longer than any client of these tests waits."""
    pace = threading.Event()
    yield b"" if piece.startswith(b"HTTP/") else b"HTTP/1.1 200 OK\r\n"
    for _ in range(250):
        pace.wait(0.02)
        yield piece


@pytest.mark.parametrize(
    "piece",
    [b"X-More: 1\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"],
    ids=["headers", "100 Continue", "103 Early Hints"],
)
def test_a_server_that_drips_the_head_of_its_answer_is_given_up_in_time(piece: bytes) -> None:
    with ScriptedServer(dripping(piece)) as server, ScriptedServer(token_answer()) as auth:
        client = scripted_client(server.url, f"{auth.url}/token", timeout_s=0.5, clock=time.monotonic)
        begun = time.monotonic()
        with pytest.raises(IrisNoAnswerError, match=r"did not answer in time"):
            client.run("/api/x")
        # All drips together take five seconds.
        assert time.monotonic() - begun < 4


# --- certificates ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Return a self-signed certificate of 127.0.0.1, and the server side of it."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_server(certificate: tuple[Path, ssl.SSLContext]) -> Iterator[ScriptedServer]:
    with ScriptedServer(token_answer(), http(b'{"a":1}'), tls=certificate[1]) as server:
        yield server


def test_a_certificate_of_the_ca_bundle_is_trusted(
    tls_server: ScriptedServer, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    assert scripted_client(tls_server.url, ca_bundle=str(certificate[0])).run("/api/x") == {"a": 1}


def test_the_ca_bundle_of_the_connection_wins_over_the_environment(
    tls_server: ScriptedServer, certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    assert scripted_client(tls_server.url, ca_bundle=str(certificate[0])).run("/api/x") == {"a": 1}


def test_a_certificate_that_nobody_vouches_for_is_refused_and_says_what_to_set(
    tls_server: ScriptedServer,
) -> None:
    with pytest.raises(IrisConfigurationError, match=r"CA bundle \(extra 'ca_bundle'\)"):
        scripted_client(tls_server.url).run("/api/x")
    assert tls_server.asked == []


@pytest.mark.parametrize("path", ["/no/such/bundle.pem", "/tmp"])  # noqa: S108 - a directory that is there
def test_a_ca_bundle_that_is_no_file_is_refused_at_once(path: str) -> None:
    with pytest.raises(IrisConfigurationError, match=rf"CA bundle \(extra 'ca_bundle'\).*{path}"):
        scripted_client("https://127.0.0.1:9", ca_bundle=path)


def test_a_ca_bundle_that_holds_no_certificate_is_a_matter_of_configuration(tmp_path: Path) -> None:
    bundle = tmp_path / "empty.pem"
    bundle.write_text("no certificate\n")
    with ScriptedServer(b"") as server, pytest.raises(IrisConfigurationError, match=r"CA bundle"):
        scripted_client(server.url.replace("http:", "https:"), ca_bundle=str(bundle)).run("/api/x")


def test_a_server_that_hangs_up_in_the_handshake_may_be_back_soon() -> None:
    with ScriptedServer(b"") as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(IrisNoAnswerError) as caught:
            scripted_client(url).run("/api/x")
    assert caught.value.transient


# --- what is never told ------------------------------------------------------------------------------------

ECHO = f'{{"code":"c","message":"you said Bearer {TOKEN} of {{}}"}}'.encode()
FAILURES = [
    pytest.param([http(ECHO, "400 Bad Request")], id="400"),
    pytest.param([http(ECHO, "401 Unauthorized")], id="401"),
    pytest.param([http(ECHO, "403 Forbidden")], id="403"),
    pytest.param([http(ECHO, "404 Not Found")], id="404"),
    pytest.param([http(ECHO, "429 Too Many", Retry_After="1")], id="429"),
    pytest.param([http(ECHO, "500 Error")], id="500"),
    pytest.param([http(b"", "302 Found", Location=f"https://evil.example/?t={TOKEN}")], id="redirect"),
    pytest.param([http(b"<html>", Content_Type="text/html")], id="HTML"),
    pytest.param([http(b'{"content": [')], id="half JSON"),
    pytest.param([http(ECHO)[:-1]], id="cut"),
    pytest.param([b""], id="hung up"),
    pytest.param([b"garbage\r\n\r\n"], id="no HTTP"),
]


def secrets_in(text: str) -> list[str]:
    """Return which of the things that must not be told stand in a text."""
    return [
        one
        for one in (TOKEN, SECRET, PASSWORD, "hunter2", "QUERY", "BODY", "HEADER", "cXVlcnk")
        if one in text
    ]


@pytest.mark.parametrize("answer", FAILURES)
def test_no_error_repr_or_log_line_of_ours_tells_a_secret_or_a_query(
    answer: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        ScriptedServer(token_answer()) as auth,
        ScriptedServer(answer) as server,
        scripted_client(server.url, f"{auth.url}/token", max_attempts=2) as client,
    ):
        with pytest.raises(IrisError) as caught:
            client.run(
                "/api/x",
                method="POST",
                query_params={"q": "QUERY"},
                json={"q": "BODY"},
                headers={"X-Key": "HEADER"},
            )
        shown = (
            "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(vars(caught.value))
        )
        shown += repr(client) + repr(client.credentials)
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("airflow_provider")]
    # Source lines of a traceback are our own test's; only what the error says counts.
    said = shown.replace('"QUERY"', "").replace('"BODY"', "").replace('"HEADER"', "")
    assert secrets_in(said) == []
    assert secrets_in("\n".join(ours)) == []
    libraries = "\n".join(one.getMessage() for one in caplog.records)
    assert [one for one in secrets_in(libraries) if one != "QUERY"] == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            http(b'{"error":"invalid_client","error_description":"hunter2"}', "401 No"), id="refused"
        ),
        pytest.param(http(b"<html>hunter2</html>", Content_Type="text/html"), id="HTML"),
        pytest.param(http(b"hunter2", "500 Error"), id="500"),
        pytest.param(http(b"hunter2", "429 Slow", Retry_After="1"), id="429"),
        pytest.param(http(b'{"access_token":"hunter2'), id="half JSON"),
        pytest.param(http(b"hunter2")[:-1], id="cut"),
        pytest.param(b"", id="hung up"),
    ],
)
def test_nothing_of_the_token_endpoint_is_told(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        ScriptedServer(answer) as server,
        scripted_client(server.url, max_attempts=2) as client,
        pytest.raises(IrisError) as caught,
    ):
        client.run("/api/x")
    assert "token endpoint" in str(caught.value)
    told = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(vars(caught.value))
    assert secrets_in(told) == []


def test_a_walk_at_debug_tells_no_token(
    new_client: ClientFactory, iris_emulator: IrisEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = new_client()
    list(client.records(ASSETS, query_params={"size": 100}, max_concurrency=4))
    user = api_user_of(iris_emulator)
    for secret in (client.authenticate().value, user.client_secret, user.password):
        assert secret not in caplog.text
