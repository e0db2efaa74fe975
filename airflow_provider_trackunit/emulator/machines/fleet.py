"""Which assets exist: a size, and a set of hidden ones. Nothing is built ahead.

An asset is a number. The last digit of that number says what it is, so that "the 7 000th asset
on the AEMP feed" is arithmetic, and a fleet of a million costs nothing until it is read.
"""

from bisect import bisect_left
from collections.abc import Iterable

BLOCK = 10
VEHICLE_DIGIT = 7
TOOL_DIGIT = 8
OFF_RENT_DIGIT = 9

ALL_ASSETS = tuple(range(BLOCK))
# Tools are not on the AEMP feed, and off-rent assets only when a client asks for them.
ON_AEMP = tuple(range(TOOL_DIGIT))
ON_AEMP_WITH_OFF_RENT = (*ON_AEMP, OFF_RENT_DIGIT)
LOCATED = ON_AEMP_WITH_OFF_RENT


class Fleet:
    """The assets of the account; it can grow, shrink and hide assets while a client walks it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.hidden: set[int] = set()

    def grow(self, assets: int) -> None:
        """Add assets at the end (a negative number takes them away)."""
        self.size = max(0, self.size + assets)

    def hide(self, indexes: Iterable[int]) -> None:
        """Take assets out of every list, as if they had left the account's visibility."""
        self.hidden.update(indexes)

    def show(self, indexes: Iterable[int]) -> None:
        """Bring hidden assets back."""
        self.hidden.difference_update(indexes)

    def holds(self, index: int) -> bool:
        """Tell whether the asset is visible now."""
        return 0 <= index < self.size and index not in self.hidden

    def count(self, digits: tuple[int, ...] = ALL_ASSETS, *, hidden_too: bool = False) -> int:
        """Return how many assets have one of the last ``digits``."""
        blocks, rest = divmod(self.size, BLOCK)
        all_of_them = blocks * len(digits) + sum(digit < rest for digit in digits)
        return all_of_them if hidden_too else all_of_them - len(self._gaps(digits))

    def indexes(
        self, start: int, stop: int, digits: tuple[int, ...] = ALL_ASSETS, *, hidden_too: bool = False
    ) -> list[int]:
        """Return the asset numbers at positions ``start`` to ``stop`` of a list of assets."""
        stop = min(stop, self.count(digits, hidden_too=hidden_too))
        gaps = [] if hidden_too else self._gaps(digits)
        ordinals = _skipping(gaps, start, max(0, stop - start))
        return [(at // len(digits)) * BLOCK + digits[at % len(digits)] for at in ordinals]

    def _gaps(self, digits: tuple[int, ...]) -> list[int]:
        """Return the positions that hidden assets would have, in order."""
        of_these = (index for index in self.hidden if index < self.size and index % BLOCK in digits)
        return sorted((index // BLOCK) * len(digits) + digits.index(index % BLOCK) for index in of_these)


def _skipping(gaps: list[int], start: int, length: int) -> list[int]:
    if not gaps:
        return list(range(start, start + length))
    at = start
    while (shifted := start + bisect_left(gaps, at + 1)) != at:
        at = shifted
    missing = set(gaps)
    found: list[int] = []
    while len(found) < length:
        if at not in missing:
            found.append(at)
        at += 1
    return found
