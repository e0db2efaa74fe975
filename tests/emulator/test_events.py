"""Asset events: a filter in the body, pages in the query, two calls per half hour for everything."""

from typing import Any

import pytest

from tests.emulator.conftest import Api

LOG = "/public/api/eventlog/v3/asset-event/log"
ACTIVE = "/public/api/eventlog/v3/asset-event/active"
PERIOD: dict[str, Any] = {"fromTime": "2026-01-10T00:00:00Z", "toTime": "2026-01-12T00:00:00Z"}


def events(api: Api, body: dict[str, Any], path: str = LOG, query: str = "size=1000") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.json(f"{path}?{query}", "POST", json=body)["content"]
    return found


@pytest.fixture
def free(api: Api) -> Api:
    api.iris.settings(event_calls_per_30_min=None)
    return api


def test_both_endpoints_and_all_pages_share_two_calls_per_half_hour(api: Api) -> None:
    asked = [(LOG, PERIOD), (ACTIVE, {}), (f"{LOG}?page=1", PERIOD)]
    assert [api.ask(path, "POST", json=body).status_code for path, body in asked] == [200, 200, 429]
    api.iris.advance(1800)
    assert api.ask(LOG, "POST", json=PERIOD).status_code == 200


def test_the_log_is_paged_in_the_query(free: Api) -> None:
    whole = events(free, PERIOD)
    assert len(whole) == 2 * 144 + 1
    pages = [events(free, PERIOD, query=f"size=200&page={page}") for page in (0, 1)]
    assert pages[0] + pages[1] == whole


@pytest.mark.parametrize(
    ("name", "member"), [("type", "type"), ("status", "status"), ("assetIds", "assetId")]
)
def test_the_log_can_be_filtered(free: Api, name: str, member: str) -> None:
    wanted = events(free, PERIOD)[0][member]
    assert {row[member] for row in events(free, PERIOD | {name: [wanted]})} == {wanted}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"fromTime": "2026-01-10T00:00:00Z"},
        PERIOD | {"eventTypes": ["ALERT"]},
        PERIOD | {"toTime": "2026-01-12T00:00:000Z"},
    ],
)
def test_a_filter_that_is_not_documented_is_refused(free: Api, body: dict[str, Any]) -> None:
    assert free.ask(LOG, "POST", json=body).status_code == 400


def test_active_events_are_open_and_critical_or_low(free: Api) -> None:
    rows = events(free, {}, ACTIVE)
    assert {row["status"] for row in rows} == {"OPEN"}
    assert {row["criticality"] for row in rows} == {"CRITICAL", "LOW"}


def test_an_event_can_happen_now(free: Api) -> None:
    free.iris.add_events({"criticality": "CRITICAL", "timeOn": "2026-01-11T00:00:01Z"})
    assert "2026-01-11T00:00:01Z" in {row["timeOn"] for row in events(free, PERIOD)}
    assert "2026-01-11T00:00:01Z" in {row["timeOn"] for row in events(free, {}, ACTIVE)}


@pytest.mark.parametrize("at_once", [1, 7, 1500])
def test_many_events_can_begin_at_the_same_time(free: Api, at_once: int) -> None:
    free.iris.settings(events_at_once=at_once)
    period = {"fromTime": "2026-01-01T00:00:00Z", "toTime": "2026-01-15T00:00:00Z"}
    rows = [row for page in range(3) for row in events(free, period, query=f"size=1000&page={page}")]
    times = [row["timeOn"] for row in rows]
    assert {times.count(time) for time in set(times)} == {at_once}
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(period["fromTime"] <= time <= period["toTime"] for time in times)
