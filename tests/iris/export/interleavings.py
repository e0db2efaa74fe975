"""Every order in which tries of exports can meet in one folder, as a graph of states.

A try is a function of what its store answered: it is run again from its beginning with the answers so far, until it
asks for more. So a state of the world is small (the files, the answers of each try, the hour), equal states are met
once, and all of them are visited. A try that is killed is one that is never chosen again.

``python -m tests.iris.export.interleavings`` visits all worlds of every meeting (``make places``; some minutes each).
"""

from __future__ import annotations

import json
import logging
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import (
    IrisCheckpointError,
    IrisError,
    IrisNotFoundError,
    IrisStorageError,
)
from airflow_provider_trackunit.iris.export.export import Export
from airflow_provider_trackunit.iris.export.formats.lines import PlainLines
from airflow_provider_trackunit.iris.export.manifest import Manifest, Run
from airflow_provider_trackunit.iris.export.request import ExportRequest
from airflow_provider_trackunit.iris.http.tokens import Credentials
from airflow_provider_trackunit.iris.pages.page import Page

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from airflow_provider_trackunit.iris.pages.walk import Errand

# What is refused here is refused thousands of times.
logging.getLogger("airflow_provider_trackunit").addHandler(logging.NullHandler())

MANIFEST = "_manifest.json"
NOT_OURS = {"notes.txt": b"mine", "part-00000-draft.jsonl": b"mine", "_manifest.json.unfinished": b"mine"}
DAY_S = 86_400.0
BEGINNING_S = 1_768_456_800.0

Files = tuple[tuple[str, bytes], ...]


class Operation(NamedTuple):
    """What a try asks of its store."""

    kind: str
    name: str = ""
    data: bytes = b""

    def on(self, files: dict[str, bytes]) -> Any:
        """Do it, and return what the store answers."""
        if self.kind == "names":
            return tuple(sorted(files))
        if self.kind == "read":
            return files.get(self.name)
        if self.kind == "write":
            files[self.name] = self.data
        else:
            files.pop(self.name, None)
        return None


class Answer(NamedTuple):
    """What the store answered, and the hour at which it did."""

    value: Any
    now_s: float
    failed: bool = False


class _Asks(BaseException):
    """A try has come to where no answer is there yet."""


class _AnsweringStore:
    label = "memory://folder"

    def __init__(self, answers: tuple[Answer, ...], now_s: float, *, silent: bool = False) -> None:
        self._answers = answers
        self._silent = silent
        self._given = 0
        self.now_s = now_s
        self.asks: Operation | None = None

    def names(self) -> list[str]:
        return list(self._answer(Operation("names")))

    def read(self, name: str) -> bytes | None:
        value: bytes | None = self._answer(Operation("read", name))
        return value

    def write(self, name: str, data: bytes) -> None:
        self._answer(Operation("write", name, data))

    def delete(self, name: str) -> None:
        self._answer(Operation("delete", name))

    def _answer(self, operation: Operation) -> Any:
        if self._silent and operation.name.startswith("_publishing"):
            return None
        if self._given == len(self._answers):
            self.asks = self.asks or operation
            raise _Asks
        answer = self._answers[self._given]
        self._given += 1
        self.now_s = answer.now_s
        if answer.failed:
            raise OSError("the store failed")
        return answer.value


class _Client:
    """Gives every item its one record, and knows nothing of an item that is called so."""

    credentials = Credentials("client", "secret", "user", "password")
    token_requests = 0

    def __init__(self) -> None:
        self.requests = 0

    def run_errand(self, errand: Errand, _cancelled: threading.Event) -> Page:
        self.requests += 1
        name = errand.call.path.rpartition("/")[2]
        if name.startswith("unknown"):
            raise IrisNotFoundError("no such item", status=404)
        return Page([msgspec.Raw(json.dumps({"id": name}).encode())], None)


@dataclass(frozen=True)
class Plan:
    """A try: who it is, when it begins, and what it asks for.

    :param silent: whether it announces nothing, as no try does
    """

    number: int
    run_id: str
    items: tuple[str, ...]
    starts_s: float = BEGINNING_S
    silent: bool = False

    @property
    def name(self) -> str:
        """What its files have in their names."""
        return f"{int(self.starts_s):08x}{self.number:08x}"

    def begin(self, store: _AnsweringStore) -> Manifest:
        """Do all of it."""
        calls = [make_call("https://iris.example.com", f"/api/things/{item}") for item in self.items]
        request = ExportRequest(
            "/api/things/{id}",
            "memory://folder",
            calls,
            items=[{"id": item} for item in self.items],
            run=Run("dag", "task", self.run_id),
            encoding=PlainLines(),
            part_bytes=1,  # every page is kept by itself
            max_concurrency=1,
            skip_refused=True,
        )
        export = Export(
            _Client(),  # type: ignore[arg-type]
            request,
            store,
            clock=lambda: 0.0,
            wall_clock=lambda: store.now_s,
            token_hex=lambda _: f"{self.number:08x}",
        )
        return export.run()

    @property
    def records(self) -> list[str]:
        """What its result has to hold."""
        return [item for item in self.items if not item.startswith("unknown")]


class Standing(NamedTuple):
    """How far a try is.

    :param asks: for what next
    :param ended: how, where it asks for nothing more
    """

    asks: Operation | None
    ended: str = ""


@dataclass(frozen=True)
class World:
    """Everything that decides what can happen from now on.

    :param answers: to each try
    :param late: writes that raised and have not landed yet
    :param failures: how many operations may still fail
    :param days: how many days may still pass
    """

    files: Files
    answers: tuple[tuple[Answer, ...], ...]
    now_s: float = BEGINNING_S
    late: tuple[Operation, ...] = ()
    failures: int = 0
    days: int = 0
    had_result: bool = False


@dataclass
class Explorer:
    """Visits the worlds that can come of a folder and some tries, and checks each.

    :param plans: the tries
    :param ends: how tries ended, where nothing more can happen
    :param happened: how often each kind of thing did
    """

    plans: tuple[Plan, ...]
    visited: set[World] = field(default_factory=set)
    ends: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    _folders: set[Files] = field(default_factory=set)
    _standings: dict[tuple[int, tuple[Answer, ...]], Standing] = field(default_factory=dict)

    def explore(self, world: World, most: int | None = None) -> None:
        """Visit all that can come of a world.

        :param most: so many worlds at the most, deep ones first
        """
        chance = random.Random(1)  # noqa: S311 (an order, no secret)
        todo: list[tuple[World, Any]] = [(world, None)]
        self.visited.add(world)
        while todo and (most is None or len(self.visited) < most):
            world, path = todo.pop()
            following = list(self._following(world))
            self.check(world, path, also_next=not following)
            if not following:
                self.ends.update(self.standing(*one).ended for one in enumerate(world.answers))
            chance.shuffle(following)
            for label, one in following:
                if one not in self.visited:
                    self.visited.add(one)
                    todo.append((one, (label, path)))

    def _following(self, world: World) -> Iterator[tuple[str, World]]:
        for number, plan in enumerate(self.plans):
            standing = self.standing(number, world.answers[number])
            if standing.asks is None:
                continue
            for label, following in self._outcomes(world, number, standing.asks):
                self.happened[label] += 1
                yield (
                    f"{plan.run_id}/{plan.number} {label} {standing.asks.kind} {standing.asks.name}",
                    following,
                )
        for place, operation in enumerate(world.late):
            left = world.late[:place] + world.late[place + 1 :]
            self.happened["lands late"] += 1
            yield f"lands late: {operation.name}", replace(_done(world, operation)[0], late=left)
        if world.days and not self._is_publishing(world):
            self.happened["a day passes"] += 1
            yield "a day passes", replace(world, now_s=world.now_s + DAY_S + 1, days=world.days - 1)

    def _is_publishing(self, world: World) -> bool:
        """Return whether the write of a manifest is under way: that it takes a day, the folder does not provide for."""
        asked = [self.standing(*one).asks for one in enumerate(world.answers)]
        return any(
            one is not None and (one.kind, one.name) == ("write", MANIFEST) for one in (*asked, *world.late)
        )

    def _outcomes(self, world: World, number: int, operation: Operation) -> Iterator[tuple[str, World]]:
        after, value = _done(world, operation)
        yield "does", _answered(after, number, Answer(value, world.now_s))
        if not world.failures:
            return
        failed = Answer(None, world.now_s, failed=True)
        less = replace(world, failures=world.failures - 1)
        yield "fails at", _answered(less, number, failed)
        if operation.kind in {"write", "delete"}:
            yield "does and fails at", _answered(replace(after, failures=less.failures), number, failed)
        if operation.kind == "write":
            late = tuple(sorted((*world.late, operation)))
            yield "fails, and later does", _answered(replace(less, late=late), number, failed)

    def standing(self, number: int, answers: tuple[Answer, ...]) -> Standing:
        """Return how far a try is that got these answers."""
        key = number, answers
        if key not in self._standings:
            self._standings[key] = _standing(self.plans[number], answers)
        return self._standings[key]

    def check(self, world: World, path: Any, *, also_next: bool) -> None:
        """Refuse a folder that is not as it was promised, and one that the next try cannot put in order."""
        wrong = wrong_with(dict(world.files), self.plans, had_result=world.had_result)
        if wrong is None and also_next and world.files not in self._folders:
            self._folders.add(world.files)
            wrong = self._wrong_with_the_next(world)
        assert wrong is None, "\n".join([str(wrong), *_steps(path)])

    def _wrong_with_the_next(self, world: World) -> str | None:
        """Return what the next try, alone and two days later, makes wrong of a folder."""
        plan = Plan(7, "next", ("n",), world.now_s + 2 * DAY_S)
        *_, files = folders_of(plan, world.files)
        left = set(dict(files)) - set(NOT_OURS) - {MANIFEST, "part-00000-" + plan.name + ".jsonl"}
        if left:
            return f"the next try left {sorted(left)}"
        return wrong_with(dict(files), (plan,), had_result=True)


def wrong_with(files: dict[str, bytes], plans: tuple[Plan, ...], *, had_result: bool) -> str | None:
    """Return what is wrong with a folder, None when it is as it was promised."""
    for name, data in NOT_OURS.items():
        if files.get(name) != data:
            return f"{name} of others was touched"
    if MANIFEST not in files:
        return "there was a result, and there is none" if had_result else None
    manifest = json.loads(files[MANIFEST])
    ids: list[str] = []
    for part in manifest["parts"]:
        if len(files.get(part["name"], b"")) != part["bytes"]:
            return f"{part['name']} is in the manifest and is not there"
        ids += [json.loads(line)["id"] for line in files[part["name"]].splitlines()]
    if len(set(ids)) < len(ids):
        return f"the result holds records twice: {ids}"
    if manifest["skipped_file"] and manifest["skipped_file"] not in files:
        return f"{manifest['skipped_file']} is in the manifest and is not there"
    meant = [plan.records for plan in plans if plan.run_id == manifest["run"]["run_id"]]
    return None if ids in meant or manifest["run"]["run_id"] == "former" else f"the result holds {ids}"


def _steps(path: Any) -> list[str]:
    steps: list[str] = []
    while path is not None:
        label, path = path
        steps.append(label)
    return steps[::-1]


def _done(world: World, operation: Operation) -> tuple[World, Any]:
    files = dict(world.files)
    value = operation.on(files)
    after = replace(
        world, files=tuple(sorted(files.items())), had_result=world.had_result or MANIFEST in files
    )
    return after, value


def _answered(world: World, number: int, answer: Answer) -> World:
    answers = list(world.answers)
    answers[number] = (*answers[number], answer)
    return replace(world, answers=tuple(answers))


def _standing(plan: Plan, answers: tuple[Answer, ...]) -> Standing:
    store = _AnsweringStore(answers, plan.starts_s, silent=plan.silent)
    try:
        plan.begin(store)
    except _Asks:
        return Standing(store.asks)
    except IrisStorageError:
        return Standing(None, "storage error")
    except IrisCheckpointError:
        return Standing(None, "another writer")
    except IrisError as error:
        return Standing(None, type(error).__name__)
    return Standing(None, "success")


def folders_of(plan: Plan, files: Files) -> Iterator[Files]:
    """Yield a folder as it was, and after each change that a try makes which is alone with it.

    Each is what a kill leaves; the last is that of success.
    """
    explorer = Explorer((plan,))
    world = World(files, ((),), plan.starts_s)
    yield world.files
    while (asks := explorer.standing(0, world.answers[0]).asks) is not None:
        after, value = _done(world, asks)
        if after.files != world.files:
            yield after.files
        world = _answered(after, 0, Answer(value, world.now_s))
    ended = explorer.standing(0, world.answers[0]).ended
    assert ended == "success", ended


FIRST = Plan(1, "one", ("a", "unknown-b"), BEGINNING_S)
RETRY = Plan(2, "one", ("a", "unknown-b"), BEGINNING_S + 1)
OTHER = Plan(3, "two", ("c",), BEGINNING_S + 2)
THIRD = Plan(4, "three", ("d",), BEGINNING_S + 3)

EMPTY: Files = tuple(sorted(NOT_OURS.items()))
*_, FORMER = folders_of(Plan(9, "former", ("x",), BEGINNING_S - 100), EMPTY)
DEAD = tuple(folders_of(Plan(8, "one", ("a", "unknown-b"), BEGINNING_S - 50), FORMER))


def meeting(*plans: Plan, files: Files = FORMER, failures: int = 0, days: int = 0) -> tuple[Explorer, World]:
    """Return tries that have not begun yet, in a folder."""
    answers: tuple[tuple[Answer, ...], ...] = tuple(() for _ in plans)
    had_result = MANIFEST in dict(files)
    return Explorer(plans), World(files, answers, failures=failures, days=days, had_result=had_result)


#: Who meets whom. Those of three are not visited to their end by anybody: a million worlds are.
MEETINGS: dict[str, Callable[[], tuple[Explorer, World]]] = {
    "a try and its retry": partial(meeting, FIRST, RETRY),
    "two runs": partial(meeting, FIRST, OTHER),
    "a try and its retry, an operation fails": partial(meeting, FIRST, RETRY, failures=1),
    "two runs, an operation fails": partial(meeting, FIRST, OTHER, failures=1),
    "a try and its retry, a day passes": partial(meeting, FIRST, RETRY, days=1),
    "two runs, a day passes": partial(meeting, FIRST, OTHER, days=1),
    "a try, its retry and another run": partial(meeting, FIRST, RETRY, OTHER),
    "three runs": partial(meeting, FIRST, OTHER, THIRD),
    **{
        f"a retry and another run, after a kill at change {number}": partial(
            meeting, RETRY, OTHER, files=files
        )
        for number, files in enumerate(DEAD)
    },
}
MOST_WORLDS = 1_000_000


def _main() -> None:
    logging.disable(logging.CRITICAL)
    for name, meet in MEETINGS.items():
        explorer, world = meet()
        explorer.explore(world, most=MOST_WORLDS)
        print(
            f"{name}: {len(explorer.visited)} worlds, {dict(explorer.ends)}, {dict(explorer.happened)}",
            flush=True,
        )


if __name__ == "__main__":
    _main()
