"""A frozen rule is never edited: each is the file that it was on the day it was superseded."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

import pytest

LIST = Path("tests/vectors/frozen.sha256")
"""As `sha256sum` writes it, in order of the paths."""
FROZEN = Path("contracts/frozen")
WITHOUT_RULES = "__init__.py"


def read_list(root: Path) -> dict[str, str]:
    """Path → digest."""
    lines = (root / LIST).read_text(encoding="ascii").splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def digest_files(root: Path) -> dict[str, str]:
    """The frozen rules that there are."""
    files = [path for path in sorted((root / FROZEN).rglob("*.py")) if path.name != WITHOUT_RULES]
    return {path.relative_to(root).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


def test_no_frozen_rule_was_edited(repository: Path):
    listed = read_list(repository)
    assert listed == digest_files(repository)
    assert list(listed) == sorted(listed)
    assert all(path.split("/")[2].startswith("v") for path in listed)


@pytest.fixture
def copy(repository: Path, tmp_path: Path) -> Path:
    shutil.copytree(repository / FROZEN, tmp_path / FROZEN)
    (tmp_path / LIST).parent.mkdir(parents=True)
    shutil.copy(repository / LIST, tmp_path / LIST)
    return tmp_path


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


@pytest.mark.parametrize("change", [append, Path.unlink, lambda path: shutil.copy(path, path.with_stem("x"))])
def test_each_edit_is_found(copy: Path, change):
    assert read_list(copy) == digest_files(copy)
    change(copy / next(iter(read_list(copy))))
    assert read_list(copy) != digest_files(copy)


def test_a_frozen_rule_says_that_it_is_one(repository: Path):
    for path in read_list(repository):
        version = path.split("/")[2].removeprefix("v")
        assert f"Frozen: version {version} of the rulebook" in (repository / path).read_text(encoding="utf-8")
