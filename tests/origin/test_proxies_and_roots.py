"""Proxies and trusted roots of the environment: used over TLS as requests uses them, and told to nobody."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisError, IrisNoAnswerError
from tests.iris.scripted import TOKEN, ScriptedServer, http, token_answer
from tests.origin.proxy import TunnelProxy
from tests.tls import self_signed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.origin.conftest import Ask, Certificate

# The password of the user "me", as both are written in a URL, and in a header: in base64.
PROXY_PASSWORD, IN_A_URL, IN_A_HEADER = "p@ss/word", "me:p%40ss%2Fword", "bWU6cEBzcy93b3Jk"
CONFIDENTIAL = (PROXY_PASSWORD, "p%40ss%2Fword", IN_A_HEADER, "hunter2", TOKEN)


def told_by(error: BaseException, log: str) -> list[str]:
    """Return what an error, its traceback with all variables, or the log tells that it should not."""
    lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    # The lines of code of a traceback, and the variables of a test, are not ours.
    ours = [part for part in lines if "/airflow_provider_trackunit/" in part or not part.startswith("  File")]
    return [one for one in CONFIDENTIAL if one in "".join(ours) + log]


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_tunnels_tls_and_sees_neither_token_nor_secret(
    ask: Ask,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variable: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    bundle, tls = certificate
    with TunnelProxy() as proxy, ScriptedServer(token_answer(), http(b'{"a":1}'), tls=tls) as server:
        monkeypatch.setenv(variable, f"http://{IN_A_URL}@127.0.0.1:{proxy.port}")
        assert ask(server.url, ca_bundle=bundle) == {"a": 1}
    assert {asked.line.split()[1] for asked in proxy.asked} == {f"127.0.0.1:{server.port}"}
    assert {asked.headers["proxy-authorization"] for asked in proxy.asked} == {f"Basic {IN_A_HEADER}"}
    assert not any("authorization" in asked.headers for asked in proxy.asked)
    assert proxy.passed_on
    assert not any(TOKEN.encode() in piece for piece in proxy.passed_on)
    assert server.asked[1].headers["authorization"] == f"Bearer {TOKEN}"
    assert not any("proxy-authorization" in asked.headers for asked in server.asked)
    assert [one for one in CONFIDENTIAL if one in caplog.text] == []


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
def test_plain_http_to_this_machine_never_goes_through_a_proxy(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with TunnelProxy() as proxy, ScriptedServer(token_answer(), http(b'{"a":1}')) as server:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        assert ask(server.url) == {"a": 1}
    assert proxy.asked == []


@pytest.mark.parametrize("hosts", ["127.0.0.1", "example.com, 127.0.0.1", "127.0.0.0/8", "*"])
def test_a_host_in_no_proxy_is_asked_directly(
    ask: Ask, certificate: Certificate, monkeypatch: pytest.MonkeyPatch, hosts: str
) -> None:
    bundle, tls = certificate
    with TunnelProxy() as proxy, ScriptedServer(token_answer(), http(b'{"a":1}'), tls=tls) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", hosts)
        assert ask(server.url, ca_bundle=bundle) == {"a": 1}
    assert proxy.asked == []


def test_a_proxy_that_opens_no_tunnel_is_named_as_the_reason_without_its_password(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refusal = f"HTTP/1.1 407 No {IN_A_HEADER}\r\nContent-Length: 0\r\nProxy-Authenticate: Basic\r\n\r\n"
    with TunnelProxy(refusal.encode()) as proxy, ScriptedServer(http()) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{IN_A_URL}@127.0.0.1:{proxy.port}")
        with pytest.raises(IrisNoAnswerError, match="proxy") as caught:
            ask(server.url.replace("http:", "https:"))
    assert not caught.value.sent
    assert told_by(caught.value, caplog.text) == []


def test_what_breaks_off_behind_a_tunnel_may_have_arrived_and_is_not_sent_twice(
    ask: Ask, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """urllib3 says of it that the proxy could not be reached."""
    bundle, tls = certificate
    with TunnelProxy() as proxy, ScriptedServer(token_answer(), b"", tls=tls) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(IrisNoAnswerError, match="broke off") as caught:
            ask(server.url, ca_bundle=bundle, method="POST", max_attempts=4)
    assert caught.value.sent
    assert [asked.line.split()[0] for asked in server.asked[1:]] == ["POST"]


@pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_a_proxy_that_announces_its_answer_has_not_refused(
    ask: Ask, certificate: Certificate, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    bundle, tls = certificate
    announced = f"HTTP/1.1 {status}\r\nLink: </style.css>\r\n\r\n".encode()
    answers = token_answer(), http(b'{"a":1}')
    with TunnelProxy(announcement=announced * 2) as proxy, ScriptedServer(*answers, tls=tls) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert ask(server.url, ca_bundle=bundle) == {"a": 1}


def test_a_proxy_with_a_certificate_that_is_not_trusted_is_a_matter_of_configuration(
    ask: Ask, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer(b"", tls=certificate[1]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{proxy.port}")
        with pytest.raises(IrisConfigurationError, match="certificate"):
            ask("https://127.0.0.1:9", max_attempts=3)
        assert proxy.asked == []


def test_a_proxy_that_is_not_there_is_named_as_the_reason(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    with TunnelProxy() as gone:
        pass
    monkeypatch.setenv("HTTPS_PROXY", f"http://{IN_A_URL}@127.0.0.1:{gone.port}")
    with pytest.raises(IrisNoAnswerError, match="proxy") as caught:
        ask("https://127.0.0.1:9")
    assert not caught.value.sent
    assert told_by(caught.value, "") == []


@pytest.mark.parametrize(
    "proxy",
    [
        "http://me:hunter2/x@127.0.0.1:9",
        "http://me:hunter2@",
        "http://me:hunter2@[::1",
        "http://me:hunter2@127.0.0.1:99999",
        "http://me:hunter2@127.0.0.1:port",
        "socks5://me:hunter2@127.0.0.1:9",
        "ftp://me:hunter2@127.0.0.1:9",
        "hunter2",
        "::::hunter2",
    ],
)
def test_a_proxy_that_cannot_be_used_is_an_error_of_ours_without_its_password(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, proxy: str
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(IrisError, match="proxy") as caught:
        ask("https://127.0.0.1:9")
    assert "hunter2" not in str(caught.value) + caplog.text


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_roots_of_the_environment_are_trusted(
    ask: Ask, certificate: Certificate, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    bundle, tls = certificate
    monkeypatch.setenv(variable, str(bundle))
    with ScriptedServer(token_answer(), http(b'{"a":1}'), tls=tls) as server:
        assert ask(server.url) == {"a": 1}


def test_the_ca_bundle_of_the_connection_wins_over_the_environment(
    ask: Ask, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, tls = certificate
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    with ScriptedServer(token_answer(), http(b'{"a":1}'), tls=tls) as server:
        assert ask(server.url, ca_bundle=bundle) == {"a": 1}


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_roots_that_are_not_there_are_an_error_that_names_the_variable(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "/no/such/bundle.pem")
    with ScriptedServer(b"") as server, pytest.raises(IrisConfigurationError, match=variable):
        ask(server.url.replace("http:", "https:"))
    assert server.asked == []


def test_plain_http_to_this_machine_does_without_roots(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading them takes as long as a dozen requests."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    with ScriptedServer(token_answer(), http(b'{"a":1}')) as server:
        assert ask(server.url) == {"a": 1}


def test_a_ca_bundle_without_a_certificate_is_an_error_that_names_the_field(ask: Ask, tmp_path: Path) -> None:
    bundle = tmp_path / "empty.pem"
    bundle.write_text("hunter2\n")
    with ScriptedServer(b"") as server, pytest.raises(IrisConfigurationError, match="CA bundle") as caught:
        ask(server.url.replace("http:", "https:"), ca_bundle=bundle)
    assert "hunter2" not in str(caught.value)
    # One of the two libraries connects before it reads the file; it says nothing.
    assert not any(asked.line for asked in server.asked)


def test_a_certificate_of_another_host_is_refused_before_anything_is_sent(ask: Ask, tmp_path: Path) -> None:
    bundle, tls = self_signed(tmp_path, "127.0.0.2")
    with ScriptedServer(token_answer(), tls=tls) as server:
        with pytest.raises(IrisConfigurationError, match="certificate"):
            ask(server.url, ca_bundle=bundle)
        # urllib3 1.26 connects before it compares the name; it says nothing.
        assert not any(asked.line for asked in server.asked)


def test_verification_cannot_be_switched_off_by_the_environment(
    ask: Ask, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PYTHONHTTPSVERIFY"):
        monkeypatch.setenv(name, "" if name != "PYTHONHTTPSVERIFY" else "0")
    with ScriptedServer(token_answer(), tls=certificate[1]) as server:
        with pytest.raises(IrisConfigurationError, match="certificate"):
            ask(server.url)
        assert server.asked == []
