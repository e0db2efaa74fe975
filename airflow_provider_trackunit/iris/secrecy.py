"""How a secret is kept out of sight, and how it may be spelled where somebody repeats it. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable


class Secret(str):
    """Text whose ``repr`` does not show it: that is what tracebacks print of local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return a stand-in."""
        return "'***'"


class SecretMembers(dict[str, Any]):
    """A mapping whose ``repr`` shows its names only."""

    def __repr__(self) -> str:
        """Return the names."""
        return f"<{', '.join(sorted(map(str, self)))}>"


def spellings(secrets: Iterable[str]) -> list[Secret]:
    """Return each secret as it can stand in a text: as it is, in a URL, in a form, in JSON, as bytes; longest first.

    The longest come first, because one can be a part of another.
    """
    found: set[str] = set()
    for secret in filter(None, secrets):
        written = json.dumps(secret)[1:-1]
        found |= {str(secret), quote(secret, safe=""), quote_plus(secret), quote(secret), written}
        found |= {json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret.encode())[2:-1]}
    return [Secret(one) for one in sorted(found, key=lambda one: (-len(one), one))]


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Return a text with stars in the place of secrets, however they are spelled in it."""
    for spelling in spellings(secrets):
        text = text.replace(spelling, "***")
    return text
