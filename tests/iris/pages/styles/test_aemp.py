"""AEMP pages: numbers at the end of the path, and links that are believed only as far as they lead home."""

import json
from typing import Any

import pytest

from airflow_provider_trackunit.iris.calls import Call, make_call, read_origin
from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisError, IrisPaginationError
from airflow_provider_trackunit.iris.pages.page import Cursor
from airflow_provider_trackunit.iris.pages.styles.aemp import AempLinks

ORIGIN = "https://iris.trackunit.com"
FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
SERIES = f"{FLEET}/Equipment/ID/{{pin}}/FuelUsed/2026-01-01T00:00:00Z/2026-01-02T00:00:00Z"


def call(endpoint: str = FLEET, **arguments: Any) -> Call:
    return make_call(ORIGIN, endpoint, **arguments)


def body(links: dict[str, str], rows: int = 2, key: str = "equipment", links_key: str = "links") -> bytes:
    listed = [{"rel": rel, "href": href} for rel, href in links.items()]
    return json.dumps({"version": "1", links_key: listed, key: [{"at": at} for at in range(rows)]}).encode()


def link(page: int, origin: str = ORIGIN, path: str = FLEET) -> str:
    return f"{origin}{path}/{page}"


@pytest.mark.parametrize(
    ("endpoint", "cursor"),
    [(FLEET, {"aempPage": 1}), (f"{FLEET}/1", {"aempPage": 1}), (f"{FLEET}/7", {"aempPage": 7})],
)
def test_a_walk_begins_with_page_1_or_where_the_path_says(endpoint: str, cursor: Cursor) -> None:
    assert AempLinks().start(call(endpoint)) == cursor


def test_page_0_holds_no_records_and_is_refused() -> None:
    with pytest.raises(IrisConfigurationError, match=r"page 1"):
        AempLinks().start(call(f"{FLEET}/0"))


@pytest.mark.parametrize("endpoint", [FLEET, f"{FLEET}/", f"{FLEET}/1", f"{FLEET}/12"])
def test_the_page_stands_at_the_end_of_the_path_and_the_query_is_repeated(endpoint: str) -> None:
    asked = AempLinks().apply(call(endpoint, query_params={"addMetadata": True}), {"aempPage": 3, "of": 4})
    assert (asked.path, asked.query) == (f"{FLEET}/3", (("addMetadata", "true"),))


def test_the_page_of_a_series_stands_behind_its_times_and_the_pin_stays_encoded() -> None:
    asked = AempLinks().apply(call(SERIES, path_params={"pin": "A/B 1"}), {"aempPage": 2})
    assert asked.path == SERIES.replace("{pin}", "A%2FB%201") + "/2"


@pytest.mark.parametrize(
    ("asked", "links", "rows", "following"),
    [
        pytest.param(
            {"aempPage": 1}, {"next": link(2), "last": link(3)}, 2, {"aempPage": 2, "of": 3}, id="first"
        ),
        pytest.param(
            {"aempPage": 2, "of": 3},
            {"prev": link(1), "next": link(3), "last": link(3)},
            2,
            {"aempPage": 3, "of": 3},
            id="middle",
        ),
        pytest.param({"aempPage": 3, "of": 3}, {"prev": link(2), "last": link(3)}, 2, None, id="last"),
        pytest.param({"aempPage": 1}, {"self": link(1), "last": link(1)}, 2, None, id="the only one"),
        pytest.param({"aempPage": 1}, {}, 2, None, id="no links at all"),
        pytest.param({"aempPage": 1}, {"next": link(2)}, 2, {"aempPage": 2, "of": None}, id="no last"),
        pytest.param(
            {"aempPage": 1}, {"last": link(3)}, 2, {"aempPage": 2, "of": 3}, id="no next while last is ahead"
        ),
        pytest.param(
            {"aempPage": 1},
            {"next": link(2), "last": link(3)},
            0,
            {"aempPage": 2, "of": 3},
            id="an empty page in the middle",
        ),
        pytest.param(
            {"aempPage": 1}, {"next": link(2)}, 0, {"aempPage": 2, "of": None}, id="an empty page with next"
        ),
        pytest.param(
            {"aempPage": 2, "of": 3},
            {"last": link(3)},
            0,
            {"aempPage": 3, "of": 3},
            id="an empty one without",
        ),
        pytest.param({"aempPage": 3, "of": 3}, {"last": link(3)}, 0, None, id="an empty page at the end"),
        pytest.param({"aempPage": 5, "of": 5}, {"last": link(3)}, 2, None, id="the fleet has shrunk"),
        pytest.param(
            {"aempPage": 1},
            {"next": link(2, origin="")},
            2,
            {"aempPage": 2, "of": None},
            id="a relative link",
        ),
        pytest.param(
            {"aempPage": 1},
            {"next": f"{link(2)}?addMetadata=true"},
            2,
            {"aempPage": 2, "of": None},
            id="a link with a query",
        ),
        pytest.param(
            {"aempPage": 1},
            {"next": link(2, origin="https://IRIS.trackunit.com:443")},
            2,
            {"aempPage": 2, "of": None},
            id="our origin, spelled otherwise",
        ),
    ],
)
def test_the_links_of_a_page_say_what_follows(
    asked: Cursor, links: dict[str, str], rows: int, following: Cursor | None
) -> None:
    page = AempLinks().read(call(), asked, body(links, rows))
    assert page.next == following
    assert page.number == asked["aempPage"]


@pytest.mark.parametrize(
    "cursor", [{}, {"aempPage": 0}, {"aempPage": "2"}, {"aempPage": 2, "of": "3"}, {"page": 2}]
)
def test_a_cursor_of_something_else_is_refused_before_anything_is_sent(cursor: Cursor) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^cursor: "):
        AempLinks().apply(call(), cursor)
    assert AempLinks().apply(call(), {"aempPage": 1}).path == f"{FLEET}/1"


@pytest.mark.parametrize("answer", [b"[]", b"7", b'"text"', b"null"])
def test_a_page_that_is_no_object_is_not_the_end_of_a_walk(answer: bytes) -> None:
    with pytest.raises(IrisPaginationError, match=f"^{FLEET}: the page is not an object$"):
        AempLinks().read(call(), {"aempPage": 1}, answer)


@pytest.mark.parametrize(
    ("asked", "links", "pages"),
    [
        pytest.param(1, {"next": link(2), "last": link(3)}, 3, id="as many as last says"),
        pytest.param(1, {"next": link(2)}, None, id="nobody says how many"),
        pytest.param(3, {"prev": link(2)}, 3, id="the last is known by having no next"),
    ],
)
def test_the_number_of_pages_is_known_as_far_as_the_links_tell(
    asked: int, links: dict[str, str], pages: int | None
) -> None:
    assert AempLinks().read(call(), {"aempPage": asked}, body(links)).pages == pages


def test_other_lists_beside_the_equipment_are_not_mistaken_for_it() -> None:
    answer = json.dumps({"links": [], "warnings": [1], "equipment": [{"a": 1}]}).encode()
    page = AempLinks().read(call(), {"aempPage": 1}, answer)
    assert page.records == [{"a": 1}]
    assert page.document == json.loads(answer)


@pytest.mark.parametrize("answer", [b'{"links": [', b'{"a": [1], "b": [2]}', b'{"equipment": 7}'])
def test_a_page_that_is_none_is_an_error_that_names_the_endpoint(answer: bytes) -> None:
    with pytest.raises(IrisError, match=f"(GET )?{FLEET}: "):
        AempLinks().read(call(), {"aempPage": 1}, answer)


@pytest.mark.parametrize(
    ("origin", "linked"),
    [
        ("http://127.0.0.1", "http://127.0.0.1:80"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://iris.trackunit.com", "https://iris.trackunit.com:443"),
        ("https://iris.trackunit.com:8443", "https://IRIS.trackunit.com:8443"),
    ],
)
def test_a_link_to_the_same_origin_is_known_with_and_without_its_port(origin: str, linked: str) -> None:
    asked = make_call(read_origin(origin, setting="Base URL"), FLEET)
    page = AempLinks().read(asked, {"aempPage": 1}, body({"next": link(2, linked)}))
    assert page.next == {"aempPage": 2, "of": None}


@pytest.mark.parametrize(("key", "links_key"), [("equipment", "links"), ("Equipment", "Links")])
@pytest.mark.parametrize(("rel", "href"), [("rel", "href"), ("Rel", "Href"), ("REL", "HREF")])
def test_member_names_may_be_in_upper_case(key: str, links_key: str, rel: str, href: str) -> None:
    page = AempLinks().read(
        call(),
        {"aempPage": 1},
        json.dumps({links_key: [{rel: "next", href: link(2)}], key: [{"a": 1}]}).encode(),
    )
    assert (page.records, page.next) == ([{"a": 1}], {"aempPage": 2, "of": None})


@pytest.mark.parametrize("key", ["fuelUsed", "FuelUsed", "locations"])
def test_a_series_is_the_only_list_of_its_page_whatever_its_name(key: str) -> None:
    asked = call(SERIES, path_params={"pin": "A 1"})
    encoded = SERIES.replace("{pin}", "A%201").replace(":", "%3A")
    page = AempLinks("").read(asked, {"aempPage": 1}, body({"next": link(2, path=encoded)}, key=key))
    assert len(page.raw_records) == 2
    assert page.next == {"aempPage": 2, "of": None}


@pytest.mark.parametrize("nothing", [b"", b" \n"])
def test_nothing_at_all_in_the_place_of_a_later_page_is_no_end(nothing: bytes) -> None:
    with pytest.raises(IrisPaginationError, match=r"nothing came for page 2"):
        AempLinks().read(call(), {"aempPage": 2, "of": 3}, nothing)


@pytest.mark.parametrize(
    "empty", [b"", b"{}", b'{"links":[]}', b'{"Links":[]}', b'{"links":[],"equipment":[]}']
)
def test_a_page_without_records_and_without_links_ends_the_walk(empty: bytes) -> None:
    page = AempLinks().read(call(), {"aempPage": 1}, empty)
    assert (list(page.raw_records), page.next) == ([], None)


def test_a_page_that_has_nothing_but_a_link_to_the_next_does_not_end_it() -> None:
    only_links = json.dumps({"links": [{"rel": "next", "href": link(2)}]}).encode()
    page = AempLinks().read(call(), {"aempPage": 1}, only_links)
    assert (list(page.raw_records), page.next) == ([], {"aempPage": 2, "of": None})


@pytest.mark.parametrize(
    ("href", "why"),
    [
        pytest.param(link(2, "https://evil.example"), "leads away", id="another host"),
        pytest.param(link(2, "//evil.example"), "leads away", id="another host without a scheme"),
        pytest.param(link(2, "https://iris.trackunit.com.evil.example"), "leads away", id="begins like ours"),
        pytest.param(link(2, "https://iris.trackunit.com@evil.example"), "leads away", id="ours as a user"),
        pytest.param(link(2, "http://iris.trackunit.com"), "leads away", id="without TLS"),
        pytest.param(link(2, "https://iris.trackunit.com:8443"), "leads away", id="another port"),
        pytest.param("https://iris.trackunit.com:x/2", "leads away", id="a port that is none"),
        pytest.param("https://[half/2", "leads away", id="no URL"),
        pytest.param(link(2, path="/api/asset/v1/assets"), "another collection", id="another path"),
        pytest.param(f"{ORIGIN}{FLEET}/../../assets/2", "another collection", id="dot dot"),
        pytest.param(f"{ORIGIN}{FLEET}/Equipment", "another collection", id="no page"),
        pytest.param(f"{ORIGIN}{FLEET}/-2", "another collection", id="a negative page"),
        pytest.param(f"{ORIGIN}{FLEET}/" + "9" * 5000, "another collection", id="an absurd page"),
        pytest.param("", "another collection", id="empty"),
        pytest.param("javascript:alert(1)", "another collection", id="no link"),
        pytest.param(link(1), "links to page 1 as the next", id="the page itself"),
        pytest.param(link(3), "links to page 3 as the next", id="a page too far"),
    ],
)
@pytest.mark.parametrize("rel", ["next", "last"])
def test_a_link_that_leads_elsewhere_is_not_followed(href: str, why: str, rel: str) -> None:
    if rel == "last" and "links to page" in why:
        return
    with pytest.raises(IrisPaginationError, match=why) as caught:
        AempLinks().read(call(), {"aempPage": 1}, body({rel: href}))
    assert "evil" not in str(caught.value)
    if why == "leads away":
        assert "Base URL of the connection" in str(caught.value)


def test_a_link_to_a_page_that_nobody_walks_is_not_looked_at() -> None:
    page = AempLinks().read(call(), {"aempPage": 1}, body({"self": "https://evil.example/1", "help": "x"}))
    assert page.next is None


@pytest.mark.parametrize("links", [{"a": 1}, [1], "text", [[]]])
def test_links_that_are_none_are_an_error(links: Any) -> None:
    with pytest.raises(IrisPaginationError, match=r"not shaped"):
        AempLinks().read(call(), {"aempPage": 1}, json.dumps({"links": links, "equipment": [1]}).encode())


@pytest.mark.parametrize(("page", "ends"), [(10, False), (11, False), (12, True)])
def test_a_fleet_that_grows_away_is_stopped(page: int, ends: bool) -> None:
    cursor, answer = {"aempPage": page, "of": 1}, body({"next": link(page + 1), "last": link(page + 1)})
    if not ends:
        assert AempLinks().read(call(), cursor, answer).next == {"aempPage": page + 1, "of": 1}
        return
    with pytest.raises(IrisPaginationError, match=r"may never end"):
        AempLinks().read(call(), cursor, answer)


@pytest.mark.parametrize(
    ("links", "ahead"),
    [
        ({"next": link(2), "last": link(5)}, [2, 3, 4]),
        ({"last": link(3)}, [2, 3]),
        ({"next": link(2)}, []),
        ({"last": link(1)}, []),
    ],
)
def test_pages_are_known_as_far_as_last_reaches(links: dict[str, str], ahead: list[int]) -> None:
    style = AempLinks()
    page = style.read(call(), {"aempPage": 1}, body(links))
    assert [cursor["aempPage"] for cursor in style.ahead(page, 3)] == ahead


def test_a_walk_can_be_taken_up_from_a_cursor_that_was_written_down() -> None:
    style, asked = AempLinks(), call(f"{FLEET}/1")
    page = style.read(asked, style.start(asked), body({"next": link(2), "last": link(2)}))
    cursor = json.loads(json.dumps(page.next))
    assert style.apply(asked, cursor).path == f"{FLEET}/2"
    assert style.read(asked, cursor, body({"last": link(2)})).next is None
