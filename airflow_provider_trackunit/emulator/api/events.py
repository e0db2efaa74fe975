"""The Asset Event API: events of a period, and those open now.

Both are POSTs that only read: the filter in the body, page and size in the query. Together they
answer twice per half hour and user (developer hub: asset event API).
"""

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.limits.rates import EVENTS
from airflow_provider_trackunit.emulator.machines.identity import asset_id, dice, scattered_uuid
from airflow_provider_trackunit.emulator.machines.work import DAY_S
from airflow_provider_trackunit.emulator.serving.answers import encoded, violation
from airflow_provider_trackunit.emulator.serving.paging import Collection, moment, of_records, page_answer
from airflow_provider_trackunit.emulator.serving.routing import Call, Route
from airflow_provider_trackunit.emulator.world import World

EVENT_LOG = "/public/api/eventlog/v3/asset-event"
ACTIVE_FOR_S = 7 * DAY_S
# Numbers no invented event reaches in this century.
FIRST_ADDED = 10**9
TYPES = ("MACHINE_FAULT", "ALERT", "SERVICE_MANAGEMENT", "INSPECTION", "DAMAGE_REPORT", "PRE_CHECK")
CRITICALITIES = ("CRITICAL", "LOW", "LOW", "NONE")
# Which member of an event each filter of the body looks at. A group or a customer of an event is
# not in the answer, so those two filters are accepted and let everything through.
FILTERS = {"assetIds": "assetId", "type": "type", "criticality": "criticality", "status": "status"}
KNOWN = {*FILTERS, "groupIds", "siteIds", "customerIds"}


def event(world: World, number: int) -> dict[str, Any]:
    """Return event ``number`` of the account, one every few minutes."""
    at_once = world.settings.events_at_once
    return _event(world, number, number // at_once * at_once * world.settings.event_step_s)


def _event(world: World, number: int, at: float) -> dict[str, Any]:
    """Return an event that began at ``at``; its detail object depends on the type."""
    bits = dice(world.seed, number, "event")
    begins = moments.written(at)
    kind, open_now = TYPES[bits[0] % len(TYPES)], bits[2] % 8 == 0
    return {
        "id": scattered_uuid(world.seed, number, "event"),
        "assetId": asset_id(world.seed, number * 7919 % max(1, world.fleet.size)),
        "type": kind,
        "status": "OPEN" if open_now else ("RESOLVED", "CLOSED", "DISMISSED")[bits[3] % 3],
        "criticality": CRITICALITIES[bits[4] % len(CRITICALITIES)],
        "eventTime": begins,
        "timeOn": begins,
        "timeOff": None if open_now else moments.written(at + 300),
        "assetEventDomainDetails": _details(kind, bits),
    }


def _details(kind: str, bits: bytes) -> dict[str, Any]:
    if kind != "MACHINE_FAULT":
        name = kind.title().replace("_", "")
        return {"eventTypeName": f"AssetEvent{name}Details", "description": kind.replace("_", " ").lower()}
    spn, fmi = 100 + bits[5], bits[6] % 20
    return {
        "eventTypeName": "AssetEventMachineFaultDetails",
        "faultCode": f"SPN {spn} FMI {fmi}",
        "description": "Engine oil pressure low",
        "j1939": {"spn": spn, "fmi": fmi, "sa": 0},
    }


def log(call: Call) -> Response:
    """Answer the events of a period."""
    wanted = _filter(call, {"fromTime", "toTime"})
    since, until = (moment(name, str(wanted[name])) for name in ("fromTime", "toTime"))
    return _events(call, wanted, (since, min(until, call.world.latest_moment())))


def active(call: Call) -> Response:
    """Answer the events that are open now; their criticality is CRITICAL or LOW."""
    wanted = _filter(call, set())
    now = call.world.data_now
    rows = (row for row in _period(call.world, (now - ACTIVE_FOR_S, now)) if row["status"] == "OPEN")
    added = (row for row in call.world.added_events if row["status"] == "OPEN")
    found = [row for row in (*rows, *added) if row["criticality"] != "NONE" and _is_wanted(row, wanted)]
    return page_answer(call, of_records(found))


def _events(call: Call, wanted: dict[str, Any], period: tuple[float, float]) -> Response:
    world = call.world
    begin, end = (moments.written(at) for at in period)
    added = [
        row for row in world.added_events if begin <= row["eventTime"] <= end and _is_wanted(row, wanted)
    ]
    if any(wanted.get(name) for name in FILTERS):
        found = [row for row in _period(world, period) if _is_wanted(row, wanted)]
        return page_answer(call, of_records(found + added))
    numbers = _numbers(world, period)

    def read(start: int, stop: int) -> list[bytes]:
        rows = [world.record(event, at) for at in numbers[start:stop]]
        behind = slice(max(0, start - len(numbers)), max(0, stop - len(numbers)))
        return rows + [encoded(row) for row in added[behind]]

    return page_answer(call, Collection(len(numbers) + len(added), read))


def _numbers(world: World, period: tuple[float, float]) -> range:
    at_once = world.settings.events_at_once
    step = world.settings.event_step_s * at_once
    return range(-int(-period[0] // step) * at_once, (int(period[1] // step) + 1) * at_once)


def _period(world: World, period: tuple[float, float]) -> Iterator[dict[str, Any]]:
    return (event(world, number) for number in _numbers(world, period))


def _filter(call: Call, required: set[str]) -> dict[str, Any]:
    wanted = call.json() if call.body else {}
    for name in required:
        if name not in wanted:
            raise violation(name, "", "must not be empty")
    for name in wanted:
        # "eventTypes" was the old name of "type": a contract that was renamed once.
        if name not in KNOWN | required:
            raise violation(name, str(wanted[name]), "is not a known filter")
    return wanted


def _is_wanted(row: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(not wanted.get(name) or row[member] in wanted[name] for name, member in FILTERS.items())


def add_events(world: World, events: list[dict[str, Any]]) -> None:
    """Let events happen now, or as given, in addition to the invented ones."""
    for given in events:
        at = moments.read(given["timeOn"]) if "timeOn" in given else world.latest_moment()
        row = _event(world, FIRST_ADDED + len(world.added_events), at)
        world.added_events.append(row | {"timeOff": None, "status": "OPEN", **given})


EVENT_ROUTES = [
    Route(
        "POST",
        f"{EVENT_LOG}/{name}",
        handler,
        "account.event.view",
        EVENTS,
        refuses_api_keys="events_refuse_api_keys",
    )
    for name, handler in (("log", log), ("active", active))
]
