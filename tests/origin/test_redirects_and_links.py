"""Nothing that an answer says leads the token to another place: redirects, links, cookies."""

from __future__ import annotations

import json
import socket
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.iris.errors import IrisError, IrisPaginationError, IrisUnexpectedResponseError
from tests.iris.scripted import TOKEN, ScriptedServer, http, token_answer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.origin.conftest import Ask, Certificate

STATUSES = ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
FLEET = "/public/api/aemp/v2/15143/-3/Fleet"


def locations(elsewhere: ScriptedServer) -> list[str]:
    """Return how another server can be named in the head of an answer."""
    return [
        f"{elsewhere.url}/steal",
        f"//127.0.0.1:{elsewhere.port}/steal",
        f"http://localhost:{elsewhere.port}/steal",
        f"http://user:pw@127.0.0.1:{elsewhere.port}/steal",
        f"\\\\127.0.0.1:{elsewhere.port}/steal",
    ]


@pytest.mark.parametrize("status", STATUSES)
def test_a_redirect_of_the_api_is_not_followed(ask: Ask, elsewhere: ScriptedServer, status: str) -> None:
    for location in locations(elsewhere):
        redirect = http(b"", status, Location=location, Refresh=f"0; url={location}")
        with ScriptedServer(token_answer(), redirect) as server:
            with pytest.raises(IrisUnexpectedResponseError, match="redirect"):
                ask(server.url)
            assert len(server.asked) == 2


@pytest.mark.parametrize("status", STATUSES)
def test_a_redirect_within_the_origin_is_not_followed_either(ask: Ask, status: str) -> None:
    with ScriptedServer(token_answer(), http(b"", status, Location="/api/y"), http(b'{"a":1}')) as server:
        with pytest.raises(IrisUnexpectedResponseError, match="redirect"):
            ask(server.url)
        assert len(server.asked) == 2


@pytest.mark.parametrize("status", STATUSES)
def test_a_redirect_of_the_token_endpoint_is_not_followed(
    ask: Ask, elsewhere: ScriptedServer, status: str
) -> None:
    for location in locations(elsewhere):
        with (
            ScriptedServer(http(b"", status, Location=location)) as server,
            pytest.raises(IrisError, match=r"Auth URL"),
        ):
            ask(server.url)


def test_a_redirect_from_tls_to_plain_http_is_not_followed(
    ask: Ask, elsewhere: ScriptedServer, certificate: Certificate
) -> None:
    bundle, tls = certificate
    answers = [token_answer(), http(b"", "302 Found", Location=f"{elsewhere.url}/steal")]
    with ScriptedServer(*answers, tls=tls) as server, pytest.raises(IrisUnexpectedResponseError):
        ask(server.url, ca_bundle=bundle)


def test_a_link_to_another_server_is_not_followed(ask: Ask, elsewhere: ScriptedServer) -> None:
    for base in locations(elsewhere):
        page = {
            "links": [
                {"rel": "next", "href": base.replace("/steal", f"{FLEET}/2")},
                {"rel": "last", "href": base.replace("/steal", f"{FLEET}/9")},
            ],
            "equipment": [{"id": 1}],
        }
        with ScriptedServer(token_answer(), http(json.dumps(page).encode())) as server:
            with pytest.raises(IrisPaginationError, match="not followed"):
                ask(server.url, FLEET, walk=True)
            assert len(server.asked) == 2


@pytest.mark.parametrize(
    "members", [{"next": "URL"}, {"after": "URL"}, {"links": {"next": "URL"}}, {"_links": "URL"}]
)
def test_a_url_in_any_other_member_is_no_place_to_ask(
    ask: Ask, elsewhere: ScriptedServer, members: dict[str, Any]
) -> None:
    body = json.dumps({"content": [{"id": 1}], **members}).replace("URL", elsewhere.url).encode()
    link = f'<{elsewhere.url}/steal>; rel="next"'
    last = http(b'{"content":[]}')
    with ScriptedServer(
        token_answer(), http(body, Link=link, Content_Location=elsewhere.url), last
    ) as server:
        ask(server.url, "/api/somewhere", walk=True)
        paths = [asked.line.split()[1].partition("?")[0] for asked in server.asked]
    assert paths[:2] == ["/token", "/api/somewhere"]
    assert set(paths) == {"/token", "/api/somewhere"}


def test_cookies_are_neither_kept_nor_sent(ask: Ask) -> None:
    cookies = ["a=1; Path=/", "b=2; Path=/; Domain=127.0.0.1; SameSite=None", "c=3; Max-Age=99999"]
    answers = [token_answer(Set_Cookie=cookies[0]), *(http(Set_Cookie=one) for one in cookies), http()]
    with ScriptedServer(*answers) as server:
        ask(server.url, times=4)
    assert len(server.asked) == 5
    assert not any("cookie" in asked.headers for asked in server.asked)


@pytest.mark.parametrize("variable", ["HOME", "NETRC"])
def test_a_netrc_entry_is_neither_sent_nor_takes_the_place_of_the_token(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\ndefault login x password y\n")
    netrc.chmod(0o600)
    monkeypatch.setenv(variable, str(netrc if variable == "NETRC" else tmp_path))
    with ScriptedServer(token_answer(), http(b'{"a":1}')) as server:
        assert ask(server.url) == {"a": 1}
    basic, bearer = (asked.headers["authorization"] for asked in server.asked)
    assert basic.startswith("Basic ")
    assert "c29tZWJvZHk" not in basic
    assert bearer == f"Bearer {TOKEN}"


@pytest.mark.parametrize("host", ["LOCALHOST", "localhost.", "127.0.0.1."])
def test_another_spelling_of_the_host_is_the_same_host(ask: Ask, host: str) -> None:
    with ScriptedServer(token_answer(), http(b'{"a":1}')) as server:
        base = f"http://{host}:{server.port}"
        assert ask(base, f"http://{host.lower()}:{server.port}/api/x") == {"a": 1}
    plain = {f"{name}:{server.port}" for name in ("localhost", "127.0.0.1")}
    assert {asked.headers["host"] for asked in server.asked} <= plain


def test_loopback_of_ipv6_is_loopback(ask: Ask) -> None:
    class OverIpv6(ScriptedServer):
        address_family = socket.AF_INET6

        def server_bind(self) -> None:
            self.server_address = ("::1", 0)
            super().server_bind()

    try:
        server = OverIpv6(token_answer(), http(b'{"a":1}'))
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    with server:
        assert ask(f"http://[::1]:{server.port}") == {"a": 1}
    assert {asked.headers["host"] for asked in server.asked} == {f"[::1]:{server.port}"}


def test_an_error_leaves_no_trace_of_the_library_that_held_the_headers(ask: Ask) -> None:
    with ScriptedServer(token_answer(), b"") as server, pytest.raises(IrisError) as caught:
        ask(server.url, query_params={"sig": "QUERY"})
    chain: list[BaseException] = [caught.value]
    while following := (chain[-1].__cause__ or chain[-1].__context__):
        chain.append(following)
    assert chain == [caught.value]
    told = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    for secret in (TOKEN, "hunter2", "Y2xpZW50"):
        assert secret not in told
