"""The search bites: a secret is found however it is spelled, and wherever it stands."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, urlencode

import pytest

from tests.secrets.needles import CLIENT_SECRET, NEEDLES, PASSWORD, QUERY, TOKEN, found_in, found_under

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRETS = {"client secret": CLIENT_SECRET, "password": PASSWORD, "query": QUERY, "token": f"{TOKEN}.abc.def"}


def in_base64(before: int, text: str) -> str:
    return base64.b64encode(b"x" * before + text.encode()).decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a path": lambda text: quote(text, safe=""),
    "in a form": quote_plus,
    "in a form with a name": lambda text: urlencode({"a": text}),
    "in JSON": json.dumps,
    "in JSON with umlauts": lambda text: json.dumps(text, ensure_ascii=False),
    "in JSON in JSON": lambda text: json.dumps(json.dumps({"a": text})),
    "as bytes": lambda text: repr(text.encode()),
    **{f"in base64 behind {before} characters": partial(in_base64, before) for before in range(4)},
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found_in_every_spelling(name: str, spelling: str) -> None:
    text = f"before {SPELLINGS[spelling](SECRETS[name])} after"
    assert name in found_in(text)
    assert name in found_in(text.encode())


def test_nothing_is_found_where_nothing_is() -> None:
    assert found_in("the client secret and the password of token eyJhbGciOiJSUzI1NiJ9 are ***") == []
    assert all(len(one) >= 16 for spelled in NEEDLES.values() for one in spelled)


def test_files_and_rows_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "1.log").write_text(PASSWORD)
    (tmp_path / "connections.json").write_text(PASSWORD)
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as database:
        database.execute("create table xcom (value text)")
        database.execute("insert into xcom values (?)", (json.dumps(CLIENT_SECRET),))
        database.commit()
    found = found_under(tmp_path, leave_out=["connections.json"])
    assert found == {
        "airflow.db": ["client secret"],
        "airflow.db: xcom": ["client secret"],
        "logs/1.log": ["password"],
    }
