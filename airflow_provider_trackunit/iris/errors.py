"""Everything that can go wrong with IRIS, as one tree.

::

    IrisError                              .transient
    ├─ IrisConfigurationError              the connection or the arguments are wrong
    ├─ IrisTokenError                      the token endpoint refused; .code as in RFC 6749, 5.2
    ├─ IrisNoAnswerError                   no complete answer came; .sent
    ├─ IrisResponseError                   an answer came and it is not the one asked for;
    │  │                                   .status .code .message .violations .retry_after
    │  ├─ IrisBadRequestError              400 and every other 4xx without a class of its own
    │  ├─ IrisAuthenticationError          401, also after a new token
    │  ├─ IrisPermissionError              403
    │  ├─ IrisNotFoundError                404
    │  ├─ IrisUnexpectedResponseError      not JSON, a redirect, a body that is too large
    │  ├─ IrisRateLimitError               429, or a wait too long to sleep; transient
    │  └─ IrisServerError                  5xx; transient
    ├─ IrisPaginationError                 the pages do not add up to a collection
    ├─ IrisCheckpointError                 a checkpoint or state cannot be used, or somebody else is at work
    └─ IrisStorageError                    the output could not be written; transient

``transient`` is the only thing the retry rules ask. A transient error may go away when the same request
is sent again later; every other error stays until a person changes something.

A text names what failed, the endpoint, the status, the vendor's code and message, and what to do. It never
holds a token, a secret, a query string or a body of the token endpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


def one_line(said: object, most_chars: int) -> str:
    """Return what somebody else said as a part of a message: on one line, cut, and of what any log can hold."""
    # Half a character and a null are among what no log or database can hold.
    words = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(str(said).split())
    )
    return words if len(words) <= most_chars else words[: most_chars - 1] + "…"


class IrisError(Exception):
    """Base of all errors of this package."""

    transient: ClassVar[bool] = False

    #: Whether the request may have reached IRIS and been processed there.
    sent: bool = True

    #: Whether the client has tried as often as its rules allow already, so that whoever shares the outcome does not begin anew.
    retried: bool = False

    #: Seconds to wait before the same request makes sense again; None when nobody said.
    retry_after: float | None = None

    @property
    def left_undone(self) -> bool:
        """Whether nothing of the request was processed, so that it may be sent again whatever it does."""
        return not self.sent


class IrisConfigurationError(IrisError):
    """The connection or an argument is missing, malformed or contradictory. Raised before anything is sent."""


class IrisTokenError(IrisError):
    """The token endpoint refused to give a token.

    :param text: what failed and what to do
    :param code: the ``error`` of RFC 6749, section 5.2, such as ``invalid_grant``; None when there was none
    :param status: HTTP status of the answer
    """

    def __init__(self, text: str, *, code: str | None = None, status: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.status = status


class IrisNoAnswerError(IrisError):
    """The connection failed, timed out, or broke off before the answer was complete.

    :param text: what failed
    :param sent: whether the request may have reached the server; a request that never left can always be
        repeated, one that did only when repeating does no harm
    """

    transient = True

    def __init__(self, text: str, *, sent: bool = True) -> None:
        super().__init__(text)
        self.sent = sent


class IrisResponseError(IrisError):
    """IRIS answered, and the answer is not the one that was asked for.

    :param text: what failed and what to do
    :param status: HTTP status; None when the client held the request back itself
    :param code: the vendor's snake_case code, such as ``constraint_violation``
    :param message: the vendor's sentence for people
    :param violations: ``(field, message)`` of each rejected field
    :param retry_after: seconds that the answer, or the documented limit, says to wait
    """

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        code: str | None = None,
        message: str | None = None,
        violations: Sequence[tuple[str, str]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.message = message
        self.violations = tuple(violations)
        self.retry_after = retry_after


class IrisBadRequestError(IrisResponseError):
    """IRIS rejected the request itself; the same request will be rejected again."""


class IrisAuthenticationError(IrisResponseError):
    """IRIS refused the token, and refused a new one as well."""


class IrisPermissionError(IrisResponseError):
    """The token is good and may not do this."""


class IrisNotFoundError(IrisResponseError):
    """There is no such thing, or none that this account can see."""


class IrisUnexpectedResponseError(IrisResponseError):
    """The answer is not one an API gives: a web page, a redirect, broken JSON, an endless body."""


class IrisRateLimitError(IrisResponseError):
    """A limit of the API is used up until ``retry_after`` seconds from now (None: unknown)."""

    transient = True
    #: Whether too many requests came at once, not a single one too soon: others may get through meanwhile.
    of_rate: bool = False
    #: Whether a part of a GraphQL answer came with it: that part of the request was processed.
    in_part: bool = False

    @property
    def left_undone(self) -> bool:
        """Whether nothing was processed: what a limit refused was not."""
        return not self.in_part


class IrisServerError(IrisResponseError):
    """IRIS failed (5xx)."""

    transient = True


class IrisPaginationError(IrisError):
    """The pages cannot be walked to a trustworthy end: a loop, a foreign link, no way to ask for the next."""


class IrisCheckpointError(IrisError):
    """A checkpoint, or the state of an incremental transfer, cannot be used, or another writer is at work with it."""


class IrisStorageError(IrisError):
    """The output could not be written or read: a full disk, a refused write, a missing right.

    What was finished before is kept; the next try of the task goes on from there.
    """

    transient = True
