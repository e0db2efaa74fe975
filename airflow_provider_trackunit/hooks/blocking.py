"""The hook for threads: what a task uses."""

from __future__ import annotations

import itertools
import math
import threading
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from airflow_provider_trackunit import connection
from airflow_provider_trackunit._compat import BaseHook, mask_secrets
from airflow_provider_trackunit.hooks import form
from airflow_provider_trackunit.iris.errors import IrisError
from airflow_provider_trackunit.iris.secrecy import spellings
from airflow_provider_trackunit.metrics import request_metrics
from airflow_provider_trackunit.settings import DEFAULTS, CallSettings, given_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_trackunit.connection import ConnectionSettings
    from airflow_provider_trackunit.iris.client import IrisClient
    from airflow_provider_trackunit.iris.http.exchange import RequestArguments
    from airflow_provider_trackunit.iris.pages.page import Cursor, Page


class IrisHook(BaseHook):
    """Calls Trackunit IRIS with the credentials of an Airflow connection.

    The connection is read once, at the first use; one hook has one HTTP session and one token. Make one hook in
    a task and keep it. It may be shared between the threads of a task after its first use in the main thread.

    :param trackunit_conn_id: the connection
    :param timeout_s: longest time for one answer, in seconds; None for what the connection says, else 60
    :param max_attempts: how often one request is sent at the most, the first time included; None likewise, else 4. A
        metered URL is never sent more than twice
    :param max_wait_s: a wait longer than this, for a limit of the API or a retry, is not slept: it is raised
        as an error that carries ``retry_after``; None likewise, else 120
    :raises IrisConfigurationError: when one of the numbers cannot be
    """

    conn_name_attr = "trackunit_conn_id"
    default_conn_name = connection.DEFAULT_CONN_ID
    conn_type = connection.CONN_TYPE
    hook_name = connection.HOOK_NAME

    def __init__(
        self,
        trackunit_conn_id: str = default_conn_name,
        *,
        timeout_s: float | None = None,
        max_attempts: int | None = None,
        max_wait_s: float | None = None,
    ) -> None:
        super().__init__()
        self.trackunit_conn_id = trackunit_conn_id
        #: Whoever knows how to wait by itself, such as a sensor, sets it lower: no longer wait is slept here.
        self.longest_sleep_s = math.inf
        self._given = given_settings(timeout_s=timeout_s, max_attempts=max_attempts, max_wait_s=max_wait_s)
        self._client: IrisClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's own fields, for Airflow before 3.2."""
        return connection.form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the changes to the form's standard fields, for Airflow before 3.2."""
        return connection.field_behaviour()

    @cached_property
    def _stored(self) -> ConnectionSettings:
        """What the connection holds, read once; its secrets are masked before anybody can use them."""
        with _first_use_explained():
            # Not kept in a variable: its repr shows its secrets.
            stored = connection.read_connection(self.get_connection(self.trackunit_conn_id))
        # In every spelling: what logs bytes of a request shows them encoded.
        mask_secrets(*spellings(stored.credentials.secrets))
        return stored

    @property
    def settings(self) -> CallSettings:
        """The settings in force, those of the connection included.

        :raises IrisConfigurationError: when the connection is incomplete or contradictory
        """
        return self._given.over(self._stored.call).over(DEFAULTS)

    @property
    def max_wait_s(self) -> float:
        """The longest wait that is slept, in seconds; the connection is read for it only where nothing was given."""
        given = self._given.max_wait_s
        return cast("float", self.settings.max_wait_s) if given is None else given

    def get_conn(self) -> IrisClient:
        """Return the client of this hook: authenticated, paced and retried; always the same one.

        :raises IrisConfigurationError: when the connection is incomplete or contradictory
        :raises IrisTokenError: when the token endpoint refuses the credentials
        """
        if self._client is None:
            with connection.errors_name(self.trackunit_conn_id):
                client = self._new_client()
                # Here and now, in the thread that runs the task: masking from another thread hangs Airflow 3.1.
                mask_secrets(client.authenticate().value)
            self._client = client
        return self._client

    def run(self, endpoint: str, **request: Unpack[RequestArguments]) -> Any:
        """Return the decoded JSON of one answer; None when it has no body (204).

        :param endpoint: a path, ``/api/asset/v1/assets/{assetId}``, or a full URL on the connection's own origin
        :param request: ``method`` (the HTTP method, ``GET`` unless given), ``path_params`` (a value for each placeholder
            of the path; percent-encoded), ``query_params`` (None values are left out, lists repeat their name), ``json``
            (the body) and ``headers``
        :raises IrisError: one of the tree in ``airflow_provider_trackunit.iris.errors``
        """
        with connection.errors_name(self.trackunit_conn_id):
            return self.get_conn().run(endpoint, **request)

    def pages(
        self,
        endpoint: str,
        *,
        cursor: Cursor | None = None,
        max_concurrency: int = 1,
        **request: Unpack[RequestArguments],
    ) -> Iterator[Page]:
        """Return every page of a collection, in order, each with the cursor of the one that follows it.

        The arguments are those of :meth:`run`, and:

        :param cursor: where to go on, as an earlier page's ``next`` said; None for the beginning
        :param max_concurrency: how many pages may be on the way at once, where IRIS says how many there are
        """
        with connection.errors_name(self.trackunit_conn_id):
            pages = self.get_conn().pages(endpoint, cursor=cursor, max_concurrency=max_concurrency, **request)
        return self._each(pages)

    def _each(self, pages: Iterator[Page]) -> Iterator[Page]:
        with connection.errors_name(self.trackunit_conn_id):
            yield from pages

    def first_page(self, endpoint: str, **request: Unpack[RequestArguments]) -> Page:
        """Return the first page of a collection, or the answer of any other endpoint, with one request."""
        with connection.errors_name(self.trackunit_conn_id):
            return self.get_conn().first_page(endpoint, **request)

    def records(self, endpoint: str, **arguments: Any) -> Iterator[Any]:
        """Return every record of a collection, decoded, one page in memory at a time.

        The arguments are those of :meth:`pages`.
        """
        return itertools.chain.from_iterable(page.records for page in self.pages(endpoint, **arguments))

    def close(self) -> None:
        """Close the connections. The hook can be used again, with the same token; it then opens new ones."""
        if self._client is not None:
            self._client.close()

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the credentials work, and what was granted or what failed; within 15 seconds.

        It obtains a token and reads one asset.
        """
        try:
            client = self._new_client(**form.LIMITS)
            token = client.authenticate()
            mask_secrets(token.value)
        except IrisError as error:
            return False, str(error)
        try:
            works, said = True, form.seen(client.run(form.ENDPOINT, query_params=form.QUERY))
        except IrisError as error:
            works, said = form.refused(error, client.credentials)
        return works, f"{form.granted(token)} {said}"

    def _new_client(self, **limits: Any) -> IrisClient:
        """Return a client of the connection, with limits of its own or with the settings in force."""
        from airflow_provider_trackunit.iris.client import IrisClient

        stored = self._stored
        if not limits:
            limits = {
                **self.settings.arguments(),
                "max_wait_s": min(self.max_wait_s, self.longest_sleep_s),
            }
        return IrisClient(
            stored.credentials,
            stored.base_url,
            ca_bundle=stored.ca_bundle,
            observer=request_metrics(),
            **limits,
        )


@contextmanager
def _first_use_explained() -> Iterator[None]:
    """Say what to do where the task's own thread is the only one that Airflow gives a connection to."""
    try:
        yield
    except IrisError:
        raise
    except Exception as error:
        if threading.current_thread() is not threading.main_thread():
            said = (
                f"{error}. If there is such a connection: this is the first use of an IrisHook, and not in the task's own "
                "thread, where alone Airflow may give connections. Call hook.get_conn() there first, or use IrisAsyncHook "
                "in a task that is async"
            )
            error.args = (said,)
        raise
