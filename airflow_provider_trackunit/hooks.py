"""A connection becomes a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit import connection
from airflow_provider_trackunit._compat import BaseHook, mask_secret
from airflow_provider_trackunit.iris.errors import IrisError, IrisPermissionError
from airflow_provider_trackunit.iris.secrecy import spellings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_trackunit.iris.client import IrisClient
    from airflow_provider_trackunit.iris.http.tokens import Token
    from airflow_provider_trackunit.iris.pages.paging import Cursor, Page

# What "Test" in the connection form may take, whatever goes wrong: a person is waiting, and Airflow kills
# slower tests on a worker.
_TEST_BUDGET_S = 15.0


class IrisHook(BaseHook):
    """Calls Trackunit IRIS with the credentials of an Airflow connection.

    The connection is read once, at the first use; one hook has one HTTP session and one token. Make one hook in
    a task and keep it. It may be shared between the threads of a task after its first use in the main thread.

    :param trackunit_conn_id: the connection
    :param timeout_s: longest time for one answer, in seconds
    :param max_attempts: how often one request is sent at the most, the first time included; a metered URL is
        never sent more than twice
    :param max_wait_s: a wait longer than this, for a limit of the API or a retry, is not slept: it is raised
        as an error that carries ``retry_after``
    """

    conn_name_attr = "trackunit_conn_id"
    default_conn_name = connection.DEFAULT_CONN_ID
    conn_type = connection.CONN_TYPE
    hook_name = connection.HOOK_NAME

    def __init__(
        self,
        trackunit_conn_id: str = default_conn_name,
        *,
        timeout_s: float = 60.0,
        max_attempts: int = 4,
        max_wait_s: float = 120.0,
    ) -> None:
        super().__init__()
        self.trackunit_conn_id = trackunit_conn_id
        self.timeout_s = timeout_s
        self.max_attempts = max_attempts
        self.max_wait_s = max_wait_s
        self._client: IrisClient | None = None

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's own fields, for Airflow before 3.2."""
        return connection.form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the changes to the form's standard fields, for Airflow before 3.2."""
        return connection.field_behaviour()

    def get_conn(self) -> IrisClient:
        """Return the client of this hook: authenticated, paced and retried; always the same one.

        :raises IrisConfigurationError: when the connection is incomplete or contradictory
        :raises IrisTokenError: when the token endpoint refuses the credentials
        """
        if self._client is None:
            client = self._new_client(
                timeout_s=self.timeout_s, max_attempts=self.max_attempts, max_wait_s=self.max_wait_s
            )
            # Here and now, in the thread that runs the task: masking from another thread hangs Airflow 3.1.
            mask_secret(str(client.authenticate().value))
            self._client = client
        return self._client

    def run(
        self,
        endpoint: str,
        *,
        method: str = "GET",
        path_params: Mapping[str, Any] | None = None,
        query_params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the decoded JSON of one answer; None when it has no body (204).

        :param endpoint: a path, ``/api/asset/v1/assets/{assetId}``, or a full URL on the connection's own origin
        :param method: the HTTP method
        :param path_params: a value for each placeholder of the path; percent-encoded
        :param query_params: the query; None values are left out, lists repeat their name
        :param json: the body
        :param headers: extra headers
        :raises IrisError: one of the tree in ``airflow_provider_trackunit.iris.errors``
        """
        return self.get_conn().run(
            endpoint,
            method=method,
            path_params=path_params,
            query_params=query_params,
            json=json,
            headers=headers,
        )

    def pages(
        self,
        endpoint: str,
        *,
        method: str = "GET",
        path_params: Mapping[str, Any] | None = None,
        query_params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, Any] | None = None,
        cursor: Cursor | None = None,
        max_concurrency: int = 1,
    ) -> Iterator[Page]:
        """Return every page of a collection, in order, each with the cursor of the one that follows it.

        The arguments are those of :meth:`run`, and:

        :param cursor: where to go on, as an earlier page's ``next`` said; None for the beginning
        :param max_concurrency: how many pages may be on the way at once, where IRIS says how many there are
        """
        return self.get_conn().pages(
            endpoint,
            method=method,
            path_params=path_params,
            query_params=query_params,
            json=json,
            headers=headers,
            cursor=cursor,
            max_concurrency=max_concurrency,
        )

    def first_page(self, endpoint: str, **arguments: Any) -> Page:
        """Return the first page of a collection, or the answer of any other endpoint, with one request.

        The arguments are those of :meth:`pages`.
        """
        return next(self.pages(endpoint, **arguments))

    def records(self, endpoint: str, **arguments: Any) -> Iterator[Any]:
        """Return every record of a collection, decoded, one page in memory at a time.

        The arguments are those of :meth:`pages`.
        """
        return self.get_conn().records(endpoint, **arguments)

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the credentials work, and what was granted or what failed; within 15 seconds.

        It obtains a token and reads one asset.
        """
        try:
            client = self._new_client(timeout_s=_TEST_BUDGET_S, max_attempts=1, budget_s=_TEST_BUDGET_S)
            token = client.authenticate()
            mask_secret(str(token.value))
        except IrisError as error:
            return False, str(error)
        return _read_one_asset(client, token)

    def _new_client(self, **limits: Any) -> IrisClient:
        from airflow_provider_trackunit.iris.client import IrisClient

        settings = connection.read_connection(self.get_connection(self.trackunit_conn_id))
        # In every spelling: what logs bytes of a request shows them encoded.
        for spelling in spellings(settings.credentials.secrets):
            mask_secret(str(spelling))
        return IrisClient(settings.credentials, settings.base_url, ca_bundle=settings.ca_bundle, **limits)


def _read_one_asset(client: IrisClient, token: Token) -> tuple[bool, str]:
    granted = f"Token granted: scope '{token.scope}', lifetime {token.expires_in_s:.0f} s."
    try:
        answer = client.run("/api/asset/v1/assets", query_params={"size": 1})
    except IrisPermissionError as error:
        if client.credentials.username:
            return False, f"{granted} Reading an asset failed: {error}"
        # An API key is often made for one API alone, without the scope for assets.
        return True, f"{granted} The key may not read assets (HTTP 403), so no API was tried with it."
    except IrisError as error:
        return False, f"{granted} Reading an asset failed: {error}"
    total = answer.get("totalElements") if isinstance(answer, dict) else None
    return True, f"{granted} {total if total is not None else 'An unknown number of'} assets can be read."
