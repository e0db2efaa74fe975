"""What a request costs this process, counted in calls of functions: unlike seconds, they are the same on a busy machine."""

from __future__ import annotations

import cProfile
import pstats
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.emulator import IrisEmulator
    from airflow_provider_trackunit.iris.client import IrisClient

ASSETS = "/api/asset/v1/assets"
REQUESTS = 20


def calls_of_one(request: Callable[[], Any]) -> float:
    """Return how many functions one request calls in this thread, after the first, which opens the connection."""
    request()
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(REQUESTS):
        request()
    profile.disable()
    calls: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]
    return calls / REQUESTS


def test_a_request_with_all_that_the_client_does_costs_no_more_than_one_by_hand(
    client: IrisClient, iris_emulator: IrisEmulator
) -> None:
    """By hand means a session of requests, which looks for proxies and reads ~/.netrc for every request."""
    token = client.authenticate().value
    with requests.Session() as session:

        def by_hand() -> Any:
            headers = {"Authorization": f"Bearer {token}"}
            answer = session.get(
                f"{iris_emulator.url}{ASSETS}", params={"size": 1}, headers=headers, timeout=60
            )
            return answer.json()

        of_hand = calls_of_one(by_hand)
    assert calls_of_one(lambda: client.run(ASSETS, query_params={"size": 1})) <= of_hand
