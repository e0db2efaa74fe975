"""The limits of the AEMP feed: so many calls per second, and one per URL in a quarter of an hour.

The per-second limits are the customer's, all API accounts together (Trackunit developer hub, ISO
15143-3 (AEMP 2.0) API). Whether the query belongs to the URL, and what makes a series the same
series, is not published in so many words: both can be switched.
"""

from airflow_provider_trackunit.emulator.limits.counting import Rate
from airflow_provider_trackunit.emulator.limits.rates import SECOND_S, take
from airflow_provider_trackunit.emulator.serving.routing import Call


def fleet_limit(call: Call) -> float | None:
    """Count the call against 50 per second and against its URL."""
    settings = call.world.settings
    return _per_second(call, "aemp fleet", settings.fleet_calls_per_s) or _url(call, _whole_url(call))


def element_limit(call: Call) -> float | None:
    """Count the call against 500 per second and against its URL."""
    settings = call.world.settings
    return _per_second(call, "aemp element", settings.element_calls_per_s) or _url(call, _whole_url(call))


def series_limit(call: Call) -> float | None:
    """Count the call against 500 per second and against its series: dates do not open a new bucket."""
    settings, params = call.world.settings, call.params
    bucket = f"series {params['pin']} {params['datapoint']}"
    if settings.series_bucket == "page":
        bucket += f" {params['page']}"
    elif settings.series_bucket == "url":
        bucket = _whole_url(call)
    return _per_second(call, "aemp series", settings.series_calls_per_s) or _url(call, bucket)


def _per_second(call: Call, name: str, calls: int | None) -> float | None:
    return None if calls is None else take(call, (name,), Rate(calls, SECOND_S))


def _url(call: Call, url: str) -> float | None:
    settings, world = call.world.settings, call.world
    if settings.aemp_url_interval_s is None:
        return None
    pool = Rate(settings.aemp_pool_calls, settings.aemp_pool_return_s)
    counts = settings.refused_calls_count
    bucket = world.allowances.url(url)
    return bucket.take(settings.aemp_url_interval_s, pool, world.clock.now(), refused_count=counts)


def _whole_url(call: Call) -> str:
    if call.query_string and call.world.settings.aemp_url_includes_query:
        return f"{call.path}?{call.query_string}"
    return call.path
