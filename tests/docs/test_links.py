"""What the docs name exists: files, headings, make targets, modules, classes, tests; and the site shows all of it."""

from __future__ import annotations

import importlib
import importlib.util
import posixpath
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import airflow_provider_trackunit
from dev.airflow_home import EXAMPLES, ROOT
from dev.site_pages import example, named_cells, on_page_content, shown, slug
from tests.docs.texts import TEXTS, blocks

DOCS = [name for name in TEXTS if name.startswith("docs/")]
PAGES = {name: shown(TEXTS[name], name.removeprefix("docs/")) for name in DOCS}
MAKEFILE = (ROOT / "Makefile").read_text()
TOP = r"\.ci|airflow_provider_trackunit|dev|docs|example_dags|tests"
COMMANDS = "\n".join(block.code for block in blocks("sh"))


# The package is tested where it is installed, which need not be here.
PACKAGE = Path(airflow_provider_trackunit.__file__).parent


def there_is(path: str) -> bool:
    place = PACKAGE.parent if path.startswith(f"{PACKAGE.name}/") else ROOT
    return (place / path).exists()


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {slug(heading) for heading in headings} | set(re.findall(r'<a id="(\w+)">', text))


def links(text: str) -> list[tuple[str, str]]:
    """Return path and anchor of every link and picture that stays in the repository."""
    return re.findall(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)", without_code(text))


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_of_a_file_leads_to_a_file_and_a_heading(name: str) -> None:
    for path, anchor in links(TEXTS[name]):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
        assert (ROOT / target).exists(), target
        if anchor:
            assert anchor in anchors((ROOT / target).read_text()), f"{target}#{anchor}"


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_of_the_site_leads_to_a_page_and_a_heading(name: str) -> None:
    for path, anchor in links(PAGES[name]):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
        if target.startswith("docs/images/"):
            assert (ROOT / target).exists(), target
            continue
        assert target in PAGES, f"{target} is not on the site"
        if anchor:
            assert anchor in anchors(PAGES[target]), f"{target}#{anchor}"


def test_the_navigation_has_every_page_once() -> None:
    listed = re.findall(r"^ +- .+: ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(f"docs/{page}" for page in listed) == sorted(DOCS)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("iris_*.py")), ids=lambda file: file.stem)
def test_every_example_is_listed_and_its_text_and_code_are_on_the_site(file: Path) -> None:
    explanation, code = example(file.read_text())
    holders = [name for name, page in PAGES.items() if code in page]
    assert len(holders) == 1
    assert explanation in PAGES[holders[0]]
    assert f'<a id="{file.stem}"></a>' in PAGES[holders[0]]
    assert f"](../example_dags/{file.name})" in TEXTS["docs/examples.md"]


def test_the_cells_of_a_table_have_the_name_of_their_column() -> None:
    table = "<table><thead><tr><th>A <code>b</code></th><th></th></tr></thead><tr><td>1</td><td>2</td></tr></table>"
    assert '<tr><td data-column="A b">1</td><td data-column="">2</td></tr>' in named_cells(table)


def test_a_long_name_in_a_table_may_be_broken_between_its_words() -> None:
    shown_name = named_cells("<table><tr><td><code>/api/asset/v1/assets/{assetId}</code></td></tr></table>")
    assert "/<wbr>api/<wbr>asset/<wbr>v1/<wbr>assets/<wbr>{asset<wbr>Id}" in shown_name
    assert "<code>fuel_litres</code>" in named_cells(
        "<table><tr><td><code>fuel_litres</code></td></tr></table>"
    )


def test_a_table_of_the_reference_has_the_names_of_its_columns_too() -> None:
    head = "<table><thead><tr><th>Name</th></tr></thead>"
    table = f'{head}<tr class="doc-section-item"><td><code>sleep</code></td></tr></table>'
    assert '<td data-column="Name"><code>sleep</code></td>' in named_cells(table)


def test_the_name_of_a_class_in_a_heading_is_broken_between_its_words() -> None:
    page: Any = SimpleNamespace(file=SimpleNamespace(src_uri="reference/hooks.md"))
    name = '<span class="doc doc-object-name doc-class-name">our_package.hooks.IrisHook</span>'
    assert ">our_<wbr>package.<wbr>hooks.<wbr>Iris<wbr>Hook</span>" in on_page_content(name, page=page)


def test_no_page_sends_its_reader_back_to_the_readme() -> None:
    assert [name for name in DOCS if "README.md" in TEXTS[name]] == []


def test_a_link_to_what_the_site_does_not_show_is_refused() -> None:
    with pytest.raises(ValueError, match="no page of the site shows LICENSE"):
        shown("# Page\n\nSee the [license](../LICENSE).\n", "page.md")


@pytest.mark.parametrize(
    "target",
    sorted(
        {
            target
            for text in TEXTS.values()
            for target in re.findall(r"(?:^|`)make ([a-z][a-z0-9-]*)", text, re.MULTILINE)
        }
    ),
)
def test_every_make_command_exists(target: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("name", TEXTS)
def test_every_path_that_is_named_exists(name: str) -> None:
    for path in re.findall(rf"`((?:{TOP})/[\w./-]+)`", TEXTS[name]):
        assert there_is(path), path


def test_every_module_that_is_run_exists() -> None:
    modules = set(re.findall(r"python[\d.]* -m ([\w.]+)", COMMANDS))
    assert "airflow_provider_trackunit.emulator" in modules
    for module in modules - {"venv"}:
        assert importlib.util.find_spec(module) is not None, module


def test_every_file_that_a_command_takes_exists() -> None:
    files = re.findall(rf"(?<![\w/])((?:{TOP})/[\w./-]+)", COMMANDS)
    assert "example_dags/iris_operating_hours.py" in files
    assert [file for file in files if not there_is(file)] == []


def test_every_test_that_is_named_exists() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in {name for text in TEXTS.values() for name in re.findall(r"`(test_\w+)`", text)}:
        assert f"def {name}(" in tests, name


def test_every_class_of_ours_that_is_named_exists() -> None:
    code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    for name in {name for text in TEXTS.values() for name in re.findall(r"`(Iris[A-Z]\w+)", text)}:
        assert re.search(rf"^class {name}\b", code, re.MULTILINE), name


def test_every_object_of_the_reference_exists() -> None:
    named = [name for text in TEXTS.values() for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE)]
    assert len(named) > 10
    for name in named:
        module, _, member = name.rpartition(".")
        there = hasattr(importlib.import_module(module), member)
        assert there or importlib.util.find_spec(name) is not None, name
