"""A column is told to lead nowhere if and only if no record of the whole result has anything at its path."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.errors import IrisUnexpectedResponseError
from airflow_provider_trackunit.iris.export.formats.draft import request_member
from airflow_provider_trackunit.iris.export.formats.parquet import ParquetEncoding
from airflow_provider_trackunit.iris.export.manifest import Part
from airflow_provider_trackunit.iris.export.state import State
from airflow_provider_trackunit.iris.export.typed.declaring import columns_for
from airflow_provider_trackunit.iris.export.typed.paths import read_path

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.export.typed.paths import Step

ITEM = {"pin": "A1"}
# One that fits a member, one of a member, elements of a list, a list in a list, odd names, and the record itself.
PATHS = ["a", "b.a", "c[0]", "d[1].a", "e[0][1]", '"x y"."é"', '""', "A"]
NAMES = ["a", "b", "c", "d", "e", "x y", "é", "", "A", "other"]

members = st.sampled_from(NAMES)
values = st.recursive(
    st.sampled_from([None, 1, 1.5, "text", "2026-01-01T00:00:00Z", True, 2**70, ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=3),
    max_leaves=6,
)
records = st.dictionaries(members, values, max_size=4) | values
ends = st.sampled_from(["", "block", "part"])
few = st.lists(records, min_size=1, max_size=3)
# Pages that repeat a few records: there are enough of them to be sure, and few different ones.
pages = st.lists(st.tuples(few.map(lambda some: some * 20) | few, ends), max_size=5)
types = st.sampled_from(["string", "boolean", "int64", "double", "timestamp", "date", "json"])
columns = st.dictionaries(st.sampled_from(PATHS), types, min_size=1) | types.map(lambda kind: {"@": kind})


def has(record: Any, steps: tuple[Step, ...]) -> bool:
    """Return whether there is a value at a path, null or not."""
    for step in steps:
        if isinstance(step, int):
            if not isinstance(record, list) or step >= len(record):
                return False
        elif not isinstance(record, dict) or step not in record:
            return False
        record = record[step]
    return True


def stored(state: State, kind: ParquetEncoding) -> State:
    """Return the state with its draft as a part, as the next try has it from the checkpoint."""
    if state.draft.records:
        draft = state.draft.encoded(kind)
        state = state.with_part(Part("part", draft.records, 1), draft)
    return State(parts=state.parts, filled=frozenset(sorted(state.filled)))


def beside_item(record: Any) -> dict[str, Any]:
    return {"_request": ITEM, **(record if isinstance(record, dict) else {"value": record})}


@given(columns, pages, st.booleans())
def test_however_records_fall_into_blocks_parts_and_tries(
    own: dict[str, str], came: list[tuple[list[Any], str]], of_items: bool
) -> None:
    item = ITEM if of_items and "@" not in own else None
    names = {path: f"column {number}" for number, path in enumerate(own)}
    named = {names[path]: (path, kind) for path, kind in own.items()}
    declared = columns_for("/", columns=named, item_names=tuple(item or ()))
    kind = ParquetEncoding(declared)
    state = State()
    whole: list[Any] = []
    for found, then in came:
        raws = [msgspec.Raw(msgspec.json.encode(record)) for record in found]
        request = None if item is None else request_member(item)
        state = replace(state, draft=state.draft.adding(kind, raws, request))
        whole += found if item is None else [beside_item(record) for record in found]
        if then == "block":
            state = replace(state, draft=state.draft.encoded(kind))
        elif then == "part":
            state = stored(state, kind)
    state = stored(state, kind)
    assert state.records == len(whole)
    wrong = [path for path in own if not any(has(record, read_path(path)) for record in whole)]
    failing = ParquetEncoding(declared, "fail")
    if not wrong or len(whole) < 100:
        failing.judge(state.filled, state.records)
        return
    with pytest.raises(IrisUnexpectedResponseError) as raised:
        failing.judge(state.filled, state.records)
    assert [path for path in own if f"columns[{names[path]!r}]: none of" in str(raised.value)] == wrong
    assert str(raised.value).count("columns[") == len(wrong)
