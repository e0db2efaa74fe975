"""An answer of IRIS becomes an XCom."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit._compat import AirflowException, AirflowFailException
from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.catalogue.limits import MAX_CONCURRENCY
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.metrics import count_records
from airflow_provider_trackunit.tasks.calling import CallsEndpoint
from airflow_provider_trackunit.tasks.deferral import Deferrals, defer_while_limited

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit._compat import Context
    from airflow_provider_trackunit.iris.catalogue.endpoint import Endpoint
    from airflow_provider_trackunit.iris.pages.page import Page


class IrisApiOperator(CallsEndpoint):
    """Calls an endpoint of Trackunit IRIS and returns what it answers.

    A collection comes back whole, as a list of records; any other endpoint as its decoded body (None for 204).
    Meant for what fits into an XCom; for whole fleets there is the transfer to object storage.

    An error that no retry can mend (a wrong secret, a missing right, a rejected argument) fails the task at
    once, whatever its ``retries``.

    The arguments of the request, the connection, the settings of a call, ``deferrable`` and ``retry_policy`` are those of
    :class:`~.tasks.calling.CallsEndpoint`. A task that was deferred for a limit of the API begins its call anew. The others:

    :param paginate: True reads all pages of a collection; False gives the one answer, decoded. By default (None) all
        pages are read where that takes nothing but reading: by GET, and by POST where the endpoint is known to only read.
        Any other request is sent once, because the next one could do again what the first did
    :param max_records: a collection with more records fails the task, because it would not fit into an XCom;
        None for no limit
    :param max_concurrency: how many pages may be on their way at once, where IRIS says how many there are; within the
        limits of the API (8)
    :param response_check: called with the data, and with any context variable that it names; a result that is
        false fails the try
    :param response_filter: called likewise; what it returns is the result of the task
    """

    def __init__(
        self,
        *,
        paginate: bool | None = None,
        max_records: int | None = 10_000,
        max_concurrency: int = MAX_CONCURRENCY,
        response_check: Callable[..., bool] | None = None,
        response_filter: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.paginate = paginate
        self.max_records = max_records
        self.max_concurrency = max_concurrency
        self.response_check = response_check
        self.response_filter = response_filter
        self._origin: str | None = None

    def execute(self, context: Context) -> Any:
        """Return the records or the body, checked and filtered.

        :raises AirflowFailException: for an error that no retry can mend
        :raises IrisError: for one that a retry can
        """
        return self._call(context, Deferrals.begin(self))

    def resume(self, context: Context, event: Any = None) -> Any:
        """Begin the call anew, now that the limit lets it go on.

        :raises ValueError: when the event is none of this operator's trigger
        """
        return self._call(context, Deferrals.of_event(event))

    def _call(self, context: Context, deferrals: Deferrals) -> Any:
        try:
            with self.permanent_errors_fail():
                data = self._read()
        except IrisError as error:
            if self.deferrable:
                safe = self.method.upper() in {"GET", "HEAD"}
                defer_while_limited(self, error, deferrals, max_wait_s=self.hook.max_wait_s, safe=safe)
            raise
        if self.response_check is not None and not call_with_context(self.response_check, data, context):
            raise AirflowException(
                f"{self.method} {self.endpoint_name}: response_check returned a false value"
            )
        if self.response_filter is not None:
            return call_with_context(self.response_filter, data, context)
        return data

    def _read(self) -> Any:
        request = self.request_arguments()
        row, method = self._known(request)
        if row.only_reads(method) if self.paginate is None else self.paginate:
            return self._read_pages(row, request)
        answer = self.hook.run(self.endpoint, **request)
        if self.paginate is None and _looks_like_a_page(answer):
            self.log.warning(
                "%s %s: the answer looks like a page of a collection. The request is not sent again for the others, because it "
                "may change something. If it only reads, say paginate=True",
                method,
                self.endpoint_name,
            )
        return answer

    def _known(self, request: dict[str, Any]) -> tuple[Endpoint, str]:
        """Return what is known of the endpoint, and the method as it is sent."""
        from airflow_provider_trackunit.iris.catalogue.endpoints import find

        self._origin = self.hook.get_conn().origin
        call = make_call(self._origin, self.endpoint, **request)
        return find(call), call.method

    def _read_pages(self, row: Endpoint, request: dict[str, Any]) -> Any:
        records: list[Any] = []
        pages = self.hook.pages(self.endpoint, max_concurrency=self.max_concurrency, **request)
        for number, page in enumerate(pages, start=1):
            if not page.paginated:
                return page.document
            if number == 1:
                self._refuse_endless(page, row.longest_walk(self.hook.max_wait_s))
            self._refuse_too_many(max(len(records) + len(page.raw_records), page.announced or 0))
            records += page.records
            self.log.debug("Page %d: %d records so far", number, len(records))
        self.log.info("Read %d records from %s", len(records), self.endpoint_name)
        count_records(self, self.endpoint_name, len(records))
        return records

    def _refuse_endless(self, page: Page, most_pages: int | None) -> None:
        """Refuse a walk that its limit interrupts: it would begin anew after each wait, and be interrupted again."""
        pages = 1 if page.next is None else (page.pages or 2) - (page.number or 1) + 1
        if most_pages is not None and pages > most_pages:
            raise AirflowFailException(
                f"{self.endpoint_name}: {pages} pages, and the limit of this endpoint lets {most_pages} through at a time. "
                "This operator begins anew after a wait, so it would never come to the last one. Use "
                "IrisToObjectStorageOperator, which goes on where it stopped, or ask for a shorter period"
            )

    def _refuse_too_many(self, count: int) -> None:
        if self.max_records is not None and count > self.max_records:
            raise AirflowFailException(
                f"{self.endpoint_name} has {count} records or more, max_records is {self.max_records}. Use "
                "IrisToObjectStorageOperator for large collections, ask for fewer with query_params, or raise max_records"
            )

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the IRIS endpoint as input. What was read is an XCom, which is no dataset."""
        from airflow_provider_trackunit.tasks.lineage import lineage, read_from

        return lineage([read_from(self._origin, self.endpoint_name)], [])

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """Return the same of a task that failed."""
        return self.get_openlineage_facets_on_complete(task_instance)


def _looks_like_a_page(answer: Any) -> bool:
    return isinstance(answer, dict) and "content" in answer and bool({"totalPages", "after"} & answer.keys())


def call_with_context(function: Callable[..., Any], data: Any, context: Context) -> Any:
    """Return what a user's callable makes of the data, given the context variables that it names."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return function(data, **context)
    named = {p.name for p in list(parameters)[1:] if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}}
    # Nothing else is touched: Airflow 2 warns of every variable that it will not have any more, when it is read.
    variables: dict[str, Any] = {name: context[name] for name in named & set(context)}  # type: ignore[literal-required]
    return function(data, **variables)
