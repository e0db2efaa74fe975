"""The limits of the AEMP feed: so many calls per second, and one per URL in a quarter of an hour.

The per-second limits are the customer's, all API accounts together (Trackunit developer hub, ISO
15143-3 (AEMP 2.0) API). Whether the query belongs to the URL, and what makes a series the same
series, is not published in so many words: both can be switched.
"""

from collections.abc import Callable

from airflow_provider_trackunit.emulator.limits.counting import Rate
from airflow_provider_trackunit.emulator.limits.rates import SECOND_S, counted
from airflow_provider_trackunit.emulator.serving.routing import Call, Limit


def _limit(name: str, switch: str, bucket: Callable[[Call], str]) -> Limit:
    """Return a limit of as many calls in a second as the switch says, and of one a bucket in a quarter of an hour."""
    per_second = counted(name, switch, SECOND_S, lambda _call: ())
    return lambda call: per_second(call) or _url(call, bucket(call))


def _series(call: Call) -> str:
    """Return what the calls of a series are counted by: dates do not open a new bucket."""
    settings, params = call.world.settings, call.params
    if settings.series_bucket == "url":
        return _whole_url(call)
    page = f" {params['page']}" if settings.series_bucket == "page" else ""
    return f"series {params['pin']} {params['datapoint']}{page}"


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


FLEET = _limit("aemp fleet", "fleet_calls_per_s", _whole_url)
ELEMENT = _limit("aemp element", "element_calls_per_s", _whole_url)
SERIES = _limit("aemp series", "series_calls_per_s", _series)
