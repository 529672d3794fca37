"""The ledger whose log key was changed twice, made once for all that look at it."""

from __future__ import annotations

import pytest

from tests.node.cli.conftest import cli
from tests.node.follower.conftest import founded
from tests.node.policies.rekeyed import FOLDED, STAGES, Rekeyed, read_note, size_of, wait_for_size

__all__ = ["cli", "founded"]


@pytest.fixture(scope="session")
def rekeyed(founded, tmp_path_factory, repository):
    """Followed all the while by one follower, and by one that is down when the keys change."""
    base = tmp_path_factory.mktemp("rekeyed")
    ledger = Rekeyed(base, founded, repository)
    leader = ledger.leader
    for number, stage in enumerate(STAGES, 1):
        url = ledger.start()
        leader.send(url, number)
        size = size_of(read_note(url))
        if stage == "before":
            awake, sleeper = (leader.follow(base / name, url) for name in ("awake", "sleeper"))
            wait_for_size(sleeper.url, size)
            assert sleeper.end()[0] == 0
        # It has stayed up since the first key.
        wait_for_size(awake.url, size)
        ledger.mirror(url, stage)
        ledger.keep(stage)
        if stage != "after":
            ledger.change_key(url)
    ledger.keep_stopped(FOLDED)
    assert awake.end()[0] == 0
    yield ledger
    leader.stop()


@pytest.fixture(scope="session")
def served(rekeyed):
    """The address of the ledger as it is now."""
    return rekeyed.start()
