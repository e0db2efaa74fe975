"""What urllib3 logs of our requests has no query; what it logs of others is left alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.http.transports.library_logs import without_queries

if TYPE_CHECKING:
    import pytest

URLLIB3 = logging.getLogger("urllib3.connectionpool")
LINE = '%s://%s:%s "%s %s HTTP/1.1" %s %s'
ARGUMENTS = ("https", "iris.trackunit.com", 443, "GET", "/api/x?key=HIDDEN&b=1", 200, 7)


def test_while_a_request_of_ours_is_sent_its_line_is_logged_without_the_query(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG), without_queries():
        URLLIB3.debug(LINE, *ARGUMENTS)
    assert caplog.messages == ['https://iris.trackunit.com:443 "GET /api/x?… HTTP/1.1" 200 7']


def test_the_line_of_anybody_elses_request_is_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        with without_queries():
            pass
        URLLIB3.debug(LINE, *ARGUMENTS)
    assert caplog.messages == ['https://iris.trackunit.com:443 "GET /api/x?key=HIDDEN&b=1 HTTP/1.1" 200 7']


def test_a_traceback_that_may_hold_a_url_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), without_queries():
        try:
            raise ValueError("/api/x?key=HIDDEN")
        except ValueError:
            URLLIB3.exception("retrying")
    assert "HIDDEN" not in caplog.text
    assert caplog.messages == ["retrying"]
