"""Wait until an answer of IRIS holds what was hoped for."""

from __future__ import annotations

import datetime as dt
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit._compat import (
    AirflowRescheduleException,
    BaseSensorOperator,
    PokeReturnValue,
    retry_policy_argument,
)
from airflow_provider_trackunit.hooks import IrisHook
from airflow_provider_trackunit.iris.errors import IrisError, IrisNotFoundError
from airflow_provider_trackunit.operators import REQUEST_FIELDS, permanent_errors_fail
from airflow_provider_trackunit.retry import IrisRetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_trackunit._compat import Context, RetryPolicy

# A sensor outlives a bad minute of IRIS or of the network; after so many failures in a row it is no bad minute.
_MAX_FAILURES_IN_A_ROW = 10

# Spreading requests over a limit per second takes up to a second; that is no reason to give up a poke.
_LEAST_WAIT_S = 1.0
_MOST_WAIT_S = 120.0


class IrisSensor(BaseSensorOperator):
    """Waits until an endpoint of Trackunit IRIS answers with what is waited for.

    Each poke is one request: of a collection it reads the first page. 404 means "not yet". A transient error is
    logged and survived, up to ten in a row; an error that no retry can mend fails the task at once.

    The value of the condition goes to XCom. Without a condition it is the record itself for an endpoint that
    answers with one, and for a collection the number of records.

    :param endpoint: a path, with or without placeholders, such as ``/api/asset/v1/assets/{assetId}`` (templated)
    :param method: the HTTP method (templated)
    :param path_params: a value for each placeholder; percent-encoded (templated)
    :param query_params: the query (templated)
    :param json: the body (templated)
    :param headers: extra headers (templated)
    :param condition: a JMESPath expression over the decoded body; the wait is over when its value is true in the
        sense of Python: not null, false, zero or empty (templated). Without one the wait is over when the answer
        holds at least one record, or is an object that is not empty
    :param trackunit_conn_id: the connection (templated)
    :param retry_policy: on Airflow 3.3 and later, in the place of :class:`~.retry.IrisRetryPolicy`
    """

    template_fields: Sequence[str] = (*REQUEST_FIELDS, "condition")
    template_ext: Sequence[str] = (".graphql",)
    template_fields_renderers = {  # noqa: RUF012 (declared so by BaseOperator)
        "path_params": "json",
        "query_params": "json",
        "json": "json",
        "headers": "json",
    }
    ui_color = "#f7e7c6"

    def __init__(
        self,
        *,
        endpoint: str,
        method: str = "GET",
        path_params: Mapping[str, Any] | None = None,
        query_params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, Any] | None = None,
        condition: str | None = None,
        trackunit_conn_id: str = IrisHook.default_conn_name,
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
        self.condition = condition
        self.trackunit_conn_id = trackunit_conn_id
        self._failures = 0
        self._not_before = 0.0

    @cached_property
    def hook(self) -> IrisHook:
        """The hook of this task. It sleeps about a poke interval at the most: the sensor itself knows how to wait."""
        return IrisHook(
            self.trackunit_conn_id, max_wait_s=min(max(self.poke_interval, _LEAST_WAIT_S), _MOST_WAIT_S)
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Return whether the wait is over, and what was found.

        :raises AirflowFailException: for an error that no retry can mend, a malformed condition included
        :raises IrisError: after ten transient errors in a row
        """
        if time.monotonic() < self._not_before:
            return PokeReturnValue(is_done=False)
        with permanent_errors_fail():
            try:
                found = self._look()
            except IrisNotFoundError:
                self.log.info("%s: not there yet (HTTP 404)", self.endpoint)
                found = None
            except IrisError as error:
                self._survive(error)
                return PokeReturnValue(is_done=False)
        self._failures = 0
        return PokeReturnValue(is_done=bool(found), xcom_value=found)

    def _look(self) -> Any:
        from airflow_provider_trackunit.iris.conditions import Condition, found_records

        condition = Condition(self.condition) if self.condition else None
        page = self.hook.first_page(
            self.endpoint,
            method=self.method,
            path_params=self.path_params,
            query_params=self.query_params,
            json=self.json,
            headers=self.headers,
        )
        return found_records(page) if condition is None else condition.value(page.document)

    def _survive(self, error: IrisError) -> None:
        """Let a transient error pass as "not yet", and keep away as long as IRIS said."""
        self._failures += 1
        if not error.transient or self._failures >= _MAX_FAILURES_IN_A_ROW:
            raise error
        self.log.warning("Failure %d of %d in a row: %s", self._failures, _MAX_FAILURES_IN_A_ROW, error)
        wait_s = error.retry_after or 0.0
        if wait_s <= self.poke_interval:
            return
        if self.reschedule:
            at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=wait_s)
            raise AirflowRescheduleException(at)  # type: ignore[no-untyped-call] # untyped in Airflow
        self._not_before = time.monotonic() + wait_s
