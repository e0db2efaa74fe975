"""The tricks of a hostile emulator are what their names say."""

from __future__ import annotations

import itertools
import zlib
from typing import TYPE_CHECKING, Any, get_args

import pytest

from airflow_provider_trackunit.emulator.faults.hostile import TRICKS
from airflow_provider_trackunit.emulator.settings import Trick

from .conftest import ASSETS, FLEET, Api

if TYPE_CHECKING:
    from collections.abc import Iterator

ELSEWHERE = "http://127.0.0.1:9"


def tricked(api: Api, trick: str, path: str = ASSETS, **options: Any) -> Any:
    api.iris.hostile(trick, foreign_host=ELSEWHERE)
    return api.ask(path, **options)


def pieces(answer: Any, count: int) -> Iterator[bytes]:
    return itertools.islice(answer.raw.stream(65_536, decode_content=False), count)


def test_every_name_of_a_trick_does_something() -> None:
    assert set(TRICKS) == set(get_args(Trick))


def test_a_trick_hits_the_paths_it_names_and_can_be_ended(api: Api) -> None:
    api.iris.hostile("never_authorized", path="/Fleet")
    assert [api.ask(ASSETS).status_code, api.ask(f"{FLEET}/1").status_code] == [200, 401]
    assert api.password_grant().status_code == 200
    api.iris.hostile(None)
    assert api.ask(f"{FLEET}/1").status_code == 200


def test_the_token_endpoint_is_tricked_when_it_is_named(api: Api) -> None:
    api.iris.hostile("redirect", path="/token", foreign_host=ELSEWHERE)
    answer = api.http.post(api.iris.auth_url, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, f"{ELSEWHERE}/token")
    assert api.ask(ASSETS).status_code == 200


def test_a_trick_that_nobody_knows_is_refused(api: Api) -> None:
    with pytest.raises(ValueError, match="hostile"):
        api.iris.hostile("friendly")


def test_redirects_and_links_lead_to_the_foreign_host(api: Api) -> None:
    assert tricked(api, "redirect").headers["Location"] == f"{ELSEWHERE}{ASSETS}"
    answer = tricked(api, "foreign_links", f"{FLEET}/1")
    assert [link["href"] for link in answer.json()["links"]] == [
        f"{ELSEWHERE}{FLEET}/2",
        f"{ELSEWHERE}{FLEET}/9",
    ]
    assert ELSEWHERE in answer.headers["Link"]


def test_a_cursor_moves_with_every_page_and_every_page_has_a_new_record(api: Api) -> None:
    first = tricked(api, "moving_cursor").json()
    second = api.ask(ASSETS, params={"after": first["after"]}).json()
    assert first["after"] != second["after"]
    assert first["content"] != second["content"]


def test_pages_repeat_themselves_or_count_without_reason(api: Api) -> None:
    pages = [tricked(api, "repeated_pages", params={"page": page}).json() for page in (0, 7)]
    assert [page["number"] for page in pages] == [0, 7]
    assert pages[0]["content"] == pages[1]["content"]
    assert tricked(api, "absurd_counts").json()["totalPages"] == 10**18


def test_bodies_have_no_end_or_claim_a_terabyte(api: Api) -> None:
    for trick in ("terabyte", "endless_body", "slow_body"):
        with tricked(api, trick, stream=True) as answer:
            assert len(list(pieces(answer, 3))) == 3
            assert answer.headers.get("Content-Length") == (str(10**12) if trick == "terabyte" else None)


def test_four_megabytes_unpack_to_four_gigabytes(api: Api) -> None:
    with tricked(api, "gzip_bomb", stream=True) as answer:
        size = int(answer.headers["Content-Length"])
        piece = next(pieces(answer, 1))
        unpacked = len(zlib.decompressobj(31).decompress(piece))
    assert size < 5_000_000
    # The rest is packed as its beginning is.
    assert unpacked / len(piece) * size > 4_000_000_000


def test_the_rest_is_what_its_names_say(api: Api) -> None:
    assert tricked(api, "year_long_wait").headers["Retry-After"] == "31536000"
    assert tricked(api, "never_authorized").status_code == 401
    assert "../../../etc/passwd" in tricked(api, "climbing_names").text
    echo = tricked(api, "echo", params={"q": "asked"}).json()
    assert api.token in echo["message"]
    assert "?q=asked" in echo["message"]
    api.iris.hostile("huge_token")
    with api.http.post(api.iris.auth_url, stream=True) as answer:
        assert int(answer.headers["Content-Length"]) > 100_000_000
