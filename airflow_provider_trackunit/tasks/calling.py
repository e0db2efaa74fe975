"""What everything that calls an endpoint has in common: the arguments of a request, and how errors end a task."""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit._compat import (
    AirflowException,
    AirflowFailException,
    BaseOperator,
    default_deferrable,
    retry_policy_argument,
)
from airflow_provider_trackunit.connection import errors_name
from airflow_provider_trackunit.hooks import IrisHook
from airflow_provider_trackunit.iris.calls import meant_by, without_query
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.links import DeveloperHubLink
from airflow_provider_trackunit.retry import IrisRetryPolicy
from airflow_provider_trackunit.settings import LABELS, given_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from airflow_provider_trackunit._compat import BaseOperatorLink, Context, RetryPolicy

#: The arguments that make up a request, templated wherever they are taken.
REQUEST_FIELDS = ("endpoint", "method", "path_params", "query_params", "json", "headers", "trackunit_conn_id")


class CallsEndpoint(BaseOperator):
    """An operator or sensor that calls an endpoint; stands before Airflow's own class among the bases of a sensor.

    :param endpoint: a path, with or without placeholders, such as ``/api/asset/v1/assets/{assetId}``; a full URL
        is accepted on the connection's own origin (templated)
    :param method: the HTTP method (templated)
    :param path_params: a value for each placeholder; percent-encoded (templated)
    :param query_params: the query; None values are left out, lists repeat their name (templated). The argument
        ``params`` is Airflow's own and is not sent
    :param json: the body; a string in it that ends in ``.graphql`` is read from that file beside the DAG, as in
        ``{"query": "assets.graphql"}`` (templated)
    :param headers: extra headers (templated)
    :param trackunit_conn_id: the connection (templated)
    :param timeout_s: longest time for one answer, in seconds; None for what the connection says, else 60
    :param max_attempts: how often one request is sent at the most; None likewise, else 4
    :param max_wait_s: the longest wait that is slept on the worker, in seconds; None likewise, else 120
    :param deferrable: whether long waits are left to the triggerer, without a worker slot. By default as ``[operators]
        default_deferrable`` says
    :param retry_policy: on Airflow 3.3 and later, in the place of :class:`~.retry.IrisRetryPolicy`
    :raises IrisConfigurationError: when one of the numbers cannot be
    """

    template_fields: Sequence[str] = REQUEST_FIELDS
    template_ext: Sequence[str] = (".graphql",)
    template_fields_renderers = {  # noqa: RUF012 (declared so by BaseOperator)
        "path_params": "json",
        "query_params": "json",
        "json": "json",
        "headers": "json",
    }
    operator_extra_links: Sequence[BaseOperatorLink] = (DeveloperHubLink(),)
    ui_color = "#f7e7c6"

    def __init__(
        self,
        *,
        endpoint: str,
        method: str = "GET",
        path_params: Any = None,
        query_params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, Any] | None = None,
        trackunit_conn_id: str = IrisHook.default_conn_name,
        timeout_s: float | None = None,
        max_attempts: int | None = None,
        max_wait_s: float | None = None,
        deferrable: bool | None = None,
        retry_policy: RetryPolicy | None = None,
        **kwargs: Any,
    ) -> None:
        with _unknown_arguments_explained(kwargs):
            super().__init__(**retry_policy_argument(retry_policy, self._own_retry_policy), **kwargs)
        self.endpoint = endpoint
        self.method = method
        self.path_params = path_params
        self.query_params = query_params
        self.json = json
        self.headers = headers
        self.trackunit_conn_id = trackunit_conn_id
        self.call_settings = given_settings(
            timeout_s=timeout_s, max_attempts=max_attempts, max_wait_s=max_wait_s
        )
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        # Looked at before they are rendered.
        self._templates_name_params = (
            re.search(r"\bparams\b", f"{endpoint} {self.request_arguments()}") is not None
        )

    def _own_retry_policy(self) -> RetryPolicy:
        return IrisRetryPolicy()

    @cached_property
    def hook(self) -> IrisHook:
        """The hook of this task."""
        hook = IrisHook(self.trackunit_conn_id, **self.call_settings.arguments())
        hook.longest_sleep_s = self._longest_sleep_s()
        return hook

    def _longest_sleep_s(self) -> float:
        """Return the longest wait that the hook may sleep, whatever its settings allow."""
        return math.inf

    @property
    def endpoint_name(self) -> str:
        """The endpoint as logs, errors, manifests and lineage name it: without a query."""
        return without_query(self.endpoint)

    def request_arguments(self) -> dict[str, Any]:
        """Return what the hook and the triggers take besides the endpoint."""
        return {
            "method": self.method,
            "path_params": self.path_params,
            "query_params": self.query_params,
            "json": self.json,
            "headers": self.headers,
        }

    @contextmanager
    def permanent_errors_fail(self) -> Iterator[None]:
        """End the task for good on an error of IRIS that no retry can mend; let every other error through.

        The log tells it once: the error of IRIS is the ``__context__`` of what is raised, which no traceback shows.
        """
        try:
            with errors_name(self.trackunit_conn_id):
                yield
        except IrisError as error:
            if error.transient:
                raise
            error.__traceback__ = None
            raise AirflowFailException(str(error)) from None

    def pre_execute(self, context: Context) -> None:
        """Say that ``params`` was taken by Airflow, where somebody may have meant the query."""
        super().pre_execute(context)
        dag = self.get_dag()
        own = set(self.params) - set(dag.params if dag else ())
        if own and self.query_params is None and not self._templates_name_params:
            self.log.warning(
                "params (%s) belongs to Airflow and is not sent to IRIS. If it is meant as the query, write query_params",
                ", ".join(sorted(own)),
            )


@contextmanager
def _unknown_arguments_explained(given: Iterable[str]) -> Iterator[None]:
    """Add to Airflow's error about an argument that does not exist what may be meant."""
    try:
        yield
    except (TypeError, AirflowException) as error:
        unknown = [name for name in given if repr(name) in str(error)]
        meant = [f"{name}: {hint}" for name in unknown if (hint := meant_by(name, LABELS))]
        if meant:
            error.args = (f"{error}. {'; '.join(meant)}",)
        raise
