"""The pages of docs/spec that say what can be asked, as a table: which messages and actions there are, with
fields, signers and codes in order.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

SPEC = Path(__file__).parents[2] / "docs" / "spec"
PARTS_OF_IT = ("governance", "settlement")
"""The pages that go on where messages.md ends."""
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


EVENTS = frozenset(
    {
        "PROPOSAL_ENACTED",
        "PROPOSAL_MADE",
        "PROPOSAL_PASSED",
        "WINDOW_ABORTED",
        "WINDOW_CLOSED",
        "WINDOW_CONFIRMED",
        "WINDOW_SETTLED",
    }
)
"""What is told to others looks like a code and is none."""


@cache
def read_page(name: str = "messages") -> str:
    """A whole page."""
    return (SPEC / f"{name}.md").read_text(encoding="utf-8")


def part(start: str, end: str, *, page_name: str = "messages") -> str:
    """A page from one heading or phrase to another."""
    page = read_page(page_name)
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


def read_guard_codes() -> list[str]:
    """What is asked before anything else of a message, in order."""
    return ROW.findall(part("## What rests", "## Trials", page_name="governance"))


class ActionRow(NamedTuple):
    """What the page says about one action."""

    fields: frozenset[str]
    """Those that may be absent with a question mark."""
    codes: tuple[str, ...]


def read_actions() -> dict[str, ActionRow]:
    """The actions by their `@type`; two in one row stand for two, their last codes each for its own."""
    found: dict[str, ActionRow] = {}
    for line in part("## Actions", "## What rests", page_name="governance").split("\n"):
        cells = line.split(" | ")
        names = re.findall(r"`([a-z_]+)`", cells[0])
        if len(cells) != 4 or not names:
            continue
        fields = frozenset(re.findall(r"`([a-z_]+\??)`", re.sub(r"\([^()]*\)", "", cells[1])))
        shared, *own = re.split(r"(?=`[A-Z_]+` / `[A-Z_]+`)", cells[3])
        for number, name in enumerate(names):
            codes = CODE.findall(shared)
            if own:
                codes.append(CODE.findall(own[0])[number])
            found[name] = ActionRow(fields, tuple(codes))
    return found


def read_sections() -> dict[str, Section]:
    """The messages by their `@type`."""
    found: dict[str, Section] = {}
    _read_sections(part("## Registry", "## Parameters"), found)
    for name in PARTS_OF_IT:
        _read_sections(read_page(name), found)
    return found


def _read_sections(text: str, found: dict[str, Section]) -> None:
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        head, _, body = section.partition("\n")
        body = body.split("\n## ")[0]
        name = re.match(r"`([a-z_]+)`", head)
        assert name is not None, head
        purposes = frozenset(re.findall(r"`([a-z]+)`", head)) & PURPOSES
        codes = tuple(_codes(body, found))
        found[name[1]] = Section(name[1], purposes, tuple(_fields(body)), codes)


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
    return [code for code in told if code not in EVENTS]


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
