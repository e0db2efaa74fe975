"""Where requests may go: the origin of a URL that a person configured, checked. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.secrecy import Secret

#: Where IRIS is (developer hub, page "REST introduction").
BASE_URL: Final = "https://iris.trackunit.com"

# The second: text between an IPv6 address and its port, which some releases of Python pass over.
_UNSAFE_IN_URL: Final = re.compile(r"[\x00-\x20\x7f\\]|^[^/]*//[^/?#]*\][^:/?#]")

# Names that every library reads alike. An international one has a spelling in ASCII (xn--…).
_HOST_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


def read_origin(url: str, *, setting: str) -> str:
    """Return ``scheme://host[:port]`` of a URL that a person configured.

    A URL without a scheme is taken as ``https``. Plain ``http`` is refused for any host that is not loopback,
    because the bearer token and the credentials would cross the network in clear.

    :param setting: what the connection form calls the field, for the message
    :raises IrisConfigurationError: when the URL is unusable; the text names the field
    """
    text = Secret(url.strip())
    parts = _split(text if "://" in text else Secret(f"https://{text}"))
    if parts is None:
        # Python's own text repeats a part of the URL, which may be a part of a password.
        raise IrisConfigurationError(f"{setting}: not a URL; give it as https://host or https://host:port")
    scheme, name, port, has_credentials = parts
    if scheme not in {"http", "https"}:
        raise IrisConfigurationError(f"{setting}: the scheme must be https, not {scheme!r}")
    if not name or _UNSAFE_IN_URL.search(text):
        raise IrisConfigurationError(f"{setting}: no host in the URL, or a blank or control character in it")
    if has_credentials:
        raise IrisConfigurationError(f"{setting}: put credentials in their own fields, not in the URL")
    host = _read_host(name.rstrip("."), setting, plain=scheme == "http")
    default_port = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}" if port in {None, default_port} else f"{scheme}://{host}:{port}"


def _split(url: Secret) -> tuple[str, str | None, int | None, bool] | None:
    """Return scheme, host, port and whether there are credentials; None for what is no URL.

    A traceback can show the variables of its frames, and what ``urlsplit`` returns shows a password: it stays here.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port, parts.username is not None or parts.password is not None


def _read_host(host: str, setting: str, *, plain: bool) -> str:
    """Return a host as it stands in a URL, unless what is sent there would not be safe.

    :param plain: whether the URL is one of plain http
    """
    address = _address(host)
    if address is None and not _HOST_NAME.fullmatch(host):
        raise IrisConfigurationError(
            f"{setting}: not a host name; write an international one in ASCII (xn--…), as its owner registered it"
        )
    if plain and not _is_loopback(host, address):
        raise IrisConfigurationError(
            f"{setting}: plain http would send the credentials unencrypted; use https (http is for this machine only)"
        )
    return f"[{host}]" if isinstance(address, ipaddress.IPv6Address) else host


def is_plain(url: str) -> bool:
    """Return whether a URL is one of plain http, which :func:`read_origin` lets through for loopback alone."""
    return url.startswith("http://")


def read_base_url(url: str) -> str:
    """Return the origin of the connection's base URL, which must not have a path of its own."""
    origin = read_origin(url, setting="Base URL (host)")
    rest = urlsplit(url if "://" in url else f"https://{url}")
    if rest.path.strip("/ ") or rest.query or rest.fragment:
        raise IrisConfigurationError(
            "Base URL (host): give the origin alone, such as https://iris.trackunit.com; the path belongs in the endpoint"
        )
    return origin


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the host as an address, None for a name. An address with a zone (``fe80::1%eth0``) is neither."""
    try:
        return None if "%" in host else ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    """Return whether what is sent there stays on this machine; an IPv4 address within an IPv6 one does not count.

    Python's own word for the latter changed with its releases.
    """
    if isinstance(address, ipaddress.IPv6Address):
        return int(address) == 1
    return host == "localhost" if address is None else address.is_loopback
