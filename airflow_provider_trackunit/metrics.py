"""What is counted, through Airflow's own door: wherever its metrics go, ours go, and nowhere when they are off.

The names begin with ``trackunit.``, after the prefix that Airflow gives all of its own. Tags arrive where Airflow sends
tags: with OpenTelemetry, Datadog, or StatsD in the format of InfluxDB.
"""

from __future__ import annotations

import logging
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit._compat import stats_if_on
from airflow_provider_trackunit.iris.catalogue.endpoints import row_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_trackunit._compat import BaseOperator
    from airflow_provider_trackunit.iris.http.observing import Observer

log = logging.getLogger(__name__)

_UNLISTED: Final = "unlisted"


def request_metrics() -> Observer | None:
    """Return what counts the requests of a client; None when the metrics of Airflow are off."""
    stats = stats_if_on()
    return None if stats is None else _RequestMetrics(_Counted(stats))


def count_records(operator: BaseOperator, endpoint: str, records: int) -> None:
    """Count what an operator read.

    :param endpoint: as logs name it, without a query
    """
    _Counted(stats_if_on()).incr("records", records, _of_task(operator, endpoint))


def count_result(operator: BaseOperator, manifest: Mapping[str, Any]) -> None:
    """Count what a transfer wrote, and how far behind the present an incremental one is."""
    counted, tags = _Counted(stats_if_on()), _of_task(operator, manifest["endpoint"])
    counted.incr("records", manifest["records"], tags)
    counted.incr("bytes", sum(part["bytes"] for part in manifest["parts"]), tags)
    if manifest["period"] is not None:
        until = datetime.fromisoformat(manifest["period"]["until"]).astimezone(UTC)
        counted.gauge("lag", max(0.0, time.time() - until.timestamp()), tags)


class _Counted:
    """The door of Airflow, with our names. What is not counted fails nothing: that is said once, and no more is counted.

    :param stats: None when the metrics are off, and nothing is counted
    """

    def __init__(self, stats: Any) -> None:
        self._stats = stats

    def incr(self, name: str, count: int, tags: Mapping[str, str]) -> None:
        """Add to a counter."""
        self._tell("incr", name, count, tags)

    def gauge(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        """Set a gauge."""
        self._tell("gauge", name, value, tags)

    def timing(self, name: str, seconds: float, tags: Mapping[str, str]) -> None:
        """Add a time; a timedelta, because what a plain number means differs between the versions of Airflow."""
        self._tell("timing", name, timedelta(seconds=seconds), tags)

    def _tell(self, method: str, name: str, value: Any, tags: Mapping[str, str]) -> None:
        if self._stats is None:
            return
        try:
            getattr(self._stats, method)(f"trackunit.{name}", value, tags=dict(tags))
        except Exception:
            log.warning("Metrics cannot be sent, and are no longer", exc_info=True)
            self._stats = None


class _RequestMetrics:
    """Counts requests, refusals and waits; an :class:`~.iris.http.observing.Observer`."""

    def __init__(self, counted: _Counted) -> None:
        self._counted = counted

    def answered(self, endpoint: str, status: int | None) -> None:
        said = "none" if status is None else str(status)
        self._counted.incr("requests", 1, {"endpoint": tag(endpoint), "status": said})

    def refused(self, endpoint: str) -> None:
        self._counted.incr("refusals", 1, {"endpoint": tag(endpoint)})

    def waited(self, endpoint: str, seconds: float) -> None:
        self._counted.timing("waited", seconds, {"endpoint": tag(endpoint)})

    def calls_left(self, endpoint: str, calls: int) -> None:
        self._counted.gauge("calls_left", calls, {"endpoint": tag(endpoint)})


def _of_task(operator: BaseOperator, endpoint: str) -> dict[str, str]:
    row = row_of(endpoint)
    path = "" if row is None else row.path
    tags = {"endpoint": path, "dag_id": operator.dag_id, "task_id": operator.task_id}
    return {name: tag(value) for name, value in tags.items()}


def tag(text: str) -> str:
    """Return a text as a tag may hold it: without braces, and of a path without the part that may be missing."""
    path = re.sub(r"\[.*?\]|[{}*]", "", text)
    return re.sub(r"[^\w./-]", "_", path, flags=re.ASCII) or _UNLISTED
