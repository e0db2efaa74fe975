"""The triggerer: one event loop that runs every trigger of the day, made anew from what a database would hold.

Takes ``{"id": 1, "trigger": [path, arguments]}`` and gives ``{"id": 1, "event": ...}`` for each of its events, or
``{"id": 1, "error": ...}``. ``{"cancel": 1}`` ends an endless one. To ``{"inspect": true}`` it answers which tasks are
on the loop besides itself.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from importlib import import_module
from typing import Any

from tests.soak import clock
from tests.soak.channel import Reports, orders


async def serve(reports: Reports, simulated: clock.Clock) -> None:
    """Do what is asked, until nothing more can come."""
    loop = asyncio.get_running_loop()
    inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def read() -> None:
        for order in orders():
            loop.call_soon_threadsafe(inbox.put_nowait, order)
        loop.call_soon_threadsafe(inbox.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    reports.send({"ready": True})
    running: dict[int, asyncio.Task[None]] = {}
    while (order := await inbox.get()) is not None:
        if "begin" in order:
            simulated.begin(order["begin"])
        elif "trigger" in order:
            number = order["id"]
            running[number] = loop.create_task(_follow(number, order["trigger"], reports))
            running[number].add_done_callback(lambda _, done=number: running.pop(done))  # type: ignore[misc]
        elif "cancel" in order and order["cancel"] in running:
            running[order["cancel"]].cancel()
        elif "inspect" in order:
            gc.collect()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            reports.send({"tasks": [str(task.get_coro()) for task in others]})


async def _follow(number: int, serialized: tuple[str, dict[str, Any]], reports: Reports) -> None:
    path, arguments = serialized
    module, _, name = path.rpartition(".")
    trigger = getattr(import_module(module), name)(**arguments)
    try:
        async for event in trigger.run():
            reports.send({"id": number, "event": event.payload})
    except Exception as error:  # noqa: BLE001 - as a triggerer does, which fails the task and lives on
        reports.send({"id": number, "error": repr(error)})


def main() -> None:
    """Serve in simulated time."""
    simulated = clock.Clock.of_arguments(sys.argv[1:])
    reports = Reports()
    clock.install(simulated)
    # As a triggerer, which has seen a DAG of ours before.
    import_module("airflow_provider_trackunit.triggers")
    with asyncio.Runner(loop_factory=lambda: clock.new_loop(simulated)) as runner:
        runner.run(serve(reports, simulated))


if __name__ == "__main__":
    main()
