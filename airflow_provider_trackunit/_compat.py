"""The one place that knows Airflow versions: each name from where the running Airflow has it.

Every import below is the path that gives no deprecation warning on that version. Type checkers see the newest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow import __version__ as _airflow_version

AIRFLOW_VERSION = tuple(int(part) for part in _airflow_version.split(".")[:2])

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from airflow.sdk import (
        BaseHook,
        BaseOperator,
        BaseOperatorLink,
        BaseSensorOperator,
        Context,
        ObjectStoragePath,
        PokeReturnValue,
    )
    from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferred,
    )
    from airflow.sdk.log import mask_secret
    from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent
else:
    if AIRFLOW_VERSION >= (3, 1):
        from airflow.sdk import BaseHook
        from airflow.sdk.log import mask_secret
    else:
        from airflow.hooks.base import BaseHook

        if AIRFLOW_VERSION >= (3, 0):
            from airflow.sdk.execution_time.secrets_masker import mask_secret
        else:
            from airflow.utils.log.secrets_masker import mask_secret

    if AIRFLOW_VERSION >= (3, 0):
        from airflow.sdk import (
            BaseOperator,
            BaseOperatorLink,
            BaseSensorOperator,
            Context,
            PokeReturnValue,
        )
    else:
        from airflow.models import BaseOperator
        from airflow.models.baseoperatorlink import BaseOperatorLink
        from airflow.sensors.base import BaseSensorOperator, PokeReturnValue
        from airflow.utils.context import Context

    _exceptions = import_module(
        "airflow.sdk.exceptions" if AIRFLOW_VERSION >= (3, 2) else "airflow.exceptions"
    )
    AirflowException = _exceptions.AirflowException
    AirflowFailException = _exceptions.AirflowFailException
    AirflowNotFoundException = _exceptions.AirflowNotFoundException
    AirflowSensorTimeout = _exceptions.AirflowSensorTimeout
    AirflowSkipException = _exceptions.AirflowSkipException
    AirflowTaskTimeout = _exceptions.AirflowTaskTimeout
    TaskDeferred = _exceptions.TaskDeferred

    if AIRFLOW_VERSION >= (3, 3):
        from airflow.sdk import RetryPolicy
        from airflow.sdk.definitions.retry_policy import RetryDecision
    else:
        RetryPolicy = object
        RetryDecision = None

    from airflow.triggers.base import BaseTrigger, TriggerEvent

    if AIRFLOW_VERSION >= (3, 0):
        from airflow.triggers.base import BaseEventTrigger
    else:
        BaseEventTrigger = BaseTrigger  # no AssetWatcher will ever run it there

__all__ = [
    "AIRFLOW_VERSION",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "BaseEventTrigger",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "BaseTrigger",
    "Context",
    "PokeReturnValue",
    "RetryDecision",
    "RetryPolicy",
    "TaskDeferred",
    "TriggerEvent",
    "asset_state_of",
    "connection_in_loop",
    "default_deferrable",
    "execute_sensor",
    "mask_secret",
    "mask_secrets",
    "mask_secrets_in_loop",
    "object_storage_path",
    "reschedule_decision",
    "retry_policy_argument",
    "returned_before_airflow_3",
    "run_times",
    "stats_if_on",
]


def reschedule_decision(
    delay: timedelta, reason: str, *, most: int, within: timedelta
) -> RetryDecision | None:
    """Return the decision that a task runs again later without using up a retry; None before Airflow 3.4."""
    reschedule: Any = getattr(RetryDecision, "reschedule", None)
    if reschedule is None:
        return None
    decision: RetryDecision = reschedule(
        delay, max_reschedules=most, reschedule_timeout=within, reason=reason
    )
    return decision


def retry_policy_argument(policy: Any, default: Callable[[], Any]) -> dict[str, Any]:
    """Return the keyword argument that gives an operator its retry policy, where Airflow has them (3.3)."""
    if AIRFLOW_VERSION >= (3, 3):
        return {"retry_policy": default() if policy is None else policy}
    return {} if policy is None else {"retry_policy": policy}


def execute_sensor(sensor: BaseSensorOperator, context: Context) -> Any:
    """Return what a sensor finds by poking, as Airflow's own class does it.

    Airflow 2 warns of an ``execute`` that anything but its task runner calls, a subclass included; what it wraps does not.
    """
    execute: Any = BaseSensorOperator.execute
    return getattr(execute, "__wrapped__", execute)(sensor, context)


def object_storage_path(path: str | ObjectStoragePath, conn_id: str | None) -> ObjectStoragePath:
    """Return Airflow's path object for a folder, which may be one already; imported here, because it costs more than a DAG file should pay."""
    module = import_module("airflow.sdk" if AIRFLOW_VERSION >= (3, 0) else "airflow.io.path")
    if not isinstance(path, str) and conn_id is None:
        return path
    # Airflow 2 takes a conn_id of None for the answer, and not for "look at the path".
    named = {} if conn_id is None else {"conn_id": conn_id}
    folder: ObjectStoragePath = module.ObjectStoragePath(path, **named)
    return folder


def returned_before_airflow_3(ti_key: Any) -> Any:
    """Return what a task returned, as the web server of Airflow 2 finds it; empty where nothing. None on Airflow 3."""
    if AIRFLOW_VERSION >= (3, 0):
        return None
    from airflow.models import XCom

    return XCom.get_value(ti_key=ti_key, key="return_value") or {}


def run_times(context: Context) -> tuple[datetime | None, datetime | None]:
    """Return where the data interval of a task's run begins and where the run ends; both None when nothing says so.

    A run that an asset started, or one without a logical date, has no interval on Airflow 3: it ends when it started.
    """
    run: Any = context.get("dag_run")
    end = getattr(run, "data_interval_end", None)
    if end is not None:
        return getattr(run, "data_interval_start", None), end
    return None, getattr(run, "start_date", None) or getattr(run, "run_after", None)


def stats_if_on() -> Any:
    """Return the door of Airflow's metrics, None when nothing goes through it."""
    from airflow.configuration import conf

    ways = ("statsd_on", "statsd_datadog_enabled", "otel_on")
    if not any(conf.getboolean("metrics", way, fallback=False) for way in ways):
        return None
    module = "airflow.sdk.observability.stats" if AIRFLOW_VERSION >= (3, 2) else "airflow.stats"
    return import_module(module).Stats


def default_deferrable() -> bool:
    """Return what ``[operators] default_deferrable`` says."""
    from airflow.configuration import conf

    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


async def connection_in_loop(conn_id: str) -> Any:
    """Return a connection with one await, as a trigger may read it.

    Before Airflow 3.1 there is no way that awaits; a thread of its own would break the triggerer's line to its
    supervisor, asgiref's shared one does not.
    """
    aget_connection: Any = getattr(BaseHook, "aget_connection", None)
    if aget_connection is None:
        from asgiref.sync import sync_to_async

        aget_connection = sync_to_async(BaseHook.get_connection)
    return await aget_connection(conn_id)


def connection_of_command_line(conn_id: str) -> Any:
    """Return a connection as Airflow's own commands find it, in its database too; None where there is none.

    The hook's way asks the supervisor of a task for it on Airflow 3, and a command has none.
    """
    from airflow.exceptions import AirflowNotFoundException  # type: ignore[attr-defined,unused-ignore]
    from airflow.models.connection import Connection

    try:
        return Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        return None


def mask_secrets(*secrets: str) -> None:
    """Let Airflow keep secrets out of all logs."""
    for secret in filter(_can_be_masked, secrets):
        mask_secret(str(secret))


def _can_be_masked(secret: str) -> bool:
    """Return whether Airflow masks a text of this length. One that is shorter makes it warn, and helps nobody."""
    from airflow.configuration import conf

    return len(secret) >= conf.getint("logging", "min_length_masked_secret", fallback=5)


async def mask_secrets_in_loop(*secrets: str) -> None:
    """Mask secrets from inside an event loop; a plain ``mask_secret`` there is lost on 3.1 and fails on 3.0."""
    if AIRFLOW_VERSION >= (3, 3):
        from airflow.sdk.log import amask_secret
    else:
        from asgiref.sync import sync_to_async

        amask_secret = sync_to_async(mask_secret)
    for secret in filter(_can_be_masked, secrets):
        await amask_secret(str(secret))


def asset_state_of(trigger: Any) -> Any:
    """Return where an event trigger may keep its state (Airflow 3.3), else None.

    Watchers with equal arguments are one trigger with several assets; the state then lies with the first of them.
    """
    stores = getattr(trigger, "asset_state_store", None)
    by_name: dict[str, Any] = getattr(stores, "_by_name", {})
    return by_name[min(by_name)] if len(by_name) > 1 else stores
