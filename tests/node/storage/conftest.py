"""What is promised of the storage is promised of both makes of store."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.node.storage.makes")

from node.storage.store import open_store  # noqa: E402 - after its assertions were made to tell
from tests.conftest import FULL  # noqa: E402
from tests.node.engine.town import RULEBOOK  # noqa: E402
from tests.node.storage.makes import PostgresqlMake, SqliteMake  # noqa: E402


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def make(request):
    """A make of store."""
    if request.param == "sqlite":
        return SqliteMake()
    return PostgresqlMake(request.getfixturevalue("postgres_server"))


@pytest.fixture
def dose(make):
    """How much of what takes long: over PostgreSQL a little by default, since SQLite has had the rest."""
    return 400 if FULL else 60 if isinstance(make, SqliteMake) else 8


@pytest.fixture
def place(make, tmp_path):
    """Where nothing is kept yet."""
    place = make.make(tmp_path / "ledger")
    yield place
    make.take_back(place)


@pytest.fixture
def store(place):
    """An open store with nothing in it."""
    store = open_store(place, RULEBOOK)
    yield store
    store.close()


@pytest.fixture
def kept_town(place, town):
    """The town, kept in either."""
    town.database = place
    return town


@pytest.fixture
def kept_told_town(place, told_town):
    """The town whose blocks are cut when it is told, kept in either."""
    told_town.database = place
    return told_town
