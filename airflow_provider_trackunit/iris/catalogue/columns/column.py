"""One column of a table: what it is called, where a record has it, and what it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

#: What a column can hold. ``timestamp`` is a moment, in UTC and microseconds; ``json`` is any value, as its JSON text.
Type = Literal["string", "boolean", "int64", "double", "timestamp", "date", "json"]
TYPES: Final[tuple[str, ...]] = get_args(Type)

# Between a small letter or a digit and a capital, and before the last capital of a row of them: RMSVoltage.
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    :param name: of the column, the vendor's words in snake case
    :param path: where a record has the value, as in JMESPath: members with dots between, ``[0]`` for an element of a
        list, ``@`` for the record itself; empty for the column of what no other takes
    :param unit: of the values, None where they have none or another member says it
    :param source: the page of the vendor's developer hub that the row is taken from; "seen" for public clients;
        "path_params" for what an item gives; empty for a column that the caller named
    :param any_case: whether the members may begin with a capital or a small letter, as those of AEMP do
    :param any_text: whether a number or a boolean is taken as well, as its text
    """

    name: str
    path: str
    type: Type
    description: str = ""
    unit: str | None = None
    source: str = ""
    any_case: bool = False
    any_text: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of the records that some endpoints answer.

    :param title: what a record is, for people
    :param paths: as in :data:`~airflow_provider_trackunit.iris.catalogue.endpoints.ENDPOINTS`
    :param query: a name and a value that the query must have, None for any query
    """

    title: str
    paths: tuple[str, ...]
    columns: tuple[Column, ...]
    query: tuple[str, str] | None = None


def from_source(source: str, *columns: Column) -> tuple[Column, ...]:
    """Return columns with the source that they share."""
    return tuple(replace(column, source=source) for column in columns)


def snake_case(name: str) -> str:
    """Return a vendor's name as columns are called: ``acTotalActivePower`` is ``ac_total_active_power``."""
    return _WORDS.sub("_", name).lower()
