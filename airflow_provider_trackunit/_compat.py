"""The one place that knows Airflow versions: each name from where the running Airflow has it.

Every import below is the path that gives no deprecation warning on that version. Type checkers see the newest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow import __version__ as _airflow_version

AIRFLOW_VERSION = tuple(int(part) for part in _airflow_version.split(".")[:2])

if TYPE_CHECKING:
    from airflow.sdk import (
        BaseHook,
        BaseOperator,
        BaseSensorOperator,
        Context,
        ObjectStoragePath,
        PokeReturnValue,
    )
    from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowRescheduleException,
    )
    from airflow.sdk.log import mask_secret
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
        from airflow.sdk import BaseOperator, BaseSensorOperator, Context, PokeReturnValue
    else:
        from airflow.models import BaseOperator
        from airflow.sensors.base import BaseSensorOperator, PokeReturnValue
        from airflow.utils.context import Context

    if AIRFLOW_VERSION >= (3, 2):
        from airflow.sdk.exceptions import (
            AirflowException,
            AirflowFailException,
            AirflowRescheduleException,
        )
    else:
        from airflow.exceptions import AirflowException, AirflowFailException, AirflowRescheduleException

    if AIRFLOW_VERSION >= (3, 3):
        from airflow.sdk import RetryPolicy
        from airflow.sdk.definitions.retry_policy import RetryDecision
    else:
        RetryPolicy = object
        RetryDecision = None

__all__ = [
    "AIRFLOW_VERSION",
    "AirflowException",
    "AirflowFailException",
    "AirflowRescheduleException",
    "BaseHook",
    "BaseOperator",
    "BaseSensorOperator",
    "Context",
    "PokeReturnValue",
    "RetryDecision",
    "RetryPolicy",
    "mask_secret",
    "object_storage_path",
    "retry_policy_argument",
]


def retry_policy_argument(policy: Any, default: type[Any]) -> dict[str, Any]:
    """Return the keyword argument that gives an operator its retry policy, where Airflow has them (3.3)."""
    if AIRFLOW_VERSION >= (3, 3):
        return {"retry_policy": default() if policy is None else policy}
    return {} if policy is None else {"retry_policy": policy}


def object_storage_path(path: str, conn_id: str | None) -> ObjectStoragePath:
    """Return Airflow's path object for a folder; imported here, because it costs more than a DAG file should pay."""
    module = import_module("airflow.sdk" if AIRFLOW_VERSION >= (3, 0) else "airflow.io.path")
    folder: ObjectStoragePath = module.ObjectStoragePath(path, conn_id=conn_id)
    return folder
