"""What is to be brought where, and what tells one such request from every other. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from airflow_provider_trackunit.iris.calls import encode_json
from airflow_provider_trackunit.iris.catalogue.endpoints import find
from airflow_provider_trackunit.iris.catalogue.limits import MAX_CONCURRENCY
from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisPaginationError
from airflow_provider_trackunit.iris.export.formats.lines import GzipLines
from airflow_provider_trackunit.iris.export.manifest import Run

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.export.formats.draft import Encoding
    from airflow_provider_trackunit.iris.http.tokens import Credentials
    from airflow_provider_trackunit.iris.pages.page import Page
    from airflow_provider_trackunit.iris.watch.conditions import Condition

#: Large enough for warehouses to load well, small enough for a small worker.
PART_BYTES: Final = 64 * 1024 * 1024

#: What came longer ago than this is in a stored part. Short enough that a lost worker costs little, long enough that
#: a slow crawl does not leave thousands of files.
CHECKPOINT_INTERVAL_S: Final = 30.0

#: An older checkpoint tells of another fleet: machines have come and gone since.
RESUME_WITHIN_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to bring where.

    :param endpoint: and
    :param output_path: what the caller asked for and where, as the manifest repeats it
    :param calls: one call, or one for each item
    :param items: the path parameters of each call, in their order; None for a single collection
    :param owners: for each call, the number of the item that it is a window of; None where each is an item of its own
    :param run: who writes
    :param encoding: the format of the parts
    :param part_bytes: size of a part before compression, reached at the end of a page
    :param checkpoint_interval_s: the longest time that what came is not stored
    :param max_concurrency: how many pages may be on their way at once
    :param paginate: True reads all pages; False the first alone; None all, where that takes nothing but reading
    :param skip_refused: whether an item that IRIS refuses is noted and passed over
    :param max_skipped: more of them fail the export; None for no limit
    :param resume_within_s: an older checkpoint is not gone on from
    :param output_conn_id: and
    :param period: what the manifest repeats
    :param windows: what of each item is read, to be kept in a file beside the parts
    :param field: what of a record is compared to find the newest
    """

    endpoint: str
    output_path: str
    calls: Sequence[Call]
    items: Sequence[Mapping[str, Any]] | None = None
    owners: Sequence[int] | None = None
    run: Run = field(default_factory=Run)
    encoding: Encoding = field(default_factory=GzipLines)
    part_bytes: int = PART_BYTES
    checkpoint_interval_s: float = CHECKPOINT_INTERVAL_S
    max_concurrency: int = MAX_CONCURRENCY
    paginate: bool | None = None
    skip_refused: bool = False
    max_skipped: int | None = None
    resume_within_s: float = RESUME_WITHIN_S
    output_conn_id: str | None = None
    period: Mapping[str, Any] | None = None
    windows: bytes | None = None
    field: Condition | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.part_bytes < 1 or self.max_concurrency < 1:
            raise IrisConfigurationError("part_bytes and max_concurrency must be 1 or more")
        if not self.checkpoint_interval_s > 0 or not self.resume_within_s > 0:
            raise IrisConfigurationError("checkpoint_interval_s and resume_within must be more than 0")
        if self.max_skipped is not None and self.max_skipped < 0:
            raise IrisConfigurationError("max_skipped must be 0 or more, or None for no limit")

    @property
    def only_reads(self) -> bool:
        """Whether any of the requests can be sent again without harm."""
        return all(find(call).is_safe(call.method) for call in self.calls[:1])

    def admitted(self, call: Call, page: Page) -> Page:
        """Return a page as the walk is to know it: without the pages after it, where these are not wanted.

        :raises IrisPaginationError: when there are others, and to ask for them could do again what this request did
        """
        if self.paginate is False:
            return replace(page, next=None, announced=None, pages=None)
        if page.next is not None and not self.paginate and not find(call).only_reads(call.method):
            raise IrisPaginationError(
                f"{call.label}: the answer is one page of several. The request is not sent again for the "
                "others, because it may change something. If it only reads, say paginate=True; if this page is all that "
                "is wanted, paginate=False"
            )
        return page

    def owner(self, walk: int) -> int:
        """Return the number of the item that a call is one of."""
        return walk if self.owners is None else self.owners[walk]

    def walks_by_owner(self) -> Mapping[int, Collection[int]]:
        """Return the numbers of the calls of each item."""
        walks: dict[int, list[int]] = {}
        for walk in range(len(self.calls)):
            walks.setdefault(self.owner(walk), []).append(walk)
        return walks

    def fingerprint(self, credentials: Credentials) -> str:
        """Return what tells this request, account and form of output from every other; it gives nothing away."""
        account = [credentials.client_id, credentials.username]
        form = self.encoding.form
        written = [form.format, form.compression, form.columns, form.meaning]
        digest = hashlib.sha256(msgspec.json.encode([account, written, self.items is not None]))
        if self.paginate is False:
            digest.update(b"the first page alone")
        for call in self.calls:
            digest.update(_bytes_of(call))
        for item in self.items or ():
            digest.update(encode_json(item, order="deterministic"))
        return digest.hexdigest()


def _bytes_of(call: Call) -> bytes:
    body = encode_json(call.json, order="deterministic")
    return msgspec.json.encode([call.origin, call.method, call.path, call.query, body])
