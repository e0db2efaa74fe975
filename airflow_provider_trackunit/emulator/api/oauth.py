"""The two token endpoints.

``/token`` wants HTTP Basic client authentication and a password or a refresh token; ``/token/v2``
wants the API key in the form body and scopes that the key has. Errors are those of RFC 6749.
"""

import base64
import binascii
import hmac
from urllib.parse import parse_qs

from starlette.responses import Response

from airflow_provider_trackunit.emulator.serving.answers import json_answer, oauth_error
from airflow_provider_trackunit.emulator.serving.routing import Call, Route
from airflow_provider_trackunit.emulator.world import World

V1_SCOPES = {"api", "offline_access"}


def form(call: Call) -> dict[str, str]:
    """Return the fields of a form body.

    :raises RefusedError: 400 ``invalid_request`` if it is not a form.
    """
    if not call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise oauth_error(400, "invalid_request", "The body has to be form encoded")
    return {name: values[0] for name, values in parse_qs(call.body.decode()).items()}


def api_user_token(call: Call) -> Response:
    """Answer ``POST /token``: password or refresh token."""
    fields = form(call)
    _authenticate_client(call, fields)
    grant = fields.get("grant_type", "")
    call.world.journal.tokens[f"v1 {grant}"] += 1
    if grant == "password":
        return _password_grant(call.world, fields)
    if grant == "refresh_token":
        if "refresh_token" not in fields:
            raise oauth_error(400, "invalid_request", "refresh_token is missing")
        rotates = call.world.settings.refresh_token_rotates
        user = call.world.tokens.redeem(fields["refresh_token"], rotates=rotates)
        return _api_user_answer(call.world, user, "api offline_access")
    raise oauth_error(400, "unsupported_grant_type", f"The grant type '{grant}' is not supported")


def api_key_token(call: Call) -> Response:
    """Answer ``POST /token/v2``: client credentials, with a subset of the key's scopes."""
    fields, world = form(call), call.world
    call.world.journal.tokens[f"v2 {fields.get('grant_type', '')}"] += 1
    if fields.get("grant_type") != "client_credentials":
        raise oauth_error(400, "unsupported_grant_type", "Only client_credentials is supported")
    key = world.credentials
    expected = (key.api_key_client_id, key.api_key_client_secret)
    if not _same((fields.get("client_id", ""), fields.get("client_secret", "")), expected):
        raise oauth_error(401, "invalid_client", "The API key is not known")
    scope = fields.get("scope", "")
    if not scope or not set(scope.split()) <= set(world.settings.api_key_scopes.split()):
        raise oauth_error(400, "invalid_scope", "A requested scope is not allowed on this API key")
    lifetime_s = world.settings.key_token_lifetime_s
    expires_at = world.clock.now() + lifetime_s
    token = world.tokens.issue(key.api_key_client_id, scope, frozenset(scope.split()), expires_at)
    return _token_answer(world, token, scope, lifetime_s)


def _authenticate_client(call: Call, fields: dict[str, str]) -> None:
    known = (call.world.credentials.client_id, call.world.credentials.client_secret)
    given = _basic(call.headers.get("authorization", ""))
    if given is None and call.world.settings.accept_client_in_body:
        given = (fields.get("client_id", ""), fields.get("client_secret", ""))
    if given is None or not _same(given, known):
        raise oauth_error(401, "invalid_client", "Client authentication failed")


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name, secret


def _same(given: tuple[str, str], known: tuple[str, str]) -> bool:
    return all(hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(given, known, strict=True))


def _password_grant(world: World, fields: dict[str, str]) -> Response:
    if "username" not in fields or "password" not in fields:
        raise oauth_error(400, "invalid_request", "username or password is missing")
    known = (world.credentials.username, world.credentials.password)
    if not _same((fields["username"], fields["password"]), known):
        raise oauth_error(400, "invalid_grant", "The user name or the password is wrong")
    scope = fields.get("scope", "api")
    if "api" not in scope.split() or not set(scope.split()) <= V1_SCOPES:
        raise oauth_error(400, "invalid_scope", f"The scope '{scope}' is not allowed")
    return _api_user_answer(world, known[0], scope)


def _api_user_answer(world: World, user: str, scope: str) -> Response:
    lifetime_s = world.settings.token_lifetime_s
    token = world.tokens.issue(user, scope, None, world.clock.now() + lifetime_s)
    refresh = world.tokens.issue_refresh(user) if "offline_access" in scope.split() else None
    return _token_answer(world, token, scope, lifetime_s, refresh)


def _token_answer(
    world: World, token: str, scope: str, lifetime_s: int, refresh_token: str | None = None
) -> Response:
    answer: dict[str, object] = {
        "token_type": "Bearer",
        "expires_in": str(lifetime_s) if world.settings.expires_in_as_text else lifetime_s,
        "access_token": token,
        "scope": scope,
    }
    if refresh_token is not None:
        answer["refresh_token"] = refresh_token
    response = json_answer(answer)
    response.headers["Cache-Control"] = "no-store"
    return response


OAUTH_ROUTES = [
    Route("POST", "/token", api_user_token),
    Route("POST", "/token/v2", api_key_token),
]
