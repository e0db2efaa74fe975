"""The page of errors has every error, and shows the very text that comes when the error is provoked."""

from __future__ import annotations

import re
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit._compat import AirflowFailException
from airflow_provider_trackunit.emulator.handle import CONNECTION_ENV
from airflow_provider_trackunit.hooks import IrisHook
from airflow_provider_trackunit.iris import errors
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator
from dev.airflow_home import ROOT
from tests.iris.error_table import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator

PAGE = (ROOT / "docs" / "errors.md").read_text()
SECTIONS = dict(re.findall(r"^## `(Iris\w+)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
# Bases: nothing is ever only this.
BASES = {"IrisError", "IrisResponseError"}
ALL = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.IrisError) and name not in BASES
}
EVENTS = "/public/api/eventlog/v3/asset-event/log"
YESTERDAY = {"fromTime": "2026-01-14T00:00:00Z", "toTime": "2026-01-15T00:00:00Z"}


class Case:
    """An emulator, and the connection that leads to it."""

    def __init__(self, iris: IrisEmulator, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.iris, self.folder, self._patch = iris, folder, patch

    def connect(self, grant: str = "password", **fields: Any) -> None:
        self._patch.setenv(CONNECTION_ENV, self.iris.connection_json(grant, **fields))

    def hook(self) -> IrisHook:
        return IrisHook(max_attempts=1)

    def transfer(self, path: str, map_index: int, **request: Any) -> None:
        run = SimpleNamespace(dag_id="assets", task_id="assets", run_id="run", map_index=map_index)
        operator = IrisToObjectStorageOperator(
            task_id="assets", endpoint="/api/asset/v2/assets", output_path=path, **request
        )
        operator.execute({"ti": run})  # type: ignore[arg-type,typeddict-item,unused-ignore]


def no_client_id(case: Case) -> None:
    case.connect(client_id=None)
    case.hook().get_conn()


def wrong_secret(case: Case) -> None:
    case.connect(client_secret="another")
    case.hook().get_conn()


def cut_connection(case: Case) -> None:
    case.iris.fault(path="/sites", kind="reset_before")
    case.hook().run("/api/site/v1/sites")


def bad_argument(case: Case) -> None:
    case.hook().run(EVENTS, method="POST", json={"fromTime": "yesterday", "toTime": "2026-01-15T00:00:00Z"})


def api_key_refused(case: Case) -> None:
    case.connect("client_credentials", scope="account.event.view")
    case.iris.settings(events_refuse_api_keys=True)
    case.hook().run(EVENTS, method="POST", json=YESTERDAY)


def missing_scope(case: Case) -> None:
    case.connect("client_credentials", scope="asset.view")
    case.hook().run("/api/site/v1/sites")


def unknown_item(case: Case) -> None:
    case.hook().run("/api/asset/v2/assets/00000000-0000-0000-0000-000000000000")


def wrong_path(case: Case) -> None:
    case.hook().run("/api/assets/v2/assets")


def used_up(case: Case) -> None:
    case.iris.fault(path="/Fleet/1", kind="rate_limit", skip=1)
    hook = case.hook()
    for _ in range(2):
        hook.run("/public/api/aemp/v2/15143/-3/Fleet/1")


def failing(case: Case) -> None:
    case.iris.fault(path="/sites", kind="status", status=503)
    case.hook().run("/api/site/v1/sites")


def foreign_link(case: Case) -> None:
    case.iris.settings(next_link="foreign")
    list(case.hook().pages("/public/api/aemp/v2/15143/-3/Fleet/1"))


def shared_folder(case: Case) -> None:
    case.transfer(f"file://{case.folder}", 0)
    case.transfer(f"file://{case.folder}", 1, query_params={"size": 50})


def unwritable(case: Case) -> None:
    (case.folder / "file").write_text("in the way")
    case.transfer(f"file://{case.folder}/file/assets", -1)


PROVOKED: dict[str, Callable[[Case], None]] = {
    "IrisConfigurationError": no_client_id,
    "IrisTokenError": wrong_secret,
    "IrisNoAnswerError": cut_connection,
    "IrisBadRequestError": bad_argument,
    "IrisAuthenticationError": api_key_refused,
    "IrisPermissionError": missing_scope,
    "IrisNotFoundError": unknown_item,
    "IrisUnexpectedResponseError": wrong_path,
    "IrisRateLimitError": used_up,
    "IrisServerError": failing,
    "IrisPaginationError": foreign_link,
    "IrisCheckpointError": shared_folder,
    "IrisStorageError": unwritable,
}


@contextmanager
def as_original() -> Iterator[None]:
    """Let the original pass where an operator raised it as Airflow's own."""
    try:
        yield
    except AirflowFailException as error:
        raise (error.__context__ or error) from None


def test_the_table_is_the_one_that_both_clients_are_held_to() -> None:
    lines = re.findall(r"^\| (.+) \| `(Iris\w+)` \| (yes|no) \|$", PAGE, re.MULTILINE)
    assert lines == [(row.what, row.error.__name__, "yes" if row.again else "no") for row in TABLE]


def test_every_error_has_a_section_and_every_section_is_an_error() -> None:
    assert set(SECTIONS) == set(ALL)
    assert set(PROVOKED) == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_section_says_when_it_comes_whether_it_is_retried_and_what_to_do(name: str) -> None:
    for part in ("**When.**", "**Retried.**", "**What to do.**"):
        assert part in SECTIONS[name]
    retried = re.search(r"\*\*Retried\.\*\* (Yes|No)\b", SECTIONS[name])
    assert retried is not None
    assert (retried[1] == "Yes") is ALL[name].transient


@pytest.mark.parametrize("name", PROVOKED)
def test_the_message_is_the_one_that_comes(
    name: str, iris_connection: IrisEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    case = Case(iris_connection, monkeypatch, tmp_path)
    with pytest.raises(ALL[name]) as raised, as_original():
        PROVOKED[name](case)
    shown = re.search(r"```text\n(.*?)\n```", SECTIONS[name], re.DOTALL)
    assert shown is not None
    came = str(raised.value).replace(iris_connection.auth_url, "https://auth.trackunit.com/token")
    came = came.replace(iris_connection.url, "https://iris.trackunit.com").replace(str(tmp_path), "/data")
    assert " ".join(shown[1].split()) == " ".join(came.split())
