"""What a wait waits for: a JMESPath expression over an answer, or simply something in it.

An expression and not code, because it has to cross into another process as text. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jmespath
import jmespath.exceptions

from airflow_provider_trackunit.iris.errors import IrisConfigurationError

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.paging import Page


class Condition:
    """A JMESPath expression (https://jmespath.org).

    :raises IrisConfigurationError: when the expression is malformed; the text says where
    """

    def __init__(self, expression: str) -> None:
        self._expression = expression
        try:
            self._compiled = jmespath.compile(expression)
        except jmespath.exceptions.JMESPathError as error:
            raise IrisConfigurationError(
                f"condition: not a JMESPath expression. {_one_line(error)}"
            ) from None

    def value(self, document: Any) -> Any:
        """Return the value of the expression over a decoded answer.

        :raises IrisConfigurationError: when the expression cannot be applied, such as ``length`` of a number
        """
        try:
            return self._compiled.search(document)
        except jmespath.exceptions.JMESPathError as error:
            raise IrisConfigurationError(
                f"condition: {self._expression!r} cannot be applied to the answer. {_one_line(error)}"
            ) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def found_records(page: Page) -> Any:
    """Return what an answer holds: its object, or how many records are in its first page."""
    if page.paginated or len(page.raw_records) != 1:
        return len(page.raw_records)
    return page.records[0]


def look(page: Page, condition: Condition | None) -> Any:
    """Return what a wait finds in an answer; it is over when that is true in the sense of Python."""
    return found_records(page) if condition is None else condition.value(page.document)
