"""A backup is taken while the node works, is a ledger that verifies, and becomes a node again.

So does what a follower has.
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing

import httpx2
import pytest

from ledger.errors import Unverified
from node import keystore
from node.auditing import audit_data_dir
from node.backup import _check_log_key, back_up, restore
from node.config import load_config
from node.keystore import Unusable
from node.storage.copying import copy_log
from node.storage.snapshot import Snapshot
from tests.node.cli.conftest import MEMBER
from tests.node.follower.conftest import RUN
from tests.node.policies.test_policies import NEXT_KEY, make_text, vestry, wait_for_failure

__all__ = ["vestry"]


def run(repository, *arguments):
    done = subprocess.run(
        [*RUN, *map(str, arguments)], cwd=repository, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout, done.stderr


def audit(directory):
    report = audit_data_dir(directory, policy=None, chain=None, progress=lambda _done, _total: None)
    assert report.is_good, report.first_bad
    return report


def get(url, path, token=None):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = httpx2.get(url + path, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


class Load:
    """Somebody who submits all the time, and remembers every answer."""

    def __init__(self, leader, url) -> None:
        self._leader, self._url = leader, url
        self.answers: dict[int, dict] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def _run(self):
        number = 1000
        while not self._is_over.is_set():
            data = self._leader.sign(number, count=5).encode()
            answer = httpx2.post(f"{self._url}/v1/transactions", content=data, timeout=30)
            assert answer.status_code == 200, answer.text
            self.answers[number] = answer.json()
            number += 1

    def wait_for(self, count):
        end = time.monotonic() + 30
        while len(self.answers) < count:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_a_node_under_load_is_backed_up_destroyed_and_restored(leader, repository, tmp_path):
    backup, safe = tmp_path / "backup", tmp_path / "safe"
    shutil.copytree(leader.directory / "keys", safe)
    node = leader.start()
    with Load(leader, node.url) as load:
        load.wait_for(20)
        status, out, err = run(repository, "backup", "--data", leader.directory, "--to", backup)
        assert status == 0, err
        assert "Private keys were not copied" in err
        load.wait_for(len(load.answers) + 20)
        acknowledged = dict(load.answers)
        status, out, err = run(repository, "backup", "--data", leader.directory, "--to", backup)
        assert status == 0, err
    node.end(signal.SIGKILL)
    shutil.rmtree(leader.directory)

    # It is a ledger by itself, without a key in it.
    audit(backup)
    assert not (backup / "keys").exists()
    status, _, err = run(repository, "restore", "--from", backup, "--data", leader.directory)
    assert (status, "KEYS_MISSING" in err) == (2, True), err
    restored = run(repository, "restore", "--from", backup, "--data", leader.directory, "--keys", safe)
    assert restored[:2] == (0, out), restored
    height = int(out.rsplit(" ", 1)[1])
    assert f"from height {height + 1} on is not here" in restored[2]
    assert not (leader.directory / "views.db").exists()

    node = leader.start()
    for number, before in acknowledged.items():
        data = leader.sign(number).encode()
        again = httpx2.post(f"{node.url}/v1/transactions", content=data, timeout=30).json()
        assert [again[name] for name in ("height", "index", "outcomes", "time")] == [
            before[name] for name in ("height", "index", "outcomes", "time")
        ]
    assert get(node.url, "/v1/chain")["height"] == height
    (balance,) = get(node.url, f"/v1/members/{MEMBER}/balances", leader.make_token("auditor"))["balances"]
    # Of 300 purchases before, and five a transaction; each brings two points.
    assert balance["points"] >= 600 + 10 * len(acknowledged)
    leader.send(node.url, 1)
    assert node.end()[0] == 0
    assert audit(leader.directory).records > 0


def test_a_second_backup_copies_what_is_new_alone(leader, tmp_path):
    backup = tmp_path / "backup"
    first = back_up(leader.directory, backup, with_keys=True)
    assert (first.before, first.size) == (0, first.signed_size)
    same = back_up(leader.directory, backup)
    assert (same.before, same.size) == (first.size, first.size)
    node = leader.start()
    for number in (1, 2, 3):
        leader.send(node.url, number, count=300)
    assert node.end()[0] == 0
    more = back_up(leader.directory, backup)
    assert (more.before, more.size) == (first.size, first.size + 3 * 302)
    report = audit(backup)
    assert (report.size, report.height) == (more.size, more.height)
    assert keystore.open_signer(backup / "keys", "log").public in leader.config.origin.log_keys


def change_a_leaf(directory):
    """A byte of a stored leaf differs; the row is kept unpacked."""
    from node.storage.packing import unpack

    with closing(sqlite3.connect(directory / "ledger.db")) as database, database:
        rows = database.execute("SELECT first, data FROM segment ORDER BY first").fetchall()
        first, leaves = next((at, unpack(row)) for at, row in rows if b'"reference":"' in unpack(row))
        at = leaves.index(b'"reference":"') + 13
        changed = leaves[:at] + bytes([leaves[at] ^ 1]) + leaves[at + 1 :]
        database.execute("UPDATE segment SET data = ? WHERE first = ?", (changed, first))


def test_what_is_not_what_was_signed_is_not_taken_for_a_backup(leader, repository, tmp_path):
    change_a_leaf(leader.directory)
    status, _, err = run(repository, "backup", "--data", leader.directory, "--to", tmp_path / "backup")
    assert status == 2
    assert "CHECKPOINT_DIFFERS" in err or "TILE_DIFFERS" in err
    assert not (tmp_path / "backup/genesis.jsonl").exists()


def test_a_backup_that_was_spoiled_is_not_restored(leader, tmp_path):
    back_up(leader.directory, tmp_path / "backup", with_keys=True)
    change_a_leaf(tmp_path / "backup")
    with pytest.raises(Unverified):
        restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new/genesis.jsonl").exists()


def test_a_ledger_that_holds_less_than_its_backup_is_told(leader, tmp_path):
    backup, old = tmp_path / "backup", tmp_path / "old"
    shutil.copytree(leader.directory, old)
    node = leader.start()
    leader.send(node.url, 1)
    assert node.end()[0] == 0
    back_up(leader.directory, backup)
    with pytest.raises(Unusable) as caught:
        back_up(old, backup)
    assert caught.value.code == "COPY_AHEAD"


def test_a_backup_of_another_history_is_never_mixed(leader, tmp_path):
    backup, other = tmp_path / "backup", tmp_path / "other"
    shutil.copytree(leader.directory, other)
    node = leader.start()
    leader.send(node.url, 1)
    assert node.end()[0] == 0
    back_up(leader.directory, backup)
    # The same operator's keys, and another transaction at the same place: a fork.
    node = leader.run("node.cli.main", "node", "--data", other, "--port", "0")
    leader.send(node.url, 2)
    assert node.end()[0] == 0
    with pytest.raises(Unusable) as caught:
        back_up(other, backup)
    assert caught.value.code == "COPY_OF_ANOTHER_HISTORY"
    audit(backup)


def test_nothing_is_restored_over_what_is_there_or_with_strangers_keys(leader, tmp_path):
    backup = tmp_path / "backup"
    back_up(leader.directory, backup, with_keys=True)
    with pytest.raises(Unusable) as caught:
        restore(backup, leader.directory)
    assert caught.value.code == "FOLDER_NOT_EMPTY"
    strange = tmp_path / "strange"
    strange.mkdir(mode=0o700)
    keystore.write_keys(strange, {"log": keystore.make_seed()})
    with pytest.raises(Unusable) as caught:
        restore(backup, tmp_path / "new", keys=strange)
    assert caught.value.code == "LOG_KEY_DIFFERS"


def test_an_operator_whose_machine_is_gone_goes_on_from_a_followers_data(leader, repository, tmp_path):
    """What docs/how-to/recovery.md tells, step by step."""
    safe, followed, taken_over = tmp_path / "safe", tmp_path / "followed", tmp_path / "taken-over"
    shutil.copytree(leader.directory / "keys", safe)
    led = leader.start()
    follower = leader.follow(followed, led.url)
    other = leader.follow(tmp_path / "other", led.url)
    answers = {}
    for number in range(1, 6):
        leader.send(led.url, number)
        data = leader.sign(number).encode()
        answers[number] = httpx2.post(f"{led.url}/v1/transactions", content=data).json()
    size = get(led.url, "/v1/chain")["size"]
    end = time.monotonic() + 20
    while min(get(each.url, "/v1/chain")["size"] for each in (follower, other)) < size:
        assert time.monotonic() < end
        time.sleep(0.05)
    note = httpx2.get(f"{led.url}/checkpoint").text
    led.end(signal.SIGKILL)
    shutil.rmtree(leader.directory)

    # The folder may be in use: the follower goes on answering meanwhile.
    status, out, err = run(repository, "restore", "--from", followed, "--data", taken_over, "--keys", safe)
    assert (status, out.split()[0]) == (0, str(size)), err
    assert not (taken_over / "cosigner.vkey").exists()
    new = leader.run("node.cli.main", "node", "--data", taken_over, "--port", led.url.rsplit(":", 1)[1])
    assert new.url == led.url
    # Nobody who trusted the old one has to be told anything: it is the same log, under the same key.
    assert httpx2.get(f"{new.url}/checkpoint").text.split("\n")[:3] == note.split("\n")[:3]
    for number, before in answers.items():
        again = httpx2.post(f"{new.url}/v1/transactions", content=leader.sign(number).encode()).json()
        assert [again[name] for name in ("index", "outcomes", "time")] == [
            before[name] for name in ("index", "outcomes", "time")
        ]
    leader.send(new.url, 6)
    # Both followers go on with it, by themselves.
    end = time.monotonic() + 30
    while min(get(each.url, "/v1/chain")["size"] for each in (follower, other)) <= size:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert follower.end()[0] == other.end()[0] == new.end()[0] == 0
    sizes = {audit(each).size for each in (taken_over, followed, tmp_path / "other")}
    assert sizes == {size + 22}


def test_a_backup_is_its_owners_alone(leader, tmp_path):
    backup = tmp_path / "backup"
    back_up(leader.directory, backup, with_keys=True)
    load_config(backup).check_private()
    modes = {path.name: f"{path.stat().st_mode & 0o777:o}" for path in backup.rglob("*") if path.is_file()}
    assert {name: mode for name, mode in modes.items() if mode != "600"} == {}
    assert json.loads((backup / "genesis.jsonl").read_text().splitlines()[0])


def test_a_log_whose_key_was_changed_by_vote_is_copied_and_goes_on_without_its_views(vestry, tmp_path):
    vestry.grow()
    vestry.decide(make_text(vestry.core.chain, signer=NEXT_KEY), then_grow=False)
    wait_for_failure(vestry.core)
    vestry.core.stop()
    vestry.core = vestry.town.open(signer=NEXT_KEY)
    vestry.grow()
    size = vestry.core.head.size
    vestry.core.stop()
    town = vestry.town
    copy = tmp_path / "copy"
    copy.mkdir()
    with Snapshot(town.database) as snapshot:
        _check_log_key(snapshot, town.origin, NEXT_KEY.public)
        copied = copy_log(snapshot, copy / "ledger.db", town.origin)
    assert copied.size == copied.signed_size == size
    town.database = copy / "ledger.db"
    core = town.open(signer=NEXT_KEY)
    assert core.head.size == size
    core.stop()
