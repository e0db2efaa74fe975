"""Hooks in async tasks, whose connection Airflow gets through its supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.system.live import ASSETS, demand

if TYPE_CHECKING:
    from tests.system.live import Iris, LiveAirflow


def async_tasks(airflow: LiveAirflow, iris: Iris) -> str:
    """Run async tasks; the hook for a loop works, the other in threads after a first use in the task's own."""
    airflow.run("system_async")
    airflow.wait_until(lambda: airflow.is_over("system_async"), "the end of the async tasks", 240)
    states = airflow.states("system_async")
    demand(states == ["success"] * 3, f"the async tasks: {states}")
    for task_id in ("awaited", "by_threads"):
        total = airflow.result("system_async", "system", task_id)
        demand(total == ASSETS, f"{task_id}: {total} assets, and not {ASSETS}")
    said = str(airflow.result("system_async", "system", "first_in_a_thread"))
    demand(said == "works" or "IrisAsyncHook" in said, f"a first use in a thread says: {said}")
    return (
        f"{ASSETS} assets by IrisAsyncHook and by IrisHook in a thread; a first use in a thread: {said[:60]}"
    )
