"""A ledger in PostgreSQL from the command line: run, verified, looked at, rebuilt; no password is seen."""

from __future__ import annotations

import stat

import pytest
from psycopg.conninfo import make_conninfo

from node import app
from node.config import POSTGRESQL_FILE, find_database, load_config
from node.storage.place import PostgresqlPlace
from tests.node.postgres import run_statement

SECRET = "correct-horse"


@pytest.fixture
def place(postgres_server):
    """An empty database."""
    place = postgres_server.make()
    yield place
    postgres_server.take_back(place)


def test_a_folder_says_where_its_database_is_and_the_environment_goes_before_it(cli, tmp_path, monkeypatch):
    folder = tmp_path / "ledger"
    status, out, err = cli("init", folder, "--store", "postgresql")
    assert (status, out.count("\n")) == (0, 1)
    assert str(folder / POSTGRESQL_FILE) in err
    assert stat.S_IMODE((folder / POSTGRESQL_FILE).stat().st_mode) == 0o600
    assert find_database(folder) == PostgresqlPlace("")
    with (folder / POSTGRESQL_FILE).open("a") as file:
        file.write("  host=db.example dbname=points\n")
    assert find_database(folder) == PostgresqlPlace("host=db.example dbname=points")
    monkeypatch.setenv("COMMONPOINT_POSTGRESQL", "host=other")
    assert find_database(folder) == PostgresqlPlace("host=other")
    (folder / POSTGRESQL_FILE).unlink()
    assert find_database(folder) == folder / "ledger.db"
    assert cli("init", tmp_path / "plain")[0] == 0
    assert not (tmp_path / "plain" / POSTGRESQL_FILE).exists()


def test_a_ledger_in_postgresql_is_run_verified_looked_at_and_rebuilt(cli, tmp_path, place):
    folder = tmp_path / "ledger"
    cli("init", folder, "--store", "postgresql")
    (folder / POSTGRESQL_FILE).write_text(make_conninfo(place.address, password=SECRET) + "\n")
    assert cli("verify", "--data", folder)[0] == 2, "nothing is there yet"
    config = load_config(folder)
    with app.hold_data_dir(config):
        core = app.open_core(config)
        size = core.head.size
        assert cli("verify", "--data", folder)[0] == 0, "while a node uses it"
        core.stop()
    assert not (folder / "ledger.db").exists()
    said = [
        cli("verify", "--data", folder),
        cli("show", "head", "--data", folder),
        cli("rebuild", "--data", folder),
    ]
    assert [status for status, _, _ in said] == [0, 0, 0]
    assert f"{size} leaves" in said[2][2]
    run_statement(place, "views", "DELETE FROM state_participant")
    said.append(cli("verify", "--data", folder))
    assert said[-1][0] == 1
    assert "RECORD_MISSING" in said[-1][1]
    assert SECRET not in str(said) + str(config) + repr(config.database)


def test_a_server_that_is_away_is_one_line_with_an_advice(cli, tmp_path):
    folder = tmp_path / "ledger"
    cli("init", folder, "--store", "postgresql")
    (folder / POSTGRESQL_FILE).write_text(f"host=127.0.0.1 port=1 user=points password={SECRET}\n")
    for command in ("node", "verify", "rebuild"):
        status, out, err = cli(command, "--data", folder)
        assert (status, out) == (2, ""), command
        assert "DATABASE_UNREACHABLE" in err
        assert SECRET not in err
