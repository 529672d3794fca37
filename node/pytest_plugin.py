"""The pytest fixture `commonpoint_sandbox`: an alliance in one process for a merchant's own tests.

It is there wherever Commonpoint is installed with its node (`commonpoint[node]`); see `node.sandbox`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from node.sandbox import Sandbox


@pytest.fixture
def commonpoint_sandbox() -> Iterator[Sandbox]:
    """A fresh alliance with a clock of its own."""
    from node.sandbox import sandbox  # noqa: PLC0415 - only tests that ask for it pay for the import

    with sandbox() as running:
        yield running
