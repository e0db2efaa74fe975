"""Async tasks, with a connection that comes from the API server: one with the hook for a loop, one with threads. Airflow 3.2 and newer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from airflow_provider_trackunit._compat import AIRFLOW_VERSION
from airflow_provider_trackunit.hooks import IrisAsyncHook, IrisHook

ASSETS = "/api/asset/v1/assets"
ONE = {"size": 1}

if AIRFLOW_VERSION >= (3, 2):
    from airflow.sdk import dag, task

    @dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False)
    def system_async() -> None:
        @task(retries=0)
        async def awaited() -> int:
            """Return how many assets there are, asked for four times at once."""
            async with IrisAsyncHook() as iris:
                answers = await asyncio.gather(*(iris.run(ASSETS, query_params=ONE) for _ in range(4)))
            (total,) = {answer["totalElements"] for answer in answers}
            return int(total)

        @task(retries=0)
        async def by_threads() -> int:
            """Return the same, by a hook whose first use was here."""
            hook = IrisHook()
            hook.get_conn()
            answer = await asyncio.to_thread(hook.run, ASSETS, query_params=ONE)
            return int(answer["totalElements"])

        @task(retries=0)
        async def first_in_a_thread() -> str:
            """Return what is said of a first use elsewhere, or that it worked."""
            try:
                await asyncio.to_thread(IrisHook().run, ASSETS, query_params=ONE)
            except Exception as error:  # noqa: BLE001 - whatever Airflow says there
                return str(error)
            return "works"

        # One after the other: what one of them does to its process is its own affair.
        awaited() >> by_threads() >> first_in_a_thread()

    system_async()
