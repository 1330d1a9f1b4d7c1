"""Links of the pages lead to files and headings that exist, and paths that they name exist."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "helm").rglob("*.md"))
)
PAGES_OF_THE_CODE = ("ARCHITECTURE.md", "docs/extending.md")
"""Pages that name files and folders of this repository."""


@cache
def tokens(page: Path) -> list[Token]:
    """Return the blocks of a page, and within them their text, as GitHub reads them."""
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings by GitHub's rule, and those that it sets itself."""
    found: list[str] = []
    seen: Counter[str] = Counter()
    blocks = tokens(page)
    for before, block in pairwise(blocks):
        if before.type == "heading_open":
            text = "".join(part.content for part in block.children or () if part.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            found.append(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    found += re.findall(r"<a (?:id|name)=\"([^\"]+)\"", page.read_text())
    return frozenset(found)


def links(page: Path) -> list[str]:
    """Return where a page's links, pictures and HTML lead, the addresses of other sites left out."""
    found: list[str] = []
    for block in tokens(page):
        for part in block.children or ():
            found += [str(part.attrs[name]) for name in ("href", "src") if name in part.attrs]
        parts = [block, *(block.children or ())]
        for part in parts:
            if part.type in ("html_block", "html_inline"):
                found += re.findall(r"(?:href|src)=\"([^\"]+)\"", part.content)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def fault(page: Path, link: str) -> str | None:
    """Return what is wrong with a link of `page`, if anything is."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return f"{link}: there is no such file"
    if anchor and target.suffix == ".md" and anchor not in anchors(target):
        return f"{link}: {target.relative_to(ROOT)} has no such heading; it has {', '.join(sorted(anchors(target)))}"
    return None


def paths(page: Path) -> list[str]:
    """Return the paths that a page names as code.

    In a row or a paragraph that began with a path, `name.py` and `folder/` stand beside it or below it.
    """
    found: list[str] = []
    folder: Path | None = None
    for block in tokens(page):
        if block.type in ("tr_open", "paragraph_open", "list_item_open", "heading_open"):
            folder = None
        for part in block.children or ():
            if part.type != "code_inline" or not re.fullmatch(r"[\w.*-]+(?:/[\w.*-]+)*/?", part.content):
                continue
            name = part.content
            if "/" in name and (ROOT / name.split("/")[0]).is_dir():
                found.append(name)
                folder = Path(name) if name.endswith("/") else Path(name).parent
            elif folder and (name.endswith("/") or re.search(r"\.(?:py|toml|yaml|tpl|md|j2|css|in|txt)$", name)):
                found.append((folder / name).as_posix())
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: str) -> None:
    assert [found for link in links(ROOT / page) if (found := fault(ROOT / page, link))] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](missing.md)", "there is no such file"),
        ("![a](missing.png)", "there is no such file"),
        ('<img src="missing.png">', "there is no such file"),
        ("[a](#gone)", "has no such heading"),
        ("# Here\n[a](#here-1)", "has no such heading"),
        ("[a](../../outside.md)", "there is no such file"),
    ],
)
def test_a_broken_link_is_found(text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(text)
    (link,) = links(page)
    assert expected in (fault(page, link) or "")


def test_headings_get_the_anchors_that_github_gives_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# `--data`, or a bucket\n## A *second* one & more\n## Twice\n## Twice\n```\n# no heading\n```\n")
    assert anchors(page) == {"--data-or-a-bucket", "a-second-one--more", "twice", "twice-1"}


def test_pages_that_the_code_names_exist() -> None:
    named = ["git", "grep", "-ohE", r"(docs/)?[a-zA-Z-]+\.md(#[a-z0-9-]+)?", "--", ".", ":!*.md", ":!tests"]
    done = subprocess.run(named, cwd=ROOT, capture_output=True, text=True, check=True)
    found = sorted(set(done.stdout.split()))
    assert found
    assert [wrong for link in found if (wrong := fault(ROOT / "README.md", link))] == []


@pytest.mark.parametrize("page", PAGES_OF_THE_CODE)
def test_every_path_that_a_page_of_the_code_names_exists(page: str) -> None:
    assert [path for path in paths(ROOT / page) if not list(ROOT.glob(path.rstrip("/")))] == []
