"""What the test of a connection asks, and what it tells the person who pressed the button."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.iris.errors import IrisError, IrisPermissionError

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.http.tokens import Credentials, Token

#: What a test may take, whatever goes wrong, in seconds: a person is waiting, and Airflow kills slower tests on a worker.
BUDGET_S: Final = 15.0

#: The limits of a client that makes the test.
LIMITS: Final[dict[str, Any]] = {"timeout_s": BUDGET_S, "max_attempts": 1, "budget_s": BUDGET_S}

#: What is read with the token.
ENDPOINT: Final = "/api/asset/v1/assets"
QUERY: Final = {"size": 1}


def granted(token: Token) -> str:
    """Return what the token endpoint granted."""
    return f"Token granted: scope '{token.scope}', lifetime {token.expires_in_s:.0f} s."


def seen(answer: Any) -> str:
    """Return what the one asset told."""
    total = answer.get("totalElements") if isinstance(answer, dict) else None
    return f"{total if total is not None else 'An unknown number of'} assets can be read."


def refused(error: IrisError, credentials: Credentials) -> tuple[bool, str]:
    """Return whether a token that reads no asset is one all the same, and what to say about it."""
    if isinstance(error, IrisPermissionError) and not credentials.username:
        # An API key is often made for one API alone, without the scope for assets.
        return True, "The key may not read assets (HTTP 403), so no API was tried with it."
    return False, f"Reading an asset failed: {error}"
