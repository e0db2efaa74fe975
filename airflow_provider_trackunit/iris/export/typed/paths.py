"""Where a record has a value: the part of JMESPath (https://jmespath.org) that names exactly one place. Pure."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from airflow_provider_trackunit.iris.errors import IrisConfigurationError

#: One step: the name of a member, or the place of an element in a list, from 0.
Step = str | int

_STEP: Final = re.compile(
    r'(?:^|\.)(?:(?P<name>[A-Za-z_]\w*)|(?P<quoted>"(?:[^"\\]|\\.)*"))|\[(?P<place>\d{1,6})\]'
)
_RECORD: Final = "@"


def read_path(path: str) -> tuple[Step, ...]:
    """Return the steps from a record to a value; none for ``@``, the record itself.

    ::

        read_path('geometry.coordinates[0]')  # ("geometry", "coordinates", 0)
        read_path('custom."engine model"')    # ("custom", "engine model")

    :raises IrisConfigurationError: when it is none of these forms
    """
    if path == _RECORD:
        return ()
    steps: list[Step] = []
    at = 0
    while at < len(path) and (found := _STEP.match(path, at)):
        steps.append(_step(found, path))
        at = found.end()
    if at < len(path) or not path:
        raise _not_a_path(path)
    return tuple(steps)


def _step(found: re.Match[str], path: str) -> Step:
    if found["place"]:
        return int(found["place"])
    if found["name"]:
        return found["name"]
    try:
        return msgspec.json.decode(found["quoted"], type=str)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise _not_a_path(path) from None


def _not_a_path(path: str) -> IrisConfigurationError:
    return IrisConfigurationError(
        f"columns: {path!r:.200} is not a path. Write members with dots between, as in EquipmentHeader.PIN, [0] for an "
        "element of a list, and a name with other characters in double quotes; @ is the record itself"
    )
