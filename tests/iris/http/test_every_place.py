"""An exception of a signal handler at any place of a request: the next request of the account goes out all the same."""

from __future__ import annotations

import gc
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.iris.http.wire import Response
from tests.fuzz.wires import JSON, token_response, wired
from tests.iris.export.every_place import Interrupted, Places, in_a_thread

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.http.wire import Request
    from tests.fuzz.wires import WiredClient

# One call a second for each asset: a single call that is under way for ever is in the way of all others.
LOCATION = "/api/location/v1/locations/a1"


def new_client(answers: list[int]) -> WiredClient:
    """Return a client that gets answers with these statuses, and then good ones."""
    left = list(answers)

    def answer(_request: Request) -> Response:
        return Response(left.pop(0) if left else 200, JSON, b"{}")

    return wired(answer)


def test_the_handler_of_a_signal_can_ask_while_its_thread_asks_for_a_token() -> None:
    """As ``on_kill`` of somebody's own operator may."""
    signals, statuses = [1], []

    def token() -> Response:
        if signals:
            signals.pop()
            statuses.append(client.run(LOCATION))
        return token_response()

    client = wired(lambda _request: Response(200, JSON, b"{}"), token)
    asking = threading.Thread(target=lambda: statuses.append(client.run(LOCATION)), daemon=True)
    asking.start()
    asking.join(timeout=5)
    assert statuses == [{}, {}]


def ask(client: WiredClient) -> None:
    with suppress(IrisError):
        client.run(LOCATION)


def interrupted(client: WiredClient, places: Places) -> Interrupted | None:
    """Interrupt a request, and return the exception, which holds on to all frames on its way."""

    def asked() -> Interrupted | None:
        try:
            with places:
                ask(client)
        except Interrupted as error:
            return error
        return None

    return in_a_thread(asked)


def places_of(answers: list[int]) -> int:
    """Return how many places a request comes to, once what is remembered for good is remembered."""
    for _ in range(2):
        places = Places()
        interrupted(new_client(answers), places)
    return places.count


@pytest.mark.parametrize("answers", [[], [401], [429]], ids=["answered", "renewed", "refused"])
def test_a_request_that_is_interrupted_anywhere_holds_no_other_up(answers: list[int]) -> None:
    held_up = []
    count = places_of(answers)
    gc.freeze()  # so that a collection looks at little
    for number in range(1, count + 1, 2):
        client, places = new_client(answers), Places(number)
        kept = interrupted(client, places)  # as Airflow keeps it for the callbacks of a failure
        if places.hit == "jump backwards":
            # The tracer raises behind the jump, at what can be the one instruction of a "try" that no handler covers;
            # a signal comes before that.
            del kept
            gc.collect()
        # In a thread, because a lock that is still held would stop it.
        other = threading.Thread(target=ask, args=(client,), daemon=True)
        other.start()
        other.join(timeout=5)
        if other.is_alive() or client._clock() - 1000.0 > 3.0:
            held_up.append(f"{places.hit} at {places.where}")
    gc.unfreeze()
    assert held_up == []
