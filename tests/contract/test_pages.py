"""Pages in Markdown: their links, anchors, commands and files exist, and the glossary is in order."""

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from benchmarks.table import BENCHMARKS

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "clients", "benchmarks/results")
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md")))
    if "node_modules" not in page.parts
)
CURRENT_PAGES = [page for page in PAGES if page.name != "CHANGELOG.md" and "results" not in page.parts]
"""Pages without those that tell of earlier names: the changelog, and results with the commands of their time."""

CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:`|^\$ )portrait ([a-z][a-z-]*)", re.MULTILINE)
TARGET = re.compile(r"(?:`|^\$ )make ([a-z][a-z-]*)", re.MULTILINE)
BENCHMARK = re.compile(r"python -m benchmarks ([a-z][\w.-]*)")
FILE = re.compile(
    r"`((?:clients|docs|export|features|model_repository|reporting|server|tests|training)/[\w./-]+\.\w+)`"
)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def read_prose(page: Path) -> str:
    """Read a page without its code blocks."""
    return CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))


@cache
def read_anchors(page: Path) -> set[str]:
    """Make the anchors of a page's headings as GitHub does."""
    headings = re.findall(r"^#+ (.+)$", read_prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def read_terms() -> list[str]:
    rows = re.findall(
        r"^\| (.+?) \| .+ \| .+ \|$", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    return [row.replace("`", "").replace("_", " ").lower() for row in rows if row not in ("Term", "---")]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in LINK.findall(read_prose(page)):
        if link.startswith(("https:", "http:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in read_anchors(target), link


@pytest.mark.parametrize("page", CURRENT_PAGES, ids=name_of)
def test_commands_targets_benchmarks_and_files_of_a_page_exist(page: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    commands = set(project["entry-points"]["portrait.commands"])
    text = page.read_text(encoding="utf-8")
    assert set(COMMAND.findall(text)) <= commands
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(TARGET.findall(text)) <= targets
    assert set(BENCHMARK.findall(text)) <= set(BENCHMARKS)
    files = [file for file in FILE.findall(text) if "NAME" not in file]
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_terms_of_the_glossary_are_in_order_and_unique() -> None:
    terms = read_terms()
    assert len(terms) > 80
    assert terms == sorted(set(terms))
