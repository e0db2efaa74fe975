"""What a wait waits for: a JMESPath expression over an answer, or simply something in it.

An expression and not code, because it has to cross into another process as text. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jmespath
import jmespath.exceptions
import msgspec

from airflow_provider_trackunit.iris.errors import IrisConfigurationError, one_line

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.pages.page import Page


# What jmespath raises besides its own errors: for a step of zero, an infinite number, a merge with null, and so on.
_REFUSALS: Final = (
    jmespath.exceptions.JMESPathError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)

# An expression has to be understood, and its error to be read, by people.
_MOST_CHARS: Final = 10_000
_MOST_MESSAGE_CHARS: Final = 500
_MOST_SIGHT_CHARS: Final = 100


class Condition:
    """A JMESPath expression (https://jmespath.org).

    :param name: of the argument that it is, for messages
    :raises IrisConfigurationError: when the expression is malformed; the text says where
    """

    def __init__(self, expression: str, name: str = "condition") -> None:
        self._name = name
        if not isinstance(expression, str) or len(expression) > _MOST_CHARS:
            raise IrisConfigurationError(f"{name}: give text, of {_MOST_CHARS} characters at the most")
        self._expression = expression
        try:
            self._compiled = jmespath.compile(expression)
        except _REFUSALS as error:
            raise IrisConfigurationError(
                f"{name}: not a JMESPath expression. {one_line(error, _MOST_MESSAGE_CHARS)}"
            ) from None

    def value(self, document: Any) -> Any:
        """Return the value of the expression over a decoded answer.

        :raises IrisConfigurationError: when the expression cannot be applied, such as ``length`` of a number, or its
            value is none of JSON, such as a reference to an expression
        """
        try:
            value = self._compiled.search(document)
            # It has to cross into another process. Infinity, which is none of JSON, is null there.
            return msgspec.json.decode(msgspec.json.encode(value))
        except _REFUSALS as error:
            raise IrisConfigurationError(
                f"{self._name}: {self._expression!r:.200} cannot be applied to the answer. {one_line(error, _MOST_MESSAGE_CHARS)}"
            ) from None


def found_records(page: Page) -> Any:
    """Return what an answer holds: its object, or how many records are in its first page."""
    if page.paginated or len(page.raw_records) != 1:
        return len(page.raw_records)
    return page.records[0]


def sight(found: Any, condition: Condition | None) -> str:
    """Return in a few words, for a line of the log, what a look found, and whether the wait is over."""
    begin = "done" if found else "not yet"
    if condition is not None:
        return f"{begin}, the condition gives {one_line(repr(found), _MOST_SIGHT_CHARS)}"
    return (
        f"{begin}, {found} records"
        if isinstance(found, int)
        else f"{begin}, an object of {len(found)} members"
    )


def look(page: Page, condition: Condition | None) -> Any:
    """Return what a wait finds in an answer; it is over when that is true in the sense of Python."""
    return found_records(page) if condition is None else condition.value(page.document)
