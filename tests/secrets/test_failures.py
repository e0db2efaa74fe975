"""Every failure in every mode, and a search through all that was said and left behind. Nothing here is masked.

The query is looked for in what we and the libraries say. It is not in what Airflow keeps of a task's arguments, which is
the user's own text: the request of these tests has it in ``query_params``, so the trigger's arguments and the
operator's fields hold it by design, and are compared without it.
"""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit import storage
from airflow_provider_trackunit.triggers.timing import IrisWait
from tests.secrets.modes import ASSETS, HASTY, MODES
from tests.secrets.needles import (
    CLIENT_SECRET,
    PASSWORD,
    PASSWORD_MIDDLE,
    QUERY,
    found_in,
    lines_that_tell,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator
    from tests.secrets.conftest import Said

    Scene = tuple[IrisEmulator, pytest.MonkeyPatch]
    Play = Callable[[IrisEmulator, pytest.MonkeyPatch], None]

VIOLATIONS = {
    "code": "constraint_violation",
    "message": f"rejected ?sig={QUERY}",
    "violations": [{"field": "sig", "message": "must be shorter"}],
}


@pytest.fixture
def scene(iris: IrisEmulator, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Return where a failure is played, with triggers that do not wait."""
    monkeypatch.setattr(IrisWait, "timing", HASTY)
    return iris, monkeypatch


def fault(kind: str, **options: Any) -> Play:
    return lambda iris, _patch: iris.fault(path="/api/", kind=kind, times=None, **options)


def token_fault(kind: str, **options: Any) -> Play:
    return lambda iris, _patch: iris.fault(path="/token", kind=kind, times=None, **options)


def trick(name: str, path: str = "/api/") -> Play:
    return lambda iris, _patch: iris.hostile(name, path=path, foreign_host="http://127.0.0.1:9")


def connection(grant: str = "password", **overrides: Any) -> Play:
    def play(iris: IrisEmulator, patch: pytest.MonkeyPatch) -> None:
        patch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", iris.connection_json(grant, **overrides))

    return play


def extra(text: str) -> Play:
    def play(iris: IrisEmulator, patch: pytest.MonkeyPatch) -> None:
        fields = json.loads(iris.connection_json())
        patch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", json.dumps({**fields, "extra": text}))

    return play


def revoked(iris: IrisEmulator, _patch: pytest.MonkeyPatch) -> None:
    iris.fault(path="/api/", kind="revoke", times=None)


def full_disk(_iris: IrisEmulator, patch: pytest.MonkeyPatch) -> None:
    def write(_self: Any, name: str, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    patch.setattr(storage.FolderStore, "write", write)


def proxied(iris: IrisEmulator, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("HTTPS_PROXY", f"http://me:{PASSWORD_MIDDLE}@127.0.0.1:9")
    patch.setenv("NO_PROXY", "")
    patch.setenv("no_proxy", "")
    connection(host="https://127.0.0.1:9", auth_url="https://127.0.0.1:9/token")(iris, patch)


WRONG = "wrong" + CLIENT_SECRET
GRAPHQL_ERROR = {"errors": [{"message": "no", "extensions": {"code": "FORBIDDEN"}}]}
PLAYS: dict[str, Play] = {
    "nothing": lambda _iris, _patch: None,
    "wrong client secret": connection(client_secret=WRONG),
    "wrong password": connection(password="wrong" + PASSWORD),
    "wrong key": connection("client_credentials", client_secret=WRONG),
    "wrong scope": connection("client_credentials", scope="no.such.scope"),
    "half a character": connection(client_secret=CLIENT_SECRET + "\ud800"),
    "half a character in the password": connection(password=PASSWORD + "\ud800"),
    "extra is no JSON": extra(f'{{"client_secret": {json.dumps(CLIENT_SECRET)}'),
    "extra is a list": extra(json.dumps([CLIENT_SECRET])),
    "secret is a list": connection(client_secret=[CLIENT_SECRET]),
    "no client id": connection(client_id=None),
    "no password": connection(password=None),
    "credentials in the host": connection(host=f"https://me:{PASSWORD_MIDDLE}@127.0.0.1"),
    "credentials in a host that is none": connection(host=f"https://me:{PASSWORD_MIDDLE}@127.0.0.1:x"),
    "credentials in the Auth URL": connection(auth_url=f"https://me:{PASSWORD_MIDDLE}@127.0.0.1/token"),
    "a secret in the query of the Auth URL": connection(
        auth_url=f"https://127.0.0.1/token?s={PASSWORD_MIDDLE}"
    ),
    "no CA bundle": connection(ca_bundle="/no/such/file.pem"),
    "CA bundle is a folder": connection(ca_bundle="/"),
    "401 for ever": trick("never_authorized"),
    "revoked": revoked,
    "403": fault("status", status=403, body='{"code":"access_denied"}', content_type="application/json"),
    "404": fault("status", status=404, body='{"code":"not_found"}', content_type="application/json"),
    "400": fault("status", status=400, body=json.dumps(VIOLATIONS), content_type="application/json"),
    "429": fault("rate_limit", retry_after="1"),
    "429 for long": fault("rate_limit", retry_after="600"),
    "503": fault("status", status=503),
    "reset": fault("reset_before"),
    "reset after": fault("reset_after"),
    "truncated": fault("truncated"),
    "HTML": fault("html"),
    "garbage": fault("garbage"),
    "GraphQL errors": fault(
        "status", status=200, body=json.dumps(GRAPHQL_ERROR), content_type="application/json"
    ),
    "redirect": trick("redirect"),
    "too slow": trick("slow_body"),
    "echo": trick("echo"),
    "redirect of tokens": trick("redirect", "/token"),
    "echo of tokens": trick("echo", "/token"),
    "tokens as HTML": token_fault("html"),
    "tokens fail": token_fault("status", status=500, body="failed"),
    "tokens are too many": token_fault("rate_limit", retry_after="1"),
    "tokens are cut": token_fault("truncated"),
    "tokens are reset": token_fault("reset_after"),
    "proxy is not there": proxied,
    "full disk": full_disk,
}


# Every failure with each client, and a few in every mode; SECRETS_TESTS=all tries every failure in every mode.
EVERY_FAILURE = ("hook_run", "trigger")
IN_EVERY_MODE = (
    "nothing",
    "wrong client secret",
    "401 for ever",
    "truncated",
    "echo",
    "echo of tokens",
    "full disk",
)
# The button has a request of its own: the query that this answer repeats was never sent by it.
WITHOUT_THE_QUERY = ("button", "400")
CASES = [
    (mode, play)
    for mode, play in itertools.product(MODES, PLAYS)
    if (mode, play) != WITHOUT_THE_QUERY
    and (mode in EVERY_FAILURE or play in IN_EVERY_MODE or os.environ.get("SECRETS_TESTS") == "all")
]

# Variables of a test, and of Airflow itself, which has read the connection before we do.
NOT_OURS = ("/tests/", "/site-packages/airflow/")


def shown_by(error: BaseException) -> str:
    """Return all that an exception says and holds, its chain with the variables of every frame that is not a test's."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    seen: list[traceback.TracebackException] = []
    while told is not None and told not in seen:
        seen.append(told)
        told = told.__cause__ or told.__context__  # type: ignore[assignment] # None at the end
    lines = [line for one in seen for line in one.format_exception_only()]
    frames = [
        frame for one in seen for frame in one.stack if not any(place in frame.filename for place in NOT_OURS)
    ]
    lines += [
        f"{frame.filename}:{frame.lineno} {name}={value}"
        for frame in frames
        for name, value in (frame.locals or {}).items()
    ]
    return "\n".join([*lines, repr(error), repr(vars(error)), repr(error.args)])


def without_arguments(text: str) -> str:
    """Return a text without the arguments of the request, which the user gave in the open."""
    for quoted in (repr(QUERY), json.dumps(QUERY)):
        text = text.replace(f"'sig': {quoted}", "").replace(f'"sig": {quoted}', "")
    return text


@pytest.mark.parametrize(("mode", "play"), CASES, ids=lambda one: one)
def test_nothing_tells_a_secret(scene: Scene, said: Said, tmp_path: Path, mode: str, play: str) -> None:
    PLAYS[play](*scene)
    request = {"endpoint": ASSETS, "query_params": {"size": 100, "sig": QUERY}}
    left: list[str] = []
    try:
        MODES[mode](request, tmp_path, left)
    except Exception as error:  # noqa: BLE001 - whatever comes out is looked at
        left.append(shown_by(error))
    assert lines_that_tell(said()) == []
    assert lines_that_tell(without_arguments("\n".join(left))) == []


def test_the_search_bites_in_what_is_said(said: Said) -> None:
    logging.getLogger("urllib3").debug("Authorization: %s", CLIENT_SECRET)
    sys.stdout.write(PASSWORD)
    assert found_in(said()) == ["client secret", "password"]


def test_the_search_bites_in_the_variables_of_a_traceback() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(CLIENT_SECRET)
    assert CLIENT_SECRET not in str(caught.value)
    assert found_in(shown_by(caught.value)) == ["client secret"]
