"""One run at a time reads on from a state."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackunit.iris.errors import IrisCheckpointError, IrisStorageError
from airflow_provider_trackunit.iris.export.incremental.claims import Claim
from airflow_provider_trackunit.iris.export.manifest import Run
from tests.iris.export.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

A, B = Run("dag", "task", "monday"), Run("dag", "task", "tuesday")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def claim(store: MemoryStore, run: Run, clock: Clock) -> Claim:
    return Claim(store, "_state.json", run, wall_clock=clock)


def test_a_second_run_is_refused_withdraws_and_is_told_what_to_do(clock: Clock) -> None:
    store = MemoryStore()
    first = claim(store, A, clock)
    first.take()
    with pytest.raises(
        IrisCheckpointError, match=r"'monday'.*max_active_runs=1.*2027-.*delete memory://"
    ) as raised:
        claim(store, B, clock).take()
    assert "nothing was asked for" in str(raised.value)
    assert len(store.files) == 1
    first.renew()
    first.withdraw()
    claim(store, B, clock).take()


def test_two_mapped_instances_of_one_run_are_two(clock: Clock) -> None:
    store = MemoryStore()
    claim(store, Run("dag", "task", "run", 0), clock).take()
    with pytest.raises(IrisCheckpointError, match="is at work"):
        claim(store, Run("dag", "task", "run", 1), clock).take()


def test_the_next_try_of_the_same_run_takes_over_and_the_former_one_notices(clock: Clock) -> None:
    store = MemoryStore()
    first, second = claim(store, A, clock), claim(store, A, clock)
    first.take()
    second.take()
    assert len(store.files) == 1
    clock.now += 61
    with pytest.raises(IrisCheckpointError, match="took the state"):
        first.renew()
    second.renew()


def test_the_claim_of_a_killed_run_ends_after_ten_minutes_and_is_swept(clock: Clock) -> None:
    store = MemoryStore()
    claim(store, A, clock).take()
    clock.now += 599
    with pytest.raises(IrisCheckpointError, match="is at work"):
        claim(store, B, clock).take()
    clock.now += 2
    claim(store, B, clock).take()
    assert len(store.files) == 1


def test_a_claim_that_is_renewed_holds_for_as_long_as_the_run(clock: Clock) -> None:
    store = MemoryStore()
    first = claim(store, A, clock)
    first.take()
    for _ in range(120):
        clock.now += 30
        first.renew()
    with pytest.raises(IrisCheckpointError, match="is at work"):
        claim(store, B, clock).take()


def test_a_claim_holds_while_the_task_is_away(clock: Clock) -> None:
    store = MemoryStore()
    claim_of_a = claim(store, A, clock)
    claim_of_a.take()
    claim_of_a.hold(3600)
    clock.now += 3700
    with pytest.raises(IrisCheckpointError, match="is at work"):
        claim(store, B, clock).take()
    claim(store, A, clock).take()


def test_a_clock_that_jumps_back_does_not_stop_the_renewals(clock: Clock) -> None:
    store = MemoryStore()
    first = claim(store, A, clock)
    first.take()
    clock.now -= 7200
    first.renew()
    clock.now += 601
    claim(store, B, clock).take()


def test_a_claim_that_nobody_can_read_is_one_and_the_message_names_the_file(clock: Clock) -> None:
    store = MemoryStore({"_state.json.claim-0123456789abcdef": b"{"})
    with pytest.raises(
        IrisCheckpointError, match=r"_state\.json\.claim-0123456789abcdef cannot be read.*delete it"
    ):
        claim(store, A, clock).take()
    assert list(store.files) == ["_state.json.claim-0123456789abcdef"]


def test_files_that_are_no_claims_on_this_state_are_left_alone(clock: Clock) -> None:
    files = {"_state.json": b"x", "other.json.claim-0123456789abcdef": b"x", "_state.json.claim-old": b"x"}
    store = MemoryStore(dict(files))
    mine = claim(store, A, clock)
    mine.take()
    mine.withdraw()
    assert store.files == files


def test_a_store_that_fails_for_a_while_costs_no_claim(clock: Clock) -> None:
    store = MemoryStore()
    first = claim(store, A, clock)
    first.take()

    def fail(_number: int, _name: str) -> None:
        raise OSError("not now")

    store.before = fail
    clock.now += 61
    first.renew()
    with pytest.raises(IrisStorageError):
        claim(store, B, clock).take()
    store.before = lambda _number, _name: None
    clock.now += 61
    first.renew()


class SteppedStore(MemoryStore):
    """A store whose every operation waits until it is let through."""

    def __init__(self, files: dict[str, bytes], step: Callable[[], None]) -> None:
        super().__init__(files)
        self._step = step

    def names(self) -> list[str]:
        self._step()
        return super().names()

    def read(self, name: str) -> bytes | None:
        self._step()
        return super().read(name)

    def write(self, name: str, data: bytes) -> None:
        self._step()
        super().write(name, data)

    def delete(self, name: str) -> None:
        self._step()
        super().delete(name)


class Stepped(threading.Thread):
    """A run that takes its claim one operation of the store at a time."""

    def __init__(self, files: dict[str, bytes], run: Run) -> None:
        super().__init__(daemon=True)
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._claim = Claim(SteppedStore(files, self._wait), "_state.json", run)
        self.went_on: bool | None = None
        self.start()
        self._done.acquire()

    def _wait(self) -> None:
        self._done.release()
        self._go.acquire()

    def run(self) -> None:
        try:
            self._claim.take()
            self.went_on = True
        except IrisCheckpointError:
            self.went_on = False
        self._done.release()

    def step(self) -> None:
        """Let one operation through, and wait for the next to begin or for the end."""
        if self.went_on is None:
            self._go.release()
            self._done.acquire()


def interleavings() -> Iterator[tuple[int, ...]]:
    """Yield in which order two runs of up to six operations take turns."""
    return itertools.product((0, 1), repeat=8)


def test_of_two_runs_that_begin_at_once_never_do_both_go_on_however_they_interleave() -> None:
    outcomes = set()
    for order in interleavings():
        files: dict[str, bytes] = {}
        runs = [Stepped(files, A), Stepped(files, B)]
        for turn in order:
            runs[turn].step()
        for run in runs:
            while run.went_on is None:
                run.step()
            run.join()
        outcomes.add((runs[0].went_on, runs[1].went_on))
        assert len(files) == sum(bool(run.went_on) for run in runs)
    assert outcomes == {(True, False), (False, True), (False, False)}
