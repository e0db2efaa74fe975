"""What is noted of an answer: how it is built, never what is in it. Pure.

An answer is made of names and values. Noted are the names of members, two levels deep and only where they look like
names, how many records there are, and numbers that speak of the API itself: sizes of pages, limits, seconds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from airflow_provider_trackunit.iris.http.answers.reading import read_wait_s
from airflow_provider_trackunit.iris.http.wire import BROKEN_JSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_trackunit.iris.http.wire import Response

#: ``read``: records or a document came. ``refused``: IRIS answered with an error. ``no answer``: none came, or none that
#: could be read. ``not asked``: nothing was sent.
Outcome = Literal["read", "refused", "no answer", "not asked"]

# Members as APIs write them: letters, and no digit, so that no id or serial number passes for one.
_MEMBER: Final = re.compile(r"[A-Za-z_][A-Za-z_]{0,59}")
_CODE: Final = re.compile(r"[A-Za-z]+(_[A-Za-z]+)*")
_CONTENT_TYPE: Final = re.compile(r"[a-z]+/[a-z.+-]+")
_HEADER: Final = re.compile(r"[a-z][a-z-]{0,39}")
_LIMIT_HEADER: Final = re.compile(r"retry-after|.*rate-?limit.*|.*quota.*")
_DATE: Final = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT")

# What belongs to the page and not to its records: numbers of these say how IRIS pages.
_COUNTS: Final = ("totalPages", "totalElements", "number", "size", "numberOfElements", "limit")


class Links(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the links of an AEMP page are built.

    :param rels: which there are
    :param repeat_query: whether they have the query of the request, None when it had none
    :param own_origin: whether all lead to where the request went
    """

    rels: tuple[str, ...] = ()
    repeat_query: bool | None = None
    own_origin: bool = True


class Observation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was seen of one endpoint.

    :param why: why it was not asked, or what kind of error came
    :param code: the vendor's, where it looks like one
    :param layout: ``compact``, or with line breaks: ``pretty``
    :param envelope: the members beside the records
    :param members: those of the records, all together
    :param other_names: how many more names there are that do not look like those of members
    :param counts: of the envelope: pages, records, the size of a page
    :param limits: what headers say of limits: a number, or the form of what stands there (``date``, ``text``)
    :param differs: where the answer is not what the catalogue says
    """

    endpoint: str
    method: str
    outcome: Outcome
    why: str = ""
    status: int | None = None
    code: str | None = None
    seconds: float | None = None
    size_bytes: int | None = None
    content_type: str = ""
    compressed: bool = False
    layout: str = ""
    records: int | None = None
    envelope: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    other_names: int = 0
    counts: dict[str, int] = {}
    links: Links | None = None
    limits: dict[str, float | str] = {}
    headers: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()


def seen(response: Response) -> dict[str, Any]:
    """Return what is noted of any answer, an error too."""
    kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
    document = decoded(response)
    code = document.get("code") if isinstance(document, dict) else None
    return {
        "status": response.status,
        "code": code if response.status >= 400 and isinstance(code, str) and _CODE.fullmatch(code) else None,
        "size_bytes": len(response.body),
        "content_type": kind if _CONTENT_TYPE.fullmatch(kind) else "",
        "compressed": "content-encoding" in response.headers,
        "layout": "" if document is None else "pretty" if b"\n" in response.body.strip() else "compact",
        "limits": dict(_limits(response.headers)),
        "headers": tuple(sorted(filter(_HEADER.fullmatch, response.headers))),
    }


def built(document: Any, records: list[Any], *, is_one_record: bool) -> dict[str, Any]:
    """Return what is noted of an answer that was read.

    :param is_one_record: whether the answer is the record, with nothing around it
    """
    envelope = document if isinstance(document, dict) and not is_one_record else {}
    outer, inner = _names([envelope]), _names(records)
    return {
        "records": len(records),
        "envelope": names_of(outer),
        "members": names_of(inner),
        "other_names": len(outer | inner) - len(names_of(outer | inner)),
        "counts": {name: envelope[name] for name in _COUNTS if type(envelope.get(name)) is int},
    }


def names_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that look like those of members, in order."""
    return tuple(sorted(filter(_MEMBER.fullmatch, names)))


def decoded(response: Response) -> Any:
    """Return the JSON of an answer, None when it has none."""
    try:
        return msgspec.json.decode(response.body)
    except BROKEN_JSON:
        return None


def links_of(document: Any, url: str) -> Links | None:
    """Return how the links of an AEMP page are built, None when it has none.

    :param url: of the request
    """
    found = _either_case(document, "links")
    links = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    rels = {str(_either_case(one, "rel")) for one in links}
    hrefs = [str(_either_case(one, "href")) for one in links]
    if not links:
        return None
    origin, query = "/".join(url.split("/", 3)[:3]), url.partition("?")[2]
    return Links(
        rels=names_of(rels),
        repeat_query=all(href.endswith(f"?{query}") for href in hrefs) if query else None,
        own_origin=all(href.startswith(f"{origin}/") for href in hrefs),
    )


def _either_case(document: Any, name: str) -> Any:
    if not isinstance(document, dict):
        return None
    return document.get(name, document.get(name.capitalize()))


def _names(objects: list[Any]) -> set[str]:
    return {name for one in objects if isinstance(one, dict) for name in one}


def _limits(headers: Mapping[str, str]) -> Iterable[tuple[str, float | str]]:
    """Yield what headers say of limits, as a number or as the form of what stands there."""
    for name, text in headers.items():
        if _LIMIT_HEADER.fullmatch(name) and _HEADER.fullmatch(name):
            number = read_wait_s(text)
            yield name, number if number is not None else "date" if _DATE.fullmatch(text.strip()) else "text"
