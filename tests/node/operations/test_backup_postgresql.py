"""A ledger in PostgreSQL is backed up into a folder like any other, and goes back into either."""

from __future__ import annotations

import shutil

from node import keystore
from node.backup import back_up, restore
from node.storage.copying import copy_log
from node.storage.snapshot import Snapshot
from tests.node.operations.test_backup import audit


def test_a_backup_of_postgresql_is_a_folder_that_verifies_and_goes_back_into_either(
    leader, postgres_server, tmp_path, monkeypatch
):
    place, empty = postgres_server.make(), postgres_server.make()
    origin = leader.config.origin
    try:
        with Snapshot(leader.directory / "ledger.db") as snapshot:
            there = copy_log(snapshot, place, origin)
        kept = tmp_path / "kept"
        shutil.copytree(leader.directory, kept, ignore=shutil.ignore_patterns("*.db*"))
        keystore.write_private(kept / "postgresql.txt", b"# elsewhere\n")
        monkeypatch.setenv("COMMONPOINT_POSTGRESQL", place.address)
        copied = back_up(kept, tmp_path / "backup", with_keys=True)
        assert (copied.size, copied.height) == (there.size, there.height)
        assert not (tmp_path / "backup/postgresql.txt").exists()
        assert audit(tmp_path / "backup").size == there.size
        monkeypatch.setenv("COMMONPOINT_POSTGRESQL", empty.address)
        restore(tmp_path / "backup", tmp_path / "again", to_postgresql=True)
        assert audit(tmp_path / "again").size == there.size
    finally:
        postgres_server.take_back(place)
        postgres_server.take_back(empty)
