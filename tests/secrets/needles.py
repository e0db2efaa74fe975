"""Secrets that cannot be mistaken for anything else, and the search for them in whatever spelling.

Each secret has characters that every encoding changes, around a middle that no encoding of text changes: the middle
finds it in JSON, in a URL, in a form and in the ``repr`` of bytes. Base64 changes the middle as well, in one of
three ways, by where in the encoded text it stands.
"""

from __future__ import annotations

import base64
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

CLIENT_MIDDLE, PASSWORD_MIDDLE, QUERY_MIDDLE = (
    "NeedleOfTheClient42",
    "NeedleOfThePassword43",
    "NeedleOfTheQuery44",
)
CLIENT_SECRET: Final = f'+/="&%\u00fc{CLIENT_MIDDLE}\u00fc%&"=/+'
PASSWORD: Final = f"%2B '\\{PASSWORD_MIDDLE}\u20ac#?;"
QUERY: Final = f"sig/{QUERY_MIDDLE}+="

# How every access token of the emulator begins: {"alg":"none","typ":"JWT"}.
TOKEN: Final = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"


def _in_base64(middle: str) -> Iterator[str]:
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + middle.encode()).decode().rstrip("=")
        # The characters at both ends also hold bits of what stands around.
        yield encoded[-(-before * 8 // 6) + (before > 0) : -2]


NEEDLES: Final = {
    "client secret": [CLIENT_MIDDLE, *_in_base64(CLIENT_MIDDLE), CLIENT_MIDDLE.encode().hex()],
    "password": [PASSWORD_MIDDLE, *_in_base64(PASSWORD_MIDDLE), PASSWORD_MIDDLE.encode().hex()],
    "token": [TOKEN, *_in_base64(TOKEN)],
    "query": [QUERY_MIDDLE, *_in_base64(QUERY_MIDDLE)],
}


def found_in(text: str | bytes) -> list[str]:
    """Return which of the secrets stand in a text, in any spelling."""
    data = text.encode(errors="surrogateescape") if isinstance(text, str) else text
    return [name for name, spelled in NEEDLES.items() if any(one.encode() in data for one in spelled)]


def lines_that_tell(text: str) -> list[str]:
    """Return the lines of a text in which a secret stands, for a person to read."""
    return [line[:400] for line in text.splitlines() if found_in(line)]


def found_under(folder: Path, leave_out: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return the secrets that stand in the files of a folder, and in the rows of its databases, by place.

    :param leave_out: names of files that hold secrets by design
    """
    found = {}
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or file.name in leave_out:
            continue
        found[str(file.relative_to(folder))] = found_in(file.read_bytes())
        if file.suffix == ".db":
            for table, names in _found_in_tables(file):
                found[f"{file.relative_to(folder)}: {table}"] = names
    return {place: names for place, names in found.items() if names}


def _found_in_tables(file: Path) -> Iterator[tuple[str, list[str]]]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as database:
        tables = [row[0] for row in database.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            rows = database.execute(f'select * from "{table}"').fetchall()  # noqa: S608 - a name of the database
            yield table, found_in("\n".join(str(value) for row in rows for value in row))
