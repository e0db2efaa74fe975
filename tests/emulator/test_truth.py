"""What the machines really do, and that the readings tell it: the days of a fleet computed from the API alone."""

import itertools
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_trackunit.emulator import REAL_FLEET, IrisEmulator
from airflow_provider_trackunit.emulator.machines.datapoints import COLUMNS
from airflow_provider_trackunit.emulator.machines.feed import Feed
from airflow_provider_trackunit.emulator.machines.stays import Stays
from airflow_provider_trackunit.emulator.machines.work import DAY_S, FIRST_MONDAY, machine
from airflow_provider_trackunit.emulator.settings import Settings
from tests.emulator.conftest import FLEET, Api

NOW = "2026-03-31T06:00:00Z"
MEMBERS = {"Distance": "Odometer", "FuelUsed": "FuelConsumed"}
Readings = list[tuple[str, float]]


@pytest.fixture
def days(api: Api) -> Api:
    """An account in which it is the end of March 2026, and the clocks of Europe have just been put on."""
    api.iris.set_date(NOW)
    api.iris.settings(aemp_url_interval_s=None)
    return api


def readings(api: Api, pin: str, datapoint: str, window: str) -> Readings:
    """Return (time, value) of a counter, the larger value of each time, without what lies in the future."""
    found: dict[str, float] = {}
    page: dict[str, Any] = {"links": [{"rel": "next", "href": series(api, pin, datapoint, window)}]}
    while path := {link["rel"]: link["href"] for link in page["links"]}.get("next"):
        page = api.json(path.removeprefix(api.iris.url))
        rows = page[datapoint[0].lower() + datapoint[1:]]
        for row in rows:
            value = row[MEMBERS.get(datapoint, "Hour")]
            found[row["datetime"]] = max(value, found.get(row["datetime"], value))
    return sorted((time, value) for time, value in found.items() if time <= NOW)


def series(api: Api, pin: str, datapoint: str, window: str) -> str:
    return f"{api.iris.url}{FLEET}/Equipment/ID/{quote(pin, safe='')}/{datapoint}/{window}/1"


def gain(rows: Readings, begin: str, end: str) -> tuple[float, bool] | None:
    """Return what a counter gained between two moments, and whether it fell; None without a reading of that time."""
    of_day = [value for time, value in rows if begin <= time <= end]
    before = [value for time, value in rows if time < begin or time == begin][-1:]
    if not of_day or not before:
        return None
    values = [*before, *of_day]
    fell = any(later < earlier - 0.02 for earlier, later in itertools.pairwise(values))
    return values[-1] - values[0], fell


def utc(day: str, zone: str) -> tuple[str, str]:
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    ends = (begin, begin + timedelta(days=1))
    return tuple(one.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ") for one in ends)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("switches", "zone"),
    [({}, "UTC"), (REAL_FLEET | {"falling_counters": 1.0}, "Europe/Copenhagen")],
    ids=["as it comes", "as real fleets are"],
)
def test_a_day_computed_from_the_readings_is_the_true_one(
    days: Api, switches: dict[str, Any], zone: str
) -> None:
    days.iris.settings(**switches)
    # Sunday, 29 March 2026 has 23 hours in Copenhagen.
    day = "2026-03-29"
    begin, end = utc(day, zone)
    compared = fallen = 0
    for truth in days.iris.truth(day, zone, count=25):
        if not truth["pin"] or not truth["pin"].endswith(truth["serialNumber"][-7:]):
            continue
        for datapoint, column in COLUMNS.items():
            rows = readings(days, truth["pin"], datapoint, "2026-03-28T00:00:00Z/2026-03-31T06:00:00Z")
            assert truth["readings"][column] == sum(begin <= time < end for time, _ in rows), column
            found = gain(rows, begin, end)
            if found is None:
                continue
            before, after = truth["unreported"][column]
            assert found[1] == (column in truth["fell"]), (truth["pin"], column)
            fallen += found[1]
            if not found[1]:
                assert found[0] == pytest.approx(truth[column] + before - after, abs=0.02), column
                compared += 1
    assert compared > 50
    assert (fallen > 0) == bool(switches)


def test_days_add_up_to_what_the_counters_show(days: Api) -> None:
    truths = [days.iris.truth(f"2026-03-{day:02d}", count=5) for day in range(2, 30)]
    for at in range(5):
        worked = sum(day[at]["operating_hours"] for day in truths)
        assert 60 < worked < 250
        assert all(
            day[at]["idle_hours"] + day[at]["moving_hours"] <= day[at]["operating_hours"] + 1e-3
            and day[at]["operating_hours"] <= 24
            for day in truths
        )


def test_every_counter_moves_in_every_week() -> None:
    for index in range(40):
        worker = machine(1, index)
        monday = FIRST_MONDAY + 2930 * 7 * DAY_S
        weeks = [worker.counters(monday + week * 7 * DAY_S) for week in range(9)]
        gains = [later.less(earlier) for earlier, later in itertools.pairwise(weeks)]
        assert all(min(gain) > 0 for gain in gains)


def test_some_machines_work_across_midnight(days: Api) -> None:
    truths = days.iris.truth("2026-03-24", count=100)
    assert any(truth["unreported"]["operating_hours"][1] > 0 for truth in truths)
    assert any(truth["unreported"]["operating_hours"] == [0.0, 0.0] for truth in truths)


def test_a_day_of_a_zone_can_have_23_hours(days: Api) -> None:
    whole = {
        row["assetId"]: row["operating_hours"] for row in days.iris.truth("2026-03-29", "Europe/Copenhagen")
    }
    parts = [
        {row["assetId"]: row["operating_hours"] for row in days.iris.truth(day, "Etc/GMT-1")}
        for day in ("2026-03-29", "2026-03-30")
    ]
    assert whole != parts[0]
    assert all(hours <= parts[0][asset] + 1e-6 for asset, hours in whole.items())


@pytest.mark.parametrize(
    "asked", [("2026-04-02", "UTC"), ("yesterday", "UTC"), ("2026-03-01", "Moon/Crater")]
)
def test_a_day_that_has_no_truth_is_refused(days: Api, asked: tuple[str, str]) -> None:
    with pytest.raises(ValueError):
        days.iris.truth(*asked)


def test_some_machines_can_be_asked_for(days: Api) -> None:
    whole = days.iris.truth("2026-03-29", count=12)
    assert days.iris.truth("2026-03-29", first=5, count=3) == whole[5:8]
    with pytest.raises(ValueError, match="first"):
        days.iris.truth("2026-03-29", first=-1)


def test_nothing_is_known_behind_the_date_and_time_goes_on_when_it_is_let(days: Api) -> None:
    pin = next(row["pin"] for row in days.iris.truth("2026-03-30", count=3) if row["pin"])
    window = "2026-03-30T00:00:00Z/2026-04-02T00:00:00Z"

    def newest() -> str:
        path = series(days, pin, "Locations", window).removeprefix(days.iris.url)
        pages = days.json(path)
        last = {link["rel"]: link["href"] for link in pages["links"]}["last"]
        return str(days.json(last.removeprefix(days.iris.url))["location"][-1]["datetime"])

    before = newest()
    assert "2026-03-31T05:50:00Z" <= before <= NOW
    days.iris.settings(token_lifetime_s=10**9)
    days.token = str(days.password_grant().json()["access_token"])
    days.iris.advance(12 * 3600)
    assert "2026-03-31T17:50:00Z" <= newest() <= "2026-03-31T18:00:00Z"
    assert days.json(f"{FLEET}/1")["snapshotTime"] == "2026-03-31T18:00:00Z"


def test_the_truth_of_a_month_is_the_same_in_another_emulator() -> None:
    with IrisEmulator.start(assets=8, seed=7) as one, IrisEmulator.start(assets=8, seed=7) as other:
        for iris in (one, other):
            iris.set_date(NOW)
            iris.settings(**REAL_FLEET)
        other.settings(late_readings=0.0)
        days = [f"2026-03-{day:02d}" for day in range(1, 31, 3)]
        told = [[row[column] for column in COLUMNS.values()] for day in days for row in one.truth(day)]
        assert told == [
            [row[column] for column in COLUMNS.values()] for day in days for row in other.truth(day)
        ]


def feed(**switches: Any) -> Feed:
    return Feed(1, Settings(**switches), Stays(1, 100))


WINDOW = (1_774_000_000.0, 1_774_000_000.0 + 14 * DAY_S)
LATER = WINDOW[1] + 60 * DAY_S


def test_a_reading_that_is_late_arrives_as_taken_within_its_days() -> None:
    late = feed(late_readings=0.3, hours_step_s=600)
    at_once = late.samples(1, "Distance", WINDOW, WINDOW[1])
    in_the_end = late.samples(1, "Distance", WINDOW, WINDOW[1] + 3 * DAY_S)
    assert set(at_once) < set(in_the_end)
    assert len(in_the_end) == len(feed(hours_step_s=600).samples(1, "Distance", WINDOW, LATER))


@pytest.mark.parametrize(
    ("switches", "spoilt"),
    [
        ({"equal_times": 0.2}, lambda sample: sample.twin),
        ({"future_stamps": 0.2}, lambda sample: sample.ahead),
        ({"null_positions": 0.2}, lambda sample: sample.nowhere),
        ({"late_readings": 0.2}, lambda sample: sample.arrives > sample.taken),
    ],
    ids=["twice", "ahead", "nowhere", "late"],
)
def test_about_the_share_of_readings_that_is_asked_for_is_spoilt(
    switches: dict[str, float], spoilt: Any
) -> None:
    sent = [
        (at, sample) for at in range(4) for sample in feed(**switches).samples(at, "Locations", WINDOW, LATER)
    ]
    readings_taken = {(at, sample.taken) for at, sample in sent}
    assert 0.18 < sum(spoilt(sample) for _, sample in sent) / len(readings_taken) < 0.22


def test_an_idle_machine_reports_every_hour_and_a_working_one_more_often() -> None:
    dense = feed(hours_step_s=600, heartbeat_s=3600).samples(1, "CumulativeOperatingHours", WINDOW, LATER)
    pauses = [later.taken - earlier.taken for earlier, later in itertools.pairwise(dense)]
    assert min(pauses) == 600
    assert max(pauses) <= 3600
    assert 400 < len(dense) < 1200


def test_a_silence_lasts_for_hours_or_days() -> None:
    silent = feed(silent_weeks=1.0).samples(1, "Locations", WINDOW, LATER)
    pauses = [later.taken - earlier.taken for earlier, later in itertools.pairwise(silent)]
    assert 6 * 3600 < max(pauses) < 6 * DAY_S


def test_a_dense_series_fills_twenty_pages_and_a_feed_of_another_maker_twice_a_day() -> None:
    assert 1999 <= len(feed(dense_series=1.0).samples(1, "Distance", WINDOW, LATER)) <= 2001
    assert len(feed(mixed_fleet=1.0).samples(1, "Distance", WINDOW, LATER)) == 28


def test_counters_fall_in_about_the_share_of_machines_that_is_asked_for_and_never_below_zero() -> None:
    falling = feed(falling_counters=0.3).troubles
    fallen = [index for index in range(400) if falling.falls(index)]
    assert 90 < len(fallen) < 150
    whole_device = {index for index in fallen if falling.falls(index).column is None}  # type: ignore[union-attr]
    assert 0.3 < len(whole_device) / len(fallen) < 0.7
    for index in fallen:
        assert min(falling.counted(index, LATER)) >= 0


def test_names_can_be_missing_and_shared(api: Api) -> None:
    api.iris.settings(without_pin=0.2, shared_pins=0.3)
    rows = api.json(f"{FLEET}/1")["equipment"] + api.json(f"{FLEET}/2")["equipment"]
    pins = [row["EquipmentHeader"].get("PIN") for row in rows]
    assert 20 < pins.count(None) < 60
    shared = {pin for pin in pins if pin and pins.count(pin) == 2}
    assert len(shared) > 10
    assert max(pins.count(pin) for pin in shared) == 2
    assert len({row["EquipmentHeader"]["SerialNumber"] for row in rows}) == len(rows)


def test_sites_are_visited_one_after_the_other_and_positions_lie_within_them(days: Api) -> None:
    sites = {
        site["id"]: site["area"]["coordinates"][0] for site in days.json("/api/site/v1/sites")["content"]
    }
    seen = 0
    for truth in days.iris.truth("2026-03-25", count=60):
        for visit in truth["visits"]:
            assert visit["siteId"] in sites
            if visit["left_at"] is None:
                west, south = sites[visit["siteId"]][0]
                east, north = sites[visit["siteId"]][2]
                assert south <= truth["last_latitude"] <= north
                assert west <= truth["last_longitude"] <= east
                seen += 1
    assert seen > 20


def test_the_history_of_sites_is_that_of_the_truth(days: Api) -> None:
    told = {truth["assetId"]: truth["visits"] for truth in days.iris.truth("2026-03-25")}
    period = "fromTime=2026-03-10T00:00:00Z&toTime=2026-03-25T23:59:59Z&size=1000"
    rows = days.json(f"/api/site/v1/sites/history?{period}")["content"]
    for row in rows:
        if row["assetId"] in told and (row["leftAt"] is None or row["leftAt"] > "2026-03-26T00:00:00Z"):
            assert row["siteId"] in [visit["siteId"] for visit in told[row["assetId"]]]
    assert len(rows) > 500
