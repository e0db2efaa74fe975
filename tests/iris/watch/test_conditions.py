"""What a wait waits for."""

from typing import Any

import msgspec
import pytest

from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.pages.page import Page
from airflow_provider_trackunit.iris.watch.conditions import Condition, found_records, look

DOCUMENT = {"totalElements": 2, "content": [{"id": "a", "status": "OPEN"}, {"id": "b", "status": "CLOSED"}]}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("totalElements > `1`", True),
        ("totalElements > `2`", False),
        ("content[?status=='OPEN'].id", ["a"]),
        ("content[?status=='GONE'].id", []),
        ("nothing.here", None),
        ("length(content)", 2),
        ("@", DOCUMENT),
    ],
)
def test_a_condition_has_a_value_over_an_answer(expression: str, value: Any) -> None:
    assert Condition(expression).value(DOCUMENT) == value


@pytest.mark.parametrize("document", [None, [], 7, "text"])
def test_an_answer_without_the_member_has_no_value(document: Any) -> None:
    assert Condition("content").value(document) is None


@pytest.mark.parametrize("expression", ["", "content[?", "a..b", "a ==", "#", "no_such(@"])
def test_a_malformed_condition_is_refused_at_once_on_one_line(expression: str) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^condition: ") as caught:
        Condition(expression)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("expression", [None, 7, ["a"], b"a", "a" * 10_001])
def test_what_is_no_text_or_one_without_an_end_is_refused(expression: Any) -> None:
    with pytest.raises(IrisConfigurationError, match="condition: give text, of 10000 characters at the most"):
        Condition(expression)


def test_a_long_condition_is_one() -> None:
    assert Condition("a" * 10_000).value({"a" * 10_000: 1}) == 1


def test_what_no_log_can_hold_is_replaced_in_the_error() -> None:
    with pytest.raises(IrisConfigurationError) as caught:
        Condition("a \u202e\x00 b")
    assert str(caught.value).isprintable()
    assert "\N{REPLACEMENT CHARACTER}" in str(caught.value)


def test_a_malformed_condition_is_told_where_it_goes_wrong() -> None:
    with pytest.raises(IrisConfigurationError, match=r"column 2, token \"\.\" .* expression: \"a\.\.b\" \^$"):
        Condition("a..b")


def test_a_condition_that_does_not_fit_the_answer_is_told_why() -> None:
    with pytest.raises(IrisConfigurationError, match=r"length\(\), invalid type .*received: \"number\"$"):
        Condition("length(totalElements)").value(DOCUMENT)


@pytest.mark.parametrize(
    "expression", ["length(totalElements)", "no_such(@)", "sort_by(content, &x)", "max(content)", "sum(@)"]
)
def test_a_condition_that_does_not_fit_the_answer_is_a_configuration_error(expression: str) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^condition: '.*cannot be applied") as caught:
        Condition(expression).value(DOCUMENT)
    assert "\n" not in str(caught.value)


def page(*records: bytes, paginated: bool) -> Page:
    return Page([msgspec.Raw(record) for record in records], None, paginated=paginated)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        pytest.param(page(paginated=True), 0, id="an empty page"),
        pytest.param(page(b"1", b"2", paginated=True), 2, id="a page with records"),
        pytest.param(page(b"{}", paginated=True), 1, id="a page with one record"),
        pytest.param(page(b'{"id":1}', paginated=False), {"id": 1}, id="an object"),
        pytest.param(page(b"{}", paginated=False), {}, id="an empty object"),
        pytest.param(page(paginated=False), 0, id="an empty list"),
        pytest.param(page(b"1", b"2", paginated=False), 2, id="a list"),
    ],
)
def test_without_a_condition_it_is_the_object_or_the_number_of_records(answer: Page, found: Any) -> None:
    assert found_records(answer) == found
    assert look(answer, None) == found


def test_with_a_condition_it_is_the_value_over_the_whole_answer_and_not_over_its_records() -> None:
    body = b'{"totalElements": 250, "content": [{"id": 1}]}'
    answer = Page([msgspec.Raw(b'{"id": 1}')], None, body=body)
    assert look(answer, Condition("totalElements > `249`")) is True
    assert look(answer, Condition("id")) is None
