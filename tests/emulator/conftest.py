"""A bare HTTP client: the emulator is tested without any code of the provider's own client."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_trackunit.emulator import IrisEmulator

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
ASSETS = "/api/asset/v1/assets"


class Api:
    """Requests with the token of an API user, unless told otherwise."""

    def __init__(self, iris: IrisEmulator) -> None:
        self.iris = iris
        self.http = requests.Session()
        self.http.trust_env = False
        self.token = str(self.password_grant().json()["access_token"])

    def password_grant(self, **fields: str) -> requests.Response:
        iris = self.iris
        form = {
            "grant_type": "password",
            "username": iris.username,
            "password": iris.password,
            "scope": "api",
        }
        return self.http.post(iris.auth_url, data=form | fields, auth=(iris.client_id, iris.client_secret))

    def client_credentials(self, scope: str | None = None, **fields: str) -> requests.Response:
        iris = self.iris
        form = {
            "grant_type": "client_credentials",
            "client_id": iris.api_key_client_id,
            "client_secret": iris.api_key_client_secret,
            "scope": iris.api_key_scopes if scope is None else scope,
        }
        return self.http.post(iris.auth_url_v2, data=form | fields)

    def ask(
        self, path: str, method: str = "GET", token: str | None = None, **options: Any
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {token or self.token}", "Accept": "application/json"}
        headers |= options.pop("headers", {})
        url = self.iris.url + path
        return self.http.request(method, url, headers=headers, timeout=10, allow_redirects=False, **options)

    def json(self, path: str, method: str = "GET", **options: Any) -> Any:
        response = self.ask(path, method, **options)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def api(iris_emulator: IrisEmulator) -> Iterator[Api]:
    client = Api(iris_emulator)
    with client.http:
        yield client
