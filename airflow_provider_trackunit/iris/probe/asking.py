"""Asks each endpoint of the catalogue once, and notes what came.

One attempt each: a probe tells how IRIS answers, and a retry would hide it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.catalogue.endpoints import ENDPOINTS, find
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import IrisError, IrisResponseError
from airflow_provider_trackunit.iris.http.wire import build_request
from airflow_provider_trackunit.iris.pages.styles import paginator
from airflow_provider_trackunit.iris.probe.differences import differences
from airflow_provider_trackunit.iris.probe.observing import Observation, built, decoded, links_of, seen
from airflow_provider_trackunit.iris.probe.questions import Known, Question, question

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.catalogue.endpoint import Endpoint
    from airflow_provider_trackunit.iris.http.wire import Request, Response
    from airflow_provider_trackunit.iris.pages.page import Page

#: What a client is made with to probe: one attempt, no wait but that of a rate, and half the usual time for an answer,
#: because a person waits for all of them.
PROBING: Final[Mapping[str, Any]] = {"max_attempts": 1, "max_wait_s": 5.0, "timeout_s": 30.0}

# A probe asks for first pages, of about 1 MB at the most. Of a server that sends on and on nobody waits for more.
_MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024


class WatchedClient(IrisClient):
    """A client that keeps the last answer, a refusal too, with its headers. An answer of more than 16 MiB is not read."""

    last: Response | None = None

    def _send(self, request: Request) -> Response:
        self.last = None
        most_bytes = min(request.max_body_bytes, _MAX_ANSWER_BYTES)
        self.last = super()._send(replace(request, max_body_bytes=most_bytes))
        return self.last


def probe(
    client: WatchedClient,
    now: dt.datetime,
    *,
    metered: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Observation]:
    """Yield what was seen of each endpoint, in the order of the catalogue.

    :param now: the day before it is the period that is asked for
    :param metered: whether to spend one call of each endpoint whose calls count singly
    """
    known = Known(now)
    for row in ENDPOINTS:
        asked = question(row, known)
        why = asked if isinstance(asked, str) else _spends(row) if row.is_metered and not metered else ""
        if isinstance(asked, str) or why:
            yield Observation(endpoint=row.path, method=row.methods[0], outcome="not asked", why=why)
            continue
        yield _Answer(client, row, asked, clock).observed(known)


def _spends(row: Endpoint) -> str:
    limit = next(limit for limit in row.limits if limit.rate.metered)
    calls = f"{limit.rate.calls} call{'s' if limit.rate.calls > 1 else ''}"
    return f"it is metered, {calls} in {limit.rate.per_s / 60:.0f} minutes, and --metered was not given"


class _Answer:
    """One question and what comes of it."""

    def __init__(
        self, client: WatchedClient, row: Endpoint, asked: Question, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._asked = asked
        self._template = row.path
        call = make_call(client.origin, asked.endpoint, **asked.arguments)
        self._row = find(call)
        self._call: Call = paginator(self._row.paging).apply(call, paginator(self._row.paging).start(call))
        self._clock = clock

    def observed(self, known: Known) -> Observation:
        """Send the request and return what was seen; keep what the records can fill."""
        self._client.last = None
        begun = self._clock()
        try:
            page = self._client.first_page(self._asked.endpoint, **self._asked.arguments)
            came = self._built(page)
            known.learn(self._template, page.records)
        except IrisError as error:
            return self._noted(self._outcome_of(error), begun, why=type(error).__name__)
        return self._noted("read", begun, **came)

    def _outcome_of(self, error: IrisError) -> Any:
        refused = isinstance(error, IrisResponseError) and error.status is not None and error.status >= 400
        return "refused" if refused or self._is_in_band(error) else "no answer"

    def _is_in_band(self, error: IrisError) -> bool:
        """Return whether the error came in an answer with status 200, as those of GraphQL do."""
        return self._call.is_graphql and isinstance(error, IrisResponseError) and error.code is not None

    def _built(self, page: Page) -> dict[str, Any]:
        document, paging = page.document, self._row.paging
        noted = built(document, page.records, is_one_record=paging.record_key is None)
        if paging.style == "links":
            noted["links"] = links_of(document, build_request(self._call).url)
        noted["differs"] = tuple(differences(self._row, self._call, document, noted))
        return noted

    def _noted(self, outcome: Any, begun: float, **noted: Any) -> Observation:
        answer = self._client.last
        what_came = {} if answer is None else seen(answer)
        if answer is not None and self._call.is_graphql:
            what_came["limits"] |= _budget(decoded(answer))
        return Observation(
            endpoint=self._template,
            method=self._asked.method,
            outcome=outcome,
            seconds=round(self._clock() - begun, 3),
            **what_came,
            **noted,
        )


def _budget(document: Any) -> dict[str, float | str]:
    """Return what a GraphQL answer says of the budget."""
    data = document.get("data") if isinstance(document, dict) else None
    said = data.get("rateLimit") if isinstance(data, dict) else None
    if not isinstance(said, dict):
        return {}
    names = ("cost", "remaining", "resetIn")
    return {f"rateLimit.{name}": said[name] for name in names if type(said.get(name)) in {int, float}}
