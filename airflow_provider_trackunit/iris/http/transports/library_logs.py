"""Keeps the queries of our requests out of what urllib3 logs about them, and leaves other requests alone.

At DEBUG urllib3 logs the path of every request with its query. A filter on its loggers cuts the query off while
one of our requests is being sent in this thread, and does nothing at any other time.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGGERS: Final = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")
_QUERY: Final = re.compile(r"\?[^\s\"']+")
_sending: Final[ContextVar[bool]] = ContextVar("iris_request_is_sent", default=False)


class _WithoutQuery(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Take the query out of the record, and let it pass."""
        if _sending.get():
            record.msg, record.args = _QUERY.sub("?…", record.getMessage()), ()
            record.exc_info = None
        return True


_FILTER: Final = _WithoutQuery()


@contextmanager
def without_queries() -> Iterator[None]:
    """Keep queries out of what urllib3 logs in this thread meanwhile."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)  # a second time it does nothing
    token = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(token)
