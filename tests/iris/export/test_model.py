"""A transfer as a state machine: kills, faults, full disks, deferrals, damage, resumes, new runs and a changing fleet.

In any order, and with a second writer who comes in the middle, another account, a cleared task and a clock that jumps.
The invariant is the manifest's promise, looked at after every single change of the folder: where there is a manifest,
the parts it names are there, whole, and hold every record once; and where there was one, there is one. What is transferred is a collection of numbered
pages, an AEMP fleet whose URLs answer once in a quarter of an hour (of the emulator's time), or single machines of
which some are refused.
"""

from __future__ import annotations

import contextlib
import errno
import json
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from airflow_provider_trackunit._compat import TaskDeferred
from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import (
    IrisCheckpointError,
    IrisError,
    IrisRateLimitError,
    IrisStorageError,
)
from airflow_provider_trackunit.iris.export.export import Export
from airflow_provider_trackunit.iris.export.folder.checkpoint import read_checkpoint
from airflow_provider_trackunit.iris.export.manifest import Run
from airflow_provider_trackunit.iris.export.request import ExportRequest
from airflow_provider_trackunit.tasks.deferral import Deferrals
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator
from tests.airflow.round_trip import rebuilt

from .conftest import ASSETS, FLEET, credentials_of, new_client
from .stores import Killed, MemoryStore, MortalStore, result_of

if TYPE_CHECKING:
    from collections.abc import Callable

#: A sequence takes as long as twenty examples of a simpler property.
EXAMPLES = settings().max_examples // 20

MACHINE = f"{FLEET}/Equipment/ID/{{pin}}"
UNKNOWN = ["no such machine", "nor/this one"]
QUARTER_S = 901.0
DAY_S = 86_400.0
MOST_DEFERRALS = 15

_emulators: list[IrisEmulator] = []


def emulator() -> IrisEmulator:
    """Return the one emulator of this module; hypothesis makes machines without fixtures."""
    if not _emulators:
        _emulators.append(IrisEmulator.start(assets=320))
    return _emulators[0]


def teardown_module() -> None:
    """Stop it."""
    while _emulators:
        _emulators.pop().stop()


def wait_for_pages_on_their_way(others: set[threading.Thread]) -> None:
    """Wait for the threads that a full disk or a kill left behind, but not for those of others.

    Nobody waits for them in a task, and here the emulator would count their answers as those of the next rule.
    """
    for thread in set(threading.enumerate()) - others:
        if thread.name.startswith("iris-page"):
            thread.join(30)
            assert not thread.is_alive()


def watched(store: MemoryStore, look: Callable[[], None]) -> MemoryStore:
    """Let somebody look at the folder after every change of it."""
    after = store.after

    def both(number: int, name: str) -> None:
        look()
        after(number, name)

    store.after = both
    return store


class TransferMachine(RuleBasedStateMachine):
    """One folder, one fleet, and everything that can happen to both."""

    @initialize(
        kind=st.sampled_from(["assets", "fleet", "machines"]),
        concurrency=st.integers(1, 4),
        part_bytes=st.sampled_from([1, 8_000, 30_000, 10**6]),
        checkpoint_interval_s=st.sampled_from([1e-9, 30.0]),
    )
    def begin(self, kind: str, concurrency: int, part_bytes: int, checkpoint_interval_s: float) -> None:
        self.iris = emulator()
        self.kind = kind
        self.files: dict[str, bytes] = {"notes.txt": b"not ours"}
        self.older: list[bytes] = []
        self.concurrency = concurrency
        self.part_bytes = part_bytes
        self.checkpoint_interval_s = checkpoint_interval_s
        self.had_a_result = False
        self.now = time.time()
        self.account = "the first"
        self.run_number = 0
        self.changed_in_run = False
        self.lost_a_part = False
        self.reset()
        known = new_client(self.iris).run(ASSETS, query_params={"size": 6})["content"]
        self.pins = [*UNKNOWN[:1], *(asset["serialNumber"] for asset in known), *UNKNOWN[1:]]

    def reset(self) -> None:
        self.iris.reset()
        # No extra calls: every AEMP URL answers once in a quarter of an hour.
        self.iris.settings(aemp_pool_calls=0)

    # -- what is transferred

    def endpoint(self) -> str:
        return {"assets": ASSETS, "fleet": FLEET, "machines": MACHINE}[self.kind]

    def request(self) -> ExportRequest:
        items = [{"pin": pin} for pin in self.pins] if self.kind == "machines" else None
        query = {"size": 25} if self.kind == "assets" else None
        calls = [
            make_call(self.iris.url, self.endpoint(), path_params=item, query_params=query)
            for item in (items if items is not None else [None])
        ]
        return ExportRequest(
            endpoint=self.endpoint(),
            output_path="memory://folder",
            calls=calls,
            items=items,
            run=Run("dag", "task", f"run {self.run_number}", -1),
            part_bytes=self.part_bytes,
            max_concurrency=self.concurrency,
            skip_refused=self.kind == "machines",
            checkpoint_interval_s=self.checkpoint_interval_s,
        )

    def page_pattern(self, page: int) -> str:
        return {
            "assets": rf"re:page={page}(&|$)",
            "fleet": rf"re:/Fleet/{page % 4}($|\?)",
            "machines": rf"re:/ID/{self.pins[page % len(self.pins)].replace('/', '%2F').replace(' ', '%20')}($|\?)",
        }[self.kind]

    def expected(self) -> list[Any]:
        """Return what is there now, asked for without using up a limit."""
        if self.kind == "machines":
            return [self.name_of({"pin": pin}) for pin in self.pins if pin not in UNKNOWN]
        self.iris.settings(limits_on=False)
        client = new_client(self.iris)
        while True:
            # A refusal that was meant for a page that nobody asked for again is still there.
            with suppress(IrisRateLimitError):
                found = [self.name_of(record) for record in client.records(self.endpoint())]
                break
        self.iris.settings(limits_on=True)
        return found

    def name_of(self, record: Any) -> Any:
        """Return what tells a record from others."""
        if self.kind == "assets":
            return record["id"]
        if self.kind == "fleet":
            return json.dumps(record["EquipmentHeader"], sort_keys=True)
        return (record.get("_request") or record)["pin"]

    def export(self, store: MemoryStore) -> None:
        before = self.files.get("_checkpoint.json")
        if before is None:
            self.older.clear()  # what is stored from here on is not what those count
        else:
            self.older.append(before)
        client = new_client(self.iris, max_attempts=2)
        client.authenticate()
        client.credentials = credentials_of(self.iris, username=self.account)
        others = set(threading.enumerate())
        try:
            Export(client, self.request(), watched(store, self.look), wall_clock=lambda: self.now).run()
        finally:
            wait_for_pages_on_their_way(others)

    def look(self) -> None:
        """Read as somebody would who follows the manifest at this moment."""
        if "_manifest.json" in self.files:
            self.had_a_result = True
            result_of(self.named())
        assert ("_manifest.json" in self.files) is self.had_a_result

    def named(self) -> dict[str, bytes]:
        """Return the manifest and the files that it names."""
        manifest = json.loads(self.files["_manifest.json"])
        names = [part["name"] for part in manifest["parts"]]
        names += [manifest["skipped_file"]] if manifest["skipped_file"] else []
        return {name: self.files[name] for name in ["_manifest.json", *names]}

    # -- tries

    @rule()
    def a_try_that_nothing_disturbs(self) -> None:
        finished = "_checkpoint.json" not in self.files
        self.changed_in_run = self.changed_in_run and not finished
        self.iris.advance(QUARTER_S)
        self.export(MemoryStore(self.files))
        self.check_the_result()
        # What a killed or a replaced try left behind is gone, unless it might still be published.
        left = set(self.files) - set(self.named()) - {"notes.txt"}
        assert left <= self.announced()

    def check_the_result(self) -> None:
        manifest, records = self.result()
        self.lost_a_part = False
        assert manifest["run"]["run_id"] == f"run {self.run_number}"
        if self.changed_in_run:
            return
        names = [self.name_of(record) for record in records]
        assert sorted(names) == sorted(self.expected())
        if self.kind == "assets":
            assert manifest["announced"] == manifest["records"]
        skipped = sorted(item["path_params"]["pin"] for item in manifest["skipped"])
        assert skipped == (sorted(UNKNOWN) if self.kind == "machines" else [])

    @rule(dies_at=st.integers(1, 12), when=st.sampled_from(["before", "after"]))
    def a_try_that_is_killed(self, dies_at: int, when: str) -> None:
        with contextlib.suppress(Killed, IrisRateLimitError):
            self.export(MortalStore(self.files, dies_at, when))

    @rule(
        page=st.integers(0, 12),
        kind=st.sampled_from(
            ["status", "reset_before", "reset_after", "truncated", "garbage", "html", "rate_limit", "revoke"]
        ),
        status=st.sampled_from([503, 400, 403]),
        times=st.integers(1, 4),
    )
    def a_try_that_meets_faults(self, page: int, kind: str, status: int, times: int) -> None:
        options = {"status": status} if kind == "status" else {}
        self.iris.fault(path=self.page_pattern(page), kind=kind, times=times, **options)
        former = self.files.get("_manifest.json")
        try:
            self.export(MemoryStore(self.files))
        except IrisError:
            assert self.files.get("_manifest.json") == former
        finally:
            self.clear_faults()

    def clear_faults(self) -> None:
        # Faults that did not happen must not happen to a later rule; only a reset takes them out, and it takes
        # the changes of the fleet with it.
        self.reset()
        self.changed_in_run = True

    @rule(full_from=st.integers(1, 10))
    def a_try_on_a_full_disk(self, full_from: int) -> None:
        store = MemoryStore(self.files)

        def full(number: int, _name: str) -> None:
            if number >= full_from:
                raise OSError(errno.ENOSPC, "No space left on device")

        store.before = full
        with suppress(IrisStorageError, IrisRateLimitError):
            self.export(store)

    @rule(
        at=st.integers(1, 12),
        when=st.sampled_from(["before", "after"]),
        same_run=st.booleans(),
        second_dies_at=st.one_of(st.none(), st.integers(1, 8)),
        days=st.sampled_from([0, 3]),
    )
    def a_try_that_was_given_up_for_lost_comes_back(
        self, at: int, when: str, second_dies_at: int | None, days: int, *, same_run: bool
    ) -> None:
        """At one change of the folder the first writer is held up, while a second one does all of its work."""
        self.iris.advance(QUARTER_S)
        store = MemoryStore(self.files)

        def hold_up(number: int, _name: str) -> None:
            if number != at:
                return
            self.iris.advance(QUARTER_S)
            if not same_run:
                self.a_new_run()
            with suppress(Killed, IrisRateLimitError):
                self.export(
                    MemoryStore(self.files)
                    if second_dies_at is None
                    else MortalStore(self.files, second_dies_at, "after")
                )
            self.now += days * DAY_S

        setattr(store, when, hold_up)
        with suppress(IrisCheckpointError, IrisStorageError, IrisRateLimitError):
            self.export(store)
        # The first may have written a checkpoint of parts that the second has cleaned up; nobody goes on from there.
        self.lost_a_part = True
        self.older.clear()
        # Which of the two has published, and which of them has met a fleet that changed, is not followed further.
        self.changed_in_run = True

    def announced(self) -> set[str]:
        """Return what a try has left behind that ended when it was about to publish."""
        announcements = {name for name in self.files if name.startswith("_publishing-")}
        coming = [json.loads(self.files[name]) for name in announcements]
        parts = {part["name"] for manifest in coming for part in manifest["parts"]}
        return announcements | parts | {manifest["skipped_file"] for manifest in coming}

    # -- deferrals

    @rule(refused=st.lists(st.integers(0, 12), max_size=3), quiet=st.booleans())
    def a_task_that_gives_its_slot_back_whenever_a_limit_says_so(
        self, refused: list[int], *, quiet: bool
    ) -> None:
        """Every time with a new operator, a new client and what came out of the database."""
        if quiet:
            self.iris.advance(QUARTER_S)
        for page in refused:
            self.iris.fault(path=self.page_pattern(page), kind="rate_limit", retry_after="600")
        store = MemoryStore(self.files)
        deferrals = Deferrals()
        asked_before = len(self.answered())
        former = self.files.get("_manifest.json")
        for _ in range(MOST_DEFERRALS):
            try:
                self.export(store)
                break
            except IrisError as error:
                assert self.files.get("_manifest.json") == former
                deferrals = self.deferred(error, store, deferrals)
        else:
            raise AssertionError(f"deferred more than {MOST_DEFERRALS} times")
        # Nothing that was answered was asked for again, because all of it was stored before each deferral.
        answered = self.answered()[asked_before:]
        self.check_the_result()
        assert len(answered) == len(set(answered))
        if refused:
            self.clear_faults()

    def answered(self) -> list[str]:
        """Return the pages that were answered with records."""
        return [
            one["path"] + str(one.get("query"))
            for one in self.iris.requests()
            if one["status"] == 200 and "/token" not in one["path"]
        ]

    def deferred(self, error: IrisError, store: MemoryStore, deferrals: Deferrals) -> Deferrals:
        """Return what the next try knows, after the emulator's time went by that the trigger waits."""
        operator = IrisToObjectStorageOperator(
            task_id="transfer",
            endpoint=self.endpoint(),
            output_path="memory://folder",
            max_wait_s=120,
            deferrable=True,
        )
        try:
            operator._defer_while_limited(error, self.request(), store, deferrals, None)
        except TaskDeferred as deferral:
            trigger = rebuilt(deferral.trigger)
            self.iris.advance(max(0.0, trigger.resume_at_epoch_s - time.time()) + 1)
            event = json.loads(json.dumps({"status": "done", "state": trigger.state}))
            return Deferrals.of_event(event)
        raise error

    # -- the world around

    @rule(
        change=st.one_of(
            st.tuples(st.just("grow"), st.integers(1, 130)), st.tuples(st.just("shrink"), st.integers(1, 140))
        )
    )
    def the_fleet_changes(self, change: tuple[str, int]) -> None:
        if self.kind == "machines" and change[0] == "shrink":
            return  # were all of them gone, that would be an error
        self.iris.fleet(**{change[0]: change[1]})
        self.changed_in_run = True

    @rule(account=st.sampled_from(["the first", "another"]))
    def the_account_of_the_connection_is(self, account: str) -> None:
        self.account = account

    @rule(days=st.sampled_from([0.5, 2, 21, -3]))
    def the_clock_jumps(self, days: float) -> None:
        self.now += days * DAY_S

    @rule()
    def a_new_run(self) -> None:
        self.run_number += 1
        self.changed_in_run = False

    @rule(seconds=st.sampled_from([60.0, QUARTER_S]))
    def time_passes(self, seconds: float) -> None:
        self.iris.advance(seconds)

    # How far a try gets depends on its threads, and hypothesis may not be asked for less where that differs: what has
    # nothing to damage does nothing, and has no precondition.

    @rule(keep=st.integers(0, 400))
    def the_checkpoint_is_cut_off(self, keep: int) -> None:
        if "_checkpoint.json" not in self.files:
            return
        self.files["_checkpoint.json"] = self.files["_checkpoint.json"][:keep]
        self.older.clear()

    @rule(at=st.integers(0, 2000), digit=st.sampled_from(b"0123456789"))
    def a_byte_of_the_checkpoint_changes(self, at: int, digit: int) -> None:
        """A digit becomes another, so that it stays JSON and says something else."""
        data = bytearray(self.files.get("_checkpoint.json", b""))
        digits = [place for place, byte in enumerate(data) if byte in b"0123456789"]
        if not digits:
            return
        data[digits[at % len(digits)]] = digit
        self.files["_checkpoint.json"] = bytes(data)
        self.older.clear()

    @rule(back=st.integers(1, 3))
    def an_older_checkpoint_comes_back(self, back: int) -> None:
        if self.older and "_checkpoint.json" in self.files:
            self.files["_checkpoint.json"] = self.older[-min(back, len(self.older))]
            self.lost_a_part = True

    @rule(number=st.integers(0, 5))
    def a_stored_part_is_lost(self, number: int) -> None:
        named = self.named() if "_manifest.json" in self.files else {}
        parts = sorted(name for name in self.files if name.startswith("part-") and name not in named)
        # What a manifest names is finished, and nobody promises to survive its loss.
        if parts and "_checkpoint.json" in self.files:
            del self.files[parts[number % len(parts)]]
            self.lost_a_part = True
            self.older.clear()

    # -- what always holds

    def result(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        assert self.files["notes.txt"] == b"not ours"
        return result_of(self.named())

    @invariant()
    def a_manifest_keeps_its_promise(self) -> None:
        if "_manifest.json" not in getattr(self, "files", {}):
            return
        _, records = self.result()
        if not self.changed_in_run:
            names = [self.name_of(record) for record in records]
            assert len(set(names)) == len(names)

    @invariant()
    def a_checkpoint_counts_only_what_is_there(self) -> None:
        if getattr(self, "lost_a_part", True):
            return
        try:
            checkpoint = read_checkpoint(self.files.get("_checkpoint.json") or b"")
        except IrisCheckpointError:
            return
        for part in checkpoint.parts:
            assert len(self.files[part.name]) == part.bytes


TransferMachine.TestCase.settings = settings(max_examples=EXAMPLES, deadline=None)
TestTransfer = TransferMachine.TestCase
