"""A small town over an empty folder, and the promise that no test leaves a running node or its log behind."""

from __future__ import annotations

import sys

import pytest
import structlog

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


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL server for all tests that want one."""
    from tests.node.postgres import run_server

    with run_server() as server:
        yield server


@pytest.fixture(autouse=True)
def own_log():
    """A command that a test runs in this process says where its log goes; that holds for this test alone."""
    yield
    if not structlog.is_configured():
        return
    structlog.reset_defaults()
    # Loggers keep what they were told when they first spoke: a stream that is closed by now.
    for name, module in list(sys.modules.items()):
        spoken = getattr(module, "log", None) if name.startswith("node.") else None
        if "bind" in getattr(spoken, "__dict__", ()):
            del spoken.bind
