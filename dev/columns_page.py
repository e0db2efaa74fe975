"""``python -m dev.columns_page`` writes docs/tables/columns.md from the catalogue, so that neither drifts from the other.

The many series of AEMP are one table of their own, and extended data is told by what it adds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.iris.catalogue.columns.aemp import AEMP_TABLES
from airflow_provider_trackunit.iris.catalogue.columns.known import TABLES
from airflow_provider_trackunit.iris.catalogue.datapoints import DATAPOINTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_trackunit.iris.catalogue.columns.column import Column, Table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tables" / "columns.md"

_INTRODUCTION = """\
# Columns

What `file_format="parquet"` writes for each endpoint, unless `columns=` names others. Types are declared and never guessed:
every part of every run has the same schema, columns of nulls included. This page is made from the catalogue that the
transfer itself uses.

| Type | In Parquet | Takes from JSON |
|---|---|---|
| `string` | string | text |
| `boolean` | boolean | true and false |
| `int64` | 64-bit integer | whole numbers, also written as `12.0` |
| `double` | double | numbers, as the nearest double; a whole number only where a double is exactly that number (all below 2^53) |
| `timestamp` | timestamp, microseconds, UTC | times with an offset from UTC or `Z`, of any precision, cut to microseconds |
| `date` | date | `2026-01-15` |
| `json` | string | anything, as its JSON text, every digit kept |

- **Nothing is converted in silence.** A value that does not fit (a text where a number was declared, `1.5` where a whole
  number was, a time without an offset) is null in its column, stays in `_extra`, and is counted by column in the manifest
  (`bad_values`). With `on_bad_value="fail"` it fails the task.
- **Nothing is lost.** What no column takes is in `_extra`, a JSON object, every digit kept; null where nothing is left. A
  member that is null is as good as none. New members that IRIS begins to send appear there, and change no schema.
- **Units** are in a column's name and in the metadata of its field where they are always the same. Where IRIS sends the unit
  with the value, it is in a column beside it (`distance`, `distance_units`), and nothing is converted.
- **A list of items** (`path_params`) adds a text column for each name: `_request_pin`, ...
- Members of AEMP are found with a capital and with a small first letter, those of own columns too.

Own columns are named by path and type. A path is that of JMESPath: members with dots between, `[0]` for an element of a
list, double quotes around other names, `@` for the record itself; so `"lon": ("geometry.coordinates[0]", "double")`.
A path, type or name that cannot be used is refused before anything is asked for. One that leads nowhere is known when all
records are there and none has anything at it. The log says so, with the column, which is null; what it was meant for is in
`_extra`. The result is published all the same, because IRIS leaves members out and perhaps no machine of today has that one.
With `on_bad_value="fail"` it fails the task, from 100 records on: what came is stored, nothing is published, and the run with
the mended path asks for everything anew, because it is another request.

The source of each table is a page of the [developer hub](https://developers.trackunit.com); "seen" says that public clients
of the API have it.
"""


def page() -> str:
    """Return the page."""
    snapshot, any_series = AEMP_TABLES[1], AEMP_TABLES[-1]
    parts = [_INTRODUCTION, *map(_section, (one for one in TABLES if one not in AEMP_TABLES))]
    parts += [_section(snapshot), _extended(AEMP_TABLES[0], snapshot), _section(any_series), _series()]
    return "\n".join(parts)


def _section(table: Table) -> str:
    return f"## {table.title}\n\n{_paths(table)}\n\n{_columns(table.columns)}"


def _extended(table: Table, plain: Table) -> str:
    """Return the section of a table that begins with the columns of another."""
    added = table.columns[len(plain.columns) :]
    return f"## {table.title}\n\nWith `addExtendedData=true`, these follow the columns above.\n\n{_columns(added)}"


def _series() -> str:
    rows = [
        (f"`{one.series}`", ", ".join(f"`{column.name}`" for column in table.columns))
        for one, table in zip(DATAPOINTS, AEMP_TABLES[2:-1], strict=True)
    ]
    return (
        "## AEMP series of one datapoint\n\nA path that names its datapoint has the columns of that datapoint alone.\n\n"
        + _table(("Datapoint", "Columns"), rows)
    )


def _paths(table: Table) -> str:
    return "\n".join(f"- `{path.replace('[/{page}]', '/1')}`" for path in table.paths)


def _columns(columns: Sequence[Column]) -> str:
    """Return the columns as a table, with the source above it where they share one."""
    sources = dict.fromkeys(column.source for column in columns)
    rows = [(f"`{one.name}`", f"`{one.path}`", one.type, one.unit or "", one.description) for one in columns]
    return f"Source: {'; '.join(sources)}\n\n" + _table(
        ("Column", "Path", "Type", "Unit", "What it is"), rows
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
