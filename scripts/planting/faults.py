"""A planted bug: a patch, what it breaks, and the tests that must notice.

The file is a unified diff with a head:

    What: the sentence that is no longer true
    Tests: tests/one.py tests/another.py::test_it

Paths are the project's own, from its root.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent / "patches"


class Fault(NamedTuple):
    """One bug."""

    name: str
    patch: Path
    what: str
    """What is no longer true with it."""
    tests: tuple[str, ...]
    """Which tests must fail."""


def read_faults(folder: Path = FOLDER) -> list[Fault]:
    """Every bug there is, in order of names."""
    return [_read(path) for path in sorted(folder.glob("*.patch"))]


def _read(path: Path) -> Fault:
    head = path.read_text(encoding="utf-8").partition("\n---")[0].splitlines()
    said = dict(line.split(": ", 1) for line in head if ": " in line)
    return Fault(path.stem, path, said["What"], tuple(said["Tests"].split()))


def apply_fault(fault: Fault, tree: Path, *, check_only: bool = False, undo: bool = False) -> str | None:
    """The tree has the bug (or, undone, has it no more). What stands against it, if anything does."""
    options = [*(["--check"] if check_only else []), *(["--reverse"] if undo else [])]
    done = subprocess.run(
        ["git", "apply", *options, str(fault.patch)],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        # A copy is no repository of its own, even where it lies inside one.
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(tree.parent)},
    )
    return None if done.returncode == 0 else done.stderr.strip()
