"""A validator whose CometBFT was stopped over its new databases starts all the same; and nothing is ever
taken from one that has voted.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.mechanics.governance_records import EngineRecord
from ledger.codec import to_base64url
from ledger.keys import SeedSigner
from node.engine.cometbft.home import STATE_FILE, write_home
from node.engine.cometbft.unfinished import remove_unfinished
from tests.node.cometbft.processes import SECONDS

SEED = bytes(range(32))
ATTEMPTS_MAX = 200
NO_VOTE = {"height": "0", "round": 0, "step": 0}
BEGUN = ["LOCK", "LOG", "MANIFEST-000000"]


@pytest.fixture
def home(tmp_path):
    """CometBFT's folder, as a validator that is alone has it."""
    validators = (("clearing", 1, to_base64url(SeedSigner(SEED).public)),)
    return write_home(
        tmp_path,
        chain="points/" + "b" * 20,
        engine=EngineRecord("cometbft", 0, 1_790_000_000_000, validators),
        consensus_seed=SEED,
        node_seed=SEED[::-1],
        listen="127.0.0.1:0",
    )


@contextmanager
def running(program, home, *, app):
    """CometBFT over its folder; it is killed in the end."""
    (home / "rpc.sock").unlink(missing_ok=True)
    with (home / "said").open("wb") as said:
        process = subprocess.Popen(
            [program, "start", "--home", home, "--proxy_app", app, "--rpc.laddr", f"unix://{home}/rpc.sock"],
            stdout=said,
            stderr=said,
            env={**os.environ, "GOMAXPROCS": "1"},
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def list_files(database: Path) -> list[str]:
    return sorted(each.name for each in database.iterdir()) if database.is_dir() else []


def wait_until(is_so, process):
    end = time.monotonic() + SECONDS
    while process.poll() is None and not is_so():
        assert time.monotonic() < end, "it did not come about"


def kill_over(program, home, name, *, app):
    """CometBFT was killed between the beginning and the end of this database."""
    database, fresh = (
        home / "data" / name,
        {path.name: path.read_bytes() for path in home.glob("data/*.json")},
    )
    for _ in range(ATTEMPTS_MAX):
        with running(program, home, app=app) as process:
            wait_until(lambda: set(BEGUN) <= set(list_files(database)), process)
        # It begins as CURRENT.0, and what opens the database makes do with that.
        if not any(each.startswith("CURRENT") for each in list_files(database)):
            return
        # Too late. It begins in a fresh folder, as if that were another validator's.
        subprocess.run(["rm", "-r", home / "data"], check=True)
        (home / "data").mkdir(mode=0o700)
        for path, data in fresh.items():
            (home / "data" / path).write_bytes(data)
    pytest.fail(f"{name} was always finished")


def read_voted(home):
    return json.loads((home / "data" / STATE_FILE).read_bytes())


@pytest.mark.parametrize("name", ["blockstore.db", "state.db", "evidence.db"])
def test_a_cometbft_that_was_killed_over_a_new_database_starts_and_votes(program, home, name):
    kill_over(program, home, name, app="kvstore")
    assert read_voted(home) == NO_VOTE
    with running(program, home, app="kvstore") as process:
        assert process.wait(SECONDS) == 1
    assert "failed to initialize database" in (home / "said").read_text()
    remove_unfinished(home, has_blocks=False)
    with running(program, home, app="kvstore") as process:
        wait_until(lambda: read_voted(home)["height"] != "0", process)
        assert process.poll() is None, (home / "said").read_text()


def test_a_validator_whose_cometbft_was_killed_over_a_new_database_starts_by_itself(program, make_validators):
    alliance = make_validators(1)
    (validator,) = alliance.all
    home = validator.directory / "cometbft"
    kill_over(program, home, "state.db", app=f"unix://{home}/nobody.sock")
    validator.start()
    alliance.begin(members=1)
    status, said = validator.node.stop()
    validator.node = None
    assert status == 0
    assert "made anew" in said
    assert "cometbft ended" not in said


#   what is different, the database's files, what the validator has voted, whether there are blocks
LEFT = [
    ("it has voted", BEGUN, {"height": "1", "round": 0, "step": 2}, False),
    ("it has proposed in a first round", BEGUN, {"height": "0", "round": 0, "step": 1}, False),
    ("a signature is told", BEGUN, {**NO_VOTE, "signature": "AA=="}, False),
    ("what it voted is lost", BEGUN, None, False),
    ("what it voted is unreadable", BEGUN, "none", False),
    ("the ledger holds its blocks", BEGUN, NO_VOTE, True),
    ("the database is finished", [*BEGUN, "CURRENT", "000001.log"], NO_VOTE, False),
    ("a journal is left", [*BEGUN, "000001.log"], NO_VOTE, False),
    ("a table is left", [*BEGUN, "000002.ldb"], NO_VOTE, False),
    ("it was finished before", [*BEGUN, "CURRENT.bak"], NO_VOTE, False),
    ("a later manifest is left", ["LOCK", "LOG", "MANIFEST-000004"], NO_VOTE, False),
]


@pytest.mark.parametrize(
    ("files", "voted", "has_blocks"), [row[1:] for row in LEFT], ids=[r[0] for r in LEFT]
)
def test_nothing_is_taken_away_where(home, files, voted, has_blocks):
    write_begun(home, files, voted)
    remove_unfinished(home, has_blocks=has_blocks)
    assert list_files(home / "data" / "state.db") == sorted(files)


def test_what_a_process_has_open_stays(home):
    database = write_begun(home, BEGUN, NO_VOTE)
    with (database / "LOCK").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        remove_unfinished(home, has_blocks=False)
        assert list_files(database) == BEGUN
    remove_unfinished(home, has_blocks=False)
    assert not database.exists()


@pytest.mark.parametrize("files", [BEGUN, [*BEGUN, "CURRENT.0"]])
def test_what_was_only_begun_is_taken_away_and_nothing_else(home, files):
    write_begun(home, files, NO_VOTE)
    whole = write_begun(home, [*BEGUN, "CURRENT"], NO_VOTE, name="blockstore.db")
    remove_unfinished(home, has_blocks=False)
    assert sorted(each.name for each in (home / "data").iterdir()) == ["blockstore.db", STATE_FILE]
    assert list_files(whole) == sorted([*BEGUN, "CURRENT"])


def write_begun(home, files, voted, *, name="state.db"):
    database = home / "data" / name
    database.mkdir()
    for each in files:
        (database / each).touch()
    state = home / "data" / STATE_FILE
    if voted is None:
        state.unlink()
    else:
        state.write_text(json.dumps(voted))
    return database
