"""What is written for people holds together: links lead somewhere, decisions are listed, locks name nobody.

It says nothing about whether the text is true; the examples that can be run are run by other tests.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pytest

LINK = re.compile(r"\[[^\]\[]*\]\(([^()\s]+)(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
ADR_NAME = re.compile(r"\A\d{4}-[a-z0-9-]+\.md\Z")


def prose(text: str) -> str:
    """The text without what is quoted as code: there a bracket is no link and a hash no heading."""
    return re.sub(r"`[^`\n]*`", lambda found: "x" * len(found[0]), FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """The fragments by which a page's headings can be reached, as the common renderers make them."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        number = 0
        while (name := slug if number == 0 else f"{slug}-{number}") in found:
            number += 1
        found.add(name)
    return found | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))


def broken_links(path: str, text: str, root: Path) -> list[str]:
    """Relative links of one page that lead nowhere."""
    broken = []
    for inline, reference in LINK.findall(prose(text)):
        target = unquote(inline or reference)
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        file, _, fragment = target.partition("#")
        page = root / PurePosixPath(path).parent / file if file else root / path
        if not page.resolve().is_relative_to(root) or not page.exists():
            broken.append(f"{path}: {target} does not exist")
        elif fragment and page.suffix == ".md" and fragment not in anchors(page.read_text(encoding="utf-8")):
            broken.append(f"{path}: {target}: no such heading")
    return broken


def unlisted_decisions(folder: Path) -> list[str]:
    """Decision records that the index does not link, and files there that are no decision records."""
    index = (folder / "README.md").read_text(encoding="utf-8")
    linked = {inline for inline, _ in LINK.findall(index)}
    pages = {page.name for page in folder.glob("*.md")} - {"README.md", "template.md"}
    strange = [f"{name}: a decision record is named 0001-what-was-decided.md" for name in pages]
    return [told for told in strange if not ADR_NAME.match(told.split(":")[0])] + [
        f"{name} is not listed in the index" for name in sorted(pages - linked)
    ]


def test_every_relative_link_resolves(every_file, repository):
    pages = [source for source in every_file if source.path.endswith(".md")]
    assert pages
    broken = [found for page in pages for found in broken_links(page.path, page.text, repository)]
    assert not broken, "\n".join(broken)


def test_every_decision_record_is_listed(repository):
    missing = unlisted_decisions(repository / "docs/adr")
    assert not missing, "\n".join(missing)


def test_numbers_of_decision_records_are_given_once(repository):
    numbers = [page.name[:4] for page in (repository / "docs/adr").glob("[0-9]*.md")]
    assert sorted(numbers) == sorted(set(numbers))


@pytest.mark.parametrize("name", ["lock.txt", "uv.txt"])
def test_locks_name_hashes_and_no_address(repository, name):
    text = (repository / "requirements" / name).read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert entries
    unpinned = [
        entry for entry in entries if not re.match(r"[\w.-]+==[\w.+!-]+ .*\\\n    --hash=sha256:", entry)
    ]
    assert unpinned == []


def test_changelog_keeps_a_place_for_what_comes_next(repository):
    text = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    allowed = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= allowed


#   what is wrong, the page
BROKEN = [
    ("no such file", "[here](nowhere.md)"),
    ("no such file by reference", "[here]\n\n[here]: nowhere.md"),
    ("no such heading", "# One\n[here](#two)"),
    ("no such heading elsewhere", "[there](other.md#three)"),
    ("outside the repository", "[out](../../other.md)"),
]
WHOLE = """# One heading, with `code`
[a](other.md) [b](#one-heading-with-code) [c](other.md#two-1 "title") [d](mailto:a@b.example) ![e](folder)
`[f](nowhere.md)`
```
[g](nowhere.md)
```
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small repository of two pages, of which the test writes one."""
    (tmp_path / "docs/folder").mkdir(parents=True)
    (tmp_path / "docs/other.md").write_text("## Two\n## Two\n")
    return tmp_path


@pytest.mark.parametrize("text", [row[1] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_link_is_found(site, text):
    (site / "docs/page.md").write_text(text)
    assert len(broken_links("docs/page.md", text, site)) == 1


def test_links_that_resolve_are_left_alone(site):
    (site / "docs/page.md").write_text(WHOLE)
    assert broken_links("docs/page.md", WHOLE, site) == []


def test_an_unlisted_decision_record_is_found(tmp_path):
    (tmp_path / "README.md").write_text("[1](0001-one.md)")
    for name in ("0001-one.md", "0002-two.md", "0003_three.md"):
        (tmp_path / name).touch()
    assert len(unlisted_decisions(tmp_path)) == 3
