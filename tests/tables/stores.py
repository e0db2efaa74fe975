"""A bucket in a folder, for whoever has the right connection."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from airflow_provider_trackunit._compat import AIRFLOW_VERSION


def attach_bucket(conn_id: str, file_system: Any) -> None:
    """Let ``s3://conn_id@bucket/...`` lead to the folder ``bucket`` of a file system, in this process."""
    module = import_module("airflow.sdk.io" if AIRFLOW_VERSION >= (3, 0) else "airflow.io.store")
    module.attach("s3", conn_id=conn_id, fs=file_system)
