"""A desk behind workers, one that has traded and fresh ones."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.node.api.desk", "tests.node.link.linked")

from tests.node.cli.conftest import cli, plain_environment  # noqa: E402, F401 - fixtures
from tests.node.link.linked import LinkedDesk, TwiceLinkedDesk  # noqa: E402 - after its assertions tell


@pytest.fixture(scope="session")
def traded(tmp_path_factory):
    """A desk whose town has traded, and where the entries stand. Not to be written to."""
    desk = TwiceLinkedDesk(tmp_path_factory.mktemp("linked"))
    try:
        yield desk, desk.trade()
    finally:
        desk.close()


@pytest.fixture(scope="session")
def governed(tmp_path_factory):
    """A desk whose town has traded, decided and cut a window. Not to be written to."""
    desk = LinkedDesk(tmp_path_factory.mktemp("governed"))
    try:
        desk.trade()
        desk.decide()
        yield desk
    finally:
        desk.close()


@pytest.fixture(scope="session")
def grown(tmp_path_factory):
    """A desk whose log fills some tiles. Not to be written to."""
    desk = LinkedDesk(tmp_path_factory.mktemp("grown"))
    try:
        desk.grow()
        yield desk
    finally:
        desk.close()


@pytest.fixture
def desk(tmp_path):
    """A desk of its own, whose chain has its genesis only."""
    desk = LinkedDesk(tmp_path)
    try:
        yield desk
    finally:
        desk.close()
