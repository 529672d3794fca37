"""docs/spec/messages.md as a table: which messages there are, with fields, signers and codes in order."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "spec" / "messages.md"
CODE = re.compile(r"`([A-Z][A-Z_]{3,})`")
ROW = re.compile(r"^\| `([A-Z][A-Z_]+)` \|", re.MULTILINE)
PURPOSES = {"transact", "till", "custody", "govern"}


class Section(NamedTuple):
    """What the page says about one message."""

    name: str
    purposes: frozenset[str]
    fields: tuple[str, ...]
    """As written, those that may be absent with a question mark."""
    codes: tuple[str, ...]
    """In the order of the checks; the shared lists spelled out where the page names them."""


@cache
def read_page() -> str:
    """The whole page."""
    return PAGE.read_text(encoding="utf-8")


def part(start: str, end: str) -> str:
    """The page from one heading or phrase to another."""
    page = read_page()
    return page[page.index(start) : page.index(end, page.index(start) + len(start))]


def read_refused_codes() -> list[str]:
    """What is refused, in order."""
    return ROW.findall(part("**Refused**", "The same sender, id and digest"))


def read_reference_codes() -> list[str]:
    """What every message with a reference is turned down for first."""
    return ROW.findall(part("**Codes of every message**", "A reference is unique"))


def read_consent_codes() -> list[str]:
    """What a consent is turned down for."""
    return ROW.findall(part("## Consent", "## Registry"))


def read_sections() -> dict[str, Section]:
    """The messages by their `@type`."""
    text = part("## Registry", "## Parameters")
    found: dict[str, Section] = {}
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        head, _, body = section.partition("\n")
        body = body.split("\n## ")[0]
        name = re.match(r"`([a-z_]+)`", head)
        assert name is not None, head
        purposes = frozenset(re.findall(r"`([a-z]+)`", head)) & PURPOSES
        codes = tuple(_codes(body, found))
        found[name[1]] = Section(name[1], purposes, tuple(_fields(body)), codes)
    return found


def _fields(body: str) -> list[str]:
    """The names before the first full stop, without what is said about them in brackets."""
    bare = re.sub(r"\{[^{}]*\}", "", body)
    while (shorter := re.sub(r"\([^()]*\)", "", bare)) != bare:
        bare = shorter
    return re.findall(r"`([a-z_]+\??)`", re.split(r"\.(?:\s|$)", bare)[0])


def _codes(body: str, before: dict[str, Section]) -> list[str]:
    """Codes in the order in which they stand; an event is not one, and a table explains what stands above
    it. Another message's, where the page says so, count up to the one it names, or all but the last.
    """
    shared = {"Reference codes": read_reference_codes(), "consent codes": read_consent_codes()}
    prose = "\n".join(line for line in body.split("\n") if not line.startswith("|"))
    told: list[str] = []
    pattern = (
        r"As `(?P<name>[a-z_]+)`,\sup to and with `(?P<last>[A-Z_]+)`"
        r"|Codes as `(?P<whole>[a-z_]+)`, without the last"
        r"|(?<!event )`(?P<code>[A-Z][A-Z_]{3,})`"
        r"|(?P<list>Reference codes|consent codes)"
    )
    for match in re.finditer(pattern, prose):
        if match["name"]:
            other = before[match["name"]].codes
            told += other[: other.index(match["last"]) + 1]
        elif match["whole"]:
            told += before[match["whole"]].codes[:-1]
        else:
            told += [match["code"]] if match["code"] else shared[match["list"]]
    return told


def read_parameters() -> dict[str, tuple[int, int, int]]:
    """Name to default, least and greatest."""
    table = read_page()[read_page().index("## Parameters") :]
    rows = re.findall(r"^\| `([a-z_]+)` \| ([\d,^]+) \| ([\d,^]+) … ([\d,^]+) \|", table, re.MULTILINE)
    return {name: tuple(map(_number, numbers)) for name, *numbers in rows}  # type: ignore[misc]


def _number(text: str) -> int:
    base, _, power = text.replace(",", "").partition("^")
    return int(base) ** int(power or 1)


def read_outcome_fields() -> list[str]:
    """The fields of an outcome, those that may be absent with a question mark."""
    rows = re.findall(r"^\| `([a-z]+)`(\??) \|", part("## Outcome", "A leg goes"), re.MULTILINE)
    return [name + mark for name, mark in rows]
