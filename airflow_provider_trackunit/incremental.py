"""How a transfer reads on from where the last run ended, as a DAG says it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_trackunit._compat import run_times

if TYPE_CHECKING:
    from airflow_provider_trackunit._compat import Context
    from airflow_provider_trackunit.iris.export.folder.store import Store
    from airflow_provider_trackunit.iris.export.incremental.reading import Reading
    from airflow_provider_trackunit.iris.export.incremental.rules import RunTime
    from airflow_provider_trackunit.iris.export.request import ExportRequest
    from airflow_provider_trackunit.iris.http.tokens import Credentials


class Incremental(NamedTuple):
    """Reads only what no run has read before.

    ::

        IrisToObjectStorageOperator(
            task_id="events",
            endpoint="/public/api/eventlog/v3/asset-event/log",
            method="POST",
            json={"fromTime": "{from}", "toTime": "{until}"},
            output_path="s3://lake/events/{{ run_id }}",
            incremental=Incremental(state="s3://lake/events/_state.json", start="2026-01-01T00:00:00Z"),
        )

    A run reads from where the last complete one ended, less ``lookback``, to its own end: the end of its data interval,
    else the moment it started. A run that is cleared reads the same time again, and one that is back-filled its own data
    interval. Records inside ``lookback`` come again; the newest counts.

    A named tuple, because Airflow renders the templates in it without changing the one that the DAG holds.

    :ivar state: the file that says how far the request has been read, in any store that Airflow knows. One for each
        request, and not below the ``output_path`` of a run (templated)
    :ivar start: where a request, or an item, begins that was never read: ISO 8601 (templated)
    :ivar field: JMESPath within a record of what orders it, such as ``eventTime``; the manifest then says under ``period``
        the ``newest`` that came. It decides nothing, and costs the time of decoding every record; None for not
    :ivar lookback: so much is read again every time, for what came late (one hour)
    :ivar step: the longest time to ask for in one call; None for what the endpoint allows (14 days of an AEMP series,
        no limit elsewhere)
    :ivar per_item: whether every item of ``path_params`` has a cursor of its own: a new one begins at ``start``, one that
        was passed over keeps its cursor
    :ivar state_conn_id: the Airflow connection of the state's store; None for the one in the path, or the store's default
    """

    state: str
    start: str | datetime
    field: str | None = None
    lookback: timedelta = timedelta(hours=1)
    step: timedelta | None = None
    per_item: bool = False
    state_conn_id: str | None = None

    def reading(
        self, request: ExportRequest, credentials: Credentials, folder: Store, context: Context
    ) -> Reading:
        """Return what plans and books one try of a run.

        :raises IrisConfigurationError: when something cannot be what it should; the text names it
        """
        from airflow_provider_trackunit.iris.export.incremental.reading import Reading
        from airflow_provider_trackunit.iris.export.incremental.rules import Rules, moment_s
        from airflow_provider_trackunit.storage import file_at

        rules = Rules(
            start_s=moment_s(self.start, "start"),
            lookback_s=int(self.lookback.total_seconds()),
            step_s=None if self.step is None else int(self.step.total_seconds()),
            per_item=self.per_item,
            field=self.field,
        )
        store, name = file_at(self.state, self.state_conn_id, "state")
        return Reading(
            request,
            rules,
            credentials,
            when=_time_of_run(context),
            folder=folder,
            store=store,
            name=name,
        )


def _time_of_run(context: Context) -> RunTime:
    import time

    from airflow_provider_trackunit.iris.export.incremental.rules import RunTime

    begin, end = run_times(context)
    return RunTime(
        end_s=time.time() if end is None else end.timestamp(),
        begin_s=None if begin is None else begin.timestamp(),
    )


def window_placeholders(endpoint: str) -> dict[str, str]:
    """Return the path parameters that leave the ends of a window in a path as they stand there."""
    path = endpoint.partition("?")[0]
    return {name: f"{{{name}}}" for name in ("from", "until") if f"{{{name}}}" in path}
