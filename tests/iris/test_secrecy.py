"""A secret stays out of sight, however it is spelled where somebody repeats it."""

import json
from urllib.parse import quote, urlencode

import pytest

from airflow_provider_trackunit.iris.secrecy import Secret, SecretMembers, redacted

SECRET = 'p&ss "wörd"/+\\ 1'


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        pytest.param(SECRET, "***", id="as it is"),
        pytest.param(json.dumps([SECRET]), '["***"]', id="in JSON"),
        pytest.param(json.dumps([SECRET], ensure_ascii=False), '["***"]', id="in JSON that keeps umlauts"),
        pytest.param(urlencode({"a": SECRET}), "a=***", id="in a form"),
        pytest.param(f"/x/{quote(SECRET, safe='')}/y", "/x/***/y", id="in a path"),
        pytest.param(f"/x/{quote(SECRET)}/y", "/x/***/y", id="in a path that keeps slashes"),
        pytest.param(repr(SECRET.encode()), "b'***'", id="as bytes are shown"),
    ],
)
def test_a_secret_is_starred_however_it_is_spelled(written: str, shown: str) -> None:
    assert redacted(f"before {written} behind", ["other", SECRET]) == f"before {shown} behind"


def test_nothing_but_the_secret_is_starred() -> None:
    assert redacted("a b c", ["b"]) == "a *** c"
    assert redacted("None of it, n or o", ["secret", ""]) == "None of it, n or o"


def test_of_a_secret_that_holds_another_nothing_is_left_over() -> None:
    assert redacted("x abc-def y abc", ["abc", "abc-def"]) == "x *** y ***"


def test_a_secret_is_the_text_it_is_and_does_not_show_it() -> None:
    assert Secret("hunter2") == "hunter2"
    assert "hunter2" not in repr([Secret("hunter2")])
    assert repr(Secret("hunter2")) == "'***'"


def test_an_answer_with_secrets_shows_its_names_only() -> None:
    assert repr(SecretMembers({"token": "hunter2", "expires_in": 7})) == "<expires_in, token>"
