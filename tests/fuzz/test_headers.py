"""Headers of answers: waits that can be waited, types that are understood or refused."""

from __future__ import annotations

import datetime as dt
import os
import time
from contextlib import contextmanager
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_trackunit._compat import AIRFLOW_VERSION
from airflow_provider_trackunit.iris.errors import IrisRateLimitError, IrisServerError
from airflow_provider_trackunit.iris.http.answers.reading import read_retry_after
from airflow_provider_trackunit.iris.http.wire import Response
from airflow_provider_trackunit.retry import IrisRetryPolicy
from tests.fuzz.wires import JSON, TOKEN, run_both

if TYPE_CHECKING:
    from collections.abc import Iterator

TEN_YEARS_S = 10 * 365 * 24 * 3600.0
NOW = dt.datetime(2026, 1, 15, 6, 0, tzinfo=dt.UTC)

#: What a header can hold by the time it is text: requests reads bytes as Latin-1, aiohttp as UTF-8 with surrogates.
HEADER_TEXT = st.one_of(
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n\x00"), max_size=30),
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=30),
    st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape")),
)
DATES = st.one_of(
    st.datetimes(timezones=st.just(dt.UTC)).map(format_datetime),
    st.datetimes(min_value=dt.datetime(1, 1, 2), max_value=dt.datetime(9999, 12, 30)).map(format_datetime),  # noqa: DTZ001
    st.sampled_from(
        [
            "Thu, 15 Jan 2026 06:01:30 GMT",
            "Thu, 15 Jan 2026 06:01:30 -0000",
            "Thu, 15 Jan 2026 06:01:30 +99999999999",
            "Thursday, 15-Jan-26 06:01:30 GMT",
            "Thu Jan 15 06:01:30 2026",
            "2026-01-15T06:01:30Z",
            "Thu, 32 Jan 2026 25:61:61 GMT",
            "Mon, 01 Jan 0001 00:00:00 +2359",
            "Fri, 31 Dec 9999 23:59:59 -2359",
            "1 Jan 99999 00:00 GMT",
        ]
    ),
)
RETRY_AFTERS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.sampled_from(
        [
            "",
            " ",
            "0",
            "-0",
            "1_000",
            "\u0661\u0662",
            "nan",
            "inf",
            "1e308",
            "1e999",
            "9" * 5000,
            "0x10",
            "5, 6",
            "soon",
        ]
    ),
    DATES,
    HEADER_TEXT,
)


@example("Mon, 01 Jan 0001 00:00:00 +2359", "")
@example("1e308", "")
@given(value=RETRY_AFTERS, date=st.one_of(st.just(""), DATES, HEADER_TEXT))
def test_a_retry_after_of_any_kind_is_a_time_that_can_be_waited_or_nothing(value: str, date: str) -> None:
    seconds = read_retry_after({"retry-after": value, "date": date}, NOW.timestamp())
    if seconds is not None:
        assert 0 <= seconds <= TEN_YEARS_S
        # What Airflow makes of it: a date, and an interval.
        assert dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
        if AIRFLOW_VERSION >= (3, 3):  # older ones have no retry policies
            IrisRetryPolicy().evaluate(IrisRateLimitError("", retry_after=seconds), 1, 1)


@contextmanager
def local_zone(name: str) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


@given(
    wait_s=st.integers(-(10**6), 10**7),
    offset_h=st.integers(-12, 12),
    zone=st.sampled_from(["UTC", "Asia/Tokyo", "America/Los_Angeles"]),
    unknown_zone=st.booleans(),
)
def test_a_date_means_the_same_moment_however_it_is_written_and_wherever_it_is_read(
    wait_s: int, offset_h: int, zone: str, *, unknown_zone: bool
) -> None:
    until = NOW + dt.timedelta(seconds=wait_s)
    if unknown_zone:  # "-0000": UTC, of a machine that does not tell its zone
        text = format_datetime(until.replace(tzinfo=None))
    else:
        text = format_datetime(until.astimezone(dt.timezone(dt.timedelta(hours=offset_h))))
    with local_zone(zone):
        assert read_retry_after({"retry-after": text, "date": format_datetime(NOW)}) == max(wait_s, 0)
        assert read_retry_after({"retry-after": text}, NOW.timestamp()) == max(wait_s, 0)


@given(value=RETRY_AFTERS, status=st.sampled_from([429, 503, 500, 502]))
def test_no_header_makes_a_client_sleep_longer_than_it_may_or_send_more_often(
    value: str, status: int
) -> None:
    def answer(_request: object) -> Response:
        return Response(status, {**JSON, "retry-after": value, "date": format_datetime(NOW)}, b"{}")

    exchange = run_both(answer, "/api/asset/v1/assets", options={"max_attempts": 3, "max_wait_s": 120.0})
    assert isinstance(exchange.error, IrisRateLimitError if status == 429 else IrisServerError)
    assert len(exchange.asked) <= 3
    assert all(0 <= seconds <= 120 for seconds in exchange.slept)


CONTENT_TYPES = st.one_of(
    HEADER_TEXT,
    st.sampled_from(
        [
            "",
            "application/json",
            "text/html",
            f"text/{TOKEN}",
            "x" * 50 + TOKEN,
            "APPLICATION/JSON; charset=x",
            "text/plain;json",
        ]
    ),
)


@given(
    content_type=CONTENT_TYPES,
    status=st.sampled_from([200, 201, 404, 502]),
    body=st.sampled_from([b"", b"{}", b"<html>", b"\xff"]),
)
def test_a_content_type_of_any_kind_is_understood_or_refused(
    content_type: str, status: int, body: bytes
) -> None:
    exchange = run_both(lambda _request: Response(status, {"content-type": content_type}, body), "/api/x")
    if body == b"<html>" or status >= 400:
        assert exchange.error is not None
    if exchange.error is None:
        assert exchange.result in (None, {})


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_a_date_of_a_zone_that_is_not_told_is_utc(zone: str) -> None:
    headers = {"retry-after": "Thu, 15 Jan 2026 06:01:30 -0000", "date": "Thu, 15 Jan 2026 06:00:00 GMT"}
    with local_zone(zone):
        assert read_retry_after(headers) == 90
