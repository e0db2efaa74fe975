"""A task for each mode, all of which fail in the way that the emulator is set to; and tasks that leak on purpose."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task  # type: ignore[no-redef]

from airflow_provider_trackunit.hooks import IrisHook
from airflow_provider_trackunit.operators import IrisApiOperator
from airflow_provider_trackunit.sensors import IrisSensor
from airflow_provider_trackunit.transfers import IrisToObjectStorageOperator

ASSETS = "/api/asset/v1/assets"
# Masked by Airflow, because it comes from a connection.
REQUEST: dict[str, Any] = {
    "endpoint": ASSETS,
    "query_params": {"size": 100, "sig": "{{ conn.signature.password }}"},
}
OUTPUT = os.environ.get("SECRETS_OUTPUT", "file:///tmp/never")
DEFAULTS = {"retries": 0, "execution_timeout": timedelta(seconds=60)}
NEVER = "totalElements > `9999`"


class _Hasty:
    """Gives up soon."""

    trackunit_conn_id: str

    @cached_property
    def hook(self) -> IrisHook:
        return IrisHook(self.trackunit_conn_id, timeout_s=2.0, max_attempts=2, max_wait_s=0.1)


class HastyOperator(_Hasty, IrisApiOperator):
    """Gives up soon."""


class HastySensor(_Hasty, IrisSensor):
    """Gives up soon."""


class HastyTransfer(_Hasty, IrisToObjectStorageOperator):
    """Gives up soon."""


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, default_args=DEFAULTS)
def secrets_failing() -> None:
    @task
    def hook() -> Any:
        return IrisHook(timeout_s=2.0, max_attempts=2, max_wait_s=0.1).run(ASSETS)

    @task
    def button() -> Any:
        return IrisHook().test_connection()

    hook()
    button()
    for deferrable in (False, True):
        suffix = "_deferrable" if deferrable else ""
        HastyOperator(task_id=f"operator{suffix}", deferrable=deferrable, **REQUEST)
        HastyTransfer(
            task_id=f"transfer{suffix}",
            output_path=f"{OUTPUT}/transfer{suffix}",
            part_bytes=1,
            deferrable=deferrable,
            **REQUEST,
        )
    waits: dict[str, Any] = {"condition": NEVER, "poke_interval": 1, "timeout": 1}
    HastySensor(task_id="sensor", deferrable=False, **waits, **REQUEST)
    HastySensor(task_id="sensor_reschedule", deferrable=False, mode="reschedule", **waits, **REQUEST)
    # At an endpoint of its own, so that it can get as far as the triggerer before it fails.
    other = {**REQUEST, "endpoint": ASSETS.replace("v1", "v2")}
    long = {**waits, "timeout": 600, "poke_interval": 10}
    HastySensor(task_id="sensor_deferrable", deferrable=True, **long, **other)


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, default_args=DEFAULTS)
def secrets_leaking() -> None:
    @task
    def to_xcom() -> str:
        return IrisHook().get_conn().credentials.password

    @task
    def to_log() -> None:
        secret = IrisHook().get_conn().credentials.client_secret
        # As it is, Airflow would mask it.
        print(base64.b64encode(f"x{secret}".encode()).decode())  # noqa: T201

    to_xcom()
    to_log()


secrets_failing()
secrets_leaking()
