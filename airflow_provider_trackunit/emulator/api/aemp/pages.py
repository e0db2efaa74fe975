"""The AEMP 2.0 feed: fleet snapshot, one equipment, the history of a datapoint.

Pages are the last path segment, from 1, of 100 rows, joined by absolute links; page 0 is an index
without equipment. A URL answers once per 15 minutes, beyond that from a pool of extra calls.
Source: Trackunit developer hub, ISO 15143-3 (AEMP 2.0) API and its introduction.
"""

import re
from typing import Any

import msgspec
from starlette.responses import Response

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.api.aemp.rows import equipment, fleet_xml, pascal_case
from airflow_provider_trackunit.emulator.limits.aemp import ELEMENT, FLEET, SERIES
from airflow_provider_trackunit.emulator.machines.datapoints import READERS, list_key
from airflow_provider_trackunit.emulator.machines.fleet import ON_AEMP, ON_AEMP_WITH_OFF_RENT
from airflow_provider_trackunit.emulator.machines.work import DAY_S
from airflow_provider_trackunit.emulator.serving.answers import JSON, encoded, not_found, refused, violation
from airflow_provider_trackunit.emulator.serving.paging import (
    moment,
    page_between_gaps,
    pages_with_gaps,
    refuse_beyond,
)
from airflow_provider_trackunit.emulator.serving.routing import Call, Route

BASE = "/public/api/aemp/v2/15143/-3/Fleet"
PAGE_ROWS = 100


def fleet_page(call: Call) -> Response:
    """Answer ``GET /Fleet/{page}``: the latest values of up to 100 machines."""
    page = _page(call)
    digits = ON_AEMP_WITH_OFF_RENT if call.query.get("includeOffRentAssets") == "true" else ON_AEMP
    fleet = call.world.fleet
    total = fleet.count(digits)
    at = _rows_of(call, page, total)
    indexes = fleet.indexes(at.start, at.stop, digits)
    return _answer(
        call, _links(call, page, total), [_equipment(call, index) for index in indexes], "equipment"
    )


def one_equipment(call: Call) -> Response:
    """Answer ``GET /Fleet/Equipment/ID/{pin}``: the same row for one machine."""
    index = _index(call)
    links = [{"rel": "self", "href": call.origin + call.path}]
    return _answer(call, links, [_equipment(call, index)], "equipment")


def datapoint_page(call: Call) -> Response:
    """Answer the history of one datapoint; one without samples is an empty list."""
    page, datapoint = _page(call), call.params["datapoint"]
    if datapoint not in READERS:
        raise not_found(f"Datapoint '{datapoint}'")
    index, window = _index(call), _window(call)
    feed = call.world.feed
    samples = feed.samples(index, datapoint, window, call.world.latest_moment())
    at = _rows_of(call, page, len(samples))
    rows = [encoded(feed.reading(index, datapoint, sample)) for sample in samples[at.start : at.stop]]
    return _answer(call, _links(call, page, len(samples)), rows, list_key(datapoint))


def _page(call: Call) -> int:
    text = call.params["page"]
    if not text.isdecimal():
        raise violation("page", text, "must be a whole number")
    return int(text)


def _rows_of(call: Call, page: int, total: int) -> range:
    """Return the positions of a page's rows; a collection without end starts over after its last page."""
    settings = call.world.settings
    full_pages = max(1, -(-total // PAGE_ROWS))
    if not settings.endless_pages:
        refuse_beyond(call, page - 1, _pages(call, total))
    full_page = page_between_gaps(page - 1, settings.empty_page_every) if page else None
    if full_page is None:
        return range(0)
    start = (full_page % full_pages if settings.endless_pages else full_page) * PAGE_ROWS
    return range(start, start + PAGE_ROWS)


def _pages(call: Call, total: int) -> int:
    return max(1, pages_with_gaps(-(-total // PAGE_ROWS), call.world.settings.empty_page_every))


def _equipment(call: Call, index: int) -> bytes:
    world = call.world
    metadata = call.query.get("addMetadata") == "true"
    extended = call.query.get("addExtendedData") == "true"
    return world.record(equipment, index, metadata, extended)


def _index(call: Call) -> int:
    index = call.world.names.index_of(call.params["pin"])
    if index is None or not call.world.fleet.holds(index):
        raise not_found(f"Equipment '{call.params['pin']}'")
    return index


def _window(call: Call) -> tuple[float, float]:
    start, end = (moment(name, call.params[name]) for name in ("start", "end"))
    settings = call.world.settings
    if end < start:
        raise violation("end", call.params["end"], "must not be before the start")
    if end - start > settings.series_window_days * DAY_S:
        raise refused(400, "time_window_too_long", "At most 14 days can be requested")
    # Machines have not reported tomorrow's samples yet.
    now = call.world.latest_moment()
    if end > now and settings.refuse_future_end:
        raise violation("end", call.params["end"], "must not be in the future")
    return start, min(end, now)


def _links(call: Call, page: int, total: int) -> list[dict[str, str]]:
    settings = call.world.settings
    last = page + 1 if settings.endless_pages else _pages(call, total)
    links = [{"rel": "self", "href": _href(call, page)}]
    if page > 1:
        links.append({"rel": "prev", "href": _href(call, page - 1)})
    if page < last and settings.next_link != "missing":
        links.append({"rel": "next", "href": _next_href(call, page)})
    if settings.last_link:
        links.append({"rel": "last", "href": _href(call, last)})
    return links


def _href(call: Call, page: int, origin: str | None = None) -> str:
    path = call.path.rpartition("/")[0]
    query = f"?{call.query_string}" if call.world.settings.links_repeat_query and call.query_string else ""
    return f"{origin or call.origin}{path}/{page}{query}"


def _next_href(call: Call, page: int) -> str:
    settings = call.world.settings
    if settings.next_link == "itself":
        return _href(call, page)
    if settings.next_link == "foreign":
        return _href(call, page + 1, settings.foreign_host)
    if settings.next_link == "dotdot":
        return f"{call.origin}{BASE}/../../../../../../../api/asset/v1/assets/{page + 1}"
    return _href(call, page + 1)


def _answer(call: Call, links: list[dict[str, str]], rows: list[bytes], key: str) -> Response:
    """Answer in the format that was asked for: XML unless JSON was."""
    envelope: dict[str, Any] = {
        "version": "1",
        "snapshotTime": moments.written(call.world.data_now),
        "links": links,
    }
    if not re.search(r"application/(\S+\+)?json", call.headers.get("accept", "")):
        decoded = [msgspec.json.decode(row) for row in rows]
        return Response(fleet_xml(envelope, decoded, key[0].upper() + key[1:]), media_type="application/xml")
    return Response(_json_page(call, envelope, rows, key), media_type=JSON)


def _json_page(call: Call, envelope: dict[str, Any], rows: list[bytes], key: str) -> bytes:
    settings = call.world.settings
    if settings.aemp_key_case == "upper":
        envelope, key = pascal_case(envelope), key[0].upper() + key[1:]
    between = b",\n" if settings.json_layout == "lines" else b","
    page = b"".join((encoded(envelope)[:-1], b',"', key.encode(), b'":[', between.join(rows), b"]}"))
    return msgspec.json.format(page, indent=2) if settings.json_layout == "pretty" else page


AEMP_ROUTES = [
    Route("GET", f"{BASE}/{{page}}", fleet_page, "api.iso15143.snapshot", FLEET),
    Route("GET", f"{BASE}/Equipment/ID/{{pin}}", one_equipment, "api.iso15143.snapshot", ELEMENT),
    Route(
        "GET",
        f"{BASE}/Equipment/ID/{{pin}}/{{datapoint}}/{{start}}/{{end}}/{{page}}",
        datapoint_page,
        "api.iso15143.timeseries",
        SERIES,
    ),
]
