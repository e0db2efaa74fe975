"""What has to be true at the end of the day, each with its number."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.emulator.machines import identity
from tests.soak import faults
from tests.soak.day import (
    BEGIN,
    DAGS,
    EVENT_STEP_S,
    HALF_S,
    HOUR_S,
    POLL_INTERVALS_S,
    SENSORS,
    moment,
)
from tests.soak.gauges import Sample, Span
from tests.soak.records import Difference, Log, Tokens, names_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.day import Day
    from tests.soak.scheduler import Run

# A pool of connections breathes with the requests that are under way.
_MORE_DESCRIPTORS = 8
# What a heap may gain by being cut into pieces. A leak of half a MiB an hour is more than that between the two hours.
_MORE_MIB = 4.0
_EVENT_CALLS = 2
# What the watcher may be behind at the end of the day: a poll every half hour, and two that a limit put off.
_MOST_BEHIND_S = 3 * HALF_S
# Two requests of a minute each, and the longest wait between them.
_LONGEST_TRY_S = 240.0


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table.

    :param holds: None for a line that only tells
    """

    name: str
    figure: str
    bound: str
    holds: bool | None


@dataclass(frozen=True)
class Evidence:
    """All that is known when the day is over.

    :param samples: of the worker and of the triggerer
    :param open_tasks: what was left on the loop of the triggerer; None when it did not say
    :param spoiled: the share of requests that was to be spoiled
    :param logged_all: whether the emulator's log holds every request
    """

    day: Day
    runs: list[Run]
    log: Log
    samples: dict[str, list[Sample]]
    open_tasks: list[str] | None
    spoiled: float
    logged_all: bool

    def of(self, dag_id: str) -> list[Run]:
        """Return the runs of one DAG."""
        return [run for run in self.runs if run.dag_id == dag_id]

    def sensors(self) -> list[Run]:
        """Return the runs of all sensors."""
        return [run for run in self.runs if run.dag_id in self.day.batch_of]


def table(evidence: Evidence) -> list[Check]:
    """Return all checks."""
    return [
        *_faults(evidence),
        *_tasks(evidence),
        *_records(evidence),
        *_sensors(evidence),
        *_limits(evidence),
        *_tokens(evidence),
        *_held(evidence),
    ]


def _faults(evidence: Evidence) -> Iterator[Check]:
    found = evidence.log.faults()
    asked, spoiled = len(evidence.log.requests), sum(found.values())
    share = spoiled / asked
    figure = f"{asked} requests, {spoiled} spoiled ({share:.2%})"
    yield Check(
        "faults",
        figure,
        f"within a third of {evidence.spoiled:.1%}; the log is whole",
        evidence.logged_all and abs(share - evidence.spoiled) <= evidence.spoiled / 3,
    )
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(found.items()))
    yield Check("kinds of faults", kinds, f"all {len(faults.KINDS)}", set(found) == faults.KINDS)


def _tasks(evidence: Evidence) -> Iterator[Check]:
    states = Counter(run.state for run in evidence.runs)
    retried = sum(run.tries - 1 for run in evidence.runs)
    deferrals = sum(run.deferrals for run in evidence.runs if run.dag_id not in evidence.day.batch_of)
    figure = f"{dict(states)}, {retried} tries again, {deferrals} deferrals of operators"
    yield Check("runs", figure, "all succeed", set(states) == {"success"})


def _records(evidence: Evidence) -> Iterator[Check]:
    day = evidence.day
    for dag_id, name_of in (("assets", lambda record: record["id"]), ("fleet", _metadata_id)):
        snapshots = [run for run in evidence.of(dag_id) if run.state == "success"]
        difference = Difference()
        for run in snapshots:
            difference.add(names_in(day.folder(run), name_of), day.expected[run.task["run_id"]])
        yield Check(
            f"snapshots: {dag_id}", f"{len(snapshots)} with {difference}", "none", difference.is_none()
        )
    yield _fan_outs(evidence)
    yield _events(evidence)
    yield _watched(day)


def _metadata_id(record: dict[str, Any]) -> str:
    name: str = record["metadata"]["assetId"]
    return name


def _fan_outs(evidence: Evidence) -> Check:
    runs = [run for run in evidence.of("machines") if run.state == "success"]
    difference = Difference()
    for run in runs:
        found = names_in(evidence.day.folder(run), lambda record: record["_request"]["pin"])
        difference.add(found, set(evidence.day.pins))
    return Check("fan-outs", f"{len(runs)} with {difference}", "none", difference.is_none())


def _events(evidence: Evidence) -> Check:
    runs = [run for run in evidence.of("events") if run.state == "success"]
    found = Counter(str(event["id"]) for run in runs for event in run.result)
    numbers = _events_between(1, evidence.day.events_from_s - 1)
    difference = Difference()
    difference.add(found, {identity.scattered_uuid(evidence.day.seed, number, "event") for number in numbers})
    return Check("events", f"{len(runs)} periods with {difference}", "none", difference.is_none())


def _watched(day: Day) -> Check:
    """Check the counts of the watcher, each with the events of its own period; an end belongs to the period before."""
    wrong, begin, total = 0, moment(0), 0
    for fired in day.watched:
        wanted = len(_events_between(_second_of(fired["records_from"]) + 1, _second_of(fired["watermark"])))
        joins = fired["records_from"] == begin or begin == moment(0)
        wrong += fired["count"] != wanted or not joins
        total += fired["count"]
        begin = fired["watermark"]
    behind_s = max(0.0, day.ends_s - _second_of(begin))
    figure = (
        f"{total} events in {len(day.watched)} firings, {wrong} with a wrong count or a gap; "
        f"the last {behind_s:.0f} s before the end"
    )
    holds = wrong == 0 and bool(day.watched) and behind_s <= _MOST_BEHIND_S
    return Check("watcher", figure, f"0, {_MOST_BEHIND_S:.0f} s", holds)


def _events_between(first_s: int, last_s: int) -> range:
    """Return the numbers of the events of a period, given in seconds of the day; both ends belong to it."""
    begin = int(BEGIN.timestamp())
    return range(-(-(begin + first_s) // EVENT_STEP_S), (begin + last_s) // EVENT_STEP_S + 1)


def _second_of(text: str) -> int:
    return int(type(BEGIN).fromisoformat(text).timestamp() - BEGIN.timestamp())


def _sensors(evidence: Evidence) -> Iterator[Check]:
    day, sensors = evidence.day, evidence.sensors()
    ended = [run for run in sensors if run.state == "success"]
    early = [run for run in ended if (run.ended_s or 0) < day.delivered_s[day.batch_of[run.dag_id]]]
    waits = max(_waiting(sensors, hour * HOUR_S + HALF_S) for hour in range(int(day.ends_s // HOUR_S)))
    figure = (
        f"{len(sensors)} began, {len(ended)} found their machine, {len(early)} too early; {waits} at once"
    )
    yield Check(
        "sensors",
        figure,
        f"all, 0 too early, {SENSORS} at once",
        len(ended) == len(sensors) and not early and waits == SENSORS,
    )
    late = sorted((run.ended_s or 0) - day.delivered_s[day.batch_of[run.dag_id]] for run in ended) or [0.0]
    yield Check(
        "found after",
        f"{late[len(late) // 2]:.0f} s in the middle, {late[-1]:.0f} s at the most",
        f"polls are {POLL_INTERVALS_S[0]} to {POLL_INTERVALS_S[-1]} s apart",
        None,
    )
    polls = [(run, request) for run in ended for request in evidence.log.of(run.dag_id)]
    after = [request for run, request in polls if request["at"] > (run.ended_s or 0)]
    yield Check("requests of a sensor after its end", f"{len(after)} of {len(polls)}", "0", not after)
    tasks = evidence.open_tasks
    yield Check(
        "tasks left on the loop",
        "not told" if tasks is None else f"{len(tasks)} {' '.join(tasks)}"[:60],
        "0",
        tasks == [],
    )


def _waiting(sensors: list[Run], at_s: float) -> int:
    return sum(run.began_s <= at_s and (run.ended_s is None or run.ended_s > at_s) for run in sensors)


def _limits(evidence: Evidence) -> Iterator[Check]:
    log = evidence.log
    refused = log.refused()
    ordered = log.faults()["rate_limit"]
    foreseeable = [one for one in refused if _foreseeable(one, log)]
    yield Check(
        "refused by a limit (429)",
        f"{len(refused)} (and {ordered} by a fault)",
        "0 that the process which asked could have foreseen",
        not foreseeable,
    )


def _foreseeable(refused: dict[str, Any], log: Log) -> bool:
    """Return whether the process that was refused had used up the limit itself, with calls that it knows of.

    What the run before asked half an hour ago is known to IRIS alone, and only the two calls in half an hour of the
    events leave room for that. The watcher is one process all day long; a task is a new one with every try.
    """
    if "asset-event" not in refused["path"]:
        return True
    agent = refused["headers"]["user-agent"]
    known_s = HALF_S if agent == "soak watcher" else _LONGEST_TRY_S
    own = [one for one in log.by_agent[agent] if refused["at"] - known_s < one["at"] < refused["at"]]
    return len(own) >= _EVENT_CALLS


def _tokens(evidence: Evidence) -> Iterator[Check]:
    log = evidence.log
    polls: list[dict[str, Any]] = []
    of_tasks = [one for dag_id in DAGS for one in log.of(dag_id)]
    for run in evidence.sensors():
        for request in log.of(run.dag_id):
            deferred = run.deferred_s is not None and request["at"] > run.deferred_s
            (polls if deferred else of_tasks).append(request)
    needed = 0
    for name, requests in {"all polls of the sensors": polls, "the watcher": log.of("watcher")}.items():
        tokens = Tokens.of(requests)
        needed += tokens.allowed()
        figure = f"{tokens.used} for {len(requests)} requests, {tokens.revoked} times revoked"
        yield Check(
            f"tokens of {name}", figure, f"at most {tokens.allowed()}", tokens.used <= tokens.allowed()
        )
    tokens = Tokens.of(of_tasks)
    executions = sum(run.executions for run in evidence.runs)
    needed += executions + tokens.revoked
    figure = f"{tokens.used} for {executions} processes, {tokens.revoked} times revoked"
    bound = executions + tokens.revoked
    yield Check("tokens of the tasks", figure, f"at most {bound}", tokens.used <= bound)
    answered, lost = log.token_answers(), log.token_answers_lost()
    yield Check(
        "token requests",
        f"{answered} answered, and {lost} answers spoiled",
        f"at most {needed} answered",
        answered <= needed,
    )


def _held(evidence: Evidence) -> Iterator[Check]:
    # The first hour is spent on warming up; in the last half hour no sensor takes the place of one that ends. A day
    # that is too short for two such hours tells nothing.
    last_s = max(0.0, evidence.day.ends_s - HOUR_S - HALF_S)
    first_s = min(HOUR_S, last_s)
    for name, samples in evidence.samples.items():
        for gauge, value, more in (
            ("descriptors", lambda one: one.descriptors, _MORE_DESCRIPTORS),
            ("threads", lambda one: one.threads, 0),
            ("memory in MiB", lambda one: one.resident_mib, _MORE_MIB),
        ):
            first, last = (Span.of(samples, begin_s, value) for begin_s in (first_s, last_s))
            yield Check(
                f"{name}: {gauge}",
                f"{first} in hour {first_s / HOUR_S + 1:.3g}, {last} in hour {last_s / HOUR_S + 1:.3g}",
                f"the median grows by {more:.0f} at the most",
                None if first_s == last_s else last.median <= first.median + more,
            )
