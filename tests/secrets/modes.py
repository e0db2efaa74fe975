"""Every way in which a user comes to IRIS, each as a function that leaves a text of all it leaves behind.

The texts are what Airflow keeps or shows: results, events, what is serialized, what is rendered, the reprs of our
objects. What is raised is left to the caller.
"""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit._compat import TaskDeferred
from airflow_provider_trackunit.hooks import IrisHook
from airflow_provider_trackunit.operators import IrisApiOperator
from airflow_provider_trackunit.sensors import IrisSensor
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator
from airflow_provider_trackunit.triggers import IrisEventTrigger, IrisTrigger, Timing
from tests.airflow.round_trip import rebuilt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ASSETS = "/api/asset/v1/assets"
CONTEXT: Any = {"ti": SimpleNamespace(dag_id="dag", task_id="task", run_id="run", map_index=-1)}
# Long enough for an answer on a machine that is busy with other things.
TIMEOUT_S = 3.0
_TRIGGER_SECONDS = 0.7
_MOST_DEFERRALS = 2


class FoundNothingError(Exception):
    """A wait that was cut off by the test, because it would go on."""


async def _at_once(_seconds: float) -> None:
    await asyncio.sleep(0)


#: A clock that is far ahead of every deadline, so that a trigger looks once and ends.
HASTY = Timing(sleep=_at_once, chance=lambda: 0.0)


def impatient(task: Any) -> Any:
    """Let a task try twice, and not wait in between."""
    task.__dict__["hook"] = impatient_hook()
    return task


def impatient_hook() -> IrisHook:
    return IrisHook(timeout_s=TIMEOUT_S, max_attempts=2, max_wait_s=0.05)


def state_of(one: Any) -> str:
    """Return what an object shows of itself, and of what it holds, two steps deep."""
    shown = [repr(one), str(one)]
    for value in vars(one).values():
        shown.append(repr(value))
        if type(value).__module__.startswith("airflow_provider_trackunit"):
            shown += [f"{name}={inner!r}" for name, inner in getattr(value, "__dict__", {}).items()]
    return "\n".join(shown)


def _finish(task: Any, left: list[str]) -> None:
    """Run a task to its end, with a new trigger for every deferral as a triggerer makes it.

    A wait for a limit is over at once here and the limit is not, so what defers again has no end.
    """
    left.append(state_of(task))
    method = "execute"
    event: list[Any] = []
    try:
        for _ in range(_MOST_DEFERRALS):
            deferred = _deferral_of(task, left, method, *event)
            if deferred is None:
                return
            left += [str(deferred.trigger.serialize()), state_of(deferred.trigger), str(deferred)]
            method, event = deferred.method_name, [asyncio.run(_first_event(rebuilt(deferred.trigger)))]
            left.append(json.dumps(event))
        raise FoundNothingError
    finally:
        left += [state_of(task), state_of(task.hook)]


def _deferral_of(task: Any, left: list[str], method: str, *event: Any) -> TaskDeferred | None:
    try:
        left.append(json.dumps(getattr(task, method)(CONTEXT, *event), default=str))
    except TaskDeferred as deferred:
        return deferred
    return None


async def _first_event(trigger: Any) -> Any:
    events = trigger.run()
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.wait([waiting], timeout=_TRIGGER_SECONDS)
    if waiting.done():
        await asyncio.wait([asyncio.ensure_future(events.aclose())])
        return waiting.result().payload
    waiting.cancel()
    await asyncio.wait([waiting])
    raise FoundNothingError


def hook_run(request: dict[str, Any], _folder: Path, left: list[str]) -> None:
    hook = impatient_hook()
    try:
        left.append(json.dumps(hook.run(**request)))
    finally:
        left.append(state_of(hook))


def hook_pages(request: dict[str, Any], _folder: Path, left: list[str]) -> None:
    hook = impatient_hook()
    left += [repr(page) for page in hook.pages(max_concurrency=3, **request)]


def button(_request: dict[str, Any], _folder: Path, left: list[str]) -> None:
    left.append(str(IrisHook().test_connection()))


def operator(request: dict[str, Any], _folder: Path, left: list[str]) -> None:
    _finish(impatient(IrisApiOperator(task_id="task", deferrable=False, **request)), left)


def operator_deferrable(request: dict[str, Any], _folder: Path, left: list[str]) -> None:
    _finish(impatient(IrisApiOperator(task_id="task", deferrable=True, **request)), left)


def _sensor(left: list[str], request: dict[str, Any], **arguments: Any) -> None:
    waits = {"poke_interval": 0.05, "timeout": 0.2, "condition": "totalElements > `9999`"}
    _finish(impatient(IrisSensor(task_id="task", **{**waits, **arguments}, **request)), left)


def sensor_poke(request: dict[str, Any], _folder: Path, left: list[str]) -> None:
    _sensor(left, request)


def sensor_reschedule(request: dict[str, Any], _folder: Path, left: list[str]) -> None:
    task = impatient(
        IrisSensor(task_id="task", mode="reschedule", condition="totalElements > `9999`", **request)
    )
    left.append(state_of(task))
    left.append(repr(task.poke(CONTEXT)))


def sensor_deferrable(request: dict[str, Any], _folder: Path, left: list[str]) -> None:
    _sensor(left, request, deferrable=True, timeout=3600, poke_interval=10)


def _transfer(request: dict[str, Any], folder: Path, left: list[str], *, deferrable: bool) -> None:
    task = IrisToObjectStorageOperator(
        task_id="task", output_path=f"file://{folder}/out", part_bytes=1, deferrable=deferrable, **request
    )
    try:
        _finish(impatient(task), left)
    finally:
        # The parts hold what IRIS sent, and nothing of ours.
        written = [file for file in folder.rglob("*.json") if file.is_file()]
        left += [f"{file.name}: {file.read_text()}" for file in written]


def transfer(request: dict[str, Any], folder: Path, left: list[str]) -> None:
    _transfer(request, folder, left, deferrable=False)


def transfer_deferrable(request: dict[str, Any], folder: Path, left: list[str]) -> None:
    _transfer(request, folder, left, deferrable=True)


def trigger(request: dict[str, Any], _folder: Path, left: list[str]) -> None:
    one = IrisTrigger(condition="totalElements > `9999`", deadline_epoch_s=0.0, **request)
    left += [str(one.serialize()), state_of(one), json.dumps(asyncio.run(_first_event(one)))]


def event_trigger(request: dict[str, Any], _folder: Path, left: list[str]) -> None:
    one = IrisEventTrigger(watermark="id", start_from="", **request)
    left += [str(one.serialize()), state_of(one), json.dumps(asyncio.run(_first_event(one)))]


MODES: dict[str, Callable[[dict[str, Any], Path, list[str]], None]] = {
    one.__name__: one
    for one in (
        hook_run,
        hook_pages,
        button,
        operator,
        operator_deferrable,
        sensor_poke,
        sensor_reschedule,
        sensor_deferrable,
        transfer,
        transfer_deferrable,
        trigger,
        event_trigger,
    )
}
