"""The control endpoint ``/_emulator/``: what a test does to the emulator, and what it learns.

It is no part of the vendor's API and asks for no token: the emulator listens on loopback only.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
from starlette.responses import Response

from airflow_provider_trackunit.emulator import moments
from airflow_provider_trackunit.emulator.api.aemp.rows import asset_name
from airflow_provider_trackunit.emulator.api.events import add_events
from airflow_provider_trackunit.emulator.machines import identity
from airflow_provider_trackunit.emulator.machines.fleet import ON_AEMP
from airflow_provider_trackunit.emulator.machines.truth import local_day, truth_of
from airflow_provider_trackunit.emulator.serving.answers import RefusedError, error, json_answer
from airflow_provider_trackunit.emulator.serving.routing import Call
from airflow_provider_trackunit.emulator.settings import changed
from airflow_provider_trackunit.emulator.world import World

Command = Callable[[World, dict[str, Any]], dict[str, Any]]


def control(call: Call) -> Response:
    """Answer a request to the control endpoint."""
    name = call.path.removeprefix("/_emulator/")
    commands = QUESTIONS if call.method == "GET" else COMMANDS
    command = commands.get(name)
    if command is None:
        return error(404, "not_found", f"The emulator has no {call.method} '{name}'")
    try:
        asked: dict[str, Any] = dict(call.query) if call.method == "GET" else call.json() if call.body else {}
        return json_answer(command(call.world, asked))
    except (msgspec.ValidationError, KeyError, ValueError, TypeError) as exc:
        return error(400, "bad_request", str(exc))
    except RefusedError as refusal:
        return refusal.response


def _requests(world: World, asked: dict[str, Any]) -> dict[str, Any]:
    part = str(asked.get("path", ""))
    return {"requests": [entry for entry in world.journal.requests if part in entry["path"]]}


def _truth(world: World, asked: dict[str, Any]) -> dict[str, Any]:
    _only(asked, {"day", "time_zone", "first", "count"})
    now = world.latest_moment()
    day = local_day(str(asked["day"]), str(asked.get("time_zone", "UTC")), now)
    first = int(asked.get("first", 0))
    if first < 0:
        raise ValueError("first: the machines are counted from 0")
    indexes = world.fleet.indexes(first, first + int(asked.get("count", world.fleet.size)), ON_AEMP)
    return {
        "machines": [_names_of(world, index) | truth_of(world.feed, index, day, now) for index in indexes]
    }


def _names_of(world: World, index: int) -> dict[str, Any]:
    return {
        "assetId": identity.asset_id(world.seed, index),
        "pin": world.names.pin(index),
        "serialNumber": world.names.serial_number(index) or identity.device_serials(world.seed, index)[0],
        "equipmentId": asset_name(world.seed, index),
    }


def _stats(world: World, _body: dict[str, Any]) -> dict[str, Any]:
    return world.journal.stats()


def _settings_now(world: World, _body: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = msgspec.to_builtins(world.settings)
    return settings


def _credentials(world: World, _body: dict[str, Any]) -> dict[str, Any]:
    credentials: dict[str, Any] = msgspec.to_builtins(world.credentials)
    return credentials | {"api_key_scopes": world.settings.api_key_scopes}


def _use_credentials(world: World, body: dict[str, Any]) -> dict[str, Any]:
    world.credentials = replace(world.credentials, **body)
    return _credentials(world, {})


def _reset(world: World, _body: dict[str, Any]) -> dict[str, Any]:
    world.reset()
    return {"assets": world.fleet.size}


def _clock(world: World, body: dict[str, Any]) -> dict[str, Any]:
    _only(body, {"scale", "advance", "date"})
    if "date" in body:
        world.set_date(moments.read(str(body["date"])))
    if "scale" in body:
        world.clock.scale(float(body["scale"]))
    if "advance" in body:
        world.advance(float(body["advance"]))
    return {"now": world.clock.now(), "scale": world.clock.factor, "date": moments.written(world.data_now)}


def _faults(world: World, body: dict[str, Any]) -> dict[str, Any]:
    world.faults.add(body)
    return {"queued": True}


def _settings(world: World, body: dict[str, Any]) -> dict[str, Any]:
    world.use(changed(world.settings, body))
    return _settings_now(world, {})


def _fleet(world: World, body: dict[str, Any]) -> dict[str, Any]:
    _only(body, {"grow", "shrink", "hide", "show"})
    world.fleet.grow(int(body.get("grow", 0)) - int(body.get("shrink", 0)))
    world.fleet.hide(int(index) for index in body.get("hide", ()))
    world.fleet.show(int(index) for index in body.get("show", ()))
    world.forget_records()
    return {"assets": world.fleet.count(), "size": world.fleet.size}


def _events(world: World, body: dict[str, Any]) -> dict[str, Any]:
    _only(body, {"events"})
    add_events(world, list(body["events"]))
    return {"added": len(body["events"])}


def _revoke(world: World, _body: dict[str, Any]) -> dict[str, Any]:
    world.tokens.revoke_all()
    return {"revoked": True}


def _only(body: dict[str, Any], names: set[str]) -> None:
    unknown = ", ".join(sorted(set(body) - names))
    if unknown:
        raise ValueError(f"unknown: {unknown}; known: {', '.join(sorted(names))}")


QUESTIONS: dict[str, Command] = {
    "requests": _requests,
    "truth": _truth,
    "stats": _stats,
    "settings": _settings_now,
    "credentials": _credentials,
}
COMMANDS: dict[str, Command] = {
    "reset": _reset,
    "credentials": _use_credentials,
    "clock": _clock,
    "faults": _faults,
    "settings": _settings,
    "fleet": _fleet,
    "events": _events,
    "revoke": _revoke,
}
