"""What a client tells of its requests to whoever wants to count them. Pure; a client without an observer pays nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_trackunit.iris.http.steps import Send, Sleep

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_provider_trackunit.iris.http.steps import Step

_T = TypeVar("_T")


class Observer(Protocol):
    """Is told what happens, in the thread or on the loop in which it happens, and must neither wait nor raise.

    ``endpoint`` is the path of the catalogue's row, with its placeholders; empty where there is no row.
    """

    def answered(self, endpoint: str, status: int | None) -> None:
        """Take note of a request that was sent: of the status of its answer, None when no answer came."""

    def refused(self, endpoint: str) -> None:
        """Take note that IRIS refused a request because a limit is used up."""

    def waited(self, endpoint: str, seconds: float) -> None:
        """Take note of a wait, for a limit or before another attempt."""

    def calls_left(self, endpoint: str, calls: int) -> None:
        """Take note of how many calls a metered limit still lets through, as far as this process knows."""


def observed(
    steps: Generator[Step, Any, _T], observer: Observer, endpoint: str, calls_left: Callable[[], int | None]
) -> Generator[Step, Any, _T]:
    """Pass steps on, and tell of them what was done.

    :param calls_left: asked after each request; None where no call is metered
    """
    try:
        step = next(steps)
        while True:
            try:
                outcome = yield step
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to who made the steps
                _tell(step, None, observer, endpoint, calls_left)
                step = steps.throw(error)
            else:
                _tell(step, outcome, observer, endpoint, calls_left)
                step = steps.send(outcome)
    except StopIteration as end:
        result: _T = end.value
        return result
    finally:
        steps.close()


def _tell(
    step: Step, outcome: Any, observer: Observer, endpoint: str, calls_left: Callable[[], int | None]
) -> None:
    if isinstance(step, Sleep):
        observer.waited(endpoint, step.seconds)
    elif isinstance(step, Send):
        observer.answered(endpoint, None if outcome is None else outcome.status)
        left = calls_left()
        if left is not None:
            observer.calls_left(endpoint, left)
