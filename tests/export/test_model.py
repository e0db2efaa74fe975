"""A transfer as a state machine: kills, faults, full disks, resumes, new runs and a changing fleet, in any order.

The invariant is the manifest's promise: where there is a manifest, the parts it names are there, whole, and hold
every record once.
"""

from __future__ import annotations

import contextlib
import errno
import json
from contextlib import suppress
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import IrisError, IrisStorageError
from airflow_provider_trackunit.iris.export import ExportRequest, export_pages
from airflow_provider_trackunit.iris.results import Run

from .conftest import ASSETS, new_client
from .stores import Killed, MemoryStore, MortalStore, result_of

#: A sequence takes as long as twenty examples of a simpler property.
EXAMPLES = settings().max_examples // 20

_emulators: list[IrisEmulator] = []


def emulator() -> IrisEmulator:
    """Return the one emulator of this module; hypothesis makes machines without fixtures."""
    if not _emulators:
        _emulators.append(IrisEmulator.start(assets=120))
    return _emulators[0]


def teardown_module() -> None:
    """Stop it."""
    while _emulators:
        _emulators.pop().stop()


class TransferMachine(RuleBasedStateMachine):
    """One folder, one fleet, and everything that can happen to both."""

    @initialize(concurrency=st.integers(1, 4), part_bytes=st.sampled_from([1, 8_000, 30_000, 10**6]))
    def begin(self, concurrency: int, part_bytes: int) -> None:
        self.iris = emulator()
        self.iris.reset()
        self.files: dict[str, bytes] = {"notes.txt": b"not ours"}
        self.concurrency = concurrency
        self.part_bytes = part_bytes
        self.run_number = 0
        self.changed_in_run = False

    def request(self) -> ExportRequest:
        call = make_call(self.iris.url, ASSETS, query_params={"size": 10})
        run = Run("dag", "task", f"run {self.run_number}", -1)
        return ExportRequest(
            endpoint=ASSETS,
            output_path="memory://folder",
            calls=[call],
            run=run,
            part_bytes=self.part_bytes,
            max_concurrency=self.concurrency,
        )

    def expected(self) -> list[str]:
        return [record["id"] for record in new_client(self.iris).records(ASSETS)]

    def export(self, store: MemoryStore) -> None:
        export_pages(new_client(self.iris, max_attempts=2), self.request(), store)

    @rule()
    def a_try_that_nothing_disturbs(self) -> None:
        finished = "_checkpoint.json" not in self.files
        self.changed_in_run = self.changed_in_run and not finished
        self.export(MemoryStore(self.files))
        manifest, records = self.result()
        if not self.changed_in_run:
            assert [record["id"] for record in records] == self.expected()
            assert manifest["announced"] == manifest["records"]
        assert manifest["run"]["run_id"] == f"run {self.run_number}"

    @rule(dies_at=st.integers(1, 12), when=st.sampled_from(["before", "after"]))
    def a_try_that_is_killed(self, dies_at: int, when: str) -> None:
        with contextlib.suppress(Killed):
            self.export(MortalStore(self.files, dies_at, when))

    @rule(
        page=st.integers(0, 12),
        kind=st.sampled_from(
            ["status", "reset_before", "truncated", "garbage", "html", "rate_limit", "revoke"]
        ),
        times=st.integers(1, 4),
    )
    def a_try_that_meets_faults(self, page: int, kind: str, times: int) -> None:
        options = {"status": 503} if kind == "status" else {}
        self.iris.fault(path=f"re:page={page}(&|$)", kind=kind, times=times, **options)
        try:
            self.export(MemoryStore(self.files))
        except IrisError:
            assert "_manifest.json" not in self.files
        finally:
            self.clear_faults()

    def clear_faults(self) -> None:
        # Faults that did not happen must not happen to a later rule; only a reset takes them out, and it takes
        # the changes of the fleet with it.
        self.iris.reset()
        self.changed_in_run = True

    @rule(full_from=st.integers(1, 10))
    def a_try_on_a_full_disk(self, full_from: int) -> None:
        store = MemoryStore(self.files)

        def full(number: int, _name: str) -> None:
            if number >= full_from:
                raise OSError(errno.ENOSPC, "No space left on device")

        store.before = full
        with suppress(IrisStorageError):
            self.export(store)

    @rule(
        change=st.one_of(
            st.tuples(st.just("grow"), st.integers(1, 30)), st.tuples(st.just("shrink"), st.integers(1, 40))
        )
    )
    def the_fleet_changes(self, change: tuple[str, int]) -> None:
        self.iris.fleet(**{change[0]: change[1]})
        self.changed_in_run = True

    @rule()
    def a_new_run(self) -> None:
        self.run_number += 1
        self.changed_in_run = False

    @rule(keep=st.integers(0, 200))
    def the_checkpoint_is_cut_off(self, keep: int) -> None:
        if "_checkpoint.json" in self.files:
            self.files["_checkpoint.json"] = self.files["_checkpoint.json"][:keep]

    def result(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        files = dict(self.files)
        assert files.pop("notes.txt") == b"not ours"
        files.pop("_checkpoint.json", None)
        return result_of(files)

    @invariant()
    def a_manifest_keeps_its_promise(self) -> None:
        if "_manifest.json" not in getattr(self, "files", {}):
            return
        manifest, records = self.result()
        ids = [record["id"] for record in records]
        if manifest["announced"] == manifest["records"] and not self.changed_in_run:
            assert len(set(ids)) == len(ids)

    @invariant()
    def a_checkpoint_counts_only_what_is_there(self) -> None:
        data = getattr(self, "files", {}).get("_checkpoint.json")
        try:
            checkpoint = json.loads(data or b"{}")
        except ValueError:
            return
        for part in checkpoint.get("parts", []):
            assert len(self.files[part["name"]]) == part["bytes"]


TransferMachine.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=15, deadline=None)
TestTransfer = TransferMachine.TestCase
