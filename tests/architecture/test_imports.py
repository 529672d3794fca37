"""The arrows of docs/architecture.md hold, and each rule about them can fail.

The rules are those of pyproject.toml, [tool.importlinter]; scripts/check runs the same. To show that none has
gone blind, a breach of each is planted in a house that is otherwise empty.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOMS = (
    "ledger",
    "contracts",
    "contracts/messages",
    "contracts/mechanics",
    "contracts/actions",
    "contracts/rules",
    "contracts/frozen",
    "contracts/frozen/v1",
    "node",
    "node/api",
    "node/audit",
    "node/storage",
    "node/views",
    "merchant_sdk",
)
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def lint_imports(root: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [LINT_IMPORTS, "--no-logo", "--no-cache", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def rooms(repository: Path, tmp_path: Path) -> Path:
    """The house with its rooms empty, and the real rules about them."""
    for room in ROOMS:
        folder = tmp_path / room
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    (tmp_path / "contracts/rulebook.py").touch()
    shutil.copy(repository / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_import_follows_the_arrows(repository: Path):
    status, said = lint_imports(repository)
    assert status == 0, said


#   rule, file, the line that breaks it
BREACHES = [
    ("arrows", "ledger/planted.py", "import contracts.messages"),
    ("arrows", "contracts/messages/planted.py", "import contracts.mechanics"),
    ("arrows", "contracts/mechanics/planted.py", "import contracts.rulebook"),
    ("arrows", "contracts/mechanics/planted.py", "import contracts.actions"),
    ("arrows", "contracts/actions/planted.py", "import contracts.rules"),
    ("arrows", "contracts/rules/planted.py", "import contracts.rulebook"),
    ("arrows", "contracts/rules/planted.py", "import contracts.frozen"),
    ("arrows", "contracts/frozen/v1/planted.py", "import contracts.rulebook"),
    ("arrows", "contracts/rulebook.py", "import node"),
    ("arrows", "node/planted.py", "import merchant_sdk"),
    ("arrows", "merchant_sdk/planted.py", "import node"),
    ("rules-apart", "contracts/rules/planted.py", "import contracts.rules.planted_too"),
    ("rules-apart", "contracts/frozen/v1/planted.py", "import contracts.rules.planted_too"),
    ("sdk-sees-messages", "merchant_sdk/planted.py", "import contracts.mechanics"),
    ("sdk-sees-messages", "merchant_sdk/planted.py", "import contracts.rulebook"),
    ("audit-trusts-nobody", "node/audit/planted.py", "import node.storage"),
    ("pydantic-in-the-api", "node/planted.py", "import pydantic"),
    ("pydantic-in-the-api", "merchant_sdk/planted.py", "from pydantic import BaseModel"),
    ("databases-in-storage", "node/planted.py", "import sqlalchemy"),
    ("databases-in-storage", "node/api/planted.py", "import sqlite3"),
    ("nothing-imports-tests", "ledger/planted.py", "import tests.conftest"),
    ("nothing-imports-tests", "node/planted.py", "import scripts.year"),
]


@pytest.mark.parametrize(("rule", "file", "line"), BREACHES)
def test_each_rule_can_fail(rooms: Path, rule: str, file: str, line: str):
    if rule == "rules-apart":
        (rooms / "contracts/rules/planted_too.py").touch()
    with (rooms / file).open("a") as planted:
        planted.write(f"\n{line}\n")
    status, said = lint_imports(rooms, "--contract", rule)
    assert status == 1
    imported = line.split()[1]
    importer = file.removesuffix(".py").replace("/", ".")
    assert f"{importer} -> {imported.split('.')[0]}" in said


def test_an_empty_house_breaks_no_rule(rooms: Path):
    status, said = lint_imports(rooms)
    assert status == 0, said


def test_every_rule_is_shown_a_breach(repository: Path):
    settings = tomllib.loads((repository / "pyproject.toml").read_text())
    rules = {contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]}
    assert rules == {rule for rule, _, _ in BREACHES}


@pytest.mark.parametrize("room", ["sandbox", "pytest_plugin"])
def test_the_two_named_rooms_may_join_node_and_sdk(rooms: Path, room: str):
    with (rooms / f"node/{room}.py").open("a") as planted:
        planted.write("\nimport merchant_sdk\n")
    status, said = lint_imports(rooms, "--contract", "arrows")
    assert status == 0, said
