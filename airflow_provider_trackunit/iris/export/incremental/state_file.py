"""The file of a state: how far a request was read, and which request that is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_trackunit.iris.calls import encode_json
from airflow_provider_trackunit.iris.errors import IrisCheckpointError
from airflow_provider_trackunit.iris.export.folder.store import Files
from airflow_provider_trackunit.iris.export.incremental.cursors import Cursors, read_cursors, write_cursors

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.export.folder.store import Store
    from airflow_provider_trackunit.iris.export.request import ExportRequest
    from airflow_provider_trackunit.iris.http.tokens import Credentials


class StateFile:
    """The state of one request.

    :param name: of the file in its store
    :param per_item: whether every item has a cursor of its own
    """

    def __init__(
        self, store: Store, name: str, request: ExportRequest, credentials: Credentials, *, per_item: bool
    ) -> None:
        self._files = Files(store)
        self._name = name
        self._request = request
        self._per_item = per_item
        #: What tells this request and account from others; the items and the form of the result do not count.
        self.fingerprint = _fingerprint_of(request, credentials)

    def read(self) -> Cursors:
        """Return the state as it is now; nothing read where there is no file.

        :raises IrisCheckpointError: when it cannot be used; the text says what to do
        :raises IrisStorageError: when the file cannot be read
        """
        data = self._files.read(self._name)
        if data is None:
            items: dict[str, str] | None = {} if self._per_item else None
            return Cursors(endpoint=self._endpoint, request=self.fingerprint, items=items)
        place = f"{self._files.label}/{self._name}"
        cursors = read_cursors(data, place)
        if cursors.request not in {self.fingerprint, ""} or (cursors.items is None) == self._per_item:
            raise IrisCheckpointError(
                f"{place} tells how far another request was read ({cursors.endpoint}): another path, query, body or "
                "account, or per_item given otherwise. Give each request a state of its own. Should this one be meant to "
                "go on where that one ended: python -m airflow_provider_trackunit.state adopt"
            )
        return cursors

    def write(self, cursors: Cursors) -> None:
        """Make these the state of this request.

        :raises IrisStorageError: when the file cannot be written
        """
        own = msgspec.structs.replace(cursors, request=self.fingerprint, endpoint=self._endpoint)
        self._files.write(self._name, write_cursors(own))

    @property
    def _endpoint(self) -> str:
        return f"{self._request.calls[0].method} {self._request.endpoint}"


def _fingerprint_of(request: ExportRequest, credentials: Credentials) -> str:
    digest = hashlib.sha256(msgspec.json.encode([credentials.client_id, credentials.username]))
    for call in request.calls[:1]:
        path = call.path if request.items is None else call.endpoint
        digest.update(msgspec.json.encode([call.method, path, call.query]))
        digest.update(encode_json(call.json, order="deterministic"))
    return digest.hexdigest()[:32]
