"""What a connection knows of its account, checked when it is made."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from airflow_provider_trackunit.iris.calls import is_encodable, read_origin
from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.secrecy import Secret

API_USER_AUTH_URL: Final = "https://auth.trackunit.com/token"
API_KEY_AUTH_URL: Final = "https://auth.trackunit.com/token/v2"

#: What the connection form calls the address of the token endpoint.
AUTH_URL_FIELD: Final = "Auth URL (extra 'auth_url')"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a connection knows of its account. Its ``repr`` shows no secret.

    :param client_id: of the API user or API key
    :param client_secret: likewise
    :param username: of the API user; empty for an API key, which makes the grant client credentials
    :param password: of the API user
    :param scope: ``api`` for an API user; the granted scopes, separated by blanks, for an API key
    :param auth_url: the token endpoint; empty for the documented one of the grant
    """

    client_id: str
    client_secret: str = field(repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    scope: str = ""
    auth_url: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the field of the connection form."""
        self._refuse_what_cannot_be_sent()
        if not self.client_id:
            raise IrisConfigurationError("Client ID (extra 'client_id') is missing in the connection")
        if not self.client_secret:
            raise IrisConfigurationError("Client secret (extra 'client_secret') is missing in the connection")
        if self.username and not self.password:
            raise IrisConfigurationError(
                "API password (password) is missing in the connection; API username is set"
            )
        if self.password and not self.username:
            raise IrisConfigurationError(
                "API username (login) is missing in the connection; API password is set. For an API key leave both empty"
            )
        if self.username and ":" in self.client_id:
            raise IrisConfigurationError(
                "Client ID (extra 'client_id') cannot hold a colon: it goes into a Basic header"
            )
        if not self.username and not self.scope:
            raise IrisConfigurationError(
                "Scope (extra 'scope') is missing in the connection: an API key must ask for the scopes it was given, "
                "such as 'asset.view api.iso15143.snapshot'. (For an API user fill in API username and API password)"
            )
        self._refuse_auth_url()

    def _refuse_what_cannot_be_sent(self) -> None:
        fields = {
            "Client ID (extra 'client_id')": self.client_id,
            "Client secret (extra 'client_secret')": Secret(self.client_secret),
            "API username (login)": self.username,
            "API password (password)": Secret(self.password),
            "Scope (extra 'scope')": self.scope,
            AUTH_URL_FIELD: Secret(self.auth_url),
        }
        for name, value in fields.items():
            if not is_encodable(value):
                raise IrisConfigurationError(
                    f"{name} of the connection holds half a character; type it again"
                )

    def _refuse_auth_url(self) -> None:
        read_origin(self.token_url, setting=AUTH_URL_FIELD)
        *_, query, fragment = map(Secret, urlsplit(self.token_url))
        if query or fragment:
            raise IrisConfigurationError(
                f"{AUTH_URL_FIELD}: give the address without a query or fragment; nothing behind '?' or '#' is sent"
            )

    @property
    def basic(self) -> Secret:
        """What follows ``Basic`` in the header of the password grant."""
        pair = f"{self.client_id}:{self.client_secret}".encode()
        return Secret(base64.b64encode(pair).decode("ascii"))

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Everything that nobody may see."""
        return tuple(Secret(one) for one in (self.client_secret, self.password, self.basic) if one)

    @property
    def token_url(self) -> Secret:
        """The token endpoint that is used. Until it is looked at, there may be a password in it."""
        text = Secret(self.auth_url.strip() or (API_USER_AUTH_URL if self.username else API_KEY_AUTH_URL))
        return text if "://" in text else Secret(f"https://{text}")
