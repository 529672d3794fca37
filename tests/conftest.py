"""What all tests share: fixed seeds, long runs only on request, and an honest count for scripts/test."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

FULL = os.environ.get("COMMONPOINT_FULL") == "1"
PART = os.environ.get("COMMONPOINT_PART")
"""``together``, ``alone`` or, outside scripts/test, nothing: then all tests run in one call."""
TALLY = os.environ.pop("COMMONPOINT_TALLY", None)
"""Where the count goes; taken out of the environment, so that a pytest started by a test leaves it alone."""

COLLECTION = gc.get_threshold()

# The default run repeats exactly: the same examples on every machine. A full run explores further, and prints
# the line that repeats what it found.
settings.register_profile(
    "default",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("full", parent=settings.get_profile("default"), derandomize=False, print_blob=True)
settings.load_profile("full" if FULL else "default")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the part that is asked for, and leave tests marked `full` to `scripts/test --full`, saying so."""
    if PART is not None:
        others = [item for item in items if (item.get_closest_marker("alone") is None) == (PART == "alone")]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
    for item in items:
        if item.get_closest_marker("full") and not FULL:
            item.add_marker(pytest.mark.skip(reason="a long run: scripts/test --full"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write down ``passed failed skipped`` where scripts/test asks for it."""
    if TALLY is not None:
        count = {outcome: len(reports) for outcome, reports in terminalreporter.stats.items()}
        passed = count.get("passed", 0)
        failed = count.get("failed", 0) + count.get("error", 0)
        skipped = count.get("skipped", 0) + count.get("xfailed", 0)
        Path(TALLY).write_text(f"{passed} {failed} {skipped}\n")


@pytest.fixture(autouse=True)
def usual_garbage_collection() -> Iterator[None]:
    """What a node or an audit settles for the process it runs in ends with the test that ran it here."""
    yield
    gc.enable()
    gc.unfreeze()
    gc.set_threshold(*COLLECTION)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root folder."""
    return Path(__file__).resolve().parent.parent
