"""One node that has traded, for tests that only read; a fresh one for those that write."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.node.api.desk", "tests.node.api.described", "tests.node.api.race")

from tests.node.api.desk import Desk  # noqa: E402 - after its assertions were made to tell


@pytest.fixture(scope="session")
def traded(tmp_path_factory):
    """A desk whose town has traded, and where the entries stand. Not to be written to."""
    desk = Desk(tmp_path_factory.mktemp("traded"))
    try:
        yield desk, desk.trade()
    finally:
        desk.close()


@pytest.fixture(scope="session")
def governed(tmp_path_factory):
    """A desk whose town has traded, decided and cut a window. Not to be written to."""
    desk = Desk(tmp_path_factory.mktemp("governed"))
    try:
        desk.trade()
        desk.decide()
        yield desk
    finally:
        desk.close()


@pytest.fixture(scope="session")
def grown(tmp_path_factory):
    """A desk whose log fills some tiles. Not to be written to."""
    desk = Desk(tmp_path_factory.mktemp("grown"))
    try:
        desk.grow()
        yield desk
    finally:
        desk.close()


@pytest.fixture
def desk(tmp_path):
    """A desk of its own, whose chain has its genesis only."""
    desk = Desk(tmp_path)
    try:
        yield desk
    finally:
        desk.close()


@pytest.fixture(scope="session")
def described(tmp_path_factory):
    """A node that has traded, on a port of this machine, for what schemathesis asks of it."""
    from tests.node.api.described import open_described

    yield from open_described(tmp_path_factory.mktemp("described"))
