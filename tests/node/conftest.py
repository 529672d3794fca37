"""A small town over an empty folder, and the promise that no test leaves a running node behind."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.node.engine.town", "tests.node.crash.witness")

from tests.node.engine.town import Town  # noqa: E402 - after its assertions were made to tell


@pytest.fixture
def town(tmp_path):
    """A town whose chain has its genesis only, with a clock that is moved by hand."""
    town = Town(tmp_path)
    yield town
    town.close()


@pytest.fixture
def told_town(tmp_path):
    """A town with a simulated clock, whose blocks are cut when it is told."""
    town = Town(tmp_path, kind="simulated")
    yield town
    town.close()
