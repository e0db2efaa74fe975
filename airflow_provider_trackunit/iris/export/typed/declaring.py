"""Which columns an export writes: those of the catalogue, or those that the caller names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_trackunit.iris.catalogue.columns.column import TYPES, Column
from airflow_provider_trackunit.iris.catalogue.columns.known import find_table
from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.export.typed.paths import Step, read_path

if TYPE_CHECKING:
    from collections.abc import Sequence

# The member of a record that holds the item it was asked for; and the one that holds a record which is no object.
_REQUEST: Final = "_request"
_NO_OBJECT: Final = "value"

#: What no other column takes.
REST: Final = Column(
    "_extra", "", "json", "what no other column takes, as an object; null where nothing is left"
)

# What a database and its people can still read in a message.
_MOST_NAME_CHARS: Final = 200


def columns_for(
    endpoint: str,
    query_params: Mapping[str, Any] | None = None,
    *,
    columns: Mapping[str, Sequence[str]] | None = None,
    item_names: Sequence[str] = (),
) -> list[Column]:
    """Return the columns of an export, the same for every run of the same request.

    After those of the records come ``_request_<name>`` for each name of an item, and ``_extra`` for the rest. What an
    item gives is text, as it is in the URL. With a list of items, a record that is no object is in ``value``, as in JSON
    Lines.

    ::

        columns_for("/api/asset/v1/assets")
        columns_for(".../Fleet", columns={"pin": ("EquipmentHeader.PIN", "string")})

    :param endpoint: as the caller of the operator writes it, its placeholders not filled, so that the columns do not
        depend on the items
    :param query_params: what the caller adds to the query
    :param columns: path and type by name; None for the catalogue's. Members of AEMP may begin with a capital or a small
        letter here, too: how they are written in JSON is not documented
    :param item_names: the names of ``path_params``, where that is a list of mappings
    :raises IrisConfigurationError: when the catalogue has no columns for the endpoint, or a name, path or type of
        ``columns`` cannot be used
    """
    known = _of_catalogue(endpoint, query_params)
    if columns is not None:
        own = _of_caller(columns, any_case=any(one.any_case for one in known))
    elif known:
        own = [_beside_item(one) if item_names else one for one in known]
    else:
        raise IrisConfigurationError(
            f"columns: none are known for {_path_of(endpoint)}; name them, as in columns={{'id': ('id', 'string')}}"
        )
    found = [*own, *(_of_item(name) for name in item_names), REST]
    _refuse_equal_names(found)
    _refuse_shared_places(found)
    return found


def steps_of(column: Column) -> tuple[Step, ...]:
    """Return the way from a record to the value of a column that is not the rest."""
    return read_path(column.path)


def spellings_of(step: Step, *, any_case: bool) -> tuple[Step, ...]:
    """Return what a member may be called."""
    if isinstance(step, int) or not any_case or not (step[:1].isascii() and step[:1].isalpha()):
        return (step,)
    return (step, step[0].swapcase() + step[1:])


def _of_catalogue(endpoint: str, query_params: Mapping[str, Any] | None) -> Sequence[Column]:
    given = [(name, _query_text(value)) for name, value in (query_params or {}).items()]
    query = [*parse_qsl(urlsplit(endpoint.strip()).query), *given]
    table = find_table("/" + _path_of(endpoint).lstrip("/"), query)
    return () if table is None else table.columns


def _path_of(endpoint: str) -> str:
    return urlsplit(endpoint.strip()).path


def _query_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_caller(columns: Mapping[str, Sequence[str]], *, any_case: bool) -> list[Column]:
    if not isinstance(columns, Mapping) or not columns:
        raise IrisConfigurationError("columns: give a mapping of names to (path, type), or None")
    return [replace(_declared(name, given), any_case=any_case) for name, given in columns.items()]


def _declared(name: Any, given: Any) -> Column:
    if (
        not isinstance(name, str)
        or not name.strip()
        or len(name) > _MOST_NAME_CHARS
        or not name.isprintable()
    ):
        raise IrisConfigurationError(f"columns: {name!r:.200} cannot be the name of a column")
    if isinstance(given, str) or not _are_two_texts(given):
        raise IrisConfigurationError(f"columns[{name!r}]: give (path, type), as in ('id', 'string')")
    path, kind = given
    if kind not in TYPES:
        raise IrisConfigurationError(
            f"columns[{name!r}]: {kind!r:.50} is not a type. There are {', '.join(TYPES)}"
        )
    read_path(path)
    return Column(name, path, kind)


def _are_two_texts(given: Any) -> bool:
    return isinstance(given, tuple | list) and len(given) == 2 and all(isinstance(one, str) for one in given)


def _beside_item(column: Column) -> Column:
    """Return a column as it is in a record that carries its item."""
    return replace(column, path=_NO_OBJECT) if column.path == "@" else column


def _of_item(name: str) -> Column:
    path = f'{_REQUEST}."' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    said = f"{name} of the item that was asked for"
    return Column(f"{_REQUEST}_{name}", path, "string", said, source="path_params", any_text=True)


def _refuse_equal_names(columns: Sequence[Column]) -> None:
    """Refuse two names that differ in case alone, too: most databases do not tell them apart."""
    seen: set[str] = set()
    for column in columns:
        if column.name.lower() in seen:
            raise IrisConfigurationError(
                f"columns: {column.name!r} is there twice; '_extra' and '_request_…' are taken, and capitals make no "
                "difference"
            )
        seen.add(column.name.lower())


def _refuse_shared_places(columns: Sequence[Column]) -> None:
    """Refuse two columns of one value, of a value and a part of it, or of one value as an object and as a list."""
    any_case = any(column.any_case for column in columns)
    places: dict[tuple[Step, ...], tuple[str, type | None]] = {}
    for column in columns:
        if column is REST:
            continue
        steps = tuple(min(spellings_of(step, any_case=any_case)) for step in steps_of(column))
        for length in range(len(steps) + 1):
            kind = type(steps[length]) if length < len(steps) else None
            other, other_kind = places.setdefault(steps[:length], (column.name, kind))
            if other != column.name and (kind is None or kind is not other_kind):
                raise IrisConfigurationError(
                    f"columns: {other!r} and {column.name!r} take the same value, or a part of it"
                )
