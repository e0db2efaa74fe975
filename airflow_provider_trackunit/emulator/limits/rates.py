"""The limits that are a number of calls in a window, as the routes name them (developer hub: rate-limit).

Beside the published ones stand those that nobody published: any pattern of paths can be given one.
"""

from collections.abc import Callable
from email.utils import formatdate
from fnmatch import fnmatchcase

from airflow_provider_trackunit.emulator.limits.counting import Rate
from airflow_provider_trackunit.emulator.serving.answers import retry_header
from airflow_provider_trackunit.emulator.serving.routing import Call, Limit
from airflow_provider_trackunit.emulator.settings import UnpublishedLimit

SECOND_S = 1.0
MINUTE_S = 60.0
TEN_MINUTES_S = 600.0
HALF_HOUR_S = 1800.0


def take(call: Call, key: tuple[str, ...], rate: Rate) -> float | None:
    """Count the call against a rate, in the way that is switched on."""
    world, settings = call.world, call.world.settings
    counter = world.allowances.counter(settings.count_rates_as, settings.token_bucket_burst, key)
    return counter.take(rate, world.clock.now(), refused_count=settings.refused_calls_count)


def _user(call: Call) -> tuple[str, ...]:
    return (call.user,)


def counted(name: str, switch: str, window_s: float, key: Callable[[Call], tuple[str, ...]] = _user) -> Limit:
    """Return a limit of as many calls in ``window_s`` as the switch says, for each key."""

    def limit(call: Call) -> float | None:
        calls: int | None = getattr(call.world.settings, switch)
        return None if calls is None else take(call, (name, *key(call)), Rate(calls, window_s))

    return limit


def unpublished(call: Call, wall_now: float) -> dict[str, str] | None:
    """Count the call against the unpublished limits of its path; return the headers of a refusal, or None."""
    for limit in call.world.settings.unpublished:
        if not fnmatchcase(call.path, limit.path):
            continue
        wait_s = take(call, ("unpublished", limit.path, call.user), Rate(limit.calls, limit.per_s))
        if wait_s is not None:
            return _wait_header(limit, call.world.clock.wall_seconds(wait_s), wall_now)
    return None


def _wait_header(limit: UnpublishedLimit, wall_s: float, wall_now: float) -> dict[str, str]:
    if limit.retry_after is None:
        return {}
    if limit.retry_after in {"seconds", "date"}:
        return retry_header(limit.retry_after, wall_s, wall_now)
    text = formatdate(wall_now, usegmt=True) if limit.retry_after == "now" else limit.retry_after
    return {"Retry-After": text}


# "Basic" limits exist, but their number is not published: off unless a test sets one.
BASIC = counted("basic", "basic_calls_per_s", SECOND_S)
LOCATION_PAGE = counted(
    "location page", "location_calls_per_s", SECOND_S, lambda call: (call.user, call.query.get("page", "0"))
)
LOCATION_ASSET = counted(
    "location asset", "location_calls_per_s", SECOND_S, lambda call: (call.user, call.params["assetId"])
)
PROMETHEUS = counted("prometheus", "prometheus_calls_per_s", SECOND_S)
METRICS = counted("metrics", "metrics_calls_per_s", SECOND_S)
# Both event endpoints and all of their pages draw from the same two calls.
EVENTS = counted("events", "event_calls_per_30_min", HALF_HOUR_S)
EMISSIONS = counted("emissions", "emission_calls_per_10_min", TEN_MINUTES_S)
ALERTS = counted("alerts", "alert_calls_per_10_min", TEN_MINUTES_S)
OPERATORS = counted("operators", "operator_calls_per_min", MINUTE_S)
