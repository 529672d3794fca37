"""The small alliance, opened, and checked by full sums when the test is done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.contracts.alliance", "tests.contracts.ladder", "tests.contracts.sums")

from tests.contracts.alliance import Alliance  # noqa: E402 - after its assertions were made to tell


@pytest.fixture
def alliance() -> Iterator[Alliance]:
    """Four merchants with programs and grants, three members; afterwards every sum still holds."""
    alliance = Alliance().open()
    yield alliance
    alliance.check()
