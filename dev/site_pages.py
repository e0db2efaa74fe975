"""What the site shows in the place of links that lead out of ``docs/``; mkdocs calls the functions by their names.

A page of the docs names what stands elsewhere in the repository by an ordinary link, so that it can be followed where
the page is read as a file. On the site there is nothing to follow, so a link that is a paragraph of its own is replaced
by what it leads to: the changelog, or an example with its explanation. Every other such link leads to the page that shows
it. Cells of tables get the name of their column, with which the style sheet sets them below each other on a phone.
"""

from __future__ import annotations

import posixpath
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from dev.environments import AIRFLOWS, version
from dev.house import drawing

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

_HOUSE = "<!-- house -->"
_VERSION = "<!-- version -->"
_OUTWARDS = r"\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)(?:#([^)\s]+))?\)"
_LINK = re.compile(_OUTWARDS)
_PARAGRAPH = re.compile(rf"(?<=\n\n){_OUTWARDS}(?=\n\n|\n?\Z)")
_INSIDE = re.compile(r"(\]\()(?!https?:|#)([^)#\s]+)")
_FENCES = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
# How the docstrings say it for people who read them in an editor.
_ROLE = re.compile(r":(?:class|func|meth|mod):<code>~?\.?(?:\w+\.)*(\w+)</code>")
_LITERAL_BLOCK = re.compile(r"<p>::</p>\n?")
_CODE = re.compile(r"<(code|pre)\b.*?</\1>", re.DOTALL)
_TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
_CODE_IN_CELL = re.compile(r"(?<=<code>)[^<]{16,}(?=</code>)")
_NAME_IN_HEADING = re.compile(r'(?<=class="doc doc-object-name )([^"]*">)([^<]+)')
# Behind a slash or a low line, and between the words of a name.
_BREAK = re.compile(r"(?<=[/_.])(?=\w|\{)|(?<=[a-z])(?=[A-Z])")
_RAW_FIELD = re.compile(r":(?:param|raises|return|class|func|meth|mod)\b[^<]*")


def on_config(config: Any) -> Any:
    """Return the settings of the site, with the address of the repository where the package names one."""
    config.repo_url = repository()
    return config


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return a page with what its links lead to, and with the drawing of the house and the version where their places are."""
    text = shown(markdown, page.file.src_uri).replace(_HOUSE, f"<div>{drawing()}</div>")
    return text.replace(_VERSION, about())


def repository() -> str | None:
    """Return the address of the repository, None while the package has none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    address: str | None = project.get("urls", {}).get("Repository")
    return address


def about() -> str:
    """Return version, supported versions and repository in a sentence each."""
    airflows, address = list(AIRFLOWS), repository()
    where = (
        f"The repository is <{address}>."
        if address
        else "It is not on PyPI yet: install it from the repository."
    )
    return (
        f"**Version {version()}**, for Airflow {airflows[0]} and {airflows[1]} to {airflows[-1]} and Python 3.11 to 3.13. "
        f"Apache-2.0. {where} [What has changed](changelog.md)"
    )


def on_page_content(html: str, *, page: Any, **_: Any) -> str:
    """Return a page without the marks of docstrings that Markdown does not know.

    :raises ValueError: when a field of a docstring came as plain text
    """
    readable = _LITERAL_BLOCK.sub("", _ROLE.sub(r"<code>\1</code>", html)).replace("::</p>", ":</p>")
    raw = _RAW_FIELD.search(_CODE.sub("", readable))
    if raw:
        raise ValueError(f"{page.file.src_uri}: a docstring shows as text: {raw[0]}")
    breakable = _NAME_IN_HEADING.sub(lambda name: name[1] + _BREAK.sub("<wbr>", name[2]), readable)
    return _TABLE.sub(lambda table: named_cells(table[0]), breakable)


def named_cells(table: str) -> str:
    """Return a table of HTML with the name of its column at each cell, in which long names may be broken between their words."""
    names = [
        re.sub(r"<[^>]+>", "", name).strip() for name in re.findall(r"<th[^>]*>(.*?)</th>", table, re.DOTALL)
    ]

    def named(row: re.Match[str]) -> str:
        columns = iter(names)
        return re.sub(r"<td\b", lambda _: f'<td data-column="{next(columns, "")}"', row[0])

    named_table = re.sub(r"<tr\b[^>]*>.*?</tr>", named, table, flags=re.DOTALL)
    return _CODE_IN_CELL.sub(lambda code: _BREAK.sub("<wbr>", code[0]), named_table)


def shown(markdown: str, source: str) -> str:
    """Return the text of one page of the docs as the site shows it.

    :param source: the file, from ``docs/``
    :raises ValueError: when a link leads to what the site does not show
    """
    found = _PARAGRAPH.sub(lambda link: _content(link, source), markdown)
    # Code is left as it is.
    pieces = _FENCES.split(found)
    pieces[::2] = [_LINK.sub(lambda link: _led(link, source), piece) for piece in pieces[::2]]
    return "".join(pieces)


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub, GitLab and mkdocs make it."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())


def example(text: str) -> tuple[str, str]:
    """Return what an example's docstring says, without its title, and the code below it."""
    _, docstring, code = text.split('"""', 2)
    return docstring.strip().partition("\n")[2].strip(), code.strip()


def _content(link: re.Match[str], source: str) -> str:
    """Return what a link leads to; the link itself, where it leads to another page."""
    path = _target(link[2], source)
    if path.startswith("docs/"):
        return link[0]
    text = (ROOT / path).read_text()
    if path.startswith("example_dags/"):
        explanation, code = example(text)
        return f'<a id="{_name(path)}"></a>\n{explanation}\n\n```python title="{path}"\n{code}\n```'
    # Its links start from the top of the repository.
    folder = posixpath.join("docs", posixpath.dirname(source))
    whole = text.partition("\n")[2].strip()
    return _INSIDE.sub(lambda inner: f"{inner[1]}{posixpath.relpath(inner[2], folder)}", whole)


def _led(link: re.Match[str], source: str) -> str:
    """Return a link with where on the site its target is shown."""
    path, anchor = _target(link[2], source), link[3] or ""
    if path.startswith("docs/"):
        return link[0]
    places = _places()
    if (path, anchor) not in places:
        raise ValueError(f"docs/{source}: no page of the site shows {path} {anchor}")
    place = posixpath.relpath(places[path, anchor], posixpath.dirname(source) or ".")
    return f"[{link[1]}]({place}{'#' + _name(path) if path.startswith('example_dags/') else ''})"


@cache
def _places() -> dict[tuple[str, str], str]:
    """Return which page shows what: the first one that has a link to it as a paragraph."""
    found: dict[tuple[str, str], str] = {}
    for file in sorted(DOCS.rglob("*.md")):
        source = file.relative_to(DOCS).as_posix()
        for link in _PARAGRAPH.finditer(file.read_text()):
            found.setdefault((_target(link[2], source), link[3] or ""), source)
    return found


def _name(path: str) -> str:
    return posixpath.basename(path).removesuffix(".py")


def _target(link: str, source: str) -> str:
    """Return the path from the top of the repository that a page's link leads to."""
    return posixpath.normpath(posixpath.join("docs", posixpath.dirname(source), link))
