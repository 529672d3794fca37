"""The eventful alliance, told once, and its log as a mirror has it. Neither is to be changed."""

from __future__ import annotations

import pytest

from node.statements.making import recompute
from node.statements.sources import open_directory
from tests.node.statements.eventful import write_eventful
from tests.node.statements.mirrored import MirroredLog


@pytest.fixture(scope="session")
def alliance():
    return write_eventful()


@pytest.fixture(scope="session")
def mirror(alliance, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirror")
    write_mirror(folder, alliance.leaves, alliance.chain)
    return folder


def write_mirror(folder, leaves, chain):
    """The leaves as the files of a log, signed by whoever holds its key."""
    log = MirroredLog(folder)
    log.add(*leaves)
    log.finish(chain)


def read_kept(alliance, number):
    """The statement's bytes as the ledger itself keeps them."""
    return alliance.get("statement", f"{number:06d}").encode()


def take(folder, number, **how):
    """The window as recomputed from a folder."""
    with open_directory(folder, chain=None) as log:
        return recompute(log, number=number, **how)
