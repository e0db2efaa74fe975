"""What the environment says of proxies and trusted roots, read by requests so that both clients agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.utils import select_proxy

from airflow_provider_trackunit.iris.calls import is_plain
from airflow_provider_trackunit.iris.http.transports.trouble import Trouble, failure
from airflow_provider_trackunit.iris.secrecy import Secret

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.http.wire import Request


def proxy_for(request: Request) -> Secret | None:
    """Return the URL of the proxy that the environment names for a request, None for none.

    Plain http is for this machine alone. It never goes through a proxy: the token would cross a network in clear.

    :raises IrisConfigurationError: when the proxy is no http or https URL
    """
    if is_plain(request.url):
        return None
    named = Secret(select_proxy(request.origin, _environment(request.origin, None)["proxies"]) or "")
    if not named:
        return None
    proxy = Secret(named if "://" in named else f"http://{named}")
    if not _is_usable(proxy):
        raise failure(request, Trouble.UNUSABLE_PROXY)
    return proxy


def trusted_roots(ca_bundle: str | None) -> str | None:
    """Return the file of trusted certificates that the connection or the environment names, None for the usual."""
    verify = _environment("https://", ca_bundle)["verify"]
    return verify if isinstance(verify, str) else None


def _is_usable(proxy: Secret) -> bool:
    try:
        parts = urlsplit(proxy)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _environment(url: str, ca_bundle: str | None) -> Any:
    with requests.Session() as session:
        return session.merge_environment_settings(url, {}, False, ca_bundle or True, None)
