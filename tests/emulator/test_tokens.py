"""Tokens: what the two endpoints grant and refuse, and how long it lasts."""

import base64
import json

import pytest

from tests.emulator.conftest import ASSETS, FLEET, Api


def test_the_password_grant_answers_as_documented(api: Api) -> None:
    answer = api.password_grant().json()
    assert answer.pop("access_token")
    assert answer == {"token_type": "Bearer", "expires_in": 3600, "scope": "api"}


def test_an_api_key_gets_a_shorter_token_with_its_scopes_in_the_claims(api: Api) -> None:
    answer = api.client_credentials("asset.view site.view").json()
    claims = answer["access_token"].split(".")[1]
    assert answer["expires_in"] == 1200
    assert answer["scope"] == "asset.view site.view"
    assert "refresh_token" not in answer
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["scp"] == ["asset.view", "site.view"]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"password": "wrong"}, 400, "invalid_grant"),
        ({"scope": "asset.view"}, 400, "invalid_scope"),
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "made up"}, 400, "invalid_grant"),
    ],
)
def test_the_password_endpoint_refuses(api: Api, fields: dict[str, str], status: int, code: str) -> None:
    response = api.password_grant(**fields)
    assert (response.status_code, response.json()["error"]) == (status, code)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"scope": "asset.view account.delete"}, 400, "invalid_scope"),
        ({"scope": ""}, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_the_api_key_endpoint_refuses(api: Api, fields: dict[str, str], status: int, code: str) -> None:
    response = api.client_credentials(**fields)
    assert (response.status_code, response.json()["error"]) == (status, code)


def test_an_api_user_has_to_authenticate_its_client_with_basic(api: Api) -> None:
    iris = api.iris
    form = {"grant_type": "password", "username": iris.username, "password": iris.password}
    form |= {"client_id": iris.client_id, "client_secret": iris.client_secret}
    assert api.http.post(iris.auth_url, data=form).json()["error"] == "invalid_client"
    iris.settings(accept_client_in_body=True)
    assert api.http.post(iris.auth_url, data=form).status_code == 200


def test_a_json_body_is_no_token_request(api: Api) -> None:
    response = api.http.post(api.iris.auth_url_v2, json={"grant_type": "client_credentials"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_a_refresh_token_works_once_and_brings_a_new_one(api: Api) -> None:
    first = api.password_grant(scope="api offline_access").json()
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = api.password_grant(**form).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert api.password_grant(**form).json()["error"] == "invalid_grant"
    assert api.ask(ASSETS, token=second["access_token"]).status_code == 200


def test_a_token_ends_with_its_lifetime(api: Api) -> None:
    api.iris.advance(3599)
    assert api.ask(ASSETS).status_code == 200
    api.iris.advance(2)
    response = api.ask(ASSETS)
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


def test_time_can_pass_faster(api: Api) -> None:
    api.iris.scale_time(1e9)
    assert api.ask(ASSETS).status_code == 401


def test_revoked_and_invented_tokens_are_refused(api: Api) -> None:
    api.iris.revoke_tokens()
    assert api.ask(ASSETS).status_code == 401
    assert api.ask(ASSETS, token="made up").status_code == 401
    assert api.http.get(api.iris.url + ASSETS).status_code == 401


def test_expires_in_can_be_text(api: Api) -> None:
    api.iris.settings(expires_in_as_text=True)
    assert api.password_grant().json()["expires_in"] == "3600"


def test_a_scope_opens_its_own_api_only(api: Api) -> None:
    token = api.client_credentials("asset.view").json()["access_token"]
    assert api.ask(ASSETS, token=token).status_code == 200
    refused = api.ask(f"{FLEET}/1", token=token)
    assert (refused.status_code, refused.json()["code"]) == (403, "access_denied")


def test_events_can_refuse_api_keys_altogether(api: Api) -> None:
    token = api.client_credentials().json()["access_token"]
    path = "/public/api/eventlog/v3/asset-event/active"
    assert api.ask(path, "POST", token=token, json={}).status_code == 200
    api.iris.settings(events_refuse_api_keys=True)
    assert api.ask(path, "POST", token=token, json={}).status_code == 401
