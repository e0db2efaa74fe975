"""The switches of the emulator: what is uncertain about the vendor, and what a test wants different.

Every switch has the default that is closest to what Trackunit's developer hub states. A limit of
``null`` is no limit.
"""

from typing import Annotated, Any, Literal

import msgspec

from airflow_provider_trackunit.emulator import moments

API_KEY_SCOPES = "api.iso15143.snapshot api.iso15143.timeseries asset.view account.event.view site.view"

# What each does: faults/hostile.py.
Trick = Literal[
    "redirect",
    "foreign_links",
    "moving_cursor",
    "repeated_pages",
    "absurd_counts",
    "climbing_names",
    "terabyte",
    "endless_body",
    "gzip_bomb",
    "slow_body",
    "year_long_wait",
    "never_authorized",
    "huge_token",
    "echo",
]

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


class UnpublishedLimit(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A limit that no page of the vendor names, for every raw path that fits the pattern ``path``.

    ``*`` in the pattern stands for anything. ``retry_after`` is the header of a refusal: the real wait as
    ``seconds`` or as ``date``, ``now`` for a date that is now, any other text as it is (``"0"``), None for none.
    """

    path: str
    calls: int
    per_s: float = 1.0
    retry_after: str | None = "1"


class RefusedPath(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What this account may not read: every raw path that fits the pattern ``path``, where ``*`` stands for anything."""

    path: str
    method: str = "GET"
    status: Literal[401, 403, 404] = 403


class Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """All switches with their defaults; ``POST /_emulator/settings`` changes some of them."""

    # Load and time.
    latency_ms: float = 0.0
    data_now: str = "2026-01-15T06:00:00Z"
    location_step_s: AtLeastOne = 600
    hours_step_s: AtLeastOne = 16_800
    event_step_s: AtLeastOne = 600
    # So many events begin at the same time, and the next ones as many steps later.
    events_at_once: AtLeastOne = 1

    # Tokens (developer hub: access-token, access-token-v2).
    api_key_scopes: str = API_KEY_SCOPES
    token_lifetime_s: int = 3600
    key_token_lifetime_s: int = 1200
    expires_in_as_text: bool = False
    accept_client_in_body: bool = False
    refresh_token_rotates: bool = True
    # Whether these APIs take the token of an API key is reported both ways.
    events_refuse_api_keys: bool = False
    graphql_refuse_api_keys: bool = False
    refused_paths: tuple[RefusedPath, ...] = ()

    # Limits (developer hub: rate-limit and the page of each API).
    limits_on: bool = True
    refused_calls_count: bool = False
    # How a rate is counted is not published; the burst is that of the token bucket alone.
    count_rates_as: Literal["sliding_window", "token_bucket", "fixed_window"] = "sliding_window"
    token_bucket_burst: AtLeastOne = 2
    unpublished: tuple[UnpublishedLimit, ...] = ()
    retry_after: Literal["seconds", "date", "none"] = "seconds"
    limit_body: Literal["text", "json", "html", "empty"] = "text"
    basic_calls_per_s: int | None = None
    fleet_calls_per_s: int | None = 50
    element_calls_per_s: int | None = 500
    series_calls_per_s: int | None = 500
    aemp_url_interval_s: float | None = 900.0
    aemp_pool_calls: int = 50
    aemp_pool_return_s: float = 30 * 86_400.0
    aemp_url_includes_query: bool = True
    series_bucket: Literal["series", "page", "url"] = "series"
    location_calls_per_s: int | None = 1
    prometheus_calls_per_s: int | None = 100
    metrics_calls_per_s: int | None = 20
    event_calls_per_30_min: int | None = 2
    alert_calls_per_10_min: int | None = 1000
    emission_calls_per_10_min: int | None = 1000
    operator_calls_per_min: int | None = 60
    graphql_points_per_10_min: int | None = 500_000
    graphql_points_per_query: int | None = 50_000

    # Shape of the answers.
    unknown_path_status: int = 200
    empty_total_pages: int = 0
    aemp_key_case: Literal["lower", "upper"] = "lower"
    json_layout: Literal["compact", "pretty", "lines"] = "compact"
    links_repeat_query: bool = False
    last_link: bool = True
    series_window_days: float = 14.0
    refuse_future_end: bool = False
    gzip: Literal["metrics", "all", "none"] = "metrics"

    # Walks. Nobody says that only the last page may be empty, that the order without "sort" is always the
    # same, how long a cursor is good for, or what a page behind the last one answers.
    # The first page is never empty, so the least is every second one.
    empty_page_every: Annotated[int, msgspec.Meta(ge=2)] | None = None
    unsorted_order_changes: bool = False
    cursor_lifetime_s: float | None = None
    old_cursor_status: Literal[400, 404, 410] = 400
    beyond_last_status: Literal[200, 400, 404, 410] = 200

    # What real fleets send. Shares are between 0 and 1 and drawn from the seed: the same machines and readings are
    # spoilt at each time.
    # Of machines: those whose counters fall every ten to twenty days, that have no PIN, that have the PIN of another,
    # that report twice a day only, that report every ten minutes (twenty pages in two weeks).
    falling_counters: Share = 0.0
    without_pin: Share = 0.0
    shared_pins: Share = 0.0
    mixed_fleet: Share = 0.0
    dense_series: Share = 0.0
    # Of readings: those that arrive up to latest_by_s later than they were taken, that come twice with one time, that
    # a wrong clock dates ten years ahead, whose position is 0, 0.
    late_readings: Share = 0.0
    latest_by_s: AtLeastOne = 3 * 86_400
    equal_times: Share = 0.0
    future_stamps: Share = 0.0
    null_positions: Share = 0.0
    # Of a machine's weeks: those with a silence of 6 to 60 hours.
    silent_weeks: Share = 0.0
    # How often a machine reports whose engine is off (3600: every hour); None is as often as at work.
    heartbeat_s: AtLeastOne | None = None

    # Hostile answers, which a client has to survive.
    next_link: Literal["present", "missing", "itself", "foreign", "dotdot"] = "present"
    endless_pages: bool = False
    stuck_cursor: bool = False
    foreign_host: str = "https://iris.example.net"
    # A server that means harm (see hostile.py), wherever the raw path contains hostile_path.
    hostile: Trick | None = None
    hostile_path: str = ""

    @property
    def spoils_samples(self) -> bool:
        """Whether any switch spoils single readings."""
        shares = (self.late_readings, self.equal_times, self.future_stamps, self.null_positions)
        return any(shares) or self.silent_weeks > 0 or self.heartbeat_s is not None


class ProbeReport(msgspec.Struct):
    """What is read of the report of a probe: its switches. The rest of it is for people."""

    emulator: dict[str, Any]


#: Switches for :meth:`~.handle.IrisEmulator.settings` that make a fleet as troublesome as a real one, every trouble at once.
REAL_FLEET = {
    "hours_step_s": 600,
    "heartbeat_s": 3600,
    "falling_counters": 0.3,
    "without_pin": 0.02,
    "shared_pins": 0.04,
    "mixed_fleet": 0.1,
    "dense_series": 0.1,
    "late_readings": 0.1,
    "equal_times": 0.05,
    "future_stamps": 0.002,
    "null_positions": 0.01,
    "silent_weeks": 0.1,
}


def changed(settings: Settings, switches: dict[str, Any]) -> Settings:
    """Return the settings with some switches set.

    :raises ValueError: for a switch that does not exist or a value it cannot have.
    """
    new = msgspec.convert(msgspec.to_builtins(settings) | switches, Settings)
    moments.read(new.data_now)
    return new
