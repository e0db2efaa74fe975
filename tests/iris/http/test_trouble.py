"""What the failures of a connection mean: whether the request left, and where to look."""

from __future__ import annotations

import gzip
import ssl
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisNoAnswerError,
    IrisUnexpectedResponseError,
)
from airflow_provider_trackunit.iris.http.transports.body import Body
from airflow_provider_trackunit.iris.http.transports.trouble import (
    Trouble,
    failure,
    readable,
    trouble_with_tls,
)
from airflow_provider_trackunit.iris.http.wire import Request, build_request
from tests.iris.conftest import HandClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def request() -> Request:
    return build_request(make_call("https://iris.trackunit.com", "/api/x", query_params={"q": "HIDDEN"}))


@pytest.mark.parametrize(
    ("trouble", "sent", "said"),
    [
        (Trouble.PROXY, False, "the proxy named by the environment did not connect"),
        (Trouble.UNREACHABLE, False, "no connection to https://iris.trackunit.com. Check the URL"),
        (Trouble.SLOW_CONNECT, False, "https://iris.trackunit.com did not accept a connection in time"),
        (Trouble.NO_TLS, True, "no TLS connection to https://iris.trackunit.com. The server is overloaded"),
        (Trouble.SLOW_ANSWER, True, "https://iris.trackunit.com did not answer in time"),
        (Trouble.BROKEN, True, "the connection to https://iris.trackunit.com broke off"),
        (Trouble.SLOW_BODY, True, "the answer was not complete in time"),
        (Trouble.CUT_BODY, True, "the answer broke off"),
    ],
)
def test_no_answer_says_what_happened_and_whether_the_request_may_have_arrived(
    trouble: Trouble, sent: bool, said: str
) -> None:
    error = failure(request(), trouble)
    assert isinstance(error, IrisNoAnswerError)
    assert (error.sent, error.transient) == (sent, True)
    assert str(error).startswith(f"GET /api/x: {said}")
    assert "HIDDEN" not in str(error)


@pytest.mark.parametrize(
    ("trouble", "to_do"),
    [
        (
            Trouble.UNTRUSTED,
            "set CA bundle (extra 'ca_bundle') of the connection to the PEM file of its root",
        ),
        (Trouble.NO_ROOTS, "CA bundle (extra 'ca_bundle') of the connection, or REQUESTS_CA_BUNDLE"),
        (Trouble.UNUSABLE_PROXY, "Check HTTPS_PROXY and ALL_PROXY"),
    ],
)
def test_what_a_person_has_to_mend_is_a_configuration_error_that_names_the_setting(
    trouble: Trouble, to_do: str
) -> None:
    error = failure(request(), trouble)
    assert isinstance(error, IrisConfigurationError)
    assert str(error).startswith("GET /api/x: the ")
    assert to_do in str(error)
    assert "HIDDEN" not in str(error)


def test_every_way_to_get_no_answer_is_an_error_of_ours() -> None:
    for trouble in Trouble:
        assert isinstance(failure(request(), trouble), IrisNoAnswerError | IrisConfigurationError)


def arriving(coding: str = "", clock: HandClock | None = None) -> Body:
    return Body(request(), 200, coding, ends_at=1010.0, clock=clock or HandClock(1000.0))


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_a_body_that_comes_in_pieces_is_whole_in_the_end(coding: str) -> None:
    body = arriving(coding)
    for piece in (b'{"a"', b"", b":1}"):
        body.take(piece)
    assert body.whole() == b'{"a":1}'


LONG = bytes(range(256)) * 4096


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP "])
@pytest.mark.parametrize("size", [1, 1000, 10**9], ids=["byte by byte", "in pieces", "at once"])
@pytest.mark.parametrize(
    "content", [b"", b'{"a":1}', LONG, bytes(3 * 2**20)], ids=["nothing", "short", "long", "zeros"]
)
def test_a_packed_body_is_unpacked_however_it_comes(coding: str, size: int, content: bytes) -> None:
    body, packed = arriving(coding), gzip.compress(content)
    for start in range(0, len(packed), size):
        body.take(packed[start : start + size])
    assert body.whole() == content


def test_one_packed_file_after_the_other_is_one_body() -> None:
    body = arriving("gzip")
    body.take(gzip.compress(b'{"a"') + gzip.compress(b":1}"))
    assert body.whole() == b'{"a":1}'


def test_an_answer_that_only_says_it_is_packed_and_has_no_body_is_empty() -> None:
    assert arriving("gzip").whole() == b""


def test_half_a_packed_body_is_no_answer() -> None:
    body = arriving("gzip")
    body.take(gzip.compress(LONG)[:-9])
    with pytest.raises(IrisNoAnswerError, match="the answer broke off"):
        body.whole()


# With names of their own: what gzip makes holds the time, and so would a name made of it.
@pytest.mark.parametrize(
    "packed",
    [b"{}", gzip.compress(b"{}") + b"garbage", b"\x1f\x8b\x08" + b"\xff" * 40],
    ids=["not packed", "something behind it", "nothing but a head"],
)
def test_what_is_not_packed_as_it_says_is_no_answer(packed: bytes) -> None:
    with pytest.raises(IrisNoAnswerError, match="the answer broke off"):
        arriving("gzip").take(packed)


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "hunter2"])
def test_what_is_packed_in_a_way_that_nobody_asked_for_is_refused(coding: str) -> None:
    with pytest.raises(
        IrisUnexpectedResponseError, match=r"^GET /api/x: .* not asked for. A proxy on the way"
    ) as caught:
        arriving(coding)
    assert (caught.value.status, caught.value.transient) == (200, False)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("status", [302, 400, 429, 503])
@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "gzip", "unknown"])
def test_the_body_of_an_error_that_cannot_be_unpacked_is_empty_and_hides_no_status(
    status: int, coding: str
) -> None:
    body = Body(request(), status, coding, 1010.0, HandClock(1000.0))
    for piece in (b"\x1b\x07\x00\xf8", b"more"):
        body.take(piece)
    assert body.whole() == b""


def test_the_body_of_an_error_that_can_be_unpacked_is_kept() -> None:
    body = Body(request(), 503, "gzip", 1010.0, HandClock(1000.0))
    body.take(gzip.compress(b'{"code": "c"}'))
    assert body.whole() == b'{"code": "c"}'


def test_half_the_packed_body_of_an_error_and_one_without_an_end_are_left_out() -> None:
    half, endless = (Body(small(), 503, coding, 1010.0, HandClock(1000.0)) for coding in ("gzip", ""))
    half.take(gzip.compress(LONG)[:-9])
    for _ in range(3):
        endless.take(bytes(2**20))
    assert (half.whole(), endless.whole()) == (b"", b"")


def wrapped(error: Exception) -> Exception:
    """Return an error the way urllib3 and requests hand it on."""
    outer = OSError(ValueError("in between", error))
    outer.__cause__ = RuntimeError("another")
    return outer


@pytest.mark.parametrize("wrap", [lambda error: error, wrapped], ids=["bare", "wrapped"])
@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), Trouble.UNTRUSTED),
        (ssl.SSLError(1, "[SSL: TLSV1_ALERT_INTERNAL_ERROR] tlsv1 alert internal error"), Trouble.NO_TLS),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), Trouble.NO_TLS),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), Trouble.NO_TLS),
        (ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed"), Trouble.NO_TLS),
        (OSError("a TLS error of no known kind"), Trouble.NO_TLS),
    ],
)
def test_only_a_certificate_that_is_not_trusted_is_a_matter_of_configuration(
    error: Exception, trouble: Trouble, wrap: Callable[[Exception], Exception]
) -> None:
    assert trouble_with_tls(wrap(error)) is trouble


def test_a_file_of_roots_without_a_certificate_is_one_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("no certificate")
    with pytest.raises(ssl.SSLError) as raised:
        ssl.create_default_context(cafile=str(tmp_path / "roots.pem"))
    assert trouble_with_tls(raised.value) is Trouble.NO_ROOTS


def test_a_body_that_drips_is_given_up_when_its_time_is_over() -> None:
    clock = HandClock(1000.0)
    body = arriving(clock=clock)
    clock.now = 1010.0
    body.take(b"just in time")
    clock.now = 1010.1
    with pytest.raises(IrisNoAnswerError, match="the answer was not complete in time"):
        body.take(b"too late")


def test_a_body_larger_than_any_page_is_not_read_further_and_says_what_to_do() -> None:
    body = arriving()
    piece = bytes(2**20)
    for _ in range(256):
        body.take(piece)
    with pytest.raises(
        IrisUnexpectedResponseError, match=r"larger than 256 MiB.*fewer records.*Auth URL"
    ) as caught:
        body.take(b"x")
    assert (caught.value.status, caught.value.transient) == (200, False)


def test_a_body_in_tiny_pieces_takes_no_more_memory_than_its_bytes() -> None:
    body = arriving()
    tracemalloc.start()
    try:
        for _ in range(2**18):
            body.take(bytes(bytearray(2)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert body.whole() == bytes(2**19)
    assert peak < 2**20


def test_a_packed_body_counts_as_what_is_in_it() -> None:
    body, packed = Body(small(), 200, "gzip", 1010.0, HandClock(1000.0)), gzip.compress(bytes(2**20 + 1))
    assert len(packed) < 2**12
    with pytest.raises(IrisUnexpectedResponseError, match="larger than 1 MiB"):
        body.take(packed)


def small() -> Request:
    return replace(request(), max_body_bytes=2**20)


def test_a_ca_bundle_has_to_be_a_file_of_this_machine(tmp_path: Path) -> None:
    there = tmp_path / "roots.pem"
    there.write_text("x")
    assert readable(str(there)) == str(there)
    for missing in (tmp_path, tmp_path / "gone.pem", "x" * 5000, "a\nb"):
        with pytest.raises(
            IrisConfigurationError, match=r"^CA bundle \(extra 'ca_bundle'\): .* no file"
        ) as caught:
            readable(str(missing))
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400
