"""Access tokens of both kinds: issued, looked up, expired, revoked.

v1 is an API user (password grant, refresh tokens, admin rights). v2 is an API key (client
credentials, scopes, no refresh token). Developer hub: access-token, access-token-v2.
"""

import base64
import secrets
from dataclasses import dataclass

import msgspec

from airflow_provider_trackunit.emulator.serving.answers import oauth_error


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an account holder would have written down; invented, and the same in every emulator."""

    username: str = "api-user@emulator.invalid"
    password: str = "emulator-password"  # noqa: S105 - opens nothing but this emulator
    client_id: str = "emulator-client"
    client_secret: str = "emulator-client-secret"  # noqa: S105 - as above
    api_key_client_id: str = "emulator-key"
    api_key_client_secret: str = "emulator-key-secret"  # noqa: S105 - as above


@dataclass(frozen=True, slots=True)
class Bearer:
    """An issued access token. ``scopes`` is None for an API user, who may do everything."""

    id: str
    user: str
    scopes: frozenset[str] | None
    expires_at: float


class Tokens:
    """The tokens in circulation."""

    def __init__(self) -> None:
        self._bearers: dict[str, Bearer] = {}
        self._refresh: dict[str, str] = {}
        self._issued = 0

    def issue(self, user: str, scope: str, scopes: frozenset[str] | None, expires_at: float) -> str:
        """Return a new access token, a JWT whose granted scopes sit in the claim ``scp``."""
        self._issued += 1
        bearer = Bearer(f"token-{self._issued}", user, scopes, expires_at)
        token = _jwt({"sub": user, "scp": scope.split(), "jti": bearer.id})
        self._bearers[token] = bearer
        return token

    def issue_refresh(self, user: str) -> str:
        """Return a new refresh token."""
        token = secrets.token_urlsafe(24)
        self._refresh[token] = user
        return token

    def redeem(self, refresh_token: str, *, rotates: bool) -> str:
        """Return the user of a refresh token, which is used up by it where tokens rotate."""
        user = self._refresh.get(refresh_token)
        if user is None:
            raise oauth_error(400, "invalid_grant", "The refresh token is invalid or was used before")
        if rotates:
            del self._refresh[refresh_token]
        return user

    def find(self, token: str, now: float) -> Bearer | None:
        """Return the bearer of a token that is known and has not expired."""
        bearer = self._bearers.get(token)
        return bearer if bearer is not None and now < bearer.expires_at else None

    def known(self, token: str) -> Bearer | None:
        """Return the bearer of a token, expired or not."""
        return self._bearers.get(token)

    def revoke_all(self) -> None:
        """Make every access token unknown."""
        self._bearers.clear()

    def revoke(self, token: str) -> None:
        """Make one access token unknown."""
        self._bearers.pop(token, None)


def _jwt(claims: dict[str, object]) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    head = ".".join(
        base64.urlsafe_b64encode(msgspec.json.encode(part)).decode().rstrip("=") for part in parts
    )
    return f"{head}.{secrets.token_urlsafe(16)}"
