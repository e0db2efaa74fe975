"""One request for a token, and one outcome, however many threads ask; and no turn is taken before it is there."""

import threading
import time
from typing import Any, ClassVar

import pytest

from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import (
    IrisError,
    IrisNoAnswerError,
    IrisRateLimitError,
    IrisServerError,
    IrisTokenError,
)
from airflow_provider_trackunit.iris.http.exchange import ClientCore
from airflow_provider_trackunit.iris.http.steps import GetToken, Send
from airflow_provider_trackunit.iris.http.tokens import Credentials, Token, TokenKeeper
from airflow_provider_trackunit.iris.secrecy import Secret
from tests.iris.conftest import ClientFactory, HandClock
from tests.iris.http.test_client_requests import together

ASSETS = "/api/asset/v1/assets"
METRICS = "/api/time-series/v1/assets/a1/metrics"


def test_sixteen_threads_try_a_wrong_secret_once(client: IrisClient, iris_emulator: IrisEmulator) -> None:
    iris_emulator.fault(path="/token", status=401, body='{"error":"invalid_client"}', times=None)
    errors = together(16, lambda: client.run(ASSETS))
    assert [(type(error), error.code) for error in errors] == [(IrisTokenError, "invalid_client")] * 16
    assert len({id(error) for error in errors}) == 16
    assert client.requests == 1


@pytest.mark.parametrize(("status", "kind"), [(503, IrisServerError), (429, IrisRateLimitError)])
def test_a_token_endpoint_that_is_overloaded_is_asked_four_times_however_many_threads_want_a_token(
    client: IrisClient, iris_emulator: IrisEmulator, status: int, kind: type[IrisError]
) -> None:
    iris_emulator.fault(path="/token", status=status, times=None)
    errors = together(16, lambda: client.run(ASSETS))
    assert [type(error) for error in errors] == [kind] * 16
    assert client.token_requests <= 4 * 2  # and once more by those who came when the first had given up


def test_a_token_endpoint_that_flaps_costs_nobody_an_attempt_of_its_own(
    client: IrisClient, iris_emulator: IrisEmulator
) -> None:
    iris_emulator.fault(path="/token", status=503, times=3)
    iris_emulator.fault(path=ASSETS, status=503, times=3)
    assert client.run(ASSETS)["totalElements"] == 250
    assert client.token_requests == 4


def test_a_secret_that_was_refused_is_tried_again_after_a_while(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    iris_emulator.fault(path="/token", status=401, body='{"error":"invalid_client"}', times=1)
    for _ in range(3):
        with pytest.raises(IrisTokenError):
            client.run(ASSETS)
        clock.now += 1.0
    assert client.requests == 1
    clock.now += 5.0
    assert client.run(ASSETS)["totalElements"] == 250


def test_a_token_endpoint_that_says_to_keep_away_is_left_alone_by_all(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    iris_emulator.fault(path="/token", status=429, headers={"Retry-After": "600"}, times=1)
    for passed_s in (0, 500):
        clock.now += passed_s
        errors = together(4, lambda: client.run(ASSETS))
        assert [(type(error), error.retry_after) for error in errors] == [
            (IrisRateLimitError, 600.0 - passed_s)
        ] * 4
    assert client.token_requests == 1
    clock.now += 100
    assert client.run(ASSETS)["totalElements"] == 250


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"status": 503, "headers": {"Retry-After": "10"}},
        {"status": 503, "headers": {"Retry-After": "600"}},
        {"kind": "reset_before"},
    ],
    ids=str,
)
def test_while_a_token_is_good_nobody_fails_because_there_is_no_new_one_yet(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock, fault: dict[str, Any]
) -> None:
    client.authenticate()
    clock.now += 3600 - 59
    iris_emulator.fault(path="/token", times=None, **fault)
    assert client.run(ASSETS)["totalElements"] == 250
    asked = client.token_requests
    assert client.run(ASSETS)["totalElements"] == 250
    assert client.token_requests == asked
    clock.now += 60
    with pytest.raises((IrisServerError, IrisNoAnswerError)):
        client.run(ASSETS)
    iris_emulator.reset()
    clock.now += 600
    assert client.run(ASSETS)["totalElements"] == 250


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 429, "headers": {"Retry-After": "30"}}], ids=str
)
def test_while_a_token_is_good_nobody_waits_for_a_new_one_that_does_not_come(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock, fault: dict[str, Any]
) -> None:
    """With attempts half a minute apart the last of them would come when the old token is no longer good."""
    client.authenticate()
    clock.now += 3600 - 50
    iris_emulator.fault(path="/token", times=None, **fault)
    assert client.run(ASSETS)["totalElements"] == 250
    assert (client.token_requests, clock.slept) == (2, [])


def test_a_token_endpoint_that_said_to_keep_away_is_waited_for_once_the_old_token_is_no_longer_good(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    client.authenticate()
    clock.now += 3600 - 10
    iris_emulator.fault(path="/token", status=429, headers={"Retry-After": "20"}, times=1)
    assert client.run(ASSETS)["totalElements"] == 250
    clock.now += 10
    assert client.run(ASSETS)["totalElements"] == 250
    assert client.token_requests == 3
    assert sum(clock.slept) == pytest.approx(10, abs=1)


def test_a_good_token_that_iris_refuses_after_all_is_renewed_although_the_endpoint_failed_a_moment_ago(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    client.authenticate()
    clock.now += 3600 - 59
    iris_emulator.fault(path="/token", status=503, times=4)
    assert client.run(ASSETS)["totalElements"] == 250
    iris_emulator.fault(path=ASSETS, kind="revoke")
    assert client.run(ASSETS)["totalElements"] == 250


def test_a_secret_that_is_refused_is_told_although_the_old_token_is_good(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    """Whoever went on would try it again and again, and accounts are locked for that."""
    client.authenticate()
    clock.now += 3600 - 59
    iris_emulator.fault(path="/token", status=401, body='{"error":"invalid_client"}', times=1)
    with pytest.raises(IrisTokenError):
        client.run(ASSETS)


def test_a_token_endpoint_that_asks_for_years_is_asked_again_after_an_hour(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    iris_emulator.fault(path="/token", status=503, headers={"Retry-After": "1000000000"}, times=1)
    with pytest.raises(IrisServerError):
        client.run(ASSETS)
    clock.now += 3600
    assert client.run(ASSETS)["totalElements"] == 250


def test_threads_that_wait_for_a_token_that_does_not_come_wait_together(
    new_client: ClientFactory, iris_emulator: IrisEmulator
) -> None:
    iris_emulator.fault(path="/token", kind="delay", delay_s=1.0, times=None)
    client = new_client(clock=time.monotonic, sleep=lambda _s: None, timeout_s=0.3, max_attempts=2)
    began = time.monotonic()
    errors = together(8, lambda: client.run(ASSETS))
    assert [type(error) for error in errors] == [IrisNoAnswerError] * 8
    # Two attempts, and two more for a thread that came when the others had given up.
    assert client.requests <= 4
    assert time.monotonic() - began < 8 * 2 * 0.3
    # Or the emulator would count in the next test those that nobody waits for any more.
    while iris_emulator.stats()["token_requests"] < client.requests and time.monotonic() < began + 30:
        time.sleep(0.01)


def test_threads_that_fail_and_go_on_stand_before_nobody_who_waits_for_a_token(
    new_client: ClientFactory, iris_emulator: IrisEmulator
) -> None:
    """Each of them wants five tokens, one after the other; if they wait together, that is hardly more than five renewals."""
    iris_emulator.fault(path="/token", status=503, times=None)
    client = new_client(clock=time.monotonic, sleep=lambda s: time.sleep(s / 10), max_attempts=2)

    def go_on() -> None:
        for _ in range(5):
            with pytest.raises(IrisServerError):
                client.run(ASSETS)

    threads = [threading.Thread(target=go_on) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.token_requests <= 2 * (2 * 5)


class Interrupt(BaseException):
    """What Airflow raises into a task that it ends."""


class InterruptedCredentials(Credentials):
    """Of which the first use is interrupted."""

    interrupts: ClassVar[list[Interrupt]] = []

    @property
    def basic(self) -> Secret:
        if self.interrupts:
            raise self.interrupts.pop()
        return super().basic


class CountingKeeper(TokenKeeper):
    """Counts who looks for a token."""

    looks = 0

    def usable(self) -> Token | None:
        self.looks += 1
        return super().usable()


def test_a_thread_that_looked_for_a_token_just_before_it_came_asks_for_none(
    new_client: ClientFactory, iris_emulator: IrisEmulator
) -> None:
    iris_emulator.fault(path="/token", kind="delay", delay_s=0.3)
    client = new_client(clock=time.monotonic, sleep=time.sleep)
    client._tokens = keeper = CountingKeeper(time.monotonic)
    first = threading.Thread(target=client.authenticate)
    first.start()
    while keeper.looks < 2:
        time.sleep(0.001)
    client.authenticate()
    first.join()
    assert client.token_requests == 1


def test_whoever_is_interrupted_while_it_asks_leaves_nobody_waiting(iris_emulator: IrisEmulator) -> None:
    iris = iris_emulator
    credentials = InterruptedCredentials(
        iris.client_id, iris.client_secret, iris.username, iris.password, auth_url=iris.auth_url
    )
    with IrisClient(credentials, iris.url) as client:
        InterruptedCredentials.interrupts.append(Interrupt())
        with pytest.raises(Interrupt):
            client.run(ASSETS)
        assert client.run(ASSETS)["totalElements"] == 250


def test_a_pause_that_the_token_endpoint_asks_for_does_not_end_with_whoever_is_interrupted_in_it(
    new_client: ClientFactory, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    iris_emulator.fault(path="/token", status=429, headers={"Retry-After": "20"}, times=1)
    interrupts = [Interrupt()]

    def sleep(seconds: float) -> None:
        clock.sleep(5.0 if interrupts else seconds)
        if interrupts:
            raise interrupts.pop()

    client = new_client(sleep=sleep)
    with pytest.raises(Interrupt):
        client.run(ASSETS)
    assert client.run(ASSETS)["totalElements"] == 250
    assert clock.now >= 1020.0
    assert client.token_requests == 2


def test_a_turn_is_taken_when_the_token_is_there() -> None:
    clock = HandClock()
    core = ClientCore(Credentials("c", "s", "u", "p"), "https://iris.example.com", clock=clock)
    call, row = core._call(METRICS)

    def begin() -> Any:
        steps = core._answer(call, row)
        assert isinstance(next(steps), GetToken)
        return steps

    waiting, other = begin(), begin()
    clock.now += 100
    token = Token("t", 3600, clock.now)
    assert isinstance(other.send(token), Send)
    clock.now += 1
    assert isinstance(waiting.send(token), Send)
    for steps in (waiting, other):
        steps.close()
    # And whoever gave up has left nothing under way.
    clock.now += 2
    assert isinstance(begin().send(token), Send)
