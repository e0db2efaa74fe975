"""What Airflow's masker makes of a text, on every version."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from airflow_provider_trackunit._compat import AIRFLOW_VERSION


def redacted(text: str) -> Any:
    """Return the text as it would stand in a task log."""
    if AIRFLOW_VERSION >= (3, 1):
        place = "airflow.sdk.log"
    elif AIRFLOW_VERSION >= (3, 0):
        place = "airflow.sdk.execution_time.secrets_masker"
    else:
        place = "airflow.utils.log.secrets_masker"
    return import_module(place).redact(text)
