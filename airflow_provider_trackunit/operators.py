"""An answer of IRIS becomes an XCom."""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit._compat import (
    AirflowException,
    AirflowFailException,
    BaseOperator,
    default_deferrable,
    retry_policy_argument,
)
from airflow_provider_trackunit.calling import REQUEST_FIELDS, CallsEndpoint, permanent_errors_fail
from airflow_provider_trackunit.deferral import Deferrals, defer_while_limited
from airflow_provider_trackunit.hooks import IrisHook
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.retry import IrisRetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_trackunit._compat import Context, RetryPolicy


class IrisApiOperator(CallsEndpoint, BaseOperator):
    """Calls an endpoint of Trackunit IRIS and returns what it answers.

    A collection comes back whole, as a list of records; any other endpoint as its decoded body (None for 204).
    Meant for what fits into an XCom; for whole fleets there is the transfer to object storage.

    An error that no retry can mend (a wrong secret, a missing right, a rejected argument) fails the task at
    once, whatever its ``retries``.

    :param endpoint: a path, with or without placeholders, such as ``/api/asset/v1/assets/{assetId}``; a full URL
        is accepted on the connection's own origin (templated)
    :param method: the HTTP method (templated)
    :param path_params: a value for each placeholder; percent-encoded (templated)
    :param query_params: the query; None values are left out, lists repeat their name (templated)
    :param json: the body; a string in it that ends in ``.graphql`` is read from that file beside the DAG, as in
        ``{"query": "assets.graphql"}`` (templated)
    :param headers: extra headers (templated)
    :param paginate: whether to read all pages of a collection; False gives the one answer, decoded
    :param max_records: a collection with more records fails the task, because it would not fit into an XCom;
        None for no limit
    :param max_concurrency: how many pages may be on their way at once, where IRIS says how many there are; within the
        limits of the API
    :param response_check: called with the data, and with any context variable that it names; a result that is
        false fails the try
    :param response_filter: called likewise; what it returns is the result of the task
    :param trackunit_conn_id: the connection (templated)
    :param deferrable: whether to give the worker slot back while a limit of the API is used up for longer than the
        hook sleeps (two minutes); the call then begins anew. By default as ``[operators] default_deferrable`` says
    :param retry_policy: on Airflow 3.3 and later, in the place of :class:`~.retry.IrisRetryPolicy`
    """

    template_fields: Sequence[str] = REQUEST_FIELDS

    def __init__(
        self,
        *,
        endpoint: str,
        method: str = "GET",
        path_params: Mapping[str, Any] | None = None,
        query_params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, Any] | None = None,
        paginate: bool = True,
        max_records: int | None = 10_000,
        max_concurrency: int = 4,
        response_check: Callable[..., bool] | None = None,
        response_filter: Callable[..., Any] | None = None,
        trackunit_conn_id: str = IrisHook.default_conn_name,
        deferrable: bool | None = None,
        retry_policy: RetryPolicy | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**retry_policy_argument(retry_policy, IrisRetryPolicy), **kwargs)
        self.endpoint = endpoint
        self.method = method
        self.path_params = path_params
        self.query_params = query_params
        self.json = json
        self.headers = headers
        self.paginate = paginate
        self.max_records = max_records
        self.max_concurrency = max_concurrency
        self.response_check = response_check
        self.response_filter = response_filter
        self.trackunit_conn_id = trackunit_conn_id
        self.deferrable = default_deferrable() if deferrable is None else deferrable

    @cached_property
    def hook(self) -> IrisHook:
        """The hook of this task."""
        return IrisHook(self.trackunit_conn_id)

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
            with permanent_errors_fail():
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
        if not self.paginate:
            return self.hook.run(self.endpoint, **request)
        records: list[Any] = []
        pages = self.hook.pages(self.endpoint, max_concurrency=self.max_concurrency, **request)
        for number, page in enumerate(pages, start=1):
            if not page.paginated:
                return page.document
            self._refuse_too_many(max(len(records) + len(page.raw_records), page.announced or 0))
            records += page.records
            self.log.debug("Page %d: %d records so far", number, len(records))
        self.log.info("Read %d records from %s", len(records), self.endpoint_name)
        return records

    def _refuse_too_many(self, count: int) -> None:
        if self.max_records is not None and count > self.max_records:
            raise AirflowFailException(
                f"{self.endpoint_name} has {count} records or more, max_records is {self.max_records}. Use "
                "IrisToObjectStorageOperator for large collections, ask for fewer with query_params, or raise max_records"
            )


def call_with_context(function: Callable[..., Any], data: Any, context: Context) -> Any:
    """Return what a user's callable makes of the data, given the context variables that it names."""
    parameters = inspect.signature(function).parameters.values()
    variables = dict(context)
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        named = {p.name for p in list(parameters)[1:] if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}}
        variables = {name: value for name, value in variables.items() if name in named}
    return function(data, **variables)
