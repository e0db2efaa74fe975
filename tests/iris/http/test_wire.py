"""The exact bytes of a request, and what of it may be shown."""

from typing import Any

import pytest

from airflow_provider_trackunit import __version__
from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisUnexpectedResponseError
from airflow_provider_trackunit.iris.http.wire import Request, Response, build_request, decode

ORIGIN = "https://iris.trackunit.com"
ALWAYS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"airflow-provider-trackunit/{__version__}",
}


def request(endpoint: str = "/api/x", **arguments: Any) -> Request:
    return build_request(make_call(ORIGIN, endpoint, **arguments))


def test_a_get_is_its_url_and_asks_for_json_by_name() -> None:
    built = request("/api/asset/v1/assets", query_params={"size": 1000, "sort": "+name"})
    assert built == Request(
        method="GET",
        url=f"{ORIGIN}/api/asset/v1/assets?size=1000&sort=%2Bname",
        headers=ALWAYS,
        body=None,
        label="GET /api/asset/v1/assets",
    )


def test_a_post_is_compact_json() -> None:
    built = request(method="post", json={"fromTime": "2026-01-01T00:00:00Z", "type": ["ÄLERT"], "n": 1})
    assert built.body == '{"fromTime":"2026-01-01T00:00:00Z","type":["ÄLERT"],"n":1}'.encode()
    assert built.headers == {**ALWAYS, "Content-Type": "application/json"}
    assert not built.is_graphql


@pytest.mark.parametrize(
    ("json", "body"),
    [
        ({"a": 2**63}, b'{"a":9223372036854775808}'),
        ({}, b"{}"),
        ([], b"[]"),
        (0, b"0"),
        (False, b"false"),
        ("", b'""'),
        (None, None),
    ],
)
def test_only_none_is_no_body(json: Any, body: bytes | None) -> None:
    built = request(method="POST", json=json)
    assert built.body == body
    assert ("Content-Type" in built.headers) is (body is not None)


@pytest.mark.parametrize(
    "json",
    [
        pytest.param({"a": object()}, id="an object"),
        pytest.param({("a", "b"): 1}, id="a key that is no text"),
        pytest.param({"a": "\ud800"}, id="half a character"),
    ],
)
def test_a_body_that_is_not_json_is_refused_before_it_is_sent(json: Any) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^json"):
        request(method="POST", json=json)


def test_a_body_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(IrisConfigurationError, match=r"^json"):
        request(method="POST", json=endless)


def test_a_callers_header_takes_the_place_of_ours_whatever_its_case() -> None:
    built = request(headers={"accept": "application/geo+json", "TU-PREVIEW": "JUNGLE-DIGGER"})
    assert built.headers == {**ALWAYS, "Accept": "application/geo+json", "TU-PREVIEW": "JUNGLE-DIGGER"}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("a/b?c#d&e=f", "a%2Fb%3Fc%23d%26e%3Df"),
        ("ü", "%C3%BC"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00%3A00%3A00Z"),
        ("~-._", "~-._"),
    ],
)
def test_a_query_value_is_percent_encoded_whole(value: str, sent: str) -> None:
    assert request(query_params={"q": value}).url == f"{ORIGIN}/api/x?q={sent}"


def test_the_label_is_the_template_and_has_no_query() -> None:
    built = request("/ID/{pin}?secret=1", path_params={"pin": "A 1"}, query_params={"b": 2})
    assert built.label == "GET /ID/{pin}"
    assert built.url == f"{ORIGIN}/ID/A%201?secret=1&b=2"


def test_a_token_makes_a_new_request_and_leaves_the_old_one() -> None:
    built = request()
    with_token = built.with_token("abc")
    assert with_token.headers == {**ALWAYS, "Authorization": "Bearer abc"}
    assert "abc" not in repr(with_token.headers)
    assert "Authorization" not in built.headers


def test_no_repr_shows_a_token_a_query_or_a_body() -> None:
    built = request(
        method="POST", query_params={"q": "HIDDEN"}, json={"a": "HIDDEN"}, headers={"X-Key": "HIDDEN"}
    ).with_token("HIDDEN")
    answer = Response(200, {"set-cookie": "HIDDEN"}, b'{"a": "HIDDEN"}')
    assert "HIDDEN" not in repr(built) + repr(answer)
    assert "POST /api/x" in repr(built)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("GET /api/x?q=a%20b&key=HIDDEN failed", "GET /api/x*** failed"),
        ("GET /api/x?q=a b&key=HIDDEN failed", "GET /api/x*** failed"),
        ("the token t0ken is bad", "the token *** is bad"),
        ("why? nothing of it", "why? nothing of it"),
    ],
)
def test_neither_the_query_nor_the_token_of_a_request_is_repeated(said: str, shown: str) -> None:
    built = request(query_params={"q": "a b", "key": "HIDDEN"}).with_token("t0ken")
    assert built.without_secrets(said) == shown


def test_of_a_request_without_a_query_a_question_mark_may_be_repeated() -> None:
    assert request().with_token("t0ken").without_secrets("what? t0ken") == "what? ***"


def test_an_answer_without_a_body_is_none() -> None:
    assert decode(make_call(ORIGIN, "/api/x"), Response(204, {}, b"")) is None


def test_an_answer_is_decoded() -> None:
    assert decode(
        make_call(ORIGIN, "/api/x"), Response(200, {}, b'{"id": 18446744073709551617, "n": null}')
    ) == {
        "id": 18446744073709551617,
        "n": None,
    }


@pytest.mark.parametrize(
    "body", [b'{"content": [{"id": ', b"\xff\xfe", b"<html>", b'{"a": "\xff"}', b"[" * 100_000]
)
def test_an_answer_that_is_not_json_is_an_error_that_stays(body: bytes) -> None:
    with pytest.raises(IrisUnexpectedResponseError, match=r"GET /api/x: HTTP 200.*not valid JSON") as caught:
        decode(make_call(ORIGIN, "/api/x"), Response(200, {}, body))
    assert not caught.value.transient
    assert caught.value.status == 200
    assert "a proxy on the way" in str(caught.value)
