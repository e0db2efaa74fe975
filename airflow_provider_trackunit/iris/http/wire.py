"""Turns a call into the exact bytes of a request, and the bytes of an answer into data.

Pure, so that every HTTP client sends the very same bytes. Whether an answer is an error is decided in
``answers``; paging, waiting and retrying are none of its business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode

import msgspec

from airflow_provider_trackunit import __version__
from airflow_provider_trackunit.iris.calls import encode_json
from airflow_provider_trackunit.iris.errors import IrisUnexpectedResponseError
from airflow_provider_trackunit.iris.secrecy import Secret, SecretMembers, redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_trackunit.iris.calls import Call

USER_AGENT: Final = f"airflow-provider-trackunit/{__version__}"

# A page of 1000 assets is about 1 MB. Nothing documented comes near this; it is there so that a broken or
# hostile server cannot fill the worker's memory.
MAX_BODY_BYTES: Final = 256 * 1024 * 1024

# As in a signed URL, or a token in the query.
_CONFIDENTIAL_NAME: Final = re.compile(r"sig|token|secret|passw|auth|credential|key", re.IGNORECASE)

#: What msgspec raises for bytes that are not JSON.
BROKEN_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, finished to the byte. Its ``repr`` shows neither token nor query.

    :param label: how messages name it: as its call, or as the token endpoint
    :param secrets: what it holds that no text may repeat, should the answer do so
    :param max_body_bytes: a larger answer is not read
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    label: str
    is_graphql: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)
    max_body_bytes: int = MAX_BODY_BYTES

    @property
    def origin(self) -> str:
        """``scheme://host[:port]``, where it goes."""
        return "/".join(self.url.split("/", 3)[:3])

    def with_token(self, token: str) -> Request:
        """Return the request with its bearer token."""
        headers = SecretMembers({**self.headers, "Authorization": f"Bearer {token}"})
        return replace(self, headers=headers, secrets=(Secret(token),))

    def without_secrets(self, text: str) -> str:
        """Return what an answer says, without the secrets and the query of this request should it repeat them.

        A single value of the query is left in it, because it tells what was rejected, unless its name says that it
        is confidential.
        """
        _, mark, query = self.url.partition("?")
        asked = (f"?{query}", f"?{unquote_plus(query)}") if mark else ()
        values = [value for name, value in parse_qsl(query) if _CONFIDENTIAL_NAME.search(name)]
        return redacted(text, (*self.secrets, *asked, *values))


@dataclass(frozen=True, slots=True)
class Response:
    """One complete HTTP answer; header names are lower case, the body is decompressed."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def has_length(self) -> bool:
        """Whether the answer said how long it is, so that one that broke off was noticed while it was read."""
        chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        return chunked or "content-length" in self.headers


def build_request(call: Call) -> Request:
    """Return the finished request of a call, all but its token.

    JSON is asked for explicitly: AEMP answers XML to a client that does not say (developer hub, page "Export
    ISO 15143-3 (AEMP 2.0)").

    :raises IrisConfigurationError: when the body is not JSON
    """
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": USER_AGENT}
    body = None
    if call.json is not None:
        headers["Content-Type"] = "application/json"
        body = encode_json(call.json)
    lower = {name.lower(): name for name in headers}
    for name, value in call.headers:
        headers[lower.get(name.lower(), name)] = value
    query = urlencode(call.query, quote_via=quote, safe="")
    return Request(
        method=call.method,
        url=f"{call.origin}{call.path}" + (f"?{query}" if query else ""),
        headers=headers,
        body=body,
        label=call.label,
        is_graphql=call.is_graphql,
    )


def decode(call: Call, response: Response) -> Any:
    """Return the decoded JSON of an answer to a call that passed :func:`check`; None when it has no body.

    :raises IrisUnexpectedResponseError: when the body is not JSON
    """
    if not response.body:
        return None
    try:
        return msgspec.json.decode(response.body)
    except BROKEN_JSON as error:
        raise broken_json(call.label, response.status, error) from None


def broken_json(label: str, status: int, error: Exception) -> IrisUnexpectedResponseError:
    """Return the error for a body that says it is JSON and is not."""
    return IrisUnexpectedResponseError(
        f"{label}: HTTP {status}, the answer is not valid JSON ({error}). "
        "If it happens again, a proxy on the way may be changing answers",
        status=status,
    )
