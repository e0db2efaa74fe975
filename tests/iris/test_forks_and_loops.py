"""A client that is taken into a child process, or from one event loop to the next."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackunit.iris.aio import AsyncIrisClient
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisNoAnswerError
from airflow_provider_trackunit.iris.http import exchange
from airflow_provider_trackunit.iris.http.pacing import pacer
from airflow_provider_trackunit.iris.http.tokens import Credentials
from airflow_provider_trackunit.iris.pages.crew import Crew
from tests.iris.conftest import api_user_of
from tests.iris.scripted import ScriptedServer, http, token_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from airflow_provider_trackunit.emulator import IrisEmulator
    from airflow_provider_trackunit.iris.http.tokens import Token

ASSETS = "/api/asset/v1/assets"
METRICS = "/api/time-series/v1/assets/a1/metrics"
ONE: dict[str, Any] = {"query_params": {"size": 1}}

# A child that hangs is ended by its own alarm, long after it should be done on the busiest machine.
CHILD_S = 60


def in_a_child(work: Callable[[], Any]) -> int:
    """Return the exit status of a forked child that did this: 0 when it went well."""
    import signal

    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(CHILD_S)
        try:
            work()
        except BaseException:  # noqa: BLE001 - the child must not come back into pytest
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_has_connections_of_its_own_and_keeps_the_token(iris_emulator: IrisEmulator) -> None:
    with IrisClient(api_user_of(iris_emulator), iris_emulator.url) as client:
        client.run(ASSETS, **ONE)

        def work() -> None:
            for _ in range(20):
                assert client.run(ASSETS, **ONE)["totalElements"] == 250

        def run() -> None:
            for _ in range(20):
                client.run(ASSETS, **ONE)

        parent = threading.Thread(target=run)
        parent.start()
        assert in_a_child(work) == 0
        parent.join()
    assert iris_emulator.stats()["token_requests"] == 1
    assert iris_emulator.stats()["calls"][f"GET {ASSETS}"] == 41


def test_a_fork_while_threads_hold_every_lock_and_are_on_the_way_leaves_the_child_free(
    iris_emulator: IrisEmulator,
) -> None:
    iris_emulator.fault(path="/token", kind="delay", delay_s=1.0)
    client = IrisClient(api_user_of(iris_emulator), iris_emulator.url)
    waiting = threading.Thread(target=lambda: client.run(ASSETS, **ONE))
    waiting.start()
    deadline = time.monotonic() + 30
    while not client.requests and time.monotonic() < deadline:
        time.sleep(0.001)
    turn = client._pacer.turn(client._call(METRICS)[1].counted(client._call(METRICS)[0]))
    assert turn.wait_s() == 0
    with client._pacer._lock, client._tokens._lock, client._counting:  # and the thread holds the fourth
        assert in_a_child(lambda: client.run(ASSETS, **ONE)) == 0
    turn.end()
    waiting.join()
    client.close()


def test_a_fork_while_a_thread_looks_for_the_trusted_roots_leaves_the_child_free(
    iris_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, go_on = threading.Event(), threading.Event()

    def slowly(_ca_bundle: str | None) -> None:
        looks.set()
        assert go_on.wait(CHILD_S * 2)

    monkeypatch.setattr(exchange, "trusted_roots", slowly)
    with IrisClient(api_user_of(iris_emulator), iris_emulator.url) as client:
        waiting = threading.Thread(target=lambda: client.run(ASSETS, **ONE))
        waiting.start()
        assert looks.wait(CHILD_S)

        def work() -> None:
            go_on.set()
            client.run(ASSETS, **ONE)

        status = in_a_child(work)
        go_on.set()
        waiting.join()
    assert status == 0


def test_a_fork_while_another_client_is_made_lets_the_child_make_its_own(iris_emulator: IrisEmulator) -> None:
    def work() -> None:
        with IrisClient(api_user_of(iris_emulator), iris_emulator.url) as client:
            client.run(ASSETS, **ONE)

    with pacer._pacers._lock:
        assert in_a_child(work) == 0


def test_what_was_under_way_at_the_fork_does_not_hold_the_child_back(iris_emulator: IrisEmulator) -> None:
    client = IrisClient(api_user_of(iris_emulator), iris_emulator.url)
    call, row = client._call(METRICS)
    turns = [client._pacer.turn(row.counted(call)) for _ in range(3)]
    for turn in turns:
        turn.wait_s()

    def work() -> None:
        mine = client._pacer.turn(row.counted(call))
        ends_at = time.monotonic() + 10
        while mine.wait_s() > 0:
            assert time.monotonic() < ends_at
            time.sleep(0.01)

    assert in_a_child(work) == 0
    client.close()


def test_a_walk_of_several_threads_ends_in_a_child_with_the_reason_and_goes_on_in_the_parent(
    iris_emulator: IrisEmulator,
) -> None:
    with IrisClient(api_user_of(iris_emulator), iris_emulator.url) as client:
        iris_emulator.fault(path="page=5", kind="delay", delay_s=0.5)
        pages = client.pages(ASSETS, query_params={"size": 10}, max_concurrency=4)
        first = [next(pages) for _ in range(2)]

        def work() -> None:
            with pytest.raises(IrisConfigurationError, match="begun in the parent process"):
                list(pages)
            again = client.pages(ASSETS, cursor=first[-1].next, query_params={"size": 10}, max_concurrency=4)
            assert len(list(again)) == 23

        assert in_a_child(work) == 0
        assert len(list(pages)) == 23


def test_an_async_client_works_in_a_child(iris_emulator: IrisEmulator) -> None:
    client = AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url)

    async def main() -> None:
        await client.run(ASSETS, **ONE)

        def child() -> None:
            asyncio.events._set_running_loop(None)
            asyncio.run(again())

        assert in_a_child(child) == 0
        await client.run(ASSETS, **ONE)
        await client.close()

    async def again() -> None:
        assert (await client.run(ASSETS, **ONE))["totalElements"] == 250
        await client.close()

    asyncio.run(main())
    assert iris_emulator.stats()["token_requests"] == 1


def test_an_async_client_can_be_taken_to_the_next_loop(
    iris_emulator: IrisEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    client = AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url)

    async def many() -> int:
        answers = await asyncio.gather(*(client.run(ASSETS, **ONE) for _ in range(80)))
        return len(answers)

    assert [asyncio.run(many()) for _ in range(3)] == [80] * 3
    asyncio.run(client.close())
    assert iris_emulator.stats()["token_requests"] == 1
    assert [one.getMessage() for one in caplog.records if one.name == "asyncio"] == []


def test_an_async_client_on_two_loops_at_once_says_why_it_cannot(iris_emulator: IrisEmulator) -> None:
    client = AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url)

    async def main() -> None:
        await client.run(ASSETS, **ONE)
        with pytest.raises(IrisConfigurationError, match="belongs to another event loop"):
            await asyncio.to_thread(asyncio.run, client.run(ASSETS, **ONE))
        with pytest.raises(IrisConfigurationError, match="belongs to another event loop"):
            await asyncio.to_thread(asyncio.run, client.close())
        await client.run(ASSETS, **ONE)
        await client.close()
        # Closed, it belongs to nobody.
        await asyncio.to_thread(asyncio.run, on_another())

    async def on_another() -> None:
        await client.run(ASSETS, **ONE)
        await client.close()

    asyncio.run(main())


async def one(client: AsyncIrisClient) -> None:
    await client.run(ASSETS, **ONE)


async def has_asked(client: AsyncIrisClient, times: int = 1) -> None:
    while client.requests < times:  # noqa: ASYNC110 - what is awaited here is a number of the client
        await asyncio.sleep(0)


async def walk(client: AsyncIrisClient) -> None:
    async for _ in client.pages(ASSETS, max_concurrency=4):
        pass


@pytest.mark.parametrize("work", [one, walk])
def test_whoever_waits_for_a_token_of_a_client_that_is_closed_is_told_so(
    iris_emulator: IrisEmulator, work: Callable[[AsyncIrisClient], Coroutine[Any, Any, None]]
) -> None:
    iris_emulator.fault(path="/token", kind="delay", delay_s=30.0)
    client = AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url)

    async def main() -> None:
        waiting = asyncio.create_task(work(client))
        await has_asked(client)
        await client.close()
        await asyncio.wait_for(waiting, timeout=10)

    with pytest.raises(IrisNoAnswerError, match="token: the client was closed meanwhile"):
        asyncio.run(main())


CLOSED = r"the client was closed meanwhile"


@pytest.mark.parametrize("work", [one, walk])
def test_a_request_on_its_way_ends_with_its_client_and_opens_nothing_again(
    iris_emulator: IrisEmulator, work: Callable[[AsyncIrisClient], Coroutine[Any, Any, None]]
) -> None:
    iris_emulator.fault(path=ASSETS, kind="delay", delay_s=30.0)
    client = AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url)

    async def main() -> None:
        await client.authenticate()
        working = asyncio.create_task(work(client))
        await has_asked(client, times=2)
        await client.close()
        with pytest.raises(IrisNoAnswerError, match=CLOSED) as caught:
            await asyncio.wait_for(working, timeout=10)
        assert caught.value.sent
        assert (client._connections._session, client.requests) == (None, 2)
        await one(client)
        await client.close()

    asyncio.run(main())


def test_a_request_that_pauses_ends_with_its_client_and_opens_nothing_again(
    iris_emulator: IrisEmulator,
) -> None:
    iris_emulator.fault(path=ASSETS, status=503)

    async def main() -> None:
        pausing = asyncio.Event()

        async def pause(_seconds: float) -> None:
            pausing.set()
            await asyncio.Event().wait()

        client = AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url, sleep=pause)
        working = asyncio.create_task(one(client))
        await pausing.wait()
        await client.close()
        with pytest.raises(IrisNoAnswerError, match=CLOSED):
            await asyncio.wait_for(working, timeout=10)
        assert (client._connections._session, client.requests) == (None, 2)

    asyncio.run(main())


def test_a_request_that_reads_a_body_ends_with_its_client() -> None:
    over = threading.Event()

    def half() -> Iterator[bytes]:
        yield http(b'{"a":1}')[:-3]
        over.wait(10)

    with ScriptedServer(token_answer(), half()) as server:
        asyncio.run(_closed_meanwhile(server.url, server.url, until=lambda: len(server.asked) == 2))
        over.set()


def test_a_request_that_connects_ends_with_its_client() -> None:
    """The other side accepts, and says nothing of TLS."""
    with ScriptedServer(token_answer()) as server, socket.create_server(("127.0.0.1", 0)) as silent:
        accepted: list[socket.socket] = []
        threading.Thread(target=lambda: accepted.append(silent.accept()[0]), daemon=True).start()
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        asyncio.run(_closed_meanwhile(server.url, url, until=lambda: bool(accepted)))
        accepted[0].settimeout(5)
        while accepted[0].recv(65536):
            """All that was said comes before the end."""
        accepted[0].close()


async def _closed_meanwhile(auth_url: str, url: str, until: Callable[[], bool]) -> None:
    credentials = Credentials("client", "secret", "user", "password", auth_url=f"{auth_url}/token")
    client = AsyncIrisClient(credentials, url)
    working = asyncio.create_task(client.run("/api/x"))
    while not until():  # noqa: ASYNC110 - what is awaited here is done by a thread
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    await asyncio.wait_for(client.close(), timeout=5)
    with pytest.raises(IrisNoAnswerError, match=CLOSED) as caught:
        await asyncio.wait_for(working, timeout=5)
    assert caught.value.sent
    assert caught.value.__context__ is None


@pytest.mark.parametrize("ticks", range(1, 8))
def test_a_client_that_is_closed_while_it_opens_its_connections_has_none(
    iris_emulator: IrisEmulator, ticks: int
) -> None:
    iris_emulator.fault(path="/token", kind="delay", delay_s=30.0)
    client = AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url)

    async def main() -> None:
        working = asyncio.create_task(one(client))
        for _ in range(ticks):
            await asyncio.sleep(0)
        connections = client._connections
        await client.close()
        with pytest.raises(IrisNoAnswerError, match=CLOSED):
            await asyncio.wait_for(working, timeout=10)
        assert (connections._session, client._connections._session) == (None, None)

    asyncio.run(main())


def test_whoever_comes_while_a_client_is_closed_begins_anew(iris_emulator: IrisEmulator) -> None:
    iris_emulator.fault(path="/token", kind="delay", delay_s=0.3, times=None)
    client = AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url)

    async def main() -> None:
        first = asyncio.create_task(one(client))
        await has_asked(client)
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        await asyncio.wait_for(one(client), timeout=10)
        await closing
        with pytest.raises(IrisNoAnswerError, match=CLOSED):
            await first
        await one(client)
        assert client.token_requests == 1
        await client.close()

    asyncio.run(main())


def test_a_fork_while_a_thread_of_a_walk_looks_whether_it_is_cancelled_leaves_the_child_free() -> None:
    crew = Crew(lambda *_: pytest.fail("no errand was given"), 4)
    with crew._cancelled._cond:  # type: ignore[attr-defined]  # its lock, which has no other name
        assert in_a_child(crew.cancel) == 0


class InterruptedClient(AsyncIrisClient):
    """Whose first renewal of a token is interrupted by a signal when it is over."""

    is_over = False

    def _renewed(self, task: asyncio.Task[Token]) -> None:
        if not self.is_over:
            self.is_over = True
            raise InterruptedError
        super()._renewed(task)


def test_a_token_is_renewed_although_a_signal_interrupted_the_end_of_a_renewal(
    iris_emulator: IrisEmulator,
) -> None:
    client = InterruptedClient(api_user_of(iris_emulator), iris_emulator.url)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        await one(client)
        assert client.is_over
        iris_emulator.revoke_tokens()
        await one(client)
        await client.close()

    asyncio.run(main())
    assert client.token_requests == 2


def test_a_task_that_waits_for_a_token_can_be_cancelled_and_the_others_get_it(
    iris_emulator: IrisEmulator,
) -> None:
    iris_emulator.fault(path="/token", kind="delay", delay_s=0.3)
    client = AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url)

    async def main() -> None:
        first, second = (asyncio.create_task(one(client)) for _ in range(2))
        await has_asked(client)
        first.cancel()
        await asyncio.wait([first, second])
        assert first.cancelled()
        await second
        await client.close()

    asyncio.run(main())


@pytest.mark.parametrize("leaves", ["closes", "is cancelled"])
def test_nobody_complains_of_a_renewal_that_fails_when_whoever_waited_for_it_has_left(
    iris_emulator: IrisEmulator, leaves: str
) -> None:
    """Newer Pythons log what becomes of a task behind an asyncio.shield that was left."""
    iris_emulator.fault(path="/token", kind="delay", delay_s=1.0, times=None)
    client = AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url, timeout_s=0.3, max_attempts=1)
    complaints: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, told: complaints.append(told))
        waiting = asyncio.create_task(one(client))
        await has_asked(client)
        renewing = client._renewing
        assert renewing
        await (client.close() if leaves == "closes" else asyncio.sleep(0))
        waiting.cancel()
        await asyncio.wait([waiting, renewing])
        await asyncio.sleep(0)
        await client.close()

    asyncio.run(main())
    assert complaints == []


def test_a_timeout_of_the_caller_is_its_own_although_a_request_was_too_slow_before() -> None:
    """Old releases of aiohttp end a request by a cancellation that they leave behind; who waits is then cancelled."""

    async def patient(client: AsyncIrisClient) -> None:
        async with asyncio.timeout(1.0):
            with pytest.raises(IrisNoAnswerError, match="did not answer in time"):
                await one(client)
            await asyncio.Event().wait()

    async def main(auth_url: str, url: str) -> None:
        credentials = Credentials("client", "secret", "user", "password", auth_url=f"{auth_url}/token")
        async with AsyncIrisClient(credentials, url, timeout_s=0.1, max_attempts=1) as client:
            with pytest.raises(TimeoutError):
                await patient(client)

    with ScriptedServer(token_answer()) as auth, socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(main(auth.url, f"http://127.0.0.1:{silent.getsockname()[1]}"))


def test_a_client_can_be_closed_on_a_loop_of_uvloop(iris_emulator: IrisEmulator) -> None:
    """Its sockets are only half of what those of asyncio are."""
    uvloop = pytest.importorskip("uvloop", reason="Airflow 3 brings uvloop, Airflow 2 does not")
    client = AsyncIrisClient(api_user_of(iris_emulator), iris_emulator.url)

    async def main() -> None:
        await one(client)
        connections = client._connections
        await client.close()
        assert connections._session is None

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
