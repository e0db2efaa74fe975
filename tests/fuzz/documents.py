"""Bytes that are JSON, nearly JSON, or nothing of the kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Values that have broken a reader of JSON somewhere, as they stand in a document.
NASTY: Sequence[str] = (
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1",
    "2",
    "1.5",
    "1e308",
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "-Infinity",
    "9" * 19,
    "9" * 40,
    "9" * 5000,
    '""',
    '" "',
    '"0"',
    '"NaN"',
    '"-1"',
    '"1e999"',
    '"\\u0000"',
    '"\\ud800"',
    '"\\ud800 and more text behind it"',
    '"\\n\\r\\t"',
    '"\u2028"',
    '"\\',
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "[{}]",
    '{"":null}',
    "[" * 50 + "]" * 50,
    "[" * 20_000,
    '{"a":' * 3000 + "1" + "}" * 3000,
    "",
)


class Member:
    """One member of an object; an object is a list of them, so that a name can be there twice."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value


class Written(str):
    """A value that is written into the document as it is."""

    __slots__ = ()


class Object(list[Member]):
    """The members of an object, in order."""


def tree(value: Any) -> Any:
    """Return a value of Python as a tree that can be mutated."""
    if isinstance(value, dict):
        return Object(Member(name, tree(one)) for name, one in value.items())
    return [tree(one) for one in value] if isinstance(value, list) else value


def text(value: Any) -> str:
    """Return a tree as text."""
    if isinstance(value, Written):
        return str(value)
    if isinstance(value, Object):
        return "{" + ",".join(f"{json.dumps(one.name)}:{text(one.value)}" for one in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(text(one) for one in value) + "]"
    return json.dumps(value)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=12),
)

#: Values that JSON can hold.
VALUES: st.SearchStrategy[Any] = st.one_of(
    LEAVES,
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), LEAVES, max_size=3),
    st.lists(st.one_of(LEAVES, st.dictionaries(st.sampled_from("ab"), LEAVES, max_size=2)), max_size=3),
)

#: Values of every kind, as text of JSON or nearly so.
WRITTEN: st.SearchStrategy[Written] = st.one_of(
    st.sampled_from(NASTY).map(Written),
    VALUES.map(lambda value: Written(json.dumps(value))),
)


def _places(node: Any) -> list[tuple[Any, int]]:
    """Return every container and index in a tree."""
    found: list[tuple[Any, int]] = []
    if isinstance(node, list):
        for index, one in enumerate(node):
            found.append((node, index))
            found += _places(one.value if isinstance(one, Member) else one)
    return found


def _replace(container: Any, index: int, value: Any) -> None:
    if isinstance(container, Object):
        container[index].value = value
    else:
        container[index] = value


def _rename(container: Any, index: int, change: Callable[[str], str]) -> None:
    if isinstance(container, Object):
        container[index].name = change(container[index].name)


_RENAMINGS: Sequence[Callable[[str], str]] = (
    str.upper,
    str.lower,
    str.capitalize,
    lambda name: f" {name}",
    lambda name: f"{name}\x00",
    lambda name: name + "\ud800",
    lambda _name: "",
    lambda _name: "links",
    lambda _name: "content",
)


def _mutate(draw: st.DrawFn, root: list[Any]) -> None:
    container, index = draw(st.sampled_from(_places(root)))
    kind = draw(st.sampled_from(["replace", "replace", "delete", "twice", "rename", "wrap"]))
    if kind == "replace":
        _replace(container, index, draw(WRITTEN))
    elif kind == "delete" and container is not root:
        del container[index]
    elif kind == "twice":
        again = container[index]
        if isinstance(container, Object):
            again = Member(again.name, draw(WRITTEN))
        if container is not root:
            container.insert(draw(st.integers(0, len(container))), again)
    elif kind == "rename":
        _rename(container, index, draw(st.sampled_from(_RENAMINGS)))
    elif kind == "wrap":
        old = container[index].value if isinstance(container, Object) else container[index]
        _replace(container, index, draw(st.sampled_from([[old], Object([Member("a", old)])])))


_SPOILINGS: Sequence[Callable[[bytes], bytes]] = (
    lambda data: b"\xef\xbb\xbf" + data,
    lambda data: data[: len(data) // 2],
    lambda data: data[:-1],
    lambda data: data + b"}",
    lambda data: data + data,
    lambda data: data + b"\n" + data,
    lambda data: b" \r\n\t" + data + b"\n",
    lambda data: data.replace(b",", b",\n"),
    lambda data: data.replace(b":", b" : "),
    lambda data: data.replace(b'"', b'"\xff', 1),
    lambda data: data.replace(b"a", b"\xed\xa0\x80"),
    lambda data: data.replace(b"e", b"\x00", 1),
    lambda data: data.decode(errors="replace").encode("utf-16"),
    lambda data: data.decode(errors="replace").encode("utf-32"),
    lambda data: b"<Fleet>" + data + b"</Fleet>",
    lambda _data: b"",
)


@st.composite
def nearly(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> bytes:
    """Return a valid document with a few mutations of its values, and sometimes one of its bytes."""
    root = [tree(draw(documents))]
    for _ in range(draw(st.integers(0, 3))):
        _mutate(draw, root)
    data = text(root[0]).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 4)) == 0:
        data = draw(st.sampled_from(_SPOILINGS))(data)
    return data


def hostile(documents: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """Return what a broken or hostile sender makes of a document: mostly nearly right, at times just bytes."""
    right = documents.map(lambda document: json.dumps(document).encode())
    return st.one_of(
        *[right] * 4,
        *[nearly(documents)] * 4,
        st.binary(max_size=60),
        WRITTEN.map(lambda value: value.encode("utf-8", "surrogatepass")),
        VALUES.map(lambda value: json.dumps(value).encode()),
    )
