"""The day: what runs when, what everybody waits for, and how the fleet grows meanwhile.

Every hour a snapshot of all assets and one of the AEMP feed, and the latest values of each of 250 machines; every
half hour the events since the last time; all day long 500 sensors, each waiting for a machine that is delivered hours
later. A watcher follows the events with an API key of its own.
"""

from __future__ import annotations

import datetime as dt
import random
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.emulator.machines import identity
from airflow_provider_trackunit.emulator.machines.fleet import ALL_ASSETS, ON_AEMP, Fleet
from tests.soak.scheduler import Run

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator
    from tests.soak.scheduler import Scheduler

HOUR_S = 3600.0
HALF_S = 1800.0
ASSETS = 2000
DELIVERED_AT_ONCE = 5
MACHINES = 250
SENSORS = 500
#: What IRIS says a token lasts; the documented lifetime of an API key's.
TOKEN_S = 1200
#: Seconds from event to event: 600 in half an hour, so that one page holds twice the time.
EVENT_STEP_S = 3
POLL_INTERVALS_S = (600, 900, 1200)
#: When the emulator's data end, and the day begins.
BEGIN = dt.datetime(2026, 1, 15, 6, tzinfo=dt.UTC)

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
EVENTS = "/public/api/eventlog/v3/asset-event/log"
SNAPSHOTS = ("assets", "fleet")
#: All but those of the sensors, which have a number.
DAGS = (*SNAPSHOTS, "machines", "events")
KEY_CONNECTION = "trackunit_key"


def moment(day_s: float) -> str:
    """Return a moment of the day as IRIS writes it."""
    return (BEGIN + dt.timedelta(seconds=int(day_s))).strftime("%Y-%m-%dT%H:%M:%SZ")


def identifier(dag_id: str) -> dict[str, str]:
    """Return the header by which the emulator's log tells whose request it was."""
    return {"User-Agent": f"soak {dag_id}"}


class Day:
    """Puts a day into a scheduler.

    :param hours: how long it is
    :param seed: of the emulator's data, and of what the sensors wait for and how long
    :param output: the folder for what the transfers write
    """

    def __init__(
        self, scheduler: Scheduler, iris: IrisEmulator, hours: float, seed: int, output: Path
    ) -> None:
        self.ends_s = hours * HOUR_S
        self.seed = seed
        #: What each snapshot has to hold, by its folder.
        self.expected: dict[str, set[str]] = {}
        #: When the machine that a sensor waits for was delivered, by batch.
        self.delivered_s: dict[int, float] = {}
        self.batch_of: dict[str, int] = {}
        #: What the watcher reported.
        self.watched: list[dict[str, Any]] = []
        #: The first second whose events the task has not asked for.
        self.events_from_s = 1
        self._scheduler = scheduler
        self._iris = iris
        self._output = output
        self._chance = random.Random(seed)  # noqa: S311 - no secret is drawn
        self._batches = int(self.ends_s // HALF_S)
        self._sensors = 0
        self._fleet = Fleet(ASSETS)
        self._hidden = list(range(ASSETS - self._batches * DELIVERED_AT_ONCE, ASSETS))
        self._fleet.hide(self._hidden)
        iris.fleet(hide=self._hidden)
        on_feed = self._fleet.indexes(0, ASSETS, ON_AEMP)
        names = identity.Names(self.seed)
        pins = [names.pin(index) for index in on_feed]
        self.pins = [pin for pin in pins if pin][:MACHINES]

    def plan(self) -> None:
        """Put everything into the scheduler."""
        at = self._scheduler.at
        for hour in range(round(self.ends_s / HOUR_S)):
            at(hour * HOUR_S, self._assets)
            at(hour * HOUR_S, self._aemp_fleet)
            # One of 250 requests often meets a long limit: it is waited for in the triggerer, and by a new try.
            at(hour * HOUR_S + 600, partial(self._machines, deferrable=hour % 2 == 0))
        for half in range(1, self._batches + 1):
            at(half * HALF_S, self._events)
            at(half * HALF_S - 300, self._deliver)
        for _ in range(SENSORS):
            at(self._chance.uniform(0, 900), self._sensor)

    def watch(self) -> int:
        """Let a watcher follow the events from now on, and return its number."""
        arguments = {
            "endpoint": EVENTS,
            "method": "POST",
            "json": {"fromTime": "{watermark}", "toTime": "{now}"},
            "headers": identifier("watcher"),
            "watermark": "timeOn",
            "start_from": moment(1),
            "trackunit_conn_id": KEY_CONNECTION,
            "poll_interval_s": HALF_S,
        }
        path = "airflow_provider_trackunit.triggers.IrisEventTrigger"
        return self._scheduler.watch((path, arguments), self.watched.append)

    def folder(self, run: Run) -> Path:
        """Return where a transfer writes."""
        return self._output / str(run.task["run_id"])

    def _start(self, dag_id: str, kind: str, retry_delay_s: float, **arguments: Any) -> None:
        self._scheduler.start(Run(dag_id, lambda: self._task(dag_id, kind, retry_delay_s, arguments)))

    def _task(
        self, dag_id: str, kind: str, retry_delay_s: float, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        run_id = f"{dag_id}-{self._scheduler.clock.now_s():.0f}"
        return {
            "dag_id": dag_id,
            "task_id": "task",
            "run_id": run_id,
            "kind": kind,
            "retries": 3,
            "retry_delay_s": retry_delay_s,
            "arguments": {"headers": identifier(dag_id), **arguments},
        }

    def _snapshot(self, dag_id: str, retry_delay_s: float, digits: tuple[int, ...], **arguments: Any) -> None:
        def make() -> dict[str, Any]:
            task = self._task(dag_id, "transfer", retry_delay_s, arguments)
            task["arguments"]["output_path"] = f"file://{self._output}/{task['run_id']}"
            self.expected[task["run_id"]] = {
                identity.asset_id(self.seed, index) for index in self._fleet.indexes(0, ASSETS, digits)
            }
            return task

        self._scheduler.start(Run(dag_id, make))

    def _assets(self) -> None:
        self._snapshot("assets", 300, ALL_ASSETS, endpoint="/api/asset/v2/assets", part_bytes=500_000)

    def _aemp_fleet(self) -> None:
        # The metadata hold the asset id, the one name of a machine that every one has, and no other.
        query = {"addMetadata": "true"}
        self._snapshot(
            "fleet",
            960,
            ON_AEMP,
            endpoint=f"{FLEET}/1",
            query_params=query,
            part_bytes=200_000,
            deferrable=True,
        )

    def _machines(self, *, deferrable: bool) -> None:
        def make() -> dict[str, Any]:
            items = [{"pin": pin} for pin in self.pins]
            task = self._task("machines", "transfer", 960, {"path_params": items, "deferrable": deferrable})
            task["arguments"] |= {
                "endpoint": f"{FLEET}/Equipment/ID/{{pin}}",
                "output_path": f"file://{self._output}/{task['run_id']}",
                "part_bytes": 50_000,
                "max_concurrency": 8,
            }
            return task

        self._scheduler.start(Run("machines", make))

    def _events(self) -> None:
        """Read the events since the newest that were read; what a failed run left is read by the next one."""

        def make() -> dict[str, Any]:
            until_s = int(self._scheduler.clock.now_s())
            window = {"fromTime": moment(self.events_from_s), "toTime": moment(until_s)}
            task = self._task("events", "call", 1860, {"endpoint": EVENTS, "method": "POST", "json": window})
            return {**task, "until_s": until_s}

        def ended(run: Run) -> None:
            if run.state == "success":
                # Both ends of a period belong to it.
                self.events_from_s = run.task["until_s"] + 1

        self._scheduler.start(Run("events", make, ended))

    def _sensor(self) -> None:
        """Let one wait for a machine of a later delivery; when it has it, let another begin."""
        now_s = self._scheduler.clock.now_s()
        if now_s >= self.ends_s - HALF_S:
            return
        self._sensors += 1
        dag_id = f"sensor-{self._sensors}"
        longest_s = min(8 * HOUR_S, self.ends_s - now_s)
        wanted_s = now_s + self._chance.uniform(HALF_S, max(HALF_S, longest_s))
        batch = min(self._batches, max(1 + int(now_s // HALF_S), round(wanted_s / HALF_S)))
        self.batch_of[dag_id] = batch
        arguments = self._wait_for(batch) | {
            "poke_interval": self._chance.choice(POLL_INTERVALS_S),
            "timeout": 24 * HOUR_S,
            "deferrable": True,
        }
        self._scheduler.start(
            Run(dag_id, lambda: self._task(dag_id, "sensor", 300, arguments), lambda _run: self._sensor())
        )

    def _wait_for(self, batch: int) -> dict[str, Any]:
        """Return one of three ways to ask: for the machine, for a value of it, or for the size of the fleet."""
        index = self._hidden[(batch - 1) * DELIVERED_AT_ONCE + self._chance.randrange(DELIVERED_AT_ONCE)]
        one = {"asset_id": identity.asset_id(self.seed, index)}
        by_id = {"endpoint": "/api/asset/v2/assets/{asset_id}", "path_params": one}
        size = ASSETS - len(self._hidden) + batch * DELIVERED_AT_ONCE
        ways: list[dict[str, Any]] = [
            by_id,
            {**by_id, "condition": "hidden == `false`"},
            {
                "endpoint": "/api/asset/v2/assets",
                "query_params": {"size": 1},
                "condition": f"totalElements >= `{size}`",
            },
        ]
        return self._chance.choice(ways)

    def _deliver(self) -> None:
        """Let machines appear; not while a snapshot is being taken, so that it is known what it has to hold."""
        if not self._scheduler.is_idle(*SNAPSHOTS):
            self._scheduler.at(self._scheduler.clock.now_s() + 30, self._deliver)
            return
        batch = len(self.delivered_s) + 1
        several = self._hidden[(batch - 1) * DELIVERED_AT_ONCE : batch * DELIVERED_AT_ONCE]
        self._fleet.show(several)
        self.delivered_s[batch] = self._scheduler.clock.now_s()
        self._iris.fleet(show=several)
