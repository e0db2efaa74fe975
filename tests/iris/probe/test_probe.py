"""A probe reads once from each endpoint, changes nothing, and keeps what answers are like and nothing of what is in them."""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.emulator.settings import Settings, changed
from airflow_provider_trackunit.iris.catalogue.endpoints import ENDPOINTS
from airflow_provider_trackunit.iris.http.wire import Request, Response
from airflow_provider_trackunit.iris.probe.asking import PROBING, WatchedClient, probe
from airflow_provider_trackunit.iris.probe.observing import Observation
from airflow_provider_trackunit.iris.probe.questions import Known, Question, question
from airflow_provider_trackunit.iris.probe.report import Report, report, text
from airflow_provider_trackunit.iris.probe.switches import switches
from tests.iris.conftest import api_key_of, api_user_of

NOW = dt.datetime(2026, 1, 15, 6, 30, tzinfo=dt.UTC)
LOG = "/public/api/eventlog/v3/asset-event/log"
FLEET = "/public/api/aemp/v2/15143/-3/Fleet[/{page}]"
SITES = "/api/site/v1/sites"
OUR_WORDS = {"__name__", "service management", "unit_of_measurement"}


class Recording(WatchedClient):
    """A client that keeps every body that came."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.bodies: list[bytes] = []

    def _send(self, request: Request) -> Response:
        response = super()._send(request)
        if "/token" not in request.url:
            self.bodies.append(response.body)
        return response


def probed(iris: IrisEmulator, *, metered: bool = True, api_key: bool = False) -> tuple[Report, Recording]:
    credentials = api_key_of(iris) if api_key else api_user_of(iris)
    with Recording(credentials, iris.url, **PROBING) as client:
        token = client.authenticate()
        seen = list(probe(client, NOW, metered=metered))
    found = report(
        seen,
        now=NOW,
        is_key=api_key,
        scope=token.scope,
        token_lifetime_s=token.expires_in_s,
        own_host=False,
        metered=metered,
        emulator=switches(seen, token, is_key=api_key),
    )
    return found, client


def of(found: Report, endpoint: str) -> Observation:
    return next(one for one in found.seen if one.endpoint == endpoint)


def values(document: Any) -> Iterator[Any]:
    """Yield all that stands at the ends of a document."""
    if isinstance(document, dict | list):
        for one in document.values() if isinstance(document, dict) else document:
            yield from values(one)
    else:
        yield document


def names(document: Any) -> Iterator[str]:
    """Yield the names of all members of a document."""
    if isinstance(document, dict):
        yield from document
    if isinstance(document, dict | list):
        for one in document.values() if isinstance(document, dict) else document:
            yield from names(one)


def test_each_endpoint_is_asked_once_and_nothing_is_changed(iris_emulator: IrisEmulator) -> None:
    found, _ = probed(iris_emulator)
    assert [one.endpoint for one in found.seen] == [row.path for row in ENDPOINTS]
    asked = [one for one in found.seen if one.outcome != "not asked"]
    stats = iris_emulator.stats()
    assert {one.outcome for one in asked} == {"read"}
    assert stats["requests"] == len(asked) + 1
    assert (set(stats["calls"].values()), stats["mutations"], stats["token_requests"]) == ({1}, {}, 1)


def test_no_call_that_counts_singly_is_spent_unless_told_to(iris_emulator: IrisEmulator) -> None:
    found, _ = probed(iris_emulator, metered=False)
    metered = [one for one in found.seen if "15143" in one.endpoint or "asset-event" in one.endpoint]
    assert {one.outcome for one in metered} == {"not asked"}
    assert iris_emulator.requests("15143") + iris_emulator.requests("asset-event") == []
    assert "and --metered was not given" in text(found)


def test_every_question_reads() -> None:
    known = Known(NOW)
    known.values |= dict.fromkeys(("assetId", "pin", "siteId", "customerId", "alertConfigurationId"), "x")
    known.values |= {"machineId": "1", "tripId": "x", "searchUUID": "x"}
    for row in ENDPOINTS:
        asked = question(row, known)
        if isinstance(asked, Question):
            assert asked.method in {"GET", "POST"}
            assert asked.method == "GET" or row.reads, row.path
            assert "mutation" not in json.dumps(asked.arguments["json"])


def test_no_value_of_a_record_is_in_the_report(iris_emulator: IrisEmulator) -> None:
    iris_emulator.fault(
        path=SITES, kind="status", status=400, body='{"code": "x1", "message": "Bob, 12 Main St"}'
    )
    found, client = probed(iris_emulator)
    written = found.json().decode() + text(found)
    documents = [json.loads(body) for body in client.bodies]
    came = {value for one in documents for value in values(one) if isinstance(value, str)}
    # The labels of a time series are named in answers as values too, and these words are in our own sentences.
    ours = {name for one in documents for name in names(one)} | OUR_WORDS
    assert len(came) > 2000
    # What is shorter can be a part of a word of ours by chance.
    assert {value for value in came - ours if len(value) > 5 and value in written} == set()
    numbers = {repr(value) for one in documents for value in values(one) if isinstance(value, float)}
    assert {number for number in numbers if len(number) > 4 and number in written} == set()
    for secret in (
        client.credentials.username,
        client.credentials.password,
        client.credentials.client_secret,
    ):
        assert secret not in written


def test_what_the_account_may_not_read_is_said_with_its_status(iris_emulator: IrisEmulator) -> None:
    found, _ = probed(iris_emulator, api_key=True)
    plans = of(found, "/api/service-management/v2/plans")
    assert (plans.outcome, plans.status, plans.code) == ("refused", 403, "access_denied")
    assert found.questions["Does an API key work with GraphQL, assets and asset events?"].startswith(
        "/api/asset/v1/assets: read"
    )


def test_where_iris_differs_from_the_catalogue_is_said(iris_emulator: IrisEmulator) -> None:
    iris_emulator.settings(aemp_key_case="upper", json_layout="pretty")
    found, _ = probed(iris_emulator)
    fleet = of(found, FLEET)
    assert "the records are in Equipment, not in equipment" in fleet.differs
    assert "the links are in Links, not in links" in fleet.differs
    assert fleet.layout == "pretty"
    assert fleet.links is not None
    assert fleet.links.rels == ("last", "next", "self")


def test_a_refusal_for_a_limit_shows_whether_it_says_how_long(iris_emulator: IrisEmulator) -> None:
    iris_emulator.fault(path=SITES, kind="rate_limit", retry_after="7")
    found, _ = probed(iris_emulator, metered=False)
    assert of(found, SITES).limits == {"retry-after": 7.0}
    assert found.questions["Does a refusal for a limit say how long to wait?"] == "1 of 1 refusals did."


@pytest.mark.parametrize("kind", ["reset_before", "truncated", "garbage", "html", "redirect"])
def test_an_answer_that_is_none_does_not_end_the_probe(iris_emulator: IrisEmulator, kind: str) -> None:
    iris_emulator.fault(path=SITES, kind=kind)
    found, _ = probed(iris_emulator, metered=False)
    assert of(found, SITES).outcome == "no answer"
    assert of(found, "/api/graphql/").outcome == "read"


@pytest.mark.parametrize(
    "trick", ["echo", "terabyte", "gzip_bomb", "year_long_wait", "redirect", "never_authorized"]
)
def test_a_server_that_means_harm_ends_no_probe_and_gets_nothing_into_the_report(
    iris_emulator: IrisEmulator, trick: str
) -> None:
    iris_emulator.hostile(trick, "/api/site/v1/")
    found, client = probed(iris_emulator, metered=False)
    assert of(found, SITES).outcome in {"refused", "no answer"}
    assert of(found, "/api/graphql/").outcome == "read"
    written = found.json().decode() + text(found)
    assert client.credentials.client_secret not in written
    assert "Bearer" not in written


def test_the_emulator_answers_as_the_account_did(iris_emulator: IrisEmulator) -> None:
    as_it_was = {
        "aemp_key_case": "upper",
        "json_layout": "pretty",
        "last_link": False,
        "gzip": "all",
        "token_lifetime_s": 1234,
        "refused_paths": [{"path": "/api/customer/v1/customers", "method": "GET", "status": 403}],
    }
    iris_emulator.settings(**as_it_was)
    found, _ = probed(iris_emulator)
    written = json.loads(found.json())["emulator"]
    assert written.items() >= as_it_was.items()
    iris_emulator.reset()
    iris_emulator.settings(**written)
    again, _ = probed(iris_emulator)
    assert again.emulator == found.emulator


def test_every_switch_of_a_report_is_one_of_the_emulator(iris_emulator: IrisEmulator) -> None:
    iris_emulator.fault(path=SITES, kind="rate_limit", retry_after="7")
    found, _ = probed(iris_emulator, api_key=True)
    assert {"api_key_scopes", "retry_after", "limit_body", "refused_paths"} <= set(found.emulator)
    changed(Settings(), msgspec.to_builtins(found.emulator))
