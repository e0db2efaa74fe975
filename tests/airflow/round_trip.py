"""Takes a deferrable operator from its start to its end the way Airflow does, without a database or a scheduler.

``dag.test()`` is no substitute: it ignores timeouts, drops the arguments of a deferral, and on 2.11 keeps the
same operator object.
"""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit._compat import TaskDeferred
from airflow_provider_trackunit.iris.http.pacing import forget_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit._compat import BaseOperator

NO_CONTEXT: Any = {}
_MOST_DEFERRALS = 20
_TIMEOUT_S = 30.0


def rebuilt(trigger: Any) -> Any:
    """Return the trigger that a triggerer makes of what the database holds."""
    path, arguments = json.loads(json.dumps(trigger.serialize()))
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(**arguments)


async def first_event(trigger: Any) -> Any:
    """Return what the first event of a trigger brings, as it comes out of the database."""
    events = trigger.run()
    try:
        event = await asyncio.wait_for(anext(events), _TIMEOUT_S)
    finally:
        await events.aclose()
    return json.loads(json.dumps(event.payload))


def deferral_of(operator: BaseOperator, method: str = "execute", **arguments: Any) -> TaskDeferred:
    """Return the deferral that a method of the operator ends with."""
    try:
        getattr(operator, method)(NO_CONTEXT, **arguments)
    except TaskDeferred as deferred:
        return deferred
    raise AssertionError(f"{method} did not defer")


def run_to_end(
    make: Callable[[], Any], between: Callable[[TaskDeferred], None] = lambda _deferred: None
) -> Any:
    """Return what a task returns in the end, every time with a new operator.

    :param between: called at each deferral, before its trigger runs
    """
    method = "execute"
    arguments: dict[str, Any] = {}
    for _ in range(_MOST_DEFERRALS):
        try:
            return getattr(make(), method)(NO_CONTEXT, **arguments)
        except TaskDeferred as deferred:
            between(deferred)
            event = asyncio.run(first_event(rebuilt(deferred.trigger)))
            forget_limits()  # the pause is over, in another process
            method = deferred.method_name
            # As in dag.test(): what was given to defer() besides the trigger is not relied on.
            arguments = {"event": event}
    raise AssertionError(f"deferred more than {_MOST_DEFERRALS} times")
