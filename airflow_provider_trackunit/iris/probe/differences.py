"""Where an answer is not what the catalogue says, in sentences. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_trackunit.iris.catalogue.columns.known import find_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.catalogue.endpoint import Endpoint, Paging
    from airflow_provider_trackunit.iris.probe.observing import Links

# "Some of" the members of a page by cursor are present, so none of those can be missing.
_ENVELOPES: Final = {"number": ("totalPages", "totalElements", "number", "size", "numberOfElements")}

# A page of AEMP has no size parameter and never more rows (developer hub, "Export ISO 15143-3 (AEMP 2.0)").
_AEMP_ROWS: Final = 100


def differences(row: Endpoint, call: Call, document: Any, noted: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is not as the catalogue says.

    :param call: as it was sent, with the size of its page
    :param noted: of the answer, as :func:`~.observing.built` returns it
    """
    if isinstance(document, dict):
        yield from _of_envelope(row.paging, document)
    yield from _of_size(row.paging, call, noted)
    yield from _of_links(noted.get("links"))
    yield from _of_members(call, noted)


def _of_envelope(paging: Paging, document: Mapping[str, Any]) -> Iterator[str]:
    missing = [name for name in _ENVELOPES.get(paging.style, ()) if name not in document]
    if missing:
        yield f"the page has no {', '.join(missing)}"
    key = (paging.record_key or "").split(".")[0]
    if key and key not in document:
        other = key.capitalize() if key.capitalize() in document else None
        yield f"the records are in {other}, not in {key}" if other else f"there is no member {key}"
    if "Links" in document and "links" not in document:
        yield "the links are in Links, not in links"


def _of_size(paging: Paging, call: Call, noted: Mapping[str, Any]) -> Iterator[str]:
    asked, said = dict(call.query).get("size"), noted["counts"].get("size")
    if asked is not None and said is not None and str(said) != asked:
        yield f"pages of {asked} were asked for, and pages of {said} come"
    if paging.style == "links" and noted["records"] > _AEMP_ROWS:
        yield f"a page has {noted['records']} rows, more than {_AEMP_ROWS}"


def _of_links(links: Links | None) -> Iterator[str]:
    if links is not None and not links.own_origin:
        yield "links lead to another origin"


def _of_members(call: Call, noted: Mapping[str, Any]) -> Iterator[str]:
    """Yield the members of records that no column takes, where the catalogue has columns."""
    table = find_table(call.path, call.query)
    if table is None or not noted["records"]:
        return
    known = {column.path.split(".")[0].split("[")[0].lower() for column in table.columns}
    new = [name for name in noted["members"] if name.lower() not in known]
    if new:
        yield f"no column takes {', '.join(new)}"
