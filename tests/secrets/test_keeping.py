"""What keeps secrets out of sight: reprs, spellings, Airflow's masker, a filter on urllib3's log, no query in names."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests

from airflow_provider_trackunit.hooks import IrisHook
from airflow_provider_trackunit.iris.errors import IrisBadRequestError
from airflow_provider_trackunit.iris.secrecy import Secret, SecretMembers, redacted, spellings
from tests.airflow import masking
from tests.secrets.modes import ASSETS, CONTEXT, MODES
from tests.secrets.needles import CLIENT_SECRET, PASSWORD, QUERY, QUERY_MIDDLE, found_in, lines_that_tell

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator
    from tests.secrets.conftest import Said


def test_a_secret_is_text_that_does_not_show_itself() -> None:
    secret = Secret("hunter2")
    assert (secret, f"{secret}", json.dumps(secret)) == ("hunter2", "hunter2", '"hunter2"')
    shown = f"{secret!r} {[secret]} {SecretMembers(a='hunter2', b=1)!r} {SecretMembers(c=['hunter2'])}"
    assert "hunter2" not in shown
    assert "a, b" in shown


@pytest.mark.parametrize("secret", [CLIENT_SECRET, PASSWORD, QUERY])
def test_a_text_is_freed_of_a_secret_in_every_spelling(secret: str) -> None:
    encoded = [
        quote(secret, safe=""),
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        repr(secret.encode()),
    ]
    text = " | ".join([secret, *encoded])
    assert len(found_in(text)) == 1
    assert found_in(redacted(text, [secret])) == []
    assert redacted("nothing to see", ["", secret]) == "nothing to see"
    assert len(spellings([secret])) >= 3


def test_airflow_masks_every_spelling_of_the_secrets_and_the_token(iris: IrisEmulator) -> None:
    client = IrisHook().get_conn()
    secrets = [*client.credentials.secrets, client.authenticate().value]
    assert len(secrets) == 4
    for spelling in spellings(client.credentials.secrets):
        assert str(spelling) not in masking.redacted(f"before {spelling} after")
    assert str(secrets[-1]) not in masking.redacted(f"Bearer {secrets[-1]}")


def test_the_query_of_our_requests_is_not_in_the_log_of_urllib3_and_that_of_others_is(
    iris: IrisEmulator, said: Said
) -> None:
    IrisHook().run(ASSETS, query_params={"q": QUERY, "size": 1})
    ours = said()
    assert lines_that_tell(ours) == []
    assert f'"GET {ASSETS}?… HTTP/1.1" 200' in ours
    with requests.Session() as session:
        session.trust_env = False
        session.get(f"{iris.url}/_emulator/stats?q={QUERY_MIDDLE}", timeout=5)
    assert QUERY_MIDDLE in said()


def test_the_log_of_a_thread_beside_ours_is_left_alone(iris: IrisEmulator, said: Said) -> None:
    from airflow_provider_trackunit.iris.http.transports.library_logs import without_queries

    def beside() -> None:
        logging.getLogger("urllib3.connectionpool").debug("GET /x?q=%s", QUERY_MIDDLE)

    with without_queries():
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
    assert f"GET /x?q={QUERY_MIDDLE}" in said()


@pytest.mark.parametrize("mode", ["operator", "sensor_poke", "transfer", "transfer_deferrable"])
@pytest.mark.parametrize("status", [200, 404])
def test_an_endpoint_is_written_without_its_query(
    iris: IrisEmulator, said: Said, tmp_path: Path, mode: str, status: int
) -> None:
    if status != 200:
        iris.fault(path="/api/", kind="status", status=status, times=None)
    left: list[str] = []
    told = ""
    try:
        MODES[mode]({"endpoint": f"{ASSETS}?size=100&sig={quote(QUERY, safe='')}"}, tmp_path, left)
    except Exception as error:  # noqa: BLE001 - what it says is looked at
        told = f"{error} {error.__cause__} {error.__context__}"
    # The operator itself has the endpoint as the user wrote it.
    results = [text for text in left if text.startswith(("{", "[", "_manifest", "_checkpoint"))]
    assert bool(told) == (status == 404 or mode == "sensor_poke")
    assert lines_that_tell("\n".join([said(), told, *results])) == []


def test_lineage_names_the_endpoint_without_its_query(tmp_path: Path) -> None:
    pytest.importorskip(
        "airflow.providers.openlineage.extractors", reason="the OpenLineage provider is not installed"
    )
    from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

    task = IrisToObjectStorageOperator(
        task_id="task", endpoint=f"{ASSETS}?sig={QUERY}", output_path=f"file://{tmp_path}/out"
    )
    facets = task.get_openlineage_facets_on_complete(CONTEXT["ti"])
    assert facets.inputs[0].name == ASSETS
    assert lines_that_tell(str(facets)) == []


@pytest.mark.parametrize("name", ["sig", "X-Amz-Signature", "access_token", "apiKey"])
def test_a_value_with_a_confidential_name_is_not_repeated_and_another_is(
    iris: IrisEmulator, name: str
) -> None:
    body: Any = {"code": "c", "message": f"bad {QUERY} of 4711"}
    iris.fault(path="/api/", status=400, body=json.dumps(body), content_type="application/json", times=None)
    with pytest.raises(IrisBadRequestError) as caught:
        IrisHook().run(ASSETS, query_params={name: QUERY, "size": 4711})
    assert "bad *** of 4711" in str(caught.value)
