"""What a caller asks for is finished to the byte, or refused before anything is sent."""

import datetime as dt
from typing import Any

import pendulum
import pytest

from airflow_provider_trackunit.iris.calls import make_call, read_base_url, read_origin, utc_text
from airflow_provider_trackunit.iris.errors import IrisConfigurationError

ORIGIN = "https://iris.trackunit.com"
BERLIN = dt.timezone(dt.timedelta(hours=2))


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        pytest.param("https://iris.trackunit.com", ORIGIN, id="as it is"),
        pytest.param("iris.trackunit.com", ORIGIN, id="without a scheme"),
        pytest.param("  https://iris.trackunit.com/ \n", ORIGIN, id="blanks around it"),
        pytest.param("HTTPS://IRIS.Trackunit.COM", ORIGIN, id="upper case"),
        pytest.param("https://iris.trackunit.com.", ORIGIN, id="trailing dot"),
        pytest.param("https://iris.trackunit.com:443", ORIGIN, id="default port"),
        pytest.param("https://iris.trackunit.com:8443", f"{ORIGIN}:8443", id="another port"),
        pytest.param("localhost:8080", "https://localhost:8080", id="a port without a scheme"),
        pytest.param("http://127.0.0.1:80", "http://127.0.0.1", id="http to loopback"),
        pytest.param("http://127.8.9.1:8000", "http://127.8.9.1:8000", id="all of 127/8 is loopback"),
        pytest.param("http://LOCALHOST.:8000", "http://localhost:8000", id="http to localhost, any spelling"),
        pytest.param("http://[::1]:8000", "http://[::1]:8000", id="http to IPv6 loopback"),
        pytest.param("https://[2001:DB8::1]", "https://[2001:db8::1]", id="IPv6"),
        pytest.param(
            "https://iris.trackunit.com:80", f"{ORIGIN}:80", id="the default port of the other scheme"
        ),
    ],
)
def test_an_origin_has_one_spelling(url: str, origin: str) -> None:
    assert read_origin(url, setting="Base URL") == origin


@pytest.mark.parametrize(
    ("url", "why"),
    [
        pytest.param("http://iris.trackunit.com", "plain http", id="http to the world"),
        pytest.param("http://localhost.example.com", "plain http", id="only begins like loopback"),
        pytest.param("http://127.0.0.1.example.com", "plain http", id="only begins like 127.0.0.1"),
        pytest.param("http://0.0.0.0:8000", "plain http", id="every interface is not loopback"),
        pytest.param("http://[2001:db8::1]", "plain http", id="http to IPv6"),
        pytest.param("http://10.0.0.7", "plain http", id="http to a private network"),
        pytest.param("ftp://iris.trackunit.com", "scheme", id="another scheme"),
        pytest.param("file:///etc/passwd", "scheme", id="a file"),
        pytest.param("", "no host", id="nothing"),
        pytest.param("https://", "no host", id="no host"),
        pytest.param("//iris.trackunit.com", "no host", id="a network path"),
        pytest.param("https://iris trackunit.com", "blank", id="a blank in the host"),
        pytest.param(
            "https://iris.trackunit.com\\@evil.example", "blank or control|no host", id="a backslash"
        ),
        pytest.param("https://iris.trackunit.com:port", "not a URL", id="a port that is none"),
        pytest.param("https://iris.trackunit.com:99999", "not a URL", id="a port out of range"),
        pytest.param("https://[::1", "not a URL", id="half an IPv6 address"),
        pytest.param("https://user:hunter2@iris.trackunit.com", "credentials", id="credentials in it"),
        pytest.param("https://@iris.trackunit.com", "credentials", id="empty credentials in it"),
    ],
)
def test_an_unusable_origin_is_refused_by_the_name_of_its_field(url: str, why: str) -> None:
    with pytest.raises(IrisConfigurationError, match=f"^Auth URL: .*({why})"):
        read_origin(url, setting="Auth URL")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://user:hunter2@iris.trackunit.com", id="well formed"),
        pytest.param("https://user:hunter2/x@iris.trackunit.com", id="a slash in the password"),
        pytest.param("https://user:hunter2#x@iris.trackunit.com", id="a hash in the password"),
        pytest.param("https://user:hunter2?x@iris.trackunit.com", id="a question mark in the password"),
        pytest.param("https://user:hunter2@iris\u2100.com", id="a host that Unicode would rewrite"),
    ],
)
def test_a_password_in_a_url_is_not_repeated_in_the_error(url: str) -> None:
    with pytest.raises(IrisConfigurationError) as caught:
        read_origin(url, setting="Base URL")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("url", [ORIGIN, f"{ORIGIN}/", "iris.trackunit.com", " iris.trackunit.com/ "])
def test_a_base_url_is_an_origin_alone(url: str) -> None:
    assert read_base_url(url) == ORIGIN


@pytest.mark.parametrize(
    "url",
    [
        f"{ORIGIN}/api",
        "iris.trackunit.com/api",
        f"{ORIGIN}/?tenant=1",
        f"{ORIGIN}#top",
        "http://iris.trackunit.com",
    ],
)
def test_a_base_url_with_more_than_an_origin_is_refused(url: str) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^Base URL \(host\)"):
        read_base_url(url)


@pytest.mark.parametrize(
    ("endpoint", "path", "query"),
    [
        pytest.param("/api/asset/v1/assets", "/api/asset/v1/assets", (), id="a path"),
        pytest.param("api/asset/v1/assets", "/api/asset/v1/assets", (), id="without its slash"),
        pytest.param(" /api/x ", "/api/x", (), id="blanks around it"),
        pytest.param("/api/graphql/", "/api/graphql/", (), id="the trailing slash stays"),
        pytest.param(f"{ORIGIN}/api/x?a=1", "/api/x", (("a", "1"),), id="a full URL of our own"),
        pytest.param("HTTPS://IRIS.trackunit.com:443/api/x", "/api/x", (), id="our own, spelled otherwise"),
        pytest.param("//iris.trackunit.com/api/x", "/api/x", (), id="a network path of our own"),
        pytest.param(ORIGIN, "/", (), id="the origin alone"),
        pytest.param("/api/x?a=1&b=&a=2", "/api/x", (("a", "1"), ("b", ""), ("a", "2")), id="a query"),
        pytest.param(
            "/api/x?q=a%20b%2Fc", "/api/x", (("q", "a b/c"),), id="an encoded query is decoded once"
        ),
        pytest.param("/api/a b/ü", "/api/a%20b/%C3%BC", (), id="blanks and umlauts are encoded"),
        pytest.param("/api/a%20b/%c3%bc", "/api/a%20b/%C3%BC", (), id="what is encoded stays as it is"),
        pytest.param("/api/a%2Fb/c%23", "/api/a%2Fb/c%23", (), id="an encoded slash is no separator"),
        pytest.param("/15143/-3/x:y;z=1,2", "/15143/-3/x:y;z=1,2", (), id="signs a path may hold"),
    ],
)
def test_an_endpoint_becomes_a_path_and_a_query(
    endpoint: str, path: str, query: tuple[tuple[str, str], ...]
) -> None:
    call = make_call(ORIGIN, endpoint)
    assert (call.origin, call.method, call.path, call.query) == (ORIGIN, "GET", path, query)


@pytest.mark.parametrize(
    "endpoint",
    [
        pytest.param("", id="nothing"),
        pytest.param("   ", id="blanks"),
        pytest.param(None, id="None"),
        pytest.param("https://evil.example/api/x", id="another origin"),
        pytest.param("//evil.example/api/x", id="another host without a scheme"),
        pytest.param("https://iris.trackunit.com.evil.example/x", id="a host that begins like ours"),
        pytest.param("https://iris.trackunit.com@evil.example/x", id="our host as a user name"),
        pytest.param("https://iris.trackunit.com:8443/x", id="another port"),
        pytest.param("http://iris.trackunit.com/x", id="our host without TLS"),
        pytest.param("javascript:alert(1)", id="a scheme without a host"),
        pytest.param("/api/x#top", id="a fragment"),
        pytest.param("/api\\x", id="a backslash"),
        pytest.param("/api/x\r\nHost: evil", id="a line break"),
        pytest.param("/api/x\x00", id="a control character"),
        pytest.param("/api/../x", id="dot dot"),
        pytest.param("/api/./x", id="dot"),
        pytest.param("/api/%2e%2E/x", id="encoded dot dot"),
    ],
)
def test_an_endpoint_that_leads_elsewhere_is_refused(endpoint: Any) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^endpoint"):
        make_call(ORIGIN, endpoint)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        pytest.param("ACM000X20P0001234", "ACM000X20P0001234", id="plain"),
        pytest.param(" AB 12 ", "%20AB%2012%20", id="blanks are part of a PIN"),
        pytest.param("A/B", "A%2FB", id="slash"),
        pytest.param("A#1", "A%231", id="hash"),
        pytest.param("50%", "50%25", id="percent"),
        pytest.param("A?b=c&d", "A%3Fb%3Dc%26d", id="question mark"),
        pytest.param("%2e%2e", "%252e%252e", id="something that looks encoded"),
        pytest.param("Å-ß-機", "%C3%85-%C3%9F-%E6%A9%9F", id="not ASCII"),
        pytest.param("{pin}", "%7Bpin%7D", id="a placeholder as a value"),
        pytest.param("...", "...", id="three dots are a name"),
        pytest.param(1569258, "1569258", id="a number"),
        pytest.param(0, "0", id="zero is a value"),
        pytest.param(True, "true", id="a boolean"),
        pytest.param(dt.datetime(2026, 1, 1, 2, tzinfo=BERLIN), "2026-01-01T00%3A00%3A00Z", id="a datetime"),
    ],
)
def test_a_path_value_is_encoded_whole(value: Any, encoded: str) -> None:
    call = make_call(ORIGIN, "/Fleet/Equipment/ID/{pin}/Locations", path_params={"pin": value})
    assert call.path == f"/Fleet/Equipment/ID/{encoded}/Locations"
    assert call.endpoint == "/Fleet/Equipment/ID/{pin}/Locations"


def test_a_placeholder_may_be_a_part_of_a_segment_and_stand_twice() -> None:
    call = make_call(ORIGIN, "/x/v{n}.json/{n}", path_params={"n": 2})
    assert call.path == "/x/v2.json/2"


@pytest.mark.parametrize("value", ["", "  ", None, ".", "..", ["a"], {"a": 1}, b"a", "\ud800"])
def test_a_value_that_cannot_be_a_part_of_a_path_is_refused(value: Any) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^path_params\['pin'\]"):
        make_call(ORIGIN, "/ID/{pin}", path_params={"pin": value})


@pytest.mark.parametrize(
    ("endpoint", "path_params", "named"),
    [
        pytest.param("/a/{x}/{y}", {"x": 1}, "y", id="a missing one"),
        pytest.param("/a/{x}", None, "x", id="none at all"),
        pytest.param("/a/{x}", {"x": 1, "z": 2}, "z", id="one too many"),
        pytest.param("/a", {"x": 1}, "x", id="no placeholder at all"),
        pytest.param("/a?b={x}", {"x": 1}, "x", id="a placeholder in the query"),
        pytest.param("/a/{x}", [("x", 1)], "mapping", id="not a mapping"),
    ],
)
def test_placeholders_and_values_have_to_match(endpoint: str, path_params: Any, named: str) -> None:
    with pytest.raises(IrisConfigurationError, match=f"^path_params: .*{named}"):
        make_call(ORIGIN, endpoint, path_params=path_params)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        pytest.param("a b", ["a b"], id="text"),
        pytest.param("", [""], id="empty text"),
        pytest.param(0, ["0"], id="zero"),
        pytest.param(1.5, ["1.5"], id="a float"),
        pytest.param(True, ["true"], id="true"),
        pytest.param(False, ["false"], id="false"),
        pytest.param(None, [], id="None is left out"),
        pytest.param(["a", 1, None, True], ["a", "1", "true"], id="a list repeats the name"),
        pytest.param(("a", "b"), ["a", "b"], id="a tuple"),
        pytest.param({"a"}, ["a"], id="a set"),
        pytest.param([], [], id="an empty list"),
        pytest.param(dt.date(2026, 1, 2), ["2026-01-02"], id="a date"),
        pytest.param(dt.datetime(2026, 1, 1, 2, tzinfo=BERLIN), ["2026-01-01T00:00:00Z"], id="UTC"),
        pytest.param(
            dt.datetime(2026, 1, 1, 0, 0, 0, 120, tzinfo=dt.UTC),
            ["2026-01-01T00:00:00.000120Z"],
            id="microseconds are kept",
        ),
        pytest.param(
            pendulum.datetime(2026, 1, 1, 2, tz="Europe/Paris"),
            ["2026-01-01T01:00:00Z"],
            id="as Airflow has them",
        ),
    ],
)
def test_a_query_value_is_sent_as_text(value: Any, sent: list[str]) -> None:
    call = make_call(ORIGIN, "/x?a=0", query_params={"q": value})
    assert call.query == (("a", "0"), *(("q", text) for text in sent))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(dt.datetime(2026, 1, 1), id="a datetime without a zone"),  # noqa: DTZ001
        pytest.param({"a": 1}, id="a mapping"),
        pytest.param(b"a", id="bytes"),
        pytest.param(object(), id="an object"),
        pytest.param([["a"]], id="a list in a list"),
        pytest.param("\udcff", id="half a character"),
    ],
)
def test_a_query_value_that_has_no_text_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^query_params\['q'\]"):
        make_call(ORIGIN, "/x", query_params={"q": value})


def test_a_datetime_is_sent_in_utc_wherever_the_machine_is(far_from_utc: None) -> None:
    call = make_call(ORIGIN, "/x", query_params={"q": dt.datetime(2026, 1, 1, 2, tzinfo=BERLIN)})
    assert call.query == (("q", "2026-01-01T00:00:00Z"),)


@pytest.mark.parametrize(
    "moment",
    [
        dt.datetime(1, 1, 1, tzinfo=BERLIN),
        dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=2))),
    ],
)
def test_a_moment_that_utc_has_no_date_for_is_refused(moment: dt.datetime) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^query_params\['q'\]: .*calendar"):
        make_call(ORIGIN, "/x", query_params={"q": moment})


def test_a_query_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(IrisConfigurationError, match=r"^query_params"):
        make_call(ORIGIN, "/x", query_params=[("a", 1)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "AUTHORIZATION",
        "host",
        "Content-Length",
        "transfer-encoding",
        "Connection",
        "Proxy-Authorization",
    ],
)
def test_a_header_of_the_connection_cannot_be_given(name: str) -> None:
    with pytest.raises(IrisConfigurationError, match=f"^headers: {name} "):
        make_call(ORIGIN, "/x", headers={name: "x"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("X-A", "a\r\nX-B: b", id="a line break in the value"),
        pytest.param("X-A", "a\x00", id="a control character"),
        pytest.param("X-A", "ü", id="not ASCII"),
        pytest.param("X-A\r\nX-B", "a", id="a line break in the name"),
        pytest.param("X A", "a", id="a blank in the name"),
        pytest.param(" Authorization", "a", id="a reserved name behind a blank"),
        pytest.param("", "a", id="no name"),
        pytest.param("X:A", "a", id="a colon in the name"),
    ],
)
def test_a_header_cannot_smuggle_another(name: str, value: str) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^headers"):
        make_call(ORIGIN, "/x", headers={name: value})


def test_headers_are_taken_as_text() -> None:
    call = make_call(ORIGIN, "/x", headers={"TU-PREVIEW": "JUNGLE-DIGGER,TIME-EXCAVATORS", "X-Count": 3})
    assert call.headers == (("TU-PREVIEW", "JUNGLE-DIGGER,TIME-EXCAVATORS"), ("X-Count", "3"))


@pytest.mark.parametrize(("method", "sent"), [("get", "GET"), (" Post ", "POST"), ("PATCH", "PATCH")])
def test_a_method_is_sent_in_upper_case(method: str, sent: str) -> None:
    assert make_call(ORIGIN, "/x", method=method).method == sent


@pytest.mark.parametrize("method", ["", "GET /", "GE T", "GET\r\n\r\nX", "42"])
def test_a_method_that_is_none_is_refused(method: str) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^method"):
        make_call(ORIGIN, "/x", method=method)


@pytest.mark.parametrize(
    ("path", "is_graphql"),
    [
        ("/api/graphql/", True),
        ("/api/graphql", True),
        ("/api/other/graphql/", True),
        ("/api/graphql/schema", False),
        ("/api/not-graphql/", False),
        ("/api/search", False),
    ],
)
def test_the_path_says_what_is_graphql_and_not_the_body(path: str, is_graphql: bool) -> None:
    for json in ({"query": "{ a }"}, None):
        assert make_call(ORIGIN, path, method="POST", json=json).is_graphql is is_graphql


@pytest.mark.parametrize(
    ("path", "method", "json", "query"),
    [
        ("/api/graphql/", "POST", {"query": "{ a }"}, "{ a }"),
        ("/api/graphql/", "POST", {"query": 1}, ""),
        ("/api/graphql/", "POST", ["query"], ""),
        ("/api/graphql/", "POST", None, ""),
        ("/api/graphql/", "GET", {"query": "{ a }"}, ""),
        ("/api/search", "POST", {"query": "{ a }"}, ""),
    ],
)
def test_a_graphql_query_is_the_text_that_is_posted(path: str, method: str, json: Any, query: str) -> None:
    assert make_call(ORIGIN, path, method=method, json=json).graphql_query == query


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("params", "params: there is no such argument. Write query_params"),
        ("Query_params", "Query_params: there is no such argument. Write query_params"),
        ("data", "data: there is no such argument. Write json"),
        ("surprise", "surprise: there is no such argument."),
    ],
)
def test_an_argument_that_does_not_exist_is_refused_and_says_what_is_meant(argument: str, said: str) -> None:
    given: dict[str, Any] = {argument: {}}
    with pytest.raises(IrisConfigurationError) as raised:
        make_call(ORIGIN, "/x", **given)
    assert str(raised.value) == said


def test_a_query_value_takes_the_place_of_the_former_one() -> None:
    call = make_call(ORIGIN, "/x?page=1&a=2&page=3").with_query(page="4", size="5")
    assert call.query == (("a", "2"), ("page", "4"), ("size", "5"))


def test_the_repr_of_a_call_shows_neither_query_nor_body_nor_headers() -> None:
    call = make_call(ORIGIN, "/x?a=HIDDEN", method="POST", json={"b": "HIDDEN"}, headers={"X-Key": "HIDDEN"})
    assert "HIDDEN" not in repr(call)


@pytest.mark.parametrize(
    "value",
    [float("nan"), {"a": [1.5, float("inf")]}, {"a": ({"b": float("-inf")},)}],
    ids=["nan", "list", "deep"],
)
def test_a_body_with_a_number_that_json_cannot_hold_is_refused_and_not_sent_as_null(value: Any) -> None:
    with pytest.raises(
        IrisConfigurationError, match=r"^json: cannot be written as JSON \(a number in it is not"
    ):
        make_call(ORIGIN, "/x", method="POST", json=value)


def test_a_moment_is_written_the_way_iris_writes_it_wherever_the_machine_is(far_from_utc: None) -> None:
    moment = dt.datetime(2026, 1, 14, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=-2)))
    assert utc_text(moment) == "2026-01-15T01:30:00Z"
    assert utc_text(dt.datetime(900, 1, 2, tzinfo=dt.UTC)) == "0900-01-02T00:00:00Z"
