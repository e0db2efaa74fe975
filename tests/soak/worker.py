"""The worker: runs tries of tasks with the provider's real operators and sensors, several at a time, in one process.

Airflow gives every try a process of its own, which takes with it whatever a try forgets to give back. Here all
of them share one, so that what is forgotten adds up and is seen.

Takes a try, ``{"id": 1, "task": {...}, "method": "execute", "event": None, "try": 1}``, and gives how it ended:
``{"id": 1, "outcome": "success", "result": ...}``, or ``deferred`` with the trigger as the database would hold it,
``retry`` with the seconds until the next try, or ``failed``. What follows an error is decided as Airflow decides it.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.soak import clock
from tests.soak.channel import Reports, orders

if TYPE_CHECKING:
    from airflow_provider_trackunit._compat import BaseOperator

SLOTS = 8


class Worker:
    """Runs tries; made in simulated time, because it imports the provider."""

    def __init__(self, reports: Reports) -> None:
        from airflow_provider_trackunit import _compat
        from airflow_provider_trackunit.operators import IrisApiOperator
        from airflow_provider_trackunit.sensors import IrisSensor
        from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

        self._airflow = _compat
        self._kinds: dict[str, Any] = {
            "call": IrisApiOperator,
            "sensor": IrisSensor,
            "transfer": IrisToObjectStorageOperator,
        }
        self._reports = reports

    def attempt(self, order: dict[str, Any]) -> None:
        """Run one try, and say how it ended."""
        task = order["task"]
        operator = self._operator(task)
        instance = SimpleNamespace(
            dag_id=task["dag_id"], task_id=operator.task_id, run_id=task["run_id"], map_index=-1
        )
        context: Any = {"ti": instance}
        given = {} if order["method"] == "execute" else {"event": order["event"]}
        try:
            result = getattr(operator, order["method"])(context, **given)
            end = {"outcome": "success", "result": result}
        except self._airflow.TaskDeferred as deferred:
            end = {
                "outcome": "deferred",
                "trigger": deferred.trigger.serialize(),
                "method": deferred.method_name,
            }
        except Exception as error:  # noqa: BLE001 - as Airflow's task runner
            end = {**self._verdict(operator, error, order["try"], context), "error": repr(error)}
        self._forget_secrets()
        self._reports.send({"id": order["id"], **end})
        del operator
        # A task is a knot of references to itself: what nobody else holds is given back now, as when its process ends.
        gc.collect()

    def _operator(self, task: dict[str, Any]) -> BaseOperator:
        operator: BaseOperator = self._kinds[task["kind"]](
            task_id=task["task_id"],
            retries=task["retries"],
            retry_delay=timedelta(seconds=task["retry_delay_s"]),
            **task["arguments"],
        )
        return operator

    def _verdict(
        self, operator: BaseOperator, error: Exception, try_number: int, context: Any
    ) -> dict[str, Any]:
        """Return what Airflow does about an error: a retry policy (3.3) is asked first, unless the error is final."""
        retries = operator.retries or 0
        final = isinstance(error, self._airflow.AirflowFailException | self._airflow.AirflowSensorTimeout)
        if final or try_number > retries:
            return {"outcome": "failed"}
        wait = operator.retry_delay
        if self._airflow.AIRFLOW_VERSION >= (3, 3) and operator.retry_policy is not None:
            decision = operator.retry_policy.evaluate(error, try_number, retries + 1, context)
            if decision.action.value == "fail":
                return {"outcome": "failed"}
            wait = decision.retry_delay or wait
        return {"outcome": "retry", "wait_s": wait.total_seconds()}

    def _forget_secrets(self) -> None:
        """Empty Airflow's masker, which ends with the process of a try: thousands of tokens make it slow."""
        masker = sys.modules[self._airflow.mask_secret.__module__]._secrets_masker()
        masker.patterns = set()
        masker.replacer = None


def _allow_operators() -> None:
    """Let operators run in this thread: Airflow 2 notes who calls them, and knows the main thread alone."""
    from airflow_provider_trackunit._compat import BaseOperator

    safeguard = getattr(sys.modules[BaseOperator.__module__], "ExecutorSafeguard", None)
    callers = getattr(safeguard, "_sentinel", None)
    if callers is not None:
        callers.callers = {}


def _refuse_broken(attempt: Future[None]) -> None:
    """End the process when the soak itself is wrong; nobody would wait for the try for ever."""
    error = attempt.exception()
    if error is not None:
        traceback.print_exception(error)
        os._exit(1)


def main() -> None:
    """Serve in simulated time."""
    simulated = clock.Clock.of_arguments(sys.argv[1:])
    reports = Reports()
    clock.install(simulated)
    worker = Worker(reports)
    # Airflow's own heap need not be looked through after every try.
    gc.freeze()
    reports.send({"ready": True})
    with ThreadPoolExecutor(SLOTS, initializer=_allow_operators) as slots:
        for order in orders():
            if "begin" in order:
                simulated.begin(order["begin"])
                continue
            slots.submit(worker.attempt, order).add_done_callback(_refuse_broken)


if __name__ == "__main__":
    main()
