"""What Airflow's scheduler does, as far as a day needs it: times, tries, deferrals, one active run of a DAG at a time.

It lives in real time and asks a :class:`~.clock.Clock` what that is in the simulation. Tries run in the worker,
triggers in the triggerer; both are processes of their own.
"""

from __future__ import annotations

import heapq
import itertools
import queue
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.soak.channel import Program
    from tests.soak.clock import Clock


class SoakError(Exception):
    """The soak itself broke; it says nothing about the provider."""


@dataclass
class Run:
    """One run of a DAG of one task.

    :param make: gives what the worker needs, when the run begins
    :param ended: called when it is over
    """

    dag_id: str
    make: Callable[[], dict[str, Any]]
    ended: Callable[[Run], None] = lambda _run: None
    task: dict[str, Any] = field(default_factory=dict)
    state: str = "queued"
    result: Any = None
    tries: int = 1
    executions: int = 0  # that ask IRIS something
    deferrals: int = 0
    errors: list[str] = field(default_factory=list)
    began_s: float = 0.0
    deferred_s: float | None = None
    ended_s: float | None = None
    method: str = "execute"


class Scheduler:
    """Runs runs.

    :param clock: of the simulation
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.runs: list[Run] = []
        self.inbox: queue.SimpleQueue[tuple[str, dict[str, Any] | None]] = queue.SimpleQueue()
        self.open_tasks: list[str] | None = None
        self._worker: Program
        self._triggerer: Program
        self._numbers = itertools.count(1)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._under_way: dict[int, Run] = {}
        self._watchers: dict[int, Callable[[Any], None]] = {}
        self._active: set[str] = set()
        self._queued: dict[str, deque[Run]] = defaultdict(deque)
        self._ready = 0

    def begin(self, worker: Program, triggerer: Program) -> None:
        """Take over the two processes, and let the day begin when they are there."""
        self._worker, self._triggerer = worker, triggerer
        while self._ready < 2:
            self._take(*self.inbox.get())
        origin_s = self.clock.begin()
        for program in (worker, triggerer):
            program.send({"begin": origin_s})

    def at(self, at_s: float, action: Callable[[], None]) -> None:
        """Do something at a simulated moment."""
        heapq.heappush(self._due, (at_s, next(self._numbers), action))

    def start(self, run: Run) -> None:
        """Start a run as soon as no other of its DAG is active."""
        self.runs.append(run)
        self._queued[run.dag_id].append(run)
        self._next_of(run.dag_id)

    def watch(self, trigger: tuple[str, dict[str, Any]], fired: Callable[[Any], None]) -> int:
        """Run an endless trigger, and return its number."""
        number = next(self._numbers)
        self._watchers[number] = fired
        self._triggerer.send({"id": number, "trigger": trigger})
        return number

    def cancel(self, number: int) -> None:
        """End an endless trigger."""
        self._triggerer.send({"cancel": number})

    def inspect(self) -> None:
        """Ask the triggerer what is open on its loop; the answer comes to ``open_tasks``."""
        self._triggerer.send({"inspect": True})

    def is_idle(self, *dag_ids: str) -> bool:
        """Return whether no run of these DAGs is active; without any, of no DAG."""
        return not (self._active & set(dag_ids) if dag_ids else self._active)

    def run_until(self, done: Callable[[], bool], latest_s: float) -> bool:
        """Do what is due until something is so; return whether it was before ``latest_s``."""
        while not done():
            now_s = self.clock.now_s()
            if now_s > latest_s:
                return False
            while self._due and self._due[0][0] <= now_s:
                heapq.heappop(self._due)[2]()
            next_s = min(self._due[0][0] if self._due else latest_s, latest_s, now_s + 60)
            try:
                self._take(*self.inbox.get(timeout=max(0.0, (next_s - now_s) / self.clock.factor)))
            except queue.Empty:
                continue
        return True

    def _next_of(self, dag_id: str) -> None:
        if dag_id not in self._active and self._queued[dag_id]:
            run = self._queued[dag_id].popleft()
            self._active.add(dag_id)
            run.task = run.make()
            run.began_s = self.clock.now_s()
            run.state = "running"
            self._execute(run, None)

    def _execute(self, run: Run, event: Any) -> None:
        # What a trigger found is only handed on.
        run.executions += run.method != "execute_complete"
        number = next(self._numbers)
        self._under_way[number] = run
        order = {"id": number, "task": run.task, "method": run.method, "event": event, "try": run.tries}
        self._worker.send(order)

    def _take(self, name: str, message: dict[str, Any] | None) -> None:
        if message is None:
            raise SoakError(f"the {name} ended")
        if "ready" in message:
            self._ready += 1
        elif "tasks" in message:
            self.open_tasks = message["tasks"]
        elif message["id"] in self._watchers:
            self._of_watcher(message)
        elif "outcome" in message:
            self._of_worker(self._under_way.pop(message["id"]), message)
        else:
            self._of_triggerer(self._under_way.pop(message["id"]), message)

    def _of_watcher(self, message: dict[str, Any]) -> None:
        if "error" in message:
            raise SoakError(f"the watcher ended: {message['error']}")
        self._watchers[message["id"]](message["event"])

    def _of_worker(self, run: Run, message: dict[str, Any]) -> None:
        if "error" in message:
            run.errors.append(message["error"])
        if message["outcome"] == "deferred":
            self._defer(run, message)
        elif message["outcome"] == "retry":
            self._retry(run, message["wait_s"])
        else:
            self._end(run, message["outcome"], message.get("result"))

    def _of_triggerer(self, run: Run, message: dict[str, Any]) -> None:
        if "error" in message:
            run.errors.append(message["error"])
            self._end(run, "failed", None)
        else:
            self._execute(run, message["event"])

    def _defer(self, run: Run, message: dict[str, Any]) -> None:
        run.deferrals += 1
        run.deferred_s = self.clock.now_s()
        run.method = message["method"]
        number = next(self._numbers)
        self._under_way[number] = run
        self._triggerer.send({"id": number, "trigger": message["trigger"]})

    def _retry(self, run: Run, wait_s: float) -> None:
        run.tries += 1
        run.method = "execute"
        self.at(self.clock.now_s() + wait_s, lambda: self._execute(run, None))

    def _end(self, run: Run, state: str, result: Any) -> None:
        run.state, run.result, run.ended_s = state, result, self.clock.now_s()
        self._active.discard(run.dag_id)
        run.ended(run)
        self._next_of(run.dag_id)
