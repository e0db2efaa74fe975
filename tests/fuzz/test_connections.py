"""Stored connections of any content: the settings of a client, or an error that names the field and nothing else."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_trackunit.connection import read_connection
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.http.tokens import token_request
from tests.fuzz.documents import VALUES, hostile
from tests.fuzz.wires import PASSWORD, SECRET, checked

URLS = st.one_of(
    st.sampled_from(
        [
            "", "iris.trackunit.com", "https://iris.trackunit.com", "https://iris.trackunit.com/",
            "https://iris.trackunit.com:8443", "http://localhost:1", "http://127.0.0.1", "http://[::1]:80",
            "http://iris.trackunit.com", f"https://user:{PASSWORD}@iris.trackunit.com", f"//{SECRET}@x",
            "ftp://x", "https://", "https://[::1", "https://x:99999", "https://x:y", "https://x/path?query#f",
            "https://x\n.y", "https://\u0131ris.com", "https://a..b", "https://" + "a" * 300, "https://x%00y",
            "\ud800", "https://x/\ud800", "http://0x7f.1", "http://localhost.", "http://LOCALHOST",
            "file:///etc", "https://x:\u0664\u0664\u0663", "https://1.2.3.4.5", "https://x/t\u00f8ken",
            "https://x/a b", "https://x/%zz",
        ]
    ),
    st.text(max_size=20),
)  # fmt: skip
FIELDS = st.one_of(
    st.sampled_from([None, "", " ", "x", "a:b", "\x00", "\r\n", "\ud800", "t\u00f8", "***", "x" * 100_000]),
    st.text(max_size=10),
)
EXTRAS = st.fixed_dictionaries(
    {
        "client_id": st.one_of(st.just("client"), FIELDS, VALUES),
        "client_secret": st.one_of(st.just(SECRET), st.just(SECRET), FIELDS, VALUES),
    },
    optional={
        "scope": st.one_of(st.just("asset.view"), FIELDS, VALUES),
        "auth_url": st.one_of(URLS, VALUES),
        "ca_bundle": st.one_of(
            st.sampled_from(["/no/such", "x" * 5000, "\x00", "\ud800", "/"]), FIELDS, VALUES
        ),
        "unknown": VALUES,
    },
)
CONNECTIONS = st.builds(
    SimpleNamespace,
    host=st.one_of(st.none(), st.just(""), URLS),
    port=st.one_of(st.none(), st.none(), st.integers(-1, 70_000)),
    login=st.one_of(st.none(), st.just("user"), FIELDS),
    password=st.one_of(st.none(), st.just(PASSWORD), FIELDS),
    extra=st.one_of(
        st.none(),
        EXTRAS.map(json.dumps),
        hostile(EXTRAS).map(lambda data: data.decode("utf-8", "surrogateescape")),
        st.text(max_size=20),
    ),
)


def connection(**fields: Any) -> SimpleNamespace:
    extra = {"client_id": "client", "client_secret": SECRET, **fields.pop("extra", {})}
    given = {"host": None, "port": None, "login": "user", "password": PASSWORD, **fields}
    return SimpleNamespace(**given, extra=json.dumps(extra))


@example(connection(extra={"client_id": "\ud800"}))
@example(connection(extra={"client_secret": "\ud800"}))
@example(connection(login="\ud800"))
@example(connection(extra={"ca_bundle": "x" * 5000}))
@example(connection(extra={"ca_bundle": "\x00"}))
@given(stored=CONNECTIONS)
def test_a_connection_of_any_content_makes_a_client_or_is_refused_without_a_secret(
    stored: SimpleNamespace,
) -> None:
    try:
        settings = read_connection(stored)
        client = IrisClient(settings.credentials, settings.base_url, ca_bundle=settings.ca_bundle)
        request = token_request(settings.credentials)
    except IrisConfigurationError as error:
        checked(error)
        return
    for url in (client.origin, request.url):
        assert url.startswith(("https://", "http://127.", "http://[::1]", "http://localhost"))
        assert url.isascii()
        assert url.isprintable()
        assert "@" not in url.split("/")[2]
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    form = dict(parse_qsl((request.body or b"").decode(), keep_blank_values=True, errors="strict"))
    credentials = settings.credentials
    if credentials.username:
        assert (form["username"], form["password"]) == (credentials.username, credentials.password)
    else:
        assert (form["client_id"], form["client_secret"]) == (
            credentials.client_id,
            credentials.client_secret,
        )
    for shown in (repr(settings), repr(request), str(credentials)):
        assert SECRET not in shown
        assert PASSWORD not in shown
