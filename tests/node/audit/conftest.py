"""One real history for all tests of the audit, and a fresh copy of its log for each of them."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.contracts.alliance", "tests.node.audit.written")

from tests.node.audit.written import WrittenLog, write_history  # noqa: E402 - after its assertions were made to tell


@pytest.fixture(scope="session")
def history():
    """The small alliance after a few days of trade and some points that lapsed. Not to be changed."""
    return write_history()


@pytest.fixture
def leaves(history):
    """The leaves of the history, to be rewritten."""
    return list(history.leaves)


@pytest.fixture
def log(history):
    """The log as stored, to be damaged."""
    return WrittenLog(history.leaves, origin=history.chain)


@pytest.fixture
def rewrite(history):
    """Other leaves as a dishonest operator would publish them: tiles made anew, the checkpoint signed."""
    return lambda leaves, **how: WrittenLog(leaves, origin=history.chain, **how)
