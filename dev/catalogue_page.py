"""``python -m dev.catalogue_page`` writes docs/catalogue.md: what the catalogue knows, with a record of the emulator for each list.

Whoever changes the catalogue runs it again; a test compares the page with what would be written.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.iris.catalogue.columns.known import find_table
from airflow_provider_trackunit.iris.catalogue.datapoints import DATAPOINTS
from airflow_provider_trackunit.iris.catalogue.endpoints import ENDPOINTS
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.http.tokens import Credentials
from airflow_provider_trackunit.iris.probe.questions import Known, question
from dev.site_pages import slug

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_trackunit.iris.catalogue.datapoints import Datapoint
    from airflow_provider_trackunit.iris.catalogue.endpoint import Endpoint

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "catalogue.md"

# The day whose data the emulator invents, so that the page is the same whenever it is written.
_NOW: Final = dt.datetime(2026, 1, 15, 6, 30, tzinfo=dt.UTC)

_INTRODUCTION: Final = """\
# Catalogue of endpoints

Every endpoint of IRIS that the provider knows: how it pages, what limits it, what it needs, and a record of it. Any other path
works too; its way of paging is then recognised from the answer, and no limit is assumed. Whether *your* account may read
an endpoint, the [probe](probe.md) finds out.

- **Pages**: `number` counts pages in the query, `after` goes by an opaque cursor, `links` is AEMP's number at the end of the
  path, `relay` is a connection of GraphQL, `whole` answers everything at once, and `recognise` is known from the answer. The
  number behind it is the size of a page that is asked for.
- **Limit**: what is documented; how it is kept is told under [Limits of the API](limits.md).
- **Needs**: the subscription that Trackunit's documentation names. Where none is named, an API user can read it.
- **Columns**: of a [typed result](tables/columns.md). Without any, records come as JSON Lines.
- The records are invented ones, of the [emulator](testing.md). Long lists are cut after their first element.

This page is made from the catalogue that the provider itself uses. The headings are pages of Trackunit's
[developer hub](https://developers.trackunit.com); "seen" says that public clients of the API have it.
"""

_LONGEST_TEXT: Final = 60


def page() -> str:
    """Return the page."""
    samples = _samples()
    parts = [_INTRODUCTION]
    for source, rows in itertools.groupby(ENDPOINTS, key=lambda row: row.source):
        parts.append(_section(source, list(rows), samples))
    return "\n".join([*parts, _datapoints()])


_COLUMNS: Final = ("Endpoint", "Pages", "Records in", "Limit", "Needs", "Columns")


def _section(source: str, rows: Sequence[Endpoint], samples: Mapping[str, Any]) -> str:
    lines = [f"## {source}", "", *_table([list(_cells(row)) for row in rows])]
    for row in rows:
        if row.path in samples:
            lines += ["", f'??? example "A record of `{_shown(row)}`"', "", "    ```json"]
            lines += [
                f"    {line}"
                for line in json.dumps(samples[row.path], indent=2, ensure_ascii=False).splitlines()
            ]
            lines += ["    ```"]
    return "\n".join([*lines, ""])


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table, without the columns that none of them fills."""
    filled = [number for number in range(len(_COLUMNS)) if any(row[number] for row in rows)]
    lines = [_COLUMNS, ["---"] * len(_COLUMNS), *rows]
    return [f"| {' | '.join(line[number] for number in filled)} |" for line in lines]


def _cells(row: Endpoint) -> Iterator[str]:
    paging = row.paging
    yield f"{'/'.join(row.methods)} `{_shown(row)}`"
    yield f"`{paging.style}`{f', {paging.size}' if paging.size else ''}"
    yield f"`{paging.record_key}`" if paging.record_key else ""
    yield "; ".join(filter(None, [*map(_limit, row.limits), _window(row)]))
    yield row.needs
    table = find_table(re.sub(r"\[.*\]", "", row.path))
    yield f"[{table.title}](tables/columns.md#{slug(table.title)})" if table else ""


def _shown(row: Endpoint) -> str:
    return row.path.replace("[/{page}]", "/1").replace("{*prefix}", "…")


def _limit(limit: Any) -> str:
    calls, per_s = limit.rate.calls, limit.rate.per_s
    period = "a second" if per_s == 1 else "a minute" if per_s == 60 else f"in {per_s / 60:.0f} minutes"
    return f"{calls:,} {period}" + (f" and {limit.pool} extra" if limit.pool else "")


def _window(row: Endpoint) -> str:
    return f"at most {row.window_days} days a call" if row.window_days else ""


def _samples() -> dict[str, Any]:
    """Return a record of each list, as the emulator has it."""
    known = Known(_NOW)
    found: dict[str, tuple[str, Any]] = {}
    with IrisEmulator.start() as iris:
        credentials = Credentials(
            iris.client_id, iris.client_secret, iris.username, iris.password, auth_url=iris.auth_url
        )
        iris.settings(limits_on=False)
        # Else what PromQL knows of a machine now depends on when the page is made.
        iris.set_date(_NOW.isoformat())
        with IrisClient(credentials, iris.url) as client:
            for row in ENDPOINTS:
                asked = question(row, known)
                if isinstance(asked, str):
                    continue
                first = client.first_page(asked.endpoint, **asked.arguments)
                known.learn(row.path, first.records)
                if first.records and isinstance(first.records[0], dict):
                    found.setdefault(_kind(row), (row.path, _cut(first.records[0])))
    return dict(found.values())


def _kind(row: Endpoint) -> str:
    """Return what rows share that answer alike: the path without its version, its prefix and its item."""
    return re.sub(r"^/public|/v\d\w*|/\{\w+\}$", "", row.path)


def _cut(value: Any) -> Any:
    """Return a value with every list cut after its first element, and every text where the page would."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else f"{value[:_LONGEST_TEXT]}…"
    if isinstance(value, dict):
        return {name: _cut(one) for name, one in value.items()}
    return [_cut(one) for one in value[:1]] if isinstance(value, list) else value


def _datapoints() -> str:
    lines = [
        "## Datapoints of AEMP",
        "",
        "Each is a block of the snapshot and a series of its own, which goes into the path as `{datapoint}`. The *extended* ones",
        "are in the snapshot with `addExtendedData=true` only.",
        "",
        "| Series | Block | Members | Extended |",
        "|---|---|---|---|",
        *(
            f"| `{one.series}` | {f'`{one.block}`' if one.block else ''} | {_members(one)} | {'yes' if one.extended else ''} |"
            for one in DATAPOINTS
        ),
    ]
    return "\n".join([*lines, ""])


def _members(one: Datapoint) -> str:
    return ", ".join(f"`{member.name}`{f' ({member.unit})' if member.unit else ''}" for member in one.members)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
