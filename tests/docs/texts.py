"""The texts that a user reads, and the code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_provider_trackunit._compat import AIRFLOW_VERSION
from dev.airflow_home import ROOT

#: By their paths from the top of the repository.
TEXTS = {
    file.relative_to(ROOT).as_posix(): file.read_text()
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
_FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ONLY = re.compile(r"# Airflow (\d+)(?:\.(\d+))? only")


@dataclass(frozen=True)
class Block:
    """A block of code.

    :param number: its place among the blocks of its text, from 0
    """

    text: str
    number: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.text}:{self.number}"

    @property
    def is_test(self) -> bool:
        return "def test_" in self.code

    @property
    def is_dag(self) -> bool:
        return "@dag" in self.code and not self.is_test

    @property
    def is_for_this_airflow(self) -> bool:
        only = _ONLY.search(self.code)
        return only is None or (int(only[1]), int(only[2] or 0)) <= AIRFLOW_VERSION

    @property
    def told(self) -> str:
        """The code, as its own comments say to write it on this Airflow."""
        if AIRFLOW_VERSION >= (3, 0):
            return self.code
        return re.sub(r"^from airflow\.sdk .*# Airflow 2\.11: (.*)$", r"\1", self.code, flags=re.MULTILINE)


def blocks(language: str) -> list[Block]:
    """Return every block of a language in all texts."""
    return [
        Block(name, number, language, found[2])
        for name, text in TEXTS.items()
        for number, found in enumerate(_FENCED.finditer(text))
        if found[1] == language
    ]
