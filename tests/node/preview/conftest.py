"""One real history for all tests of the preview, as a log that is signed."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.contracts.alliance", "tests.node.audit.written")

from tests.node.audit.written import WrittenLog, write_history  # noqa: E402 - after its assertions can tell


@pytest.fixture(scope="session")
def history():
    """The small alliance after a few days of trade and some points that lapsed. Not to be changed."""
    return write_history(is_settled=False)


@pytest.fixture(scope="session")
def log(history):
    """Its log as stored. Not to be changed."""
    return WrittenLog(history.leaves, origin=history.chain)
