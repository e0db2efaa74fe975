"""The state file: what it says, whom it believes, and how it moves."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.errors import IrisCheckpointError, IrisConfigurationError
from airflow_provider_trackunit.iris.export.incremental.cursors import (
    Cursors,
    epoch_s,
    key_of,
    read_cursors,
    write_cursors,
)
from airflow_provider_trackunit.iris.export.incremental.plan import Plan
from airflow_provider_trackunit.iris.export.incremental.windows import Span
from airflow_provider_trackunit.iris.export.manifest import Run

RUN = Run("dag", "task", "run-1", -1)
ONE = Cursors(endpoint="POST /events", request="abc", run=RUN, until="2026-01-15T00:00:00Z")
MANY = Cursors(
    endpoint="GET /series",
    request="abc",
    run=RUN,
    items={'{"pin":"A"}': "2026-01-15T00:00:00Z", '{"pin":"Å \\"1\\""}': "2026-01-10T00:00:00Z"},
)


@pytest.mark.parametrize("cursors", [ONE, MANY, msgspec.structs.replace(MANY, items={})])
def test_a_state_is_read_as_it_was_written(cursors: Cursors) -> None:
    data = write_cursors(cursors)
    assert msgspec.structs.replace(read_cursors(data, "x"), checksum="") == cursors
    assert json.loads(data)["endpoint"] == cursors.endpoint


def test_a_person_finds_one_item_a_line() -> None:
    lines = write_cursors(MANY).decode().splitlines()
    assert '"{\\"pin\\":\\"A\\"}": "2026-01-15T00:00:00Z",' in lines


@given(cut=st.integers(0, 10_000))
def test_a_state_that_is_cut_off_is_said_and_never_believed(cut: int) -> None:
    data = write_cursors(MANY)
    with pytest.raises(IrisCheckpointError, match=r"^s3://lake/_state\.json .*(delete it)"):
        read_cursors(data[: cut % (len(data) - 2)], "s3://lake/_state.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3)
)
members = st.sampled_from(["version", "endpoint", "request", "run", "until", "items", "checksum"])


@given(
    st.binary(max_size=200)
    | st.dictionaries(members, json_values).map(lambda found: json.dumps({"version": 1, **found}).encode())
    | st.integers(1, 200_000).map(lambda depth: b"[" * depth)
)
def test_whatever_stands_in_the_file_it_is_a_state_or_an_error_that_says_what_to_do(data: bytes) -> None:
    with pytest.raises(IrisCheckpointError, match=r"^the place "):
        read_cursors(data, "the place")
    plan = Plan.read(data)
    assert plan is None or plan.spans == {}


def test_a_moment_that_no_calendar_has_is_no_cursor() -> None:
    for text in ("soon", "2026-13-01", "", "99999-01-01"):
        data = write_cursors(msgspec.structs.replace(ONE, until=text))
        with pytest.raises(IrisCheckpointError, match="cannot be read as a state"):
            read_cursors(data, "x")


@given(
    st.dictionaries(st.text(max_size=5), st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=5)
)
def test_a_plan_is_read_as_it_was_written(spans: dict[str, tuple[int, int]]) -> None:
    plan = Plan({key: Span(*span) for key, span in spans.items()})
    assert Plan.read(plan.write()) == plan


def test_a_state_that_was_edited_is_said_and_never_believed() -> None:
    data = write_cursors(MANY).replace(b"2026-01-10", b"2026-01-12")
    with pytest.raises(IrisCheckpointError, match="changed by hand or damaged"):
        read_cursors(data, "x")


def test_a_state_of_a_newer_version_is_said() -> None:
    data = write_cursors(msgspec.structs.replace(ONE, version=2))
    with pytest.raises(IrisCheckpointError, match=r"version 2.*knows version 1"):
        read_cursors(data, "x")


def read(begin: str, end: str) -> dict[str, Span]:
    return {"": Span(epoch_s(f"2026-01-{begin}"), epoch_s(f"2026-01-{end}"))}


@pytest.mark.parametrize(
    ("begin", "end", "until"),
    [
        ("14", "16", "16"),  # with a lookback
        ("15", "16", "16"),  # on the seam
        ("16", "17", "15"),  # leaves a gap: a cleared run after the state was set back
        ("10", "12", "15"),  # a run that was back-filled
        ("15", "15", "15"),  # nothing was complete
    ],
)
def test_a_cursor_moves_only_forward_and_never_over_what_nobody_read(
    begin: str, end: str, until: str
) -> None:
    after = ONE.advanced(read(begin, end), epoch_s("2026-01-01"), RUN)
    assert after.until == f"2026-01-{until}T00:00:00Z"


def test_an_item_that_was_never_read_has_a_cursor_once_its_beginning_was() -> None:
    never = Cursors(endpoint="e", request="r")
    assert never.advanced(read("05", "09"), epoch_s("2026-01-01"), RUN).until is None
    assert never.advanced(read("01", "09"), epoch_s("2026-01-01"), RUN).until == "2026-01-09T00:00:00Z"


def test_when_start_was_moved_ahead_of_the_cursor_the_time_between_counts_as_not_wanted() -> None:
    assert ONE.advanced(read("18", "20"), epoch_s("2026-01-18"), RUN).until == "2026-01-20T00:00:00Z"


def test_items_that_are_not_asked_for_keep_their_cursors() -> None:
    span = Span(epoch_s("2026-01-01"), epoch_s("2026-01-20"))
    after = MANY.advanced({'{"pin":"B"}': span}, epoch_s("2026-01-01"), RUN)
    assert after.items == {**(MANY.items or {}), '{"pin":"B"}': "2026-01-20T00:00:00Z"}


def test_a_state_is_set_back_and_never_ahead() -> None:
    assert ONE.set_back(epoch_s("2026-01-03"), None).until == "2026-01-03T00:00:00Z"
    assert ONE.set_back(epoch_s("2026-01-30"), None).until == ONE.until
    both = MANY.set_back(epoch_s("2026-01-12"), None).items
    assert both is not None
    assert sorted(both.values()) == ["2026-01-10T00:00:00Z", "2026-01-12T00:00:00Z"]
    one = MANY.set_back(epoch_s("2026-01-12"), '{"pin":"A"}').items
    assert one is not None
    assert one['{"pin":"A"}'] == "2026-01-12T00:00:00Z"
    with pytest.raises(IrisConfigurationError, match="no item"):
        MANY.set_back(0, '{"pin":"B"}')
    with pytest.raises(IrisConfigurationError, match="one cursor for everything"):
        ONE.set_back(0, '{"pin":"B"}')


def test_an_item_has_one_name_however_its_members_are_ordered() -> None:
    assert key_of({"pin": "A", "datapoint": "Distance"}) == key_of({"datapoint": "Distance", "pin": "A"})


def test_a_hundred_thousand_items_are_a_few_megabytes_read_and_written_in_a_blink() -> None:
    items = {key_of({"pin": f"PIN{number:08d}"}): "2026-01-15T00:00:00Z" for number in range(100_000)}
    began = time.process_time()
    data = write_cursors(Cursors(endpoint="e", request="r", items=items))
    written = time.process_time()
    assert read_cursors(data, "x").items == items
    assert len(data) < 6_000_000
    # The clock of the process does not run while other processes do.
    assert written - began < 2
    assert time.process_time() - written < 2
