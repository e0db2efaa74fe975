"""Links in answers: read for their page number, never followed to anywhere else."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.errors import IrisPaginationError
from airflow_provider_trackunit.iris.http.wire import Request, Response
from tests.fuzz.wires import JSON, ORIGIN, TOKEN, Exchange, walk_both

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
HOST = urlsplit(ORIGIN).netloc

SCHEMES = st.sampled_from(
    ["https:", "http:", "HTTPS:", "", "data:", "javascript:", "file:", "ftp:", "https", "https :", "\thttps:"]
)
SLASHES = st.sampled_from(["//", "//", "//", "/", "", "///", "\\\\", "/\\", "//\\"])
USERS = st.sampled_from(["", "", "", f"{TOKEN}@", "user:pass@", f"{HOST}@", "@", f"{HOST}%40"])
HOSTS = st.sampled_from(
    [
        HOST, HOST, HOST, HOST.upper(), f"{HOST}.", f"{HOST}.evil.example", f"evil.example#{HOST}",
        f"evil.example?{HOST}", "evil.example", "\u0131ris.example.com", "ir\u0456s.example.com",
        "xn--irs-eya.example.com", "[::1]", "[::1", "[v1.x]", "127.0.0.1", "0x7f000001",
        "iris.example.com\x00.evil.example", "iris.\nexample.com", "iris%2eexample%2ecom", "\u3002",
        "a" * 70 + ".com", "",
    ]
)  # fmt: skip
PORTS = st.sampled_from(
    ["", "", "", ":443", ":444", ":0", ":", ":65536", ":-1", ":x", ":٤٤٣", ":4 43", ":000443"]
)
PATHS = st.sampled_from(
    [
        FLEET, FLEET, FLEET, f"{FLEET}/", f"{FLEET}/..", "/public/../public/api/aemp/v2/15143/-3/Fleet",
        FLEET.upper(), FLEET.replace("/Fleet", "%2FFleet"), FLEET.replace("-3", "%2d3"), f"/evil{FLEET}",
        f"{FLEET}\\", "", "/", "/other", f"{FLEET};x=1", f"{FLEET}/Equipment/ID/1",
    ]
)  # fmt: skip
PAGES = st.sampled_from(
    [
        "/2",
        "/2",
        "/2",
        "/3",
        "/1",
        "/0",
        "/-1",
        "/2/",
        "/02",
        "/2\n",
        "/٢",
        "/" + "9" * 9,
        "/" + "9" * 30,
        "",
        "/2.0",
        "/ 2",
    ]
)
TAILS = st.sampled_from(["", "", "?a=1", f"?token={TOKEN}", "#x", "?/Fleet/2", "#/Fleet/2", "%00", "\x7f"])
HREFS = st.one_of(
    st.tuples(SCHEMES, SLASHES, USERS, HOSTS, PORTS, PATHS, PAGES, TAILS).map("".join),
    st.tuples(PATHS, PAGES, TAILS).map("".join),
    st.text(max_size=40),
)


def walk_with(href: str, rel: str) -> Exchange:
    """Return the walk over a page that has this link, and an honest second page."""

    def answer(request: Request) -> Response:
        page = int(request.url.partition("?")[0].rpartition("/")[2])
        links = [{"rel": rel, "href": href}] if page == 1 else []
        return Response(200, JSON, json.dumps({"links": links, "equipment": [{"page": page}]}).encode())

    return walk_both(lambda: answer, FLEET, query_params={"addMetadata": "true", "key": "query-secret"})


def page_url(number: int) -> str:
    return f"{ORIGIN}{FLEET}/{number}?addMetadata=true&key=query-secret"


@example("https://evil.example" + FLEET + "/2", "next")
@example(f"https://{HOST}@evil.example{FLEET}/2", "next")
@example(f"//evil.example{FLEET}/2", "last")
@example(f"https://{HOST}:70000{FLEET}/2", "next")
@example(f"https://[::1{FLEET}/2", "next")
@given(href=HREFS, rel=st.sampled_from(["next", "last"]))
def test_a_link_leads_to_the_next_page_of_the_same_collection_or_nowhere(href: str, rel: str) -> None:
    walk = walk_with(href, rel)
    asked = [url for _, url, _ in walk.asked]
    assert asked == [page_url(number + 1) for number in range(len(asked))]
    # A second page has no links, and is the last.
    assert len(asked) <= 2
    if walk.error is not None:
        assert isinstance(walk.error, IrisPaginationError)


@given(
    scheme=st.sampled_from(["https", "http", "HTTPS"]),
    host=st.from_regex(r"[a-z]{1,9}(\.[a-z]{1,9}){0,3}", fullmatch=True),
    user=st.sampled_from(["", f"{HOST}@", f"{HOST}:443@", "x@"]),
    port=st.sampled_from(["", ":443", ":80"]),
)
def test_a_link_to_another_host_is_always_an_error_and_never_asked_for(
    scheme: str, host: str, user: str, port: str
) -> None:
    walk = walk_with(f"{scheme}://{user}{host}{port}{FLEET}/2", "next")
    if host != HOST:
        assert isinstance(walk.error, IrisPaginationError)
        assert [url for _, url, _ in walk.asked] == [page_url(1)]
        assert host not in str(walk.error).replace(ORIGIN, "") or len(host) < 12
