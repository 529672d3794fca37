"""CometBFT itself, built where it is not yet, and validators that run it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from node.engine.cometbft.binary import find_program
from node.keystore import Unusable

pytest.register_assert_rewrite("tests.node.cometbft.validators", "tests.node.cometbft.load")

from tests.node.cometbft.networks import Network  # noqa: E402 - after the others' assertions tell
from tests.node.cometbft.validators import Validators  # noqa: E402


@pytest.fixture(scope="session")
def program(repository: Path) -> Path:
    """The pinned CometBFT. Where there is no Go to build it, these tests cannot run."""
    try:
        return find_program()
    except Unusable:
        built = subprocess.run(
            ["bash", "scripts/cometbft"], cwd=repository, capture_output=True, check=False, text=True
        )
        if built.returncode == 2:
            pytest.skip(built.stderr.strip())
        assert built.returncode == 0, built.stderr
    return find_program()


@pytest.fixture
def make_validators(program, repository, tmp_path):  # noqa: ARG001 - the nodes find it where it was built
    """Makes ledgers with validators, and leaves no process behind."""
    made = []

    def make(count: int, network: Network | None = None) -> Validators:
        made.append(Validators(repository, tmp_path, count=count, network=network))
        return made[-1]

    yield make
    for each in made:
        each.close()
