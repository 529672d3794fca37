"""The project's own text, read once, for the tests that hold it to the style guide."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

PACKAGES = ("ledger", "contracts", "node", "merchant_sdk")
ROOMS = (*PACKAGES, "scripts", "tests")
NOT_OURS = {"__pycache__", "build", "demo-data", "dist", "generated", "node_modules"}
SHELL_SUFFIXES = {"", ".sh"}


@dataclass(frozen=True)
class Source:
    """One text file: where it is, relative to the repository, and what it says."""

    path: str
    text: str

    @property
    def room(self) -> str:
        """The top-level folder, or nothing for a file at the top."""
        return self.path.split("/", 1)[0] if "/" in self.path else ""

    @property
    def is_python(self) -> bool:
        """Whether this is Python: by its suffix, or an entrance by its first line."""
        first_line = self.text.split("\n", 1)[0]
        return self.path.endswith(".py") or (first_line.startswith("#!") and "python" in first_line)

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of a Python file."""
        return ast.parse(self.text, filename=self.path)


def read_tree(root: Path) -> list[Source]:
    """Every text file of ours, in the order of its path; folders that git ignores are left out by name."""
    found = []
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts)
        if hidden or NOT_OURS.intersection(parts) or not path.is_file():
            continue
        try:
            found.append(Source(path="/".join(parts), text=path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue  # a picture or a vector in bytes: nothing to read here
    return found


@pytest.fixture(scope="session")
def every_file(repository: Path) -> list[Source]:
    """All text files of the repository."""
    return read_tree(repository)


@pytest.fixture(scope="session")
def every_module(every_file: list[Source]) -> list[Source]:
    """All Python of ours: the packages, the scripts, the tests."""
    return [source for source in every_file if source.is_python and source.room in ROOMS]


@pytest.fixture(scope="session")
def make_source() -> type[Source]:
    """Makes a file that is not there, so that a check can be shown a breach."""
    return Source
