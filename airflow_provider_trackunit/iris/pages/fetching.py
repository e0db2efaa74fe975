"""Fetches the pages of a frontier, several at a time, with threads.

One page at a time is the same thing with no thread at all: the next request leaves when the caller comes back.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.iris.errors import IrisError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_provider_trackunit.iris.pages.frontier import Errand, Frontier
    from airflow_provider_trackunit.iris.pages.paging import Page


class _Here(Executor):
    """Runs what it is given at once, in the thread of the caller."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except IrisError as error:
            future.set_exception(error)
        return future


def fetch_pages(
    fetch: Callable[[Errand], Page],
    frontier: Frontier,
    max_concurrency: int,
    may_skip: Callable[[Errand, IrisError], bool] = lambda _errand, _error: False,
) -> Generator[tuple[int, list[Page]]]:
    """Yield an item and the pages of it that can be used now, as they come; the pages of one item in order.

    The pages of one yield belong together: only with all of them is the position of the frontier reached.

    When a page fails for good, those still on their way are waited for and yielded before the error is raised:
    they were asked for, and a metered URL would not answer again.

    :param fetch: sends one errand; called from several threads at once unless ``max_concurrency`` is 1
    :param may_skip: whether the error of an errand ends only its item
    """
    pool = (
        _Here()
        if max_concurrency == 1
        else ThreadPoolExecutor(max_concurrency, thread_name_prefix="iris-page")
    )
    under_way: dict[Future[Page], Errand] = {}
    failure: IrisError | None = None
    try:
        while True:
            for errand in frontier.errands(max_concurrency) if failure is None else ():
                under_way[pool.submit(fetch, errand)] = errand
            if not under_way:
                break
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                errand = under_way.pop(future)
                error = _error_of(future)
                if error is None:
                    yield errand.item, frontier.arrived(errand, future.result())
                elif may_skip(errand, error):
                    frontier.skip(errand.item)
                else:
                    frontier.returned(errand)
                    failure = failure or error
    finally:
        # Not waited for: whoever leaves here early (a time limit, a full disk) must not be held up by a request.
        pool.shutdown(wait=False, cancel_futures=True)
    if failure is not None:
        raise failure


def _error_of(future: Future[Page]) -> IrisError | None:
    error = future.exception()
    if error is not None and not isinstance(error, IrisError):
        raise error
    return error
