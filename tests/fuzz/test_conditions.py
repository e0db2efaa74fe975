"""JMESPath over answers of any shape: a value that can cross into another process, or one of our errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisError
from airflow_provider_trackunit.iris.pages.styles.unpaged import Unpaged
from airflow_provider_trackunit.iris.watch.conditions import Condition, look
from tests.fuzz.documents import VALUES, hostile
from tests.fuzz.wires import ORIGIN, checked

FUNCTIONS = [
    "abs", "avg", "ceil", "contains", "ends_with", "floor", "join", "keys", "length", "map", "max", "max_by",
    "merge", "min", "min_by", "not_null", "reverse", "sort", "sort_by", "starts_with", "sum", "to_array",
    "to_number", "to_string", "type", "values", "nope",
]  # fmt: skip
ATOMS = st.sampled_from(
    [
        "@", "a", "b", '"a"', "content", "*", "[*]", "[]", "[0]", "[-1]", "[9999999999999999999999]", "[::0]",
        "[::-1]", "[?a]", "[?@ > `1`]", "`1`", "`null`", "`1e999`", "`-0`", '`"\\\\ud800"`', "`[1, {}]`",
        "`x`", "'raw'", "&a", "&@", "&*", "{x: a}", "[a, b]", "!a", "a == b", "a > b", "a && b", "a || b",
        '"\\ud800"', "`\ud800`", "\x00", "\u0661", "", "`" + "[" * 3000 + "`",
    ]
)  # fmt: skip
EXPRESSIONS = st.one_of(
    st.recursive(
        ATOMS,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(FUNCTIONS), st.lists(inner, max_size=3)).map(
                lambda p: f"{p[0]}({', '.join(p[1])})"
            ),
            st.tuples(inner, st.sampled_from([".", "|", "&&", "||", " == ", " < "]), inner).map("".join),
            inner.map(lambda one: f"({one})"),
            inner.map(lambda one: f"[?{one}]"),
            inner.map(lambda one: f"*.{one}"),
        ),
        max_leaves=6,
    ),
    st.text(max_size=20),
    st.text(st.sampled_from("ab@*[]{}()&|!?<>=`'\"\\.:,0-1 "), max_size=15),
    st.sampled_from(["(" * 3000 + "a" + ")" * 3000, "a." * 5000 + "a", "!" * 5000 + "a"]),
)
DOCUMENTS = st.one_of(
    VALUES,
    st.fixed_dictionaries({"a": VALUES, "b": VALUES, "content": st.lists(VALUES, max_size=3)}),
    st.sampled_from([1e308, -1e308, 10**400, "9" * 5000, {"a": None}, [[[]]], {"": {"": 1}}]),
)


@example("[::0]", [1])
@example("&a", {})
@example("merge(@, `null`)", {})
@example("contains(@, `1`)", "a")
@example("floor(`1e999`)", {})
@example("`1e999`", {})
@example("(" * 3000 + "a" + ")" * 3000, {})
@given(expression=EXPRESSIONS, document=DOCUMENTS)
def test_a_condition_has_a_value_that_can_be_stored_or_is_one_of_our_errors(
    expression: str, document: Any
) -> None:
    try:
        value = Condition(expression).value(document)
    except IrisConfigurationError as error:
        checked(error)
        return
    assert json.loads(json.dumps(value, allow_nan=False, ensure_ascii=False).encode()) == value


@given(condition=st.one_of(VALUES, st.just([]), st.just(b"a")))
def test_a_condition_that_is_no_text_is_refused(condition: Any) -> None:
    if not isinstance(condition, str):
        with pytest.raises(IrisConfigurationError):
            Condition(condition)


CALL = make_call(ORIGIN, "/api/asset/v1/assets/a")


@given(expression=st.one_of(st.none(), EXPRESSIONS), body=hostile(DOCUMENTS))
def test_a_look_at_any_answer_finds_something_nothing_or_one_of_our_errors(
    expression: str | None, body: bytes
) -> None:
    try:
        condition = None if expression is None else Condition(expression)
        found = look(Unpaged().read(CALL, {}, body), condition)
    except IrisError:
        return
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
