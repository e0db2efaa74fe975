"""What everything that calls an endpoint has in common: the arguments of a request, and how errors end a task."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit._compat import AirflowFailException
from airflow_provider_trackunit.iris.calls import without_query
from airflow_provider_trackunit.iris.errors import IrisError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The arguments that make up a request, templated wherever they are taken.
REQUEST_FIELDS = ("endpoint", "method", "path_params", "query_params", "json", "headers", "trackunit_conn_id")


class CallsEndpoint:
    """An operator or sensor with the arguments of a request; stands before Airflow's class among the bases."""

    template_ext: Sequence[str] = (".graphql",)
    template_fields_renderers = {  # noqa: RUF012 (declared so by BaseOperator)
        "path_params": "json",
        "query_params": "json",
        "json": "json",
        "headers": "json",
    }
    ui_color = "#f7e7c6"

    endpoint: str
    method: str
    path_params: Any
    query_params: Any
    json: Any
    headers: Any

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
def permanent_errors_fail() -> Iterator[None]:
    """End the task for good on an error of IRIS that no retry can mend; let every other error through."""
    try:
        yield
    except IrisError as error:
        if error.transient:
            raise
        raise AirflowFailException(str(error)) from error
