"""What people write into URLs and headers cannot lead the token away, or over a network in clear."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_trackunit.iris.calls import make_call, read_origin, without_query
from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.http.tokens import Credentials, token_request
from airflow_provider_trackunit.iris.http.wire import build_request

ORIGIN = "https://iris.trackunit.com"


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::1%25eth0]",
        "[::127.0.0.1]",
        "localhost.evil.example",
        "localhost.localdomain",
        "127.0.0.1.nip.io",
        "evil.example#127.0.0.1",
        "evil.example?127.0.0.1",
        "evil.example/127.0.0.1",
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
        "loc\u00e4lhost",
    ],
)
def test_only_what_is_loopback_for_everybody_may_be_plain(host: str) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^Base URL: "):
        read_origin(f"http://{host}:8000", setting="Base URL")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1.", "127.9.9.9", "[::1]", "[0:0:0:0:0:0:0:1]", "localhost", "LocalHost"]
)
def test_what_is_loopback_may_be_plain(host: str) -> None:
    assert read_origin(f"http://{host}:8000", setting="Base URL").startswith("http://")


@pytest.mark.parametrize(
    "host",
    [
        "iris.trackunit.com%2eevil.example",
        "iris.trackunit.com;evil.example",
        "iris.trackunit.com,evil.example",
        "iris\u3002trackunit\u3002com",
        "\u0131ris.trackunit.com",
        "ir\u00eds.trackunit.com",
        "iris..trackunit.com",
        ".iris.trackunit.com",
        "iris.trackunit.com\t",
        "iris.track\nunit.com",
        "iris.trackunit.com\\evil.example",
        "iris.trackunit.com\\@evil.example",
        "iris.trackunit.com@evil.example",
        ":pw@iris.trackunit.com",
        "[iris.trackunit.com]",
        "[::1]evil.example",
        "fe80::1%eth0",
        "*",
        "a'b",
        'a"b',
        "a{b}",
    ],
)
def test_a_host_that_two_libraries_could_read_in_two_ways_is_refused(host: str) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^Base URL: "):
        read_origin(f"https://{host}/", setting="Base URL")


def test_an_international_name_is_taken_in_its_spelling_in_ascii() -> None:
    assert read_origin("https://XN--IRS-QOA.example", setting="Base URL") == "https://xn--irs-qoa.example"


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://evil.example/api/x",
        "//evil.example/api/x",
        "https:evil.example/api/x",
        "https:/evil.example/api/x",
        "https:///evil.example/api/x",
        "HTTP://iris.trackunit.com/api/x",
        "https://iris.trackunit.com:444/api/x",
        "https://iris.trackunit.com.evil.example/api/x",
        "https://iris.trackunit.com@evil.example/api/x",
        "https://me:hunter2@iris.trackunit.com/api/x",
        "https://iris.trackunit.com\\.evil.example/api/x",
        "\\\\evil.example/api/x",
        "/\\evil.example/api/x",
        "https://iris.trackunit.com\t.evil.example/x",
        "\thttps://evil.example/x",
        "h\nttps://evil.example/x",
        "javascript:alert(1)",
        "file:///etc/passwd",
    ],
)
def test_an_endpoint_cannot_leave_the_origin(endpoint: str) -> None:
    with pytest.raises(IrisConfigurationError) as caught:
        make_call(ORIGIN, endpoint)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "///evil.example/x",
        "////evil.example/x",
        "/@evil.example/x",
        "/.evil.example",
        "/:444/x",
        "@evil.example/x",
    ],
)
def test_an_endpoint_that_looks_like_a_way_out_stays_a_path(endpoint: str) -> None:
    try:
        url = build_request(make_call(ORIGIN, endpoint)).url
    except IrisConfigurationError:
        return
    assert url.startswith(f"{ORIGIN}/")
    assert url.removeprefix(f"{ORIGIN}/")[:1] not in {"/", "\\"}


@pytest.mark.parametrize(
    "pin", ["../../admin", "..", "/etc", "@evil.example", "?x=1", "#x", "//evil.example", "a\\b"]
)
def test_a_path_value_cannot_change_the_path(pin: str) -> None:
    try:
        url = build_request(make_call(ORIGIN, "/api/{pin}/x", path_params={"pin": pin})).url
    except IrisConfigurationError:
        return
    beginning, end = f"{ORIGIN}/api/", "/x"
    assert url.startswith(beginning)
    assert url.endswith(end)
    assert not set(url[len(beginning) : -len(end)]) & set("/\\?#@")


@pytest.mark.parametrize(
    "name", ["Authorization", "authorization", "AUTHORIZATION", "Proxy-Authorization", "Host"]
)
@pytest.mark.parametrize("value", ["Bearer mine", None])
def test_the_headers_of_the_connection_cannot_be_replaced(name: str, value: Any) -> None:
    with pytest.raises(IrisConfigurationError, match=rf"^headers: {name} is set by the connection"):
        make_call(ORIGIN, "/api/x", headers={name: value})


def test_a_header_that_is_none_is_left_out() -> None:
    call = make_call(ORIGIN, "/api/x", headers={"X-A": None, "X-B": "b", "Accept": None})
    assert call.headers == (("X-B", "b"),)
    assert build_request(call).headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    "auth_url",
    [
        "https://auth.example.com/token?tenant=hunter2",
        "https://auth.example.com/token#hunter2",
        "auth.example.com?a=1",
    ],
)
def test_a_query_in_the_auth_url_is_refused_by_the_name_of_the_field(auth_url: str) -> None:
    with pytest.raises(IrisConfigurationError, match=r"Auth URL \(extra 'auth_url'\): .*query") as caught:
        Credentials("c", "s", "u", "p", auth_url=auth_url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/t%C3%B6ken", "/t%C3%B6ken"),
        ("/töken", "/t%C3%B6ken"),
        ("/a{b}", "/a%7Bb%7D"),
        ("/v2/;x=1", "/v2/;x=1"),
    ],
)
def test_the_path_of_the_auth_url_is_sent_in_ascii(path: str, sent: str) -> None:
    request = token_request(Credentials("c", "s", "u", "p", auth_url=f"https://auth.example.com{path}"))
    assert request.url == f"https://auth.example.com{sent}"


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("/api/x", "/api/x"),
        ("/api/x?token=t", "/api/x"),
        (f"{ORIGIN}/x?a=b?c", f"{ORIGIN}/x"),
        ("/x#y?z", "/x"),
    ],
)
def test_an_endpoint_is_named_without_its_query(endpoint: str, name: str) -> None:
    assert without_query(endpoint) == name
