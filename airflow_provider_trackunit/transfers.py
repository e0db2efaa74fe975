"""Pages of IRIS go into object storage, whole collections at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_trackunit._compat import AirflowException, TaskDeferred
from airflow_provider_trackunit.incremental import Incremental, window_placeholders
from airflow_provider_trackunit.iris.catalogue.limits import MAX_CONCURRENCY
from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisError
from airflow_provider_trackunit.links import DeveloperHubLink, ResultFolderLink
from airflow_provider_trackunit.metrics import count_result
from airflow_provider_trackunit.tasks.calling import REQUEST_FIELDS, CallsEndpoint
from airflow_provider_trackunit.tasks.deferral import Deferrals, defer_while_limited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_trackunit._compat import BaseOperatorLink, Context
    from airflow_provider_trackunit.iris.client import IrisClient
    from airflow_provider_trackunit.iris.export.export import Export
    from airflow_provider_trackunit.iris.export.folder.store import Store
    from airflow_provider_trackunit.iris.export.formats.draft import Encoding
    from airflow_provider_trackunit.iris.export.incremental.reading import Reading
    from airflow_provider_trackunit.iris.export.request import ExportRequest

__all__ = ["Incremental", "IrisToObjectStorageOperator"]

# The compression that goes with the file format.
_BY_FORMAT = "by format"

# Large enough for warehouses to load well, small enough for a small worker: two of them fit into 192 MiB.
_PART_BYTES = 64 * 1024 * 1024


class IrisToObjectStorageOperator(CallsEndpoint):
    """Brings a whole collection of Trackunit IRIS into object storage, as JSON Lines or as Parquet.

    Under ``output_path`` appear parts, such as ``part-00000-6926a0b2c41d07e9.jsonl.gz``, with a record a line exactly as
    IRIS sent it, and at the very end ``_manifest.json``. The manifest is also what the task returns. Readers go by the
    manifest (:func:`~.results.read_manifest`, :func:`~.results.read_records`): without it there is no result, and with it
    the result is complete, every record once.

    A former result in the same place stays whole until the new manifest takes its place in one write; a try that fails,
    or is refused, or killed, leaves it as it was. What such a try fetched is kept: the next try of the same run goes on
    from its checkpoint, and asks for no page again that came more than ``checkpoint_interval_s`` before the end.

    Memory stays flat however large the collection is: about two parts, and ``max_concurrency`` pages.

    The arguments of the request, the connection, the settings of a call, ``deferrable`` and ``retry_policy`` are those of
    :class:`~.tasks.calling.CallsEndpoint`. Two of them mean more here. ``path_params`` may be a list of mappings, which may come
    from an upstream task: one walk for each, in this task and with one token, and every record carries its mapping under
    ``_request``. With ``deferrable`` the worker slot is given back while a limit of the API is used up for longer than the
    hook sleeps (two minutes), and the transfer then goes on from its checkpoint. The others:

    :param paginate: True brings all pages of a collection; False the first alone. By default (None) all of them where
        that takes nothing but reading: by GET, and by POST where the endpoint is known to only read. Any other request is
        sent once, and the task fails if its answer turns out to be one page of several
    :param output_path: a folder in any store that Airflow knows: ``s3://bucket/assets/{{ ds }}``, ``gs://…``,
        ``abfs://…``, ``file:///…``, or an ``ObjectStoragePath`` (templated). Give each run, and each mapped instance
        that asks for something else, one of its own
    :param output_conn_id: the connection of the store; None for the one in the path, or the store's default
        (templated)
    :param file_format: ``"jsonl"``, or ``"parquet"`` for typed columns (extra ``parquet``)
    :param columns: of a Parquet result, ``{"pin": ("EquipmentHeader.PIN", "string"), …}``; None for those that the
        catalogue has for the endpoint
    :param on_bad_value: what a value does that does not fit its column: ``"null"`` to be counted in the manifest and kept
        in ``_extra``, ``"fail"`` to fail the task. So with a column of your own that nothing in the result is found for: the
        log says it, or the task fails
    :param compression: ``"gzip"`` or None for JSON Lines; ``"zstd"``, ``"snappy"``, ``"gzip"`` or None for Parquet. By
        default ``"gzip"`` and ``"zstd"``
    :param part_bytes: size of a part in bytes, before compression (64 MiB); a part ends with the page that reaches it
    :param checkpoint_interval_s: what came is in a stored part after so many seconds, however little it is (30)
    :param max_concurrency: how many requests may be on their way at once, within the limits of the API (8)
    :param on_item_error: ``"fail"``, or ``"skip"`` to note an item of ``path_params`` that answers 400, 403, 404 or 410,
        or 5xx after all retries, in the manifest and go on. When every item is refused the task fails all the same
    :param max_skipped: more such items fail the task; None for no limit
    :param resume_within: a checkpoint that is older is not gone on from (one day)
    :param incremental: read on from where the last run ended (:class:`Incremental`; its texts are templated). The request
        then says ``{from}`` and ``{until}`` where the ends of a window belong, in the text of the path, the query or the
        body
    """

    template_fields: Sequence[str] = (*REQUEST_FIELDS, "output_path", "output_conn_id", "incremental")
    operator_extra_links: Sequence[BaseOperatorLink] = (ResultFolderLink(), DeveloperHubLink())

    def __init__(
        self,
        *,
        output_path: str | ObjectStoragePath,
        output_conn_id: str | None = None,
        file_format: Literal["jsonl", "parquet"] = "jsonl",
        columns: Mapping[str, tuple[str, str]] | None = None,
        on_bad_value: Literal["null", "fail"] = "null",
        compression: str | None = _BY_FORMAT,
        part_bytes: int = _PART_BYTES,
        checkpoint_interval_s: float = 30.0,
        max_concurrency: int = MAX_CONCURRENCY,
        paginate: bool | None = None,
        on_item_error: Literal["fail", "skip"] = "fail",
        max_skipped: int | None = None,
        resume_within: timedelta = timedelta(days=1),
        incremental: Incremental | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.output_conn_id = output_conn_id
        self.file_format = file_format
        self.columns = columns
        self.on_bad_value = on_bad_value
        self.compression = compression
        self.part_bytes = part_bytes
        self.checkpoint_interval_s = checkpoint_interval_s
        self.max_concurrency = max_concurrency
        self.paginate = paginate
        self.on_item_error = on_item_error
        self.max_skipped = max_skipped
        self.resume_within = resume_within
        self.incremental = incremental
        self._origin: str | None = None
        self._manifest: dict[str, Any] | None = None
        self._export: Export | None = None
        self._killed = False

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the manifest of the finished export.

        :raises AirflowFailException: for an error that no retry can mend
        :raises IrisError: for one that a retry can; what was fetched is stored, ``retry_after`` says when to go on
        """
        return self._transfer(context, Deferrals.begin(self))

    def resume(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Go on from the checkpoint, now that the limit lets the task go on.

        :raises ValueError: when the event is none of this operator's trigger
        """
        return self._transfer(context, Deferrals.of_event(event))

    def on_kill(self) -> None:
        """Ask for nothing more, and let what came be stored; Airflow 3 kills the process five seconds later."""
        self._killed = True
        if self._export is not None:
            self._export.stop()

    def _transfer(self, context: Context, deferrals: Deferrals) -> dict[str, Any]:
        from airflow_provider_trackunit.storage import FolderStore

        with self.permanent_errors_fail():
            client = self.hook.get_conn()
            self._origin = client.origin
            request = self._request(client.origin, context)
            store = FolderStore.at(self.output_path, self.output_conn_id)
            reading = self._reading(client, request, store, context)
            wanted = request if reading is None else reading.begin()
        try:
            manifest = self._bring(client, wanted, store, reading)
        except IrisError as error:
            self._defer_while_limited(error, request, store, deferrals, reading)
            raise
        finally:
            if reading is not None:
                reading.end()
        self._manifest = manifest
        count_result(self, manifest)
        self._tell_outlets(context, manifest)
        return manifest

    def _reading(
        self, client: IrisClient, request: ExportRequest, store: Store, context: Context
    ) -> Reading | None:
        if self.incremental is None:
            return None
        return self.incremental.reading(request, client.credentials, store, context)

    def _bring(
        self, client: IrisClient, request: ExportRequest, store: Store, reading: Reading | None
    ) -> dict[str, Any]:
        import msgspec

        from airflow_provider_trackunit.iris.export.export import Export, ExportStoppedError
        from airflow_provider_trackunit.iris.export.manifest import write_manifest

        told: Any = {} if reading is None else {"at_every_step": reading.renew, "published": reading.advance}
        with self.permanent_errors_fail():
            self._export = export = Export(client, request, store, **told)
            if self._killed:
                export.stop()
            try:
                manifest: dict[str, Any] = msgspec.json.decode(write_manifest(export.run()))
            except ExportStoppedError as error:
                raise AirflowException(str(error)) from None
        return manifest

    def _defer_while_limited(
        self,
        error: IrisError,
        request: ExportRequest,
        store: Store,
        deferrals: Deferrals,
        reading: Reading | None,
    ) -> None:
        """Give the slot back, as often as it takes while every time brings something."""
        from airflow_provider_trackunit.iris.export.folder.checkpoint import progress_in

        if not self.deferrable:
            return
        progress = progress_in(store)
        if progress != deferrals.state.get("progress"):
            deferrals = replace(deferrals, count=0)
        try:
            defer_while_limited(
                self,
                error,
                deferrals,
                max_wait_s=self.hook.max_wait_s,
                safe=request.only_reads,
                state={"progress": progress},
            )
        except TaskDeferred:
            if reading is not None:
                reading.hold(error.retry_after or 0.0)
            raise

    def _request(self, origin: str, context: Context) -> ExportRequest:
        from airflow_provider_trackunit.iris.calls import make_call
        from airflow_provider_trackunit.iris.export.manifest import Run
        from airflow_provider_trackunit.iris.export.request import ExportRequest

        if self.on_item_error not in {"fail", "skip"}:
            raise IrisConfigurationError(
                f"on_item_error: {self.on_item_error!r} is neither 'fail' nor 'skip'"
            )
        items = self._items()
        single: Any = self.path_params or {}
        arguments = self.request_arguments()
        ends = self._ends_of_windows()
        calls = [
            make_call(origin, self.endpoint, **{**arguments, "path_params": {**path_params, **ends}})
            for path_params in ([single] if items is None else items)
        ]
        instance: Any = context["ti"]
        return ExportRequest(
            endpoint=self.endpoint_name,
            output_path=str(self.output_path),
            output_conn_id=self.output_conn_id or getattr(self.output_path, "conn_id", None),
            calls=calls,
            items=items,
            run=Run(instance.dag_id, instance.task_id, instance.run_id, instance.map_index),
            encoding=self._encoding(items),
            part_bytes=self.part_bytes,
            checkpoint_interval_s=self.checkpoint_interval_s,
            max_concurrency=self.max_concurrency,
            paginate=self.paginate,
            skip_refused=self.on_item_error == "skip",
            max_skipped=self.max_skipped,
            resume_within_s=self.resume_within.total_seconds(),
        )

    def _encoding(self, items: Sequence[Mapping[str, Any]] | None) -> Encoding:
        """Return the file format of the parts.

        :raises IrisConfigurationError: when it is not known, or the columns cannot be
        """
        from airflow_provider_trackunit.iris.export.formats.lines import lines_encoding

        chosen = self.compression != _BY_FORMAT
        if self.file_format == "jsonl":
            if self.columns is not None:
                raise IrisConfigurationError("columns: JSON Lines have none; add file_format='parquet'")
            return lines_encoding(self.compression if chosen else "gzip")
        if self.file_format != "parquet":
            raise IrisConfigurationError(
                f"file_format: {self.file_format!r} is neither 'jsonl' nor 'parquet'"
            )
        from airflow_provider_trackunit.iris.export.formats.parquet import ParquetEncoding
        from airflow_provider_trackunit.iris.export.typed.declaring import columns_for

        # The names are those of the endpoint, so that an empty list of items gives the same columns.
        found = () if items is None else re.findall(r"\{(\w+)\}", self.endpoint)
        names = [name for name in found if name not in self._ends_of_windows()]
        columns = columns_for(self.endpoint, self.query_params, columns=self.columns, item_names=names)
        return ParquetEncoding(columns, self.on_bad_value, self.compression if chosen else "zstd")

    def _ends_of_windows(self) -> dict[str, str]:
        """Return the placeholders of the path that an incremental run fills, none of any other."""
        return {} if self.incremental is None else window_placeholders(self.endpoint)

    def _items(self) -> list[Mapping[str, Any]] | None:
        """Return the items of a fan-out, None for a single collection."""
        given: Any = self.path_params  # a template may have made anything of it
        if given is None or isinstance(given, Mapping):
            return None
        if isinstance(given, str | bytes) or not isinstance(given, Iterable):
            raise IrisConfigurationError(
                "path_params: give a mapping or a list of mappings. A template gives text unless the DAG sets "
                "render_template_as_native_obj=True; the output of an upstream task can be given as it is"
            )
        items = list(given)
        wrong = next((item for item in items if not isinstance(item, Mapping)), None)
        if wrong is not None:
            raise IrisConfigurationError(
                f"path_params: every item must be a mapping, one is a {type(wrong).__name__}"
            )
        return items

    def _tell_outlets(self, context: Context, manifest: dict[str, Any]) -> None:
        """Attach the counts of the manifest to the events of the task's outlet assets."""
        counts = {
            "endpoint": manifest["endpoint"],
            "records": manifest["records"],
            "parts": len(manifest["parts"]),
            "manifest": f"{str(self.output_path).rstrip('/')}/_manifest.json",
        }
        for outlet in self.outlets or ():
            if getattr(outlet, "uri", None):  # an alias has no URI, and no event before somebody adds one
                event = context["outlet_events"][outlet]
                event.extra = {**event.extra, **counts}

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the IRIS endpoint as input and the output folder as output, with its records and its columns."""
        return self._lineage(self._manifest)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """Return the same input and output, and nothing of what the folder holds: a former result is as it was."""
        return self._lineage(None)

    def _lineage(self, manifest: dict[str, Any] | None) -> Any:
        from airflow_provider_trackunit.tasks.lineage import lineage, read_from, written_to

        return lineage(
            [read_from(self._origin, self.endpoint_name)], [written_to(str(self.output_path), manifest)]
        )
