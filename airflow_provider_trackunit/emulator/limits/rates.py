"""The limits that are a number of calls in a window, as the routes name them (developer hub: rate-limit)."""

from collections.abc import Callable

from airflow_provider_trackunit.emulator.serving.routing import Call, Limit

SECOND_S = 1.0
MINUTE_S = 60.0
TEN_MINUTES_S = 600.0
HALF_HOUR_S = 1800.0


def _user(call: Call) -> tuple[str, ...]:
    return (call.user,)


def counted(name: str, switch: str, window_s: float, key: Callable[[Call], tuple[str, ...]] = _user) -> Limit:
    """Return a limit of as many calls in ``window_s`` as the switch says, for each key."""

    def take(call: Call) -> float | None:
        world = call.world
        calls: int | None = getattr(world.settings, switch)
        if calls is None:
            return None
        counts = world.settings.refused_calls_count
        return world.windows.take(
            (name, *key(call)), calls, window_s, world.clock.now(), refused_count=counts
        )

    return take


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
ALERTS = counted("alerts", "alert_calls_per_10_min", TEN_MINUTES_S)
OPERATORS = counted("operators", "operator_calls_per_min", MINUTE_S)
