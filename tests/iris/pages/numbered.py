"""Collections whose pages have numbers, as IRIS would answer for them; without sending anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.pages.styles import paginator

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.page import Page
    from airflow_provider_trackunit.iris.pages.walk import Errand

ORIGIN = "https://iris.trackunit.com"
ASSETS = "/api/asset/v1/assets"
FLEET = "/public/api/aemp/v2/15143/-3/Fleet"


def calls(count: int = 1, path: str = ASSETS) -> list[Call]:
    """Return a call for each of so many items."""
    return [make_call(ORIGIN, path, query_params={"item": item}) for item in range(count)]


def place(errand: Errand) -> tuple[int, int]:
    """Return the item of a page, and its place from 1."""
    return errand.item, paginator(errand.row.paging).number(errand.cursor)


def answer(errand: Errand, of: int, *, total: int | None = None, records: int = 2) -> Page:
    """Return the page that IRIS has for an errand, of a collection of so many pages; an empty one beyond its end.

    :param total: how many records it says there are
    """
    item, number = place(errand)
    rows = [f"{item}.{number}.{n}" for n in range(records if number <= of else 0)]
    total = 2 * of if total is None else total
    body = _numbered(number, of, total, rows) if errand.call.path == ASSETS else _linked(number, of, rows)
    return paginator(errand.row.paging).read(errand.call, errand.cursor, json.dumps(body).encode())


def _numbered(number: int, of: int, total: int, rows: list[str]) -> dict[str, Any]:
    return {"totalPages": of, "totalElements": total, "number": number - 1, "content": rows}


def _linked(number: int, of: int, rows: list[str]) -> dict[str, Any]:
    links = [{"rel": "last", "href": f"{ORIGIN}{FLEET}/{max(of, 1)}"}]
    if number < of:
        links.append({"rel": "next", "href": f"{ORIGIN}{FLEET}/{number + 1}"})
    return {"links": links, "equipment": rows}
