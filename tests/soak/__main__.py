"""``make soak``: twelve hours of a day's schedule in minutes, under faults, with tokens that last twenty minutes.

An emulator, a worker and a triggerer, each a process of its own, live in the same simulated time, ninety times as
fast as the real one. The worker runs the real operators and sensors of the installed Airflow, the triggerer the
real triggers on one event loop, each made anew from what a database would hold. In the place of Airflow's own
scheduler stands a small one that does the same with times, tries, retry policies and deferrals: the real one
takes a second or two for each of some four thousand task instances, on SQLite and two cores more than the ten
minutes that there are, and its heartbeats do not survive a clock that runs ninety times as fast. A real scheduler
and triggerer are in ``make system``.

At ninety times the pace the limits per second are never reached, whatever the provider does. The soak is about those of
a quarter and of half an hour; the others are measured in real time (``tests/iris``, ``make e2e-celery``).

A seed draws the data, what the sensors wait for and how long, and the faults. Those are drawn request by request: which
one is spoiled depends on which comes first, so two runs of a seed are alike and not the same.

A table shows what was found. The end is 1 when a line of it does not hold.
"""

from __future__ import annotations

import argparse
import os
import secrets
import tempfile
import time
import urllib.request
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from airflow_provider_trackunit.emulator import IrisEmulator
from dev.airflow_home import AirflowHome, interrupt_once
from tests.soak import faults
from tests.soak.channel import Program
from tests.soak.checks import Check, Evidence, table
from tests.soak.clock import Clock
from tests.soak.day import ASSETS, BEGIN, EVENT_STEP_S, HOUR_S, KEY_CONNECTION, TOKEN_S, Day
from tests.soak.gauges import Sample
from tests.soak.records import Log
from tests.soak.scheduler import Scheduler, SoakError

_SAMPLE_EVERY_S = 120.0
# For the last sensors, and for a run of the events that has to wait twice.
GRACE_S = 1.5 * HOUR_S


class Soak:
    """One day from its beginning to its table."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._samples: dict[str, list[Sample]] = {"worker": [], "triggerer": []}
        self._programs: dict[str, Program] = {}
        self._scheduler = Scheduler(Clock(options.factor, BEGIN.timestamp()))

    def run(self) -> list[Check]:
        """Return what was found."""
        with IrisEmulator.start(assets=ASSETS, seed=self._options.seed, process=True) as iris:
            iris.settings(
                event_step_s=EVENT_STEP_S,
                token_lifetime_s=TOKEN_S,
                key_token_lifetime_s=TOKEN_S,
                # The emulator would name real seconds. That IRIS names none is what is documented.
                retry_after="none",
            )
            iris.scale_time(self._options.factor)
            try:
                self._start(iris)
                return self._day(iris)
            except SoakError as error:
                raise SoakError(f"{error}\n{self._last_words()}") from None
            finally:
                for program in self._programs.values():
                    program.stop()

    def _start(self, iris: IrisEmulator) -> None:
        """Start the two processes, and with them the day."""
        key = iris.connection_json("client_credentials")
        home = AirflowHome(self._folder / "home")
        environment = home.environment(
            iris.connection_json(),
            **{f"AIRFLOW_CONN_{KEY_CONNECTION.upper()}": key},
            # Else the heap grows by what lies waste in a pool for each of many short threads, and hides a leak.
            MALLOC_ARENA_MAX="1",
        )
        scheduler = self._scheduler
        for name in self._samples:
            self._programs[name] = Program(
                f"soak.{name}",
                scheduler.clock.arguments(),
                environment,
                self._folder / f"{name}.log",
                partial(_put, scheduler, name),
            )
        scheduler.begin(self._programs["worker"], self._programs["triggerer"])

    def _day(self, iris: IrisEmulator) -> list[Check]:
        scheduler, options = self._scheduler, self._options
        day = Day(scheduler, iris, options.hours, options.seed, self._folder / "output")
        ahead_s = _ahead_s(iris, scheduler.clock)
        watcher = day.watch()
        day.plan()
        faults.order(iris, options.faults, options.factor)
        self._sample()
        scheduler.at(day.ends_s, partial(_say, "The day is over; what is under way comes to its end."))
        for hour in range(1, int(options.hours)):
            scheduler.at(hour * HOUR_S, partial(self._tell, hour))
        ended = scheduler.run_until(
            lambda: scheduler.clock.now_s() > day.ends_s and scheduler.is_idle(), day.ends_s + GRACE_S
        )
        if not ended:
            _say("Some runs did not end in time.")
        scheduler.cancel(watcher)
        # What its end leaves behind has a minute to go.
        scheduler.run_until(lambda: False, scheduler.clock.now_s() + 60)
        scheduler.inspect()
        scheduler.run_until(lambda: scheduler.open_tasks is not None, scheduler.clock.now_s() + 600)
        requests = iris.requests()
        return table(
            Evidence(
                day=day,
                runs=scheduler.runs,
                log=Log.read(requests, ahead_s),
                samples=self._samples,
                open_tasks=scheduler.open_tasks,
                spoiled=options.faults,
                logged_all=len(requests) == iris.stats()["requests"],
            )
        )

    def unsuccessful(self) -> str:
        """Return the errors of the runs that did not succeed, a line for each try."""
        return "\n".join(
            f"{run.task.get('run_id', run.dag_id)} {run.state}: {error}"
            for run in self._scheduler.runs
            if run.state != "success"
            for error in run.errors or ["no error"]
        )

    def _sample(self) -> None:
        now_s = self._scheduler.clock.now_s()
        for name, samples in self._samples.items():
            samples.append(Sample.of(self._programs[name].pid, now_s))
        self._scheduler.at(now_s + _SAMPLE_EVERY_S, self._sample)

    def _tell(self, hour: int) -> None:
        runs = self._scheduler.runs
        over = sum(run.ended_s is not None for run in runs)
        _say(f"{hour} h: {over} of {len(runs)} runs are over; load {os.getloadavg()[0]:.1f}")

    def _last_words(self) -> str:
        return "\n".join(f"--- {name}\n{one.last_words()}" for name, one in self._programs.items())


def main() -> None:
    """Soak, and print what was found.

    :raises SystemExit: with 1 when something does not hold
    """
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=12.0, help="how long the day is (default: 12)")
    parser.add_argument(
        "--factor", type=float, default=90.0, help="simulated seconds in a real one (default: 90)"
    )
    parser.add_argument(
        "--faults", type=float, default=0.019, help="share of spoiled requests (default: 0.019)"
    )
    parser.add_argument("--seed", type=int, default=None, help="of a former run; without it, a new one")
    parser.add_argument(
        "--keep", type=Path, default=None, help="a folder for output and logs, which stay there"
    )
    options = parser.parse_args()
    if options.hours < 1:
        parser.error("--hours: at least 1")
    if options.seed is None:
        options.seed = secrets.randbelow(10**6)
    interrupt_once()
    begun = time.monotonic()
    _say(
        f"Airflow {version('apache-airflow')}: {options.hours:g} h at {options.factor:g} times the pace, "
        f"{options.faults:.1%} faults, seed {options.seed}"
    )
    with tempfile.TemporaryDirectory(prefix="airflow-soak-", ignore_cleanup_errors=True) as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            soak = Soak(options, folder)
            checks = soak.run()
        except SoakError as error:
            raise SystemExit(f"The soak broke: {error}") from None
        except KeyboardInterrupt:
            raise SystemExit("Stopped.") from None
    print(_text_of(checks), soak.unsuccessful(), sep="\n")
    broken = [check.name for check in checks if check.holds is False]
    _say(
        f"seed {options.seed}: {'FAILED: ' + ', '.join(broken) if broken else 'all hold'} "
        f"after {time.monotonic() - begun:.0f} s; load {os.getloadavg()[0]:.1f}"
    )
    if broken:
        raise SystemExit(1)


def _put(scheduler: Scheduler, name: str, message: dict[str, Any] | None) -> None:
    scheduler.inbox.put((name, message))


def _ahead_s(iris: IrisEmulator, clock: Clock) -> float:
    """Return how far the emulator's clock is ahead of the day, from a request that nobody else makes."""
    path = "/soak"
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(iris.url + path, timeout=30).close()
    now_s = clock.now_s()
    at_s: float = iris.requests(path)[0]["at"]
    return at_s - now_s


def _text_of(checks: list[Check]) -> str:
    marks = {True: "holds", False: "BROKEN", None: ""}
    rows = [
        ("", "found", "bound", ""),
        *((one.name, one.figure, one.bound, marks[one.holds]) for one in checks),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3])).rstrip()
        for row in rows
    )


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


if __name__ == "__main__":
    main()
