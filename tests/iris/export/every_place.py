"""An exception at every place where CPython can deliver a signal, in every kind of transfer, and the try after it.

Signals are looked for at the entry of a function (and where a generator goes on), when a call returned, and at a jump
backwards. A tracer raises there, in the frames of the package and the thread that runs the transfer.

``python -m tests.iris.export.every_place`` tries all places and prints how many there were (``make places``).
"""

from __future__ import annotations

import argparse
import dis
import gzip
import json
import logging
import random
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped,unused-ignore]

import airflow_provider_trackunit
from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import IrisStorageError
from airflow_provider_trackunit.iris.export.export import Export
from airflow_provider_trackunit.iris.export.manifest import Run
from airflow_provider_trackunit.iris.export.request import ExportRequest
from airflow_provider_trackunit.iris.http.wire import Request, Response
from airflow_provider_trackunit.storage import FolderStore
from tests.fuzz.wires import JSON, ORIGIN, wired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

T = TypeVar("T")
PACKAGE = str(Path(airflow_provider_trackunit.__file__).parent)
PAGES, PER_PAGE = 3, 2
FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
QUERY = "query($after: String) { assets(after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } } }"


class Interrupted(BaseException):
    """What the handler of a signal raises."""


class _Frame:
    """Follows one frame, and counts the places that it comes to."""

    def __init__(self, places: Places) -> None:
        self._places = places
        # The first instruction, RESUME, is the one that looks for signals and has no event of its own.
        self._before = ""

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> _Frame:
        if event == "opcode":
            kind = _kind_of(self._before)
            self._before = _names_of(frame.f_code)[frame.f_lasti]
            if kind:
                self._places.come_to(kind, frame)
        return self


def _kind_of(operation: str) -> str:
    if not operation:
        return "entry"
    if operation in {"CALL", "CALL_FUNCTION_EX", "CALL_KW"}:
        return "return of a call"
    return "jump backwards" if "JUMP_BACKWARD" in operation and "NO_INTERRUPT" not in operation else ""


@cache
def _names_of(code: CodeType) -> dict[int, str]:
    return {one.offset: one.opname for one in dis.get_instructions(code)}


@dataclass
class Places:
    """The places of one run; an exception comes at the one that is chosen.

    :param chosen: its number from 1; 0 for none
    """

    chosen: int = 0
    count: int = 0
    kinds: list[str] = field(default_factory=list)
    hit: str = ""
    where: str = ""

    def __enter__(self) -> None:
        self._tracer_before = sys.gettrace()  # that of the coverage
        sys.settrace(self._trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._tracer_before)

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> _Frame | None:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return _Frame(self)

    def come_to(self, kind: str, frame: FrameType) -> None:
        """Count a place, and raise if it is the one."""
        self.count += 1
        self.kinds.append(kind)
        if self.count == self.chosen:
            self.hit = kind
            self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_qualname}"
            raise Interrupted


def in_a_thread(work: Callable[[], T]) -> T:
    """Do it in a thread of its own, and return what it returns.

    A tracer that raises can leave CPython with a wrong account of what its thread is handling, and whatever is raised in that
    thread later gets it as context.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(work).result()


@dataclass(frozen=True)
class Collection:
    """What is asked for, and what IRIS answers."""

    name: str
    endpoint: str
    answer: Callable[[Request], Response]
    items: tuple[str, ...] | None = None
    json: Any = None
    refused: int = 0

    def request(self, at_once: int) -> ExportRequest:
        """Return the export of it, a part for every two pages."""
        items = None if self.items is None else [{"pin": pin} for pin in self.items]
        method = "POST" if self.json else "GET"
        calls = [
            make_call(ORIGIN, self.endpoint, method=method, path_params=item, json=self.json)
            for item in ([None] if items is None else items)
        ]
        return ExportRequest(
            self.endpoint,
            "memory://folder",
            calls,
            items=items,
            run=Run("dag", "task", "run"),
            part_bytes=40,
            max_concurrency=at_once,
            skip_refused=items is not None,
        )

    @property
    def ids(self) -> list[str]:
        """Every record that has to come."""
        whose = [""] if self.items is None else [pin for pin in self.items if not pin.startswith("unknown")]
        return sorted(f"{pin}{number}" for pin in whose for number in range(PAGES * PER_PAGE))


def _records(page: int, pin: str = "") -> list[dict[str, str]]:
    return [{"id": f"{pin}{page * PER_PAGE + number}"} for number in range(PER_PAGE)]


def _ok(body: Any) -> Response:
    return Response(200, JSON, json.dumps(body).encode())


def _query(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


def _numbered(request: Request) -> Response:
    page = int(_query(request)["page"])
    total = PAGES * PER_PAGE
    return _ok({"number": page, "totalPages": PAGES, "totalElements": total, "content": _records(page)})


def _aemp(request: Request) -> Response:
    path = urlsplit(request.url).path
    base, _, number = path.rpartition("/")
    pin = path.split("/ID/")[1].split("/")[0] if "/ID/" in path else ""
    if pin.startswith("unknown"):
        return Response(404, JSON, b'{"code": "not_found", "message": "no such machine"}')
    links = [{"rel": "last", "href": f"{ORIGIN}{base}/{PAGES}"}]
    return _ok({"links": links, "equipment": _records(int(number) - 1, pin)})


def _after(request: Request) -> Response:
    page = int(_query(request).get("after", "0"))
    body: dict[str, Any] = {"content": _records(page)}
    return _ok(body | ({"after": str(page + 1)} if page + 1 < PAGES else {}))


def _relay(request: Request) -> Response:
    page = int(json.loads(request.body or b"").get("variables", {}).get("after", "0"))
    info = {"hasNextPage": page + 1 < PAGES, "endCursor": str(page + 1)}
    edges = [{"node": record} for record in _records(page)]
    return _ok({"data": {"assets": {"edges": edges, "pageInfo": info}}})


COLLECTIONS = (
    Collection("page numbers", "/api/asset/v1/assets", _numbered),
    Collection("AEMP", FLEET, _aemp),
    Collection("cursor", "/public/api/operator/operators", _after),
    Collection("Relay", "/api/graphql/", _relay, json={"query": QUERY}),
    Collection(
        "fan-out",
        f"{FLEET}/Equipment/ID/{{pin}}/CumulativeOperatingHours/2026-01-01T00:00:00Z/2026-01-14T00:00:00Z",
        _aemp,
        items=("A", "unknown", "B"),
    ),
)


@dataclass(frozen=True)
class Scenario:
    """A transfer, alone in its folder.

    :param resumed: whether an earlier try was interrupted in its middle
    """

    collection: Collection
    at_once: int
    resumed: bool

    def __str__(self) -> str:
        return f"{self.collection.name}, {self.at_once} at once, {'resumed' if self.resumed else 'fresh'}"


SCENARIOS = tuple(Scenario(*one) for one in product(COLLECTIONS, (1, 4), (False, True)))


@dataclass
class Tally:
    """What came of the places that were tried."""

    places: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    ends_of_first: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def try_places(scenario: Scenario, chosen: Callable[[int], Iterator[int] | range]) -> Tally:
    """Interrupt a transfer at the chosen ones of its places, and let the next try end it.

    :param chosen: gives the numbers of the places, of so many
    """
    before = _interrupted_in_the_middle(scenario) if scenario.resumed else {}
    _warm_up(scenario, before)
    tally = Tally(places=_run(scenario, before, Places())[0])
    for number in chosen(tally.places):
        places = Places(number)
        first, files = _run(scenario, before, places)[1:]
        wrong = _wrong_with(scenario, files, finished=first == "success")
        last, files = _run(scenario, files, None)[1:]
        wrong = wrong or (None if last == "success" else f"the next try ended with {last}")
        wrong = wrong or _wrong_with(scenario, files, finished=True)
        tally.hits[places.hit or "none"] += 1
        tally.ends_of_first[first] += 1
        if wrong:
            tally.wrong.append(f"{scenario}, place {number} ({places.hit}, {places.where}): {wrong}")
    return tally


def kinds_of_places(scenario: Scenario) -> list[str]:
    """Return the kind of each place of an undisturbed transfer, in their order."""
    places = Places()
    _warm_up(scenario, {})
    _run(scenario, {}, places)
    return places.kinds


def _warm_up(scenario: Scenario, before: dict[str, bytes]) -> None:
    """Fill what is remembered for good, so that every run after this one comes to the same places.

    It is watched too, because since Python 3.12 the interpreter tells of all instructions only after it was asked once.
    """
    _run(scenario, before, Places())


def _interrupted_in_the_middle(scenario: Scenario) -> dict[str, bytes]:
    """Return a folder with a checkpoint that counts some parts, and not all."""
    places = Places()
    count = _run(scenario, {}, places)[0]
    for number in range(count // 2, 0, -1):
        files = _run(scenario, {}, Places(number))[2]
        kept = json.loads(files.get("_checkpoint.json", b"{}"))
        if kept.get("parts") and "_manifest.json" not in files:
            return files
    raise AssertionError("no place leaves a checkpoint in the middle")


def _run(
    scenario: Scenario, files: dict[str, bytes], places: Places | None
) -> tuple[int, str, dict[str, bytes]]:
    """Return the number of places, how a try ended, and what is in its folder then."""
    return in_a_thread(lambda: _run_here(scenario, files, places))


def _run_here(
    scenario: Scenario, files: dict[str, bytes], places: Places | None
) -> tuple[int, str, dict[str, bytes]]:
    client = wired(scenario.collection.answer)
    request = scenario.collection.request(scenario.at_once)
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            Path(folder, name).write_bytes(data)
        store = FolderStore(LocalFileSystem(), folder, folder)
        ended = "success"
        try:
            with places or nullcontext():
                Export(client, request, store).run()
        except Interrupted:
            ended = "interrupted"
        except IrisStorageError as error:
            ended = f"storage error: {error}"
        left = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    return (places.count if places else 0), ended, left


def _wrong_with(scenario: Scenario, files: dict[str, bytes], *, finished: bool) -> str | None:
    """Return what is wrong with a folder: a result is there and whole, or not there at all."""
    if "_manifest.json" not in files:
        return "there is no result" if finished else None
    manifest = json.loads(files["_manifest.json"])
    ids = []
    for part in manifest["parts"]:
        if len(files.get(part["name"], b"")) != part["bytes"]:
            return f"{part['name']} is not there, or not whole"
        ids += [json.loads(line)["id"] for line in gzip.decompress(files[part["name"]]).splitlines()]
    skipped = manifest["skipped_file"]
    if skipped and skipped not in files:
        return f"{skipped} is not there"
    if manifest["skipped_count"] != sum(pin.startswith("unknown") for pin in scenario.collection.items or ()):
        return f"{manifest['skipped_count']} items were passed over"
    return None if sorted(ids) == scenario.collection.ids else f"the records are {sorted(ids)}"


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.iris.export.every_place", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="3 tries each third place, from a random one on")
    every = parser.parse_args().every
    logging.disable(logging.CRITICAL)
    wrong = 0
    for scenario in SCENARIOS:
        tally = try_places(
            scenario, lambda count: range(random.SystemRandom().randint(1, every), count + 1, every)
        )
        print(f"{scenario}: {tally.places} places, {dict(tally.hits)}, {dict(tally.ends_of_first)}")
        print(*tally.wrong, f"{len(tally.wrong)} wrong results", sep="\n", flush=True)
        wrong += len(tally.wrong)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(_main())
