"""Reading a GraphQL document: enough of the language for queries over connections.

One operation, fields with aliases and arguments, variables with defaults, inline fragments.
Named fragments and directives are refused as a document that cannot be read.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

_TOKEN = re.compile(
    r'\s*(?:#[^\n]*\s*)*(?P<token>\.\.\.|[!$():=@\[\]{}|]|[_A-Za-z]\w*|-?\d+(?:\.\d+)?|"(?:[^"\\]|\\.)*")[\s,]*'
)
CONSTANTS: dict[str, Any] = {"true": True, "false": False, "null": None}


class DocumentError(Exception):
    """The document is not one this reader knows."""


@dataclass(slots=True)
class Field:
    """One field of a selection."""

    name: str
    alias: str
    arguments: dict[str, Any] = field(default_factory=dict)
    selections: list["Field"] = field(default_factory=list)


def read_query(text: str, variables: dict[str, Any]) -> list[Field]:
    """Return the root fields of a query, arguments filled in from ``variables``.

    :raises DocumentError: if the text is no query, or a variable is missing.
    """
    return _Reader(text, variables).document()


class _Reader:
    def __init__(self, text: str, variables: dict[str, Any]) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._variables = dict(variables)

    def document(self) -> list[Field]:
        if self._peek() != "{":
            self._operation()
        roots = self._selections()
        if self._at != len(self._tokens):
            raise DocumentError(f"unexpected '{self._peek()}' after the operation")
        return roots

    def _operation(self) -> None:
        if self._next() != "query":
            raise DocumentError("only queries are served")
        if self._peek() not in {"(", "{"}:
            self._next()
        if self._peek() == "(":
            self._definitions()

    def _definitions(self) -> None:
        self._expect("(")
        while self._peek() != ")":
            self._expect("$")
            name = self._next()
            self._expect(":")
            required = self._type()
            if self._peek() == "=":
                self._next()
                default = self._value()
                self._variables.setdefault(name, default)
            if required and self._variables.get(name) is None:
                raise DocumentError(f"the variable ${name} is required")
            self._variables.setdefault(name, None)
        self._expect(")")

    def _type(self) -> bool:
        """Skip a type; return whether it must not be null."""
        if self._peek() == "[":
            self._next()
            self._type()
            self._expect("]")
        else:
            self._next()
        if self._peek() == "!":
            self._next()
            return True
        return False

    def _selections(self) -> list[Field]:
        self._expect("{")
        found: list[Field] = []
        while self._peek() != "}":
            if self._peek() == "...":
                found += self._inline_fragment()
            else:
                found.append(self._field())
        self._expect("}")
        return found

    def _inline_fragment(self) -> list[Field]:
        self._next()
        if self._peek() == "on":
            self._next()
            self._next()
        return self._selections()

    def _field(self) -> Field:
        name = alias = self._name()
        if self._peek() == ":":
            self._next()
            name = self._name()
        found = Field(name, alias)
        if self._peek() == "(":
            found.arguments = self._arguments("(", ")")
        if self._peek() == "{":
            found.selections = self._selections()
        return found

    def _arguments(self, opening: str, closing: str) -> dict[str, Any]:
        self._expect(opening)
        found = {}
        while self._peek() != closing:
            name = self._name()
            self._expect(":")
            found[name] = self._value()
        self._expect(closing)
        return found

    def _value(self) -> Any:
        if self._peek() == "{":
            return self._arguments("{", "}")
        word = self._next()
        if word == "$":
            return self._variable(self._next())
        if word == "[":
            return self._list()
        if word[0] in '"-0123456789':
            return msgspec.json.decode(word)
        return CONSTANTS.get(word, word)

    def _list(self) -> list[Any]:
        found = []
        while self._peek() != "]":
            found.append(self._value())
        self._expect("]")
        return found

    def _variable(self, name: str) -> Any:
        if name not in self._variables:
            raise DocumentError(f"the variable ${name} is not defined")
        return self._variables[name]

    def _name(self) -> str:
        token = self._next()
        if not re.fullmatch(r"[_A-Za-z]\w*", token):
            raise DocumentError(f"expected a name, not '{token}'")
        return token

    def _peek(self) -> str:
        if self._at >= len(self._tokens):
            raise DocumentError("the document ends too early")
        return self._tokens[self._at]

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        found = self._next()
        if found != token:
            raise DocumentError(f"expected '{token}', not '{found}'")


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text) and not re.fullmatch(r"(?:[\s,]|#[^\n]*)*", text[at:]):
        match = _TOKEN.match(text, at)
        if match is None:
            raise DocumentError(f"cannot read '{text[at : at + 20]}'")
        found.append(match["token"])
        at = match.end()
    return found
