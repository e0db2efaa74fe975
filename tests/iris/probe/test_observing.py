"""What is noted of an answer holds no value of it, whatever the answer is."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.http.wire import Response
from airflow_provider_trackunit.iris.probe.observing import built, links_of, names_of, seen

# Text that nothing of ours holds, with a digit or without.
SECRET = "Zaphod"
secrets = st.sampled_from([SECRET, f"{SECRET}7", f"{SECRET} Beeblebrox", f"-{SECRET}-"])
member_names = st.sampled_from(
    ["content", "links", "code", "name", "rel", "href", f"{SECRET} 1", f"{SECRET}7"]
)
documents = st.recursive(
    secrets | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(member_names, inner, max_size=4),
    max_leaves=20,
)


@given(
    document=documents, records=st.lists(documents, max_size=4), status=st.sampled_from([200, 400, 403, 429])
)
def test_no_value_is_noted(document: Any, records: list[Any], status: int) -> None:
    headers = {
        "content-type": f"{SECRET}/{SECRET}",
        "retry-after": SECRET,
        "x-rate-limit-left": SECRET,
        SECRET: "1",
    }
    answer = Response(status, headers, json.dumps(document).encode())
    noted = seen(answer) | built(document, records, is_one_record=False)
    noted.pop("code")  # one word without a digit is a code by its looks
    assert SECRET not in json.dumps(noted)
    links = links_of(document, f"https://iris.example/{SECRET}?a=1")
    assert links is None or f"{SECRET}7" not in msgspec.json.encode(links).decode()


def test_names_that_are_not_those_of_members_are_counted_and_not_shown() -> None:
    record = {"name": 1, "9f0c-11": 2, "Main St. 12": 3, "x" * 80: 4}
    noted = built({"content": [record]}, [record], is_one_record=False)
    assert (noted["members"], noted["other_names"]) == (("name",), 3)
    assert names_of(["a b", "élan", "ok"]) == ("ok",)
