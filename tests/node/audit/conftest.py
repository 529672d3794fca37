"""One real history for all tests of the audit, and a fresh copy of its log for each of them."""

from __future__ import annotations

import shutil
import sqlite3

import pytest

pytest.register_assert_rewrite("tests.contracts.alliance", "tests.node.audit.written")

from tests.node.audit.written import (  # noqa: E402 - after its assertions were made to tell
    WrittenLog,
    write_directory,
    write_history,
)


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


@pytest.fixture(scope="session")
def stopped(history, tmp_path_factory):
    """The directory of a node that made the whole history and was stopped. Not to be changed."""
    directory = tmp_path_factory.mktemp("stopped") / "node"
    write_directory(history, directory)
    return directory


@pytest.fixture
def directory(stopped, tmp_path):
    """A copy, to be damaged."""
    shutil.copytree(stopped, tmp_path / "node")
    return tmp_path / "node"


def open_both(directory):
    """Log and views in one connection; ``mark`` is in both and needs its database's name."""
    connection = sqlite3.connect(directory / "ledger.db")
    connection.execute("ATTACH ? AS views", (str(directory / "views.db"),))
    return connection


@pytest.fixture
def change(directory):
    """Runs statements on the databases as somebody with a shell would."""

    def run(*statements):
        connection = open_both(directory)
        with connection:
            for statement, *values in statements:
                assert connection.execute(statement, values).rowcount, statement
        connection.close()

    return run


@pytest.fixture
def read(directory):
    """Reads rows of the database."""

    def run(statement, *values):
        connection = open_both(directory)
        rows = connection.execute(statement, values).fetchall()
        connection.close()
        return rows

    return run
