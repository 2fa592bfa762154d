"""The README and docs/ keep their promises: links resolve, commands and files exist."""

import re
import tomllib
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parent.parent
PAGES = [TREE / "README.md", TREE / "CHANGELOG.md", *sorted((TREE / "docs").rglob("*.md"))]
ids = [str(page.relative_to(TREE)) for page in PAGES]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub forms them."""
    headings = re.findall(r"^#+ +(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code(page: Path) -> list[str]:
    """Inline code and the lines of code blocks."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    return [line for block in blocks for line in block.splitlines()] + inline


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_resolve(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{link} is not there"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_make_targets_exist(page: Path) -> None:
    makefile = (TREE / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for line in code(page):
        if match := re.match(r"\$? ?make ([a-z]+)", line):
            assert match[1] in targets, line


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_named_files_exist(page: Path) -> None:
    tops = ("wdbg/", "symbols/", "examples/", "tests/", "tools/", "docs/", "bench/")
    for text in code(page):
        if text.startswith(tops) and re.fullmatch(r"[\w./-]+", text):
            if text.startswith("bench/results"):
                continue
            assert (TREE / text).exists(), f"{text} is not there"


def test_every_page_is_in_the_index() -> None:
    index = (TREE / "docs/README.md").read_text(encoding="utf-8")
    for page in sorted((TREE / "docs").glob("*.md")):
        assert page.name == "README.md" or f"({page.name})" in index, f"{page.name} is not listed"


def test_the_changelog_knows_the_version() -> None:
    with (TREE / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    text = (TREE / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## Unreleased" in text or f"## {version}" in text
