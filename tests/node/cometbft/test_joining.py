"""Validators over time: somebody joins by vote and executes everything that was decided before, somebody
leaves by vote and stops; nobody else notices.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from contracts.messages.actions import Action
from node.audit.verify import derive_policy
from node.engine.cometbft.founding import join_ledger, make_validator, read_validator
from node.engine.cometbft.switching import plan_set
from tests.contracts.cast import FRESH, PARTICIPANTS
from tests.node.cli.conftest import cli, plain_environment  # noqa: F401 - fixtures
from tests.node.cometbft.networks import find_ports
from tests.node.cometbft.test_one_validator import read_log
from tests.node.cometbft.test_validator_sets import decide
from tests.node.cometbft.validators import SECONDS, WHO, Validator, Validators

LATER = next(name for name in PARTICIPANTS if name not in WHO)
ACTIONS = msgspec.json.Decoder(list[Action])


def read_files(folder: Path, names) -> list[Path]:
    return [folder / f"keys-{name}" / "validator.json" for name in names]


def wait_for_end(validator: Validator) -> tuple[int, str]:
    """Its status and what it said: it ends by itself."""
    ended = validator.node.wait()
    validator.node = None
    return ended


def wait_until_ready(validator: Validator) -> None:
    end = time.monotonic() + SECONDS
    while validator.ask("GET", "/readyz")[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_one_joins_by_vote_and_another_leaves_by_vote_and_stops(make_validators, tmp_path, cli):  # noqa: F811
    alliance: Validators = make_validators(3)
    alliance.start()
    alliance.begin(members=10)
    for number in range(3):
        alliance.must(alliance.earn(f"before-{number}", count=2, members=10), at=number)

    # The fourth makes its keys, takes the genesis and executes what was decided: it signs nothing yet.
    keys, directory = tmp_path / f"keys-{LATER}", tmp_path / "later"
    address = f"127.0.0.1:{find_ports(1)[0]}"
    status, _, said = cli("validator", "new", keys, "--participant", LATER, "--address", address)
    assert status == 0, said
    files = read_files(tmp_path, [*WHO[:3], LATER])
    named = [part for file in files for part in ("--validators", file)]
    join = ["init", directory, "--genesis", alliance.all[0].directory / "genesis.jsonl"]
    join += ["--validator-keys", keys, *named]
    status, _, said = cli(*join)
    assert (status, "NOT_A_VALIDATOR" in said, "--later" in said) == (2, True, True), said
    status, out, said = cli(*join, "--later")
    assert (status, out.strip()) == (0, alliance.chain), said
    later = Validator(alliance.repository, directory)
    alliance.all.append(later)
    later.start()
    assert later.ask("GET", "/readyz")[0] == 503
    genesis = len(alliance.origin.leaves)
    assert later.get_checkpoint()[0] == genesis
    assert later.ask("POST", "/v1/transactions", alliance.earn("too-early", members=10))[0] == 503
    assert later.ask("GET", "/v1/policies")[0] == 200

    # It is voted in, with what the command prints.
    plan = [part for file in files for part in ("--validator", file)]
    status, out, said = cli("engine", "plan", "--data", alliance.all[0].directory, *plan)
    assert status == 0, said
    decide(alliance, *ACTIONS.decode(out), name="in")
    alliance.must(alliance.earn("with-four-0", members=10))
    alliance.must(alliance.earn("with-four-1", members=10), at=1)
    wait_until_ready(later)
    size, _ = alliance.wait_for_same_root(least=genesis + 10)
    alliance.must(alliance.earn("through-the-fourth", members=10), at=3)
    assert alliance.all[0].config.policy == later.config.policy

    # With one of the first three away the fourth's vote is needed.
    alliance.all[2].stop()
    for number in range(3):
        alliance.must(alliance.earn(f"needed-{number}", members=10), at=3)
    later.stop()
    later.start()
    alliance.must(alliance.earn("after-a-restart", members=10), at=3)
    alliance.all[2].start()
    size, _ = alliance.wait_for_same_root(least=size + 8)

    leave_by_vote(alliance, files, size, cli)


def leave_by_vote(alliance, files, size, run) -> None:
    """One of the first leaves: no policy lists its log key, and once it is not asked any more it stops."""
    leaves = alliance.all[1]
    assert leaves.config.open_signer("log").public in derive_keys(alliance)
    staying = [read_validator(file) for file in files if FRESH not in str(file)]
    decide(alliance, *plan_set(alliance.origin, staying), name="out")
    for number in range(4):
        alliance.must(alliance.earn(f"without-{number}", members=10), at=2)
    status, said = wait_for_end(leaves)
    assert status == 3, said
    assert "NO_LONGER_A_VALIDATOR" in said
    assert "commonpoint node --follow" in said
    assert "Traceback" not in said
    alliance.all.remove(leaves)
    size, _ = alliance.wait_for_same_root(least=size + 9)
    signed = read_note_size(leaves)
    assert signed < size
    for each in alliance.all:
        each.stop()
    logs = [read_log(each) for each in alliance.all]
    assert logs[0] == logs[1] == logs[2]
    for each in alliance.all:
        status, out, said = run("verify", "--data", each.directory, "--chain", alliance.chain)
        assert status == 0, out + said


def derive_keys(alliance) -> set[bytes]:
    return {entry.key.public for entry in derive_policy(alliance.origin).logs}


def read_note_size(validator: Validator) -> int:
    from node.storage.snapshot import Snapshot

    with Snapshot(validator.config.database) as snapshot:
        return snapshot.read_note_size()


def test_one_that_was_voted_in_before_it_ran_is_what_the_others_wait_for(make_validators, tmp_path):
    alliance: Validators = make_validators(2)
    alliance.start()
    alliance.begin(members=10)
    keys = tmp_path / f"keys-{LATER}"
    made = make_validator(keys, participant=LATER, address=f"127.0.0.1:{find_ports(1)[0]}")
    validators = [read_validator(file) for file in read_files(tmp_path, WHO[:2])] + [made]
    decide(alliance, *plan_set(alliance.origin, validators), name="in")
    # Of three equal votes two are not more than two thirds.
    join_ledger(
        tmp_path / "later", genesis=alliance.origin.leaves, keys=keys, validators=validators, is_later=True
    )
    alliance.all.append(Validator(alliance.repository, tmp_path / "later"))
    alliance.all[-1].start()
    alliance.must(alliance.earn("a", members=10))
    alliance.must(alliance.earn("b", members=10), at=1)
    wait_until_ready(alliance.all[-1])
    alliance.must(alliance.earn("c", members=10), at=2)
    alliance.wait_for_same_root()
    for each in alliance.all:
        each.stop()
