"""The life of a token, and the keeper of the current one."""

from __future__ import annotations

import copy
import math
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.http.forks import renew_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.iris.errors import IrisError

# A token is renewed this long before it expires, so that a request never leaves with one that dies on the
# way; a tenth of the lifetime where that is shorter.
_RENEW_AHEAD_S: Final = 60.0

# How long credentials that were refused are not tried again: as long as threads of one task take to begin. And how long a
# token that is good is used before an endpoint that fails is asked again.
_REFUSED_FOR_S: Final = 5.0

# A pause may be asked for by mistake; after so long the endpoint is asked again.
_LONGEST_HOLD_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. Times are of the keeper's clock.

    :param expires_in_s: its whole lifetime, from when it was asked for
    :param sent_at: when the request for it was sent, which is before IRIS began to count
    :param scope: what was granted, as far as IRIS said
    """

    value: str = field(repr=False)
    expires_in_s: float
    sent_at: float
    scope: str = ""

    @property
    def expires_at(self) -> float:
        """From when on IRIS takes it no more."""
        return self.sent_at + self.expires_in_s

    @property
    def renew_at(self) -> float:
        """From when on a new token should be asked for."""
        return self.expires_at - min(_RENEW_AHEAD_S, self.expires_in_s / 10)


class TokenKeeper:
    """Holds the current token, or that there is none to be had. Safe to share between threads; never sends anything.

    :param clock: a monotonic clock, in seconds; it must be the one that gave ``sent_at``
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._token: Token | None = None
        self._refusal: IrisError | None = None
        self._refused_until = -math.inf
        self._used_until = -math.inf
        self._lock = threading.Lock()
        renew_after_fork(self)

    def renew(self) -> None:
        """Begin again in a child process, with the same token."""
        self._lock = threading.Lock()

    def usable(self) -> Token | None:
        """Return the current token, or None when it is time to ask for a new one and one can be had.

        :raises IrisTokenError: when the credentials were refused a moment ago. A dozen threads that begin together must
            not each try a secret that is wrong: accounts are locked for that
        :raises IrisError: when the endpoint was asked as often as may be, said to keep away, that time is not over, and the
            current token is no longer good
        """
        with self._lock:
            token, used_until = self._token, self._used_until
        now = self._clock()
        if token is not None and now < min(max(token.renew_at, used_until), token.expires_at):
            return token
        refusal = self.refusal()
        if refusal is not None and (refusal.retried or not refusal.transient):
            raise refusal
        return None

    def use_on(self, seconds: float | None) -> Token | None:
        """Return the current token, to be used although it is time for a new one; None when it is no longer good.

        :param seconds: until the endpoint may be asked again; None where it did not say
        """
        now = self._clock()
        with self._lock:
            self._used_until = now + (seconds or _REFUSED_FOR_S)
            return self._token if self._token is not None and now < self._token.expires_at else None

    def refusal(self) -> IrisError | None:
        """Return what the token endpoint said when it was asked last, as long as it is to be heeded.

        Each caller's own, because a traceback grows with every raise.
        """
        with self._lock:
            refusal, refused_until = self._refusal, self._refused_until
        left_s = refused_until - self._clock()
        if refusal is None or left_s <= 0:
            return None
        own = copy.copy(refusal)
        own.retry_after = None if refusal.retry_after is None else left_s
        return own

    def keep(self, token: Token) -> None:
        """Make this the current token."""
        with self._lock:
            self._token, self._refusal, self._used_until = token, None, -math.inf

    def keep_refusal(self, error: IrisError) -> None:
        """Enter that the token endpoint refuses these credentials, or says how long to keep away."""
        refused_for_s = min(error.retry_after or _REFUSED_FOR_S, _LONGEST_HOLD_S)
        with self._lock:
            self._refusal, self._refused_until = error, self._clock() + refused_for_s

    def discard(self, token: Token) -> None:
        """Drop a token that IRIS refused, unless another caller has replaced it already."""
        with self._lock:
            if self._token is token:
                self._token = None
