"""The handle with which tests and demos drive an emulator. Standard library only."""

import json
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from airflow_provider_trackunit.emulator.launch import ServerProcess, require_server_libraries

CONNECTION_ENV = "AIRFLOW_CONN_TRACKUNIT_DEFAULT"
TIMEOUT_S = 30.0
# A proxy of the environment has no business between a test and its own loopback server.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class _Running(Protocol):
    def stop(self) -> None: ...


class IrisEmulator:
    """A running emulator of Trackunit IRIS.

    ::

        with IrisEmulator.start(assets=250) as iris:
            monkeypatch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", iris.connection_json())
            iris.fault(path="/Fleet/2", kind="status", status=503)
            ...
            assert iris.stats()["rate_limited"] == 0

    ``url``, ``auth_url`` (v1), ``auth_url_v2`` and the credentials ``username``, ``password``,
    ``client_id``, ``client_secret``, ``api_key_client_id``, ``api_key_client_secret``,
    ``api_key_scopes`` are attributes. They open nothing but this emulator.
    """

    username: str
    password: str
    client_id: str
    client_secret: str
    api_key_client_id: str
    api_key_client_secret: str
    api_key_scopes: str

    def __init__(self, url: str, running: _Running | None = None) -> None:
        self.url = url
        self.auth_url = f"{url}/token"
        self.auth_url_v2 = f"{url}/token/v2"
        self._running = running
        self._note(self._get("credentials"))

    @classmethod
    def start(
        cls, assets: int = 250, seed: int = 1, port: int = 0, *, process: bool = False
    ) -> "IrisEmulator":
        """Return an emulator that is ready to answer.

        ``process=True`` runs it in a process of its own, for benchmarks and for tests that must
        not share an interpreter with the server; otherwise it is a daemon thread of this process.

        :raises ImportError: if the extra ``emulator`` is not installed.
        """
        require_server_libraries()
        if process:
            child = ServerProcess(assets, seed, port)
            return cls(child.url, child)
        from airflow_provider_trackunit.emulator.server import LOOPBACK, ServerThread

        thread = ServerThread(assets, seed, port)
        thread.start()
        return cls(f"http://{LOOPBACK}:{thread.port}", thread)

    def stop(self) -> None:
        """Stop the server and wait until it is gone. A second call does nothing."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    def __enter__(self) -> "IrisEmulator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def use_credentials(self, **credentials: str) -> None:
        """Let the account have other credentials from now on, such as a secret with unusual characters."""
        self._note(self._post("credentials", credentials))

    def reset(self) -> None:
        """Go back to the start: fleet, switches, tokens, limits, faults, clock and request log."""
        self._post("reset")

    def scale_time(self, factor: float) -> None:
        """Let the emulator's time pass ``factor`` times as fast (900: a quarter of an hour a second)."""
        self._post("clock", {"scale": factor})

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once: tokens age, rate windows move on, and the date if there is one."""
        self._post("clock", {"advance": seconds})

    def set_date(self, moment: str) -> None:
        """Let it be that moment (ISO 8601, UTC) for the machines.

        From then on nothing later is known to the emulator, and its machines work on only when :meth:`advance`
        lets time pass, so that a month of days can go by in a test and is the same whenever it runs.
        """
        self._post("clock", {"date": moment})

    def truth(
        self, day: str, time_zone: str = "UTC", first: int = 0, count: int | None = None
    ) -> list[dict[str, Any]]:
        """Return what each machine of the AEMP feed really did on a local day (``2026-01-14``), by the feed's order.

        Of each: its names, ``operating_hours``, ``idle_hours``, ``moving_hours``, ``distance_km``,
        ``fuel_litres``, the positions with which the day began and ended, ``visits`` to sites; and of what has
        been reported so far, by column: ``readings`` (how many there are of that day), ``unreported`` (what it had
        done since its last reading when the day began, and when it ended; null without a reading before the day),
        ``fell`` (the columns whose readings show a counter that falls). So the gain that the readings tell is the
        true one, plus the first of ``unreported``, less the second. ``first`` and ``count`` choose some machines.
        """
        asked = {"day": day, "time_zone": time_zone, "first": str(first)}
        if count is not None:
            asked["count"] = str(count)
        machines: list[dict[str, Any]] = self._get("truth", asked)["machines"]
        return machines

    def fault(self, path: str = "", kind: str = "status", times: int | None = 1, **options: Any) -> None:
        """Spoil the next requests whose raw path and query contain ``path`` (or match ``re:…``).

        Kinds: ``status`` (with ``status``, ``body``, ``content_type``, ``headers``), ``rate_limit``
        (``retry_after``), ``reset_before``, ``reset_after`` (processed first), ``truncated``
        (``keep_bytes``), ``slow`` (``chunk_bytes``), ``delay``, ``html``, ``garbage``, ``revoke``
        (the token of the request), ``redirect`` (``location``), ``huge_length``, ``cut`` (a body without a length
        that ends early; ``keep_bytes``), ``graphql_errors`` (in a 200: ``codes``, ``reset_in_ms``, ``keep_data``),
        ``partial`` (an answer of PromQL that is not all of it). For every kind:
        ``method``, ``skip`` (let so many pass first), ``probability``, ``delay_s``; ``times=None``
        is for ever.
        """
        self._post("faults", {"path": path, "kind": kind, "times": times, **options})

    def hostile(self, trick: str | None, path: str = "", foreign_host: str | None = None) -> None:
        """Let the emulator mean harm, wherever the raw path contains ``path``; None ends it.

        Tricks: ``redirect`` and ``foreign_links`` (to ``foreign_host``), ``moving_cursor``, ``repeated_pages``,
        ``absurd_counts``, ``climbing_names``, ``terabyte``, ``endless_body``, ``gzip_bomb``, ``slow_body``,
        ``year_long_wait``, ``never_authorized``, ``huge_token``, ``echo`` (all that was sent, in an error). The
        token endpoints are left alone unless ``path`` is one of theirs, such as ``/token``.
        """
        host = {} if foreign_host is None else {"foreign_host": foreign_host}
        self.settings(hostile=trick, hostile_path=path, **host)

    def settings(self, **switches: Any) -> dict[str, Any]:
        """Change switches, and return all of them (see :class:`~.settings.Settings`)."""
        return self._post("settings", switches)

    def fleet(self, **changes: Any) -> dict[str, Any]:
        """Change the fleet: ``grow=n``, ``shrink=n``, ``hide=[numbers]``, ``show=[numbers]``."""
        return self._post("fleet", changes)

    def add_events(self, *events: dict[str, Any]) -> None:
        """Let asset events happen now; each mapping replaces members of the invented event."""
        self._post("events", {"events": list(events)})

    def revoke_tokens(self) -> None:
        """Make every access token invalid; the next call with one answers 401."""
        self._post("revoke")

    def requests(self, path: str | None = None) -> list[dict[str, Any]]:
        """Return what was asked, oldest first; only paths that contain ``path`` if it is given."""
        entries: list[dict[str, Any]] = self._get("requests", {"path": path} if path else {})["requests"]
        return entries

    def stats(self) -> dict[str, Any]:
        """Return counts: requests, calls per path, statuses, rate_limited, mutations, max_concurrent."""
        return self._get("stats")

    def connection_json(self, grant: str = "password", **overrides: Any) -> str:
        """Return the connection as JSON for an ``AIRFLOW_CONN_…`` variable.

        ``grant`` is ``password`` (an API user) or ``client_credentials`` (an API key). Overrides
        named ``login``, ``password`` or ``host`` replace those fields, all others are extras; None
        leaves a field out.
        """
        fields = self._connection(grant)
        for name, value in overrides.items():
            place = fields if name in {"login", "password", "host"} else fields["extra"]
            place[name] = value
        fields["extra"] = {name: value for name, value in fields["extra"].items() if value is not None}
        return json.dumps({name: value for name, value in fields.items() if value is not None})

    def connection_uri(self, grant: str = "password", **overrides: Any) -> str:
        """Return the same connection as a URI."""
        fields = json.loads(self.connection_json(grant, **overrides))
        login, password = (quote(fields.get(name, ""), safe="") for name in ("login", "password"))
        who = f"{login}:{password}@" if login or password else ""
        host = quote(fields.get("host", ""), safe="")
        return f"trackunit://{who}{host}/?{urlencode(fields['extra'])}"

    def _note(self, credentials: dict[str, str]) -> None:
        for name, value in credentials.items():
            setattr(self, name, value)

    def _connection(self, grant: str) -> dict[str, Any]:
        if grant == "password":
            extra = {"client_id": self.client_id, "client_secret": self.client_secret}
            # No scope: Airflow warns of every value of an extra that is too short to be masked, such as "api".
            extra |= {"auth_url": self.auth_url}
            return _fields(self.url, extra) | {"login": self.username, "password": self.password}
        if grant == "client_credentials":
            extra = {"client_id": self.api_key_client_id, "client_secret": self.api_key_client_secret}
            return _fields(self.url, extra | {"auth_url": self.auth_url_v2, "scope": self.api_key_scopes})
        raise ValueError(f"grant must be 'password' or 'client_credentials', not '{grant}'")

    def _get(self, name: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        return _asked(f"{self.url}/_emulator/{name}?{urlencode(query or {})}", None)

    def _post(self, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return _asked(f"{self.url}/_emulator/{name}", json.dumps(body or {}).encode())


def _fields(url: str, extra: dict[str, str]) -> dict[str, Any]:
    return {"conn_type": "trackunit", "host": url, "extra": extra}


def _asked(url: str, body: bytes | None) -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - our own loopback URL
    try:
        with _OPENER.open(request, timeout=TIMEOUT_S) as response:
            answer: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as exc:
        with exc:
            raise ValueError(json.load(exc)["message"]) from None
    return answer
