"""What is deferred survives a triggerer that is killed, and an IRIS that does not answer for a minute."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.system.live import ASSETS, SENSORS, demand

if TYPE_CHECKING:
    from tests.system.live import Iris, LiveAirflow

POLLED = "/api/asset/v1/assets"
# Among the assets and not among the machines: the pages of the transfer do not move when it comes back.
TOOL = 8
MACHINES = 202
GONE_S = 10
DOWN_S = 60

# Longer than the hook of the DAG sleeps on the worker, and than the shortest deferral.
RETRY_AFTER_S = 50


def triggerer_killed(airflow: LiveAirflow, iris: Iris) -> str:
    """Kill the triggerer while a sensor and a transfer are deferred; both finish under the next one."""
    handle = iris.handle
    handle.fleet(hide=[TOOL])
    handle.fault(path="/Fleet/2", kind="rate_limit", retry_after=str(RETRY_AFTER_S))
    airflow.run("system_waits")
    airflow.wait_until(lambda: airflow.states("system_waits") == ["deferred"] * 2, "both deferrals", 180)
    # Until the triggerer has taken them up, there is nothing to lose.
    polls = iris.polls(POLLED)
    airflow.wait_until(lambda: iris.polls(POLLED) > polls, "a poll from the triggerer", 120)
    killed = airflow.kill_triggerer()
    time.sleep(GONE_S)
    demand(airflow.states("system_waits") == ["deferred"] * 2, "a task went on without a triggerer")
    polls = iris.polls(POLLED)
    airflow.start_triggerer()
    begun = time.monotonic()
    airflow.wait_until(lambda: iris.polls(POLLED) > polls, "a poll from the new triggerer", 120)
    taken_over_s = time.monotonic() - begun
    handle.fleet(show=[TOOL])
    airflow.wait_until(lambda: airflow.is_over("system_waits"), "the end of both", 180)
    states = airflow.states("system_waits")
    demand(states == ["success"] * 2, f"sensor, transfer: {states}")
    manifests = list(airflow.home.path.glob("output/transfer/_manifest.json"))
    demand(len(manifests) == 1, "there is no manifest")
    records = json.loads(manifests[0].read_text())["records"]
    demand(records == MACHINES, f"{records} records, and not {MACHINES}")
    pages = Counter(
        str(one["path"]).rpartition("/")[2] for one in handle.requests("/Fleet") if one["status"] == 200
    )
    demand(set(pages.values()) == {1}, f"a page was asked for again: {pages}")
    return (
        f"both deferred, {killed} processes killed, gone for {GONE_S} s, first poll {taken_over_s:.0f} s after "
        f"the restart; sensor and transfer succeeded, {records} records, {len(pages)} pages once each"
    )


def rescheduled(airflow: LiveAirflow, iris: Iris) -> str:
    """Refuse a transfer that has no retries, twice; it runs again when IRIS said, and goes on where it was."""
    handle = iris.handle
    for page in ("2", "3"):
        handle.fault(path=f"/Fleet/{page}", kind="rate_limit", retry_after=str(RETRY_AFTER_S))
    begun = time.monotonic()
    airflow.run("system_reschedules")
    airflow.wait_until(
        lambda: airflow.states("system_reschedules") == ["up_for_reschedule"], "the first reschedule", 120
    )
    airflow.wait_until(lambda: airflow.is_over("system_reschedules"), "the end", 300)
    took_s = time.monotonic() - begun
    states = airflow.states("system_reschedules")
    demand(states == ["success"], f"the transfer: {states}")
    demand(took_s > 2 * RETRY_AFTER_S, f"it was over after {took_s:.0f} s, before IRIS said so")
    (manifest,) = airflow.home.path.glob("output/rescheduled/_manifest.json")
    records = json.loads(manifest.read_text())["records"]
    demand(records == MACHINES, f"{records} records, and not {MACHINES}")
    pages = Counter(
        str(one["path"]).rpartition("/")[2] for one in handle.requests("/Fleet") if one["status"] == 200
    )
    demand(set(pages.values()) == {1}, f"a page was asked for again: {pages}")
    return f"refused twice, no retries, success after {took_s:.0f} s; {records} records, {len(pages)} pages once each"


def iris_down(airflow: LiveAirflow, iris: Iris) -> str:
    """Let nobody answer for a minute while many sensors wait; all finish, with one new token."""
    iris.handle.fleet(hide=[TOOL])
    airflow.run("system_outage")
    everyone = SENSORS
    airflow.wait_until(
        lambda: airflow.states("system_outage") == ["deferred"] * everyone, f"{everyone} deferrals", 240
    )
    polls = iris.polls(POLLED)
    airflow.wait_until(lambda: iris.polls(POLLED) >= polls + everyone, "a poll from each", 120)
    iris.stop()
    time.sleep(DOWN_S)
    states = Counter(airflow.states("system_outage"))
    demand(states == {"deferred": everyone}, f"while nobody answered: {dict(states)}")
    # All assets are there now.
    iris.start_again()
    airflow.wait_until(lambda: airflow.is_over("system_outage"), "the end of all", 240)
    states = Counter(airflow.states("system_outage"))
    demand(states == {"success": everyone}, f"in the end: {dict(states)}")
    stats = iris.handle.stats()
    demand(stats["token_requests"] == 1, f"{stats['token_requests']} tokens were asked for afterwards")
    refused = stats["statuses"].get("401", 0)
    return (
        f"{everyone} sensors deferred, nobody answered for {DOWN_S} s; all {everyone} succeeded at {ASSETS} assets, "
        f"{refused} answers of 401, one new token"
    )
