"""A ledger that has lost a quorum of its validators: first one of them comes back under its own key, out of
an empty folder; then, with two gone for good, those who are left go on by a note that organisations sign.
"""

from __future__ import annotations

import json
import shutil

import msgspec
import pytest

from contracts.messages.actions import Action
from ledger.leaves import BLOCK_LEAF_DECODER, BLOCK_START
from ledger.log.policy import parse_policy
from ledger.receipt import Receipt, verify_receipt
from node.engine.cometbft.founding import join_ledger, read_validator
from tests.node.cli.conftest import cli, plain_environment  # noqa: F401 - fixtures
from tests.node.cometbft.test_joining import wait_until_ready
from tests.node.cometbft.test_one_validator import read_log
from tests.node.cometbft.test_validator_sets import decide
from tests.node.cometbft.validators import WHO, Validator, Validators

ACTIONS = msgspec.json.Decoder(list[Action])


class Shrunk(Validators):
    """The commands that those who are left run."""

    folder = None
    run = None

    def name(self, *who: str) -> list:
        """The validators' descriptions, as the commands are told them."""
        return [part for each in who for part in ("--validator", self.folder / f"keys-{each}/validator.json")]

    def must_run(self, *arguments) -> str:
        status, out, said = self.run(*arguments)
        assert status == 0, said
        return out


def lose(alliance, *places: int) -> None:
    """They are gone, and what was on their disks too."""
    for place in places:
        alliance.all[place].kill()
        shutil.rmtree(alliance.all[place].directory)


@pytest.mark.full
def test_a_lost_quorum_is_not_the_end_of_a_ledger(make_validators, tmp_path, cli):  # noqa: F811
    alliance = make_validators(4)
    alliance.__class__, alliance.folder, alliance.run = Shrunk, tmp_path, cli
    alliance.start()
    alliance.begin(members=10)
    first = alliance.must(alliance.earn("first", count=3, members=10))
    receipt = alliance.all[1].ask("GET", f"/v1/receipts/{first['index'] + 1}")[1]
    alliance.wait_for_same_root()

    # Two of four are lost: nothing is decided, and reads go on.
    lose(alliance, 2, 3)
    waiting = alliance.earn("waits", members=10)
    with pytest.raises(OSError, match="timed out"):
        alliance.all[0].ask("POST", "/v1/transactions", waiting, seconds=3)
    assert alliance.all[1].ask("GET", f"/v1/receipts/{first['index'] + 1}")[0] == 200

    bring_one_back(alliance, waiting, tmp_path)
    size, _ = alliance.wait_for_same_root(among=[alliance.all[place] for place in (0, 1, 3)])

    # It is lost again, and nobody comes back: who is left stops, and compares.
    lose(alliance, 3)
    del alliance.all[2:]
    for each in alliance.all:
        each.stop()
    two, note = alliance.name(*WHO[:2]), tmp_path / "note.jsonl"
    lines = {alliance.must_run("engine", "note", "--data", each.directory, *two) for each in alliance.all}
    assert len(lines) == 1
    note.write_text(lines.pop())
    agreed = json.loads(note.read_text())
    assert (agreed["size"], [each["participant"] for each in agreed["validators"]]) == (size, [*WHO[:2]])

    def recover(place: int, *more) -> tuple:
        directory, keys = tmp_path / f"n{place}", tmp_path / f"keys-{WHO[place]}"
        return cli("engine", "recover", "--data", directory, "--keys", keys, "--note", note, *more)

    status, _, said = recover(0, *two)
    assert (status, "NOT_ENOUGH_WEIGHT" in said) == (2, True), said
    endorse = ["engine", "endorse", "--note", note, "--keys", alliance.all[0].config.keys]
    line = alliance.must_run(*endorse, "--participant", WHO[0])
    note.write_text(note.read_text() + line)
    for place in (0, 1):
        assert recover(place, *two)[:2] == (0, alliance.chain + "\n")
        status, _, said = recover(place, *two)
        assert (status, "ALREADY_PREPARED" in said) == (2, True), said
    alliance.start()
    for number in range(3):
        alliance.must(alliance.earn(f"on-{number}", members=10), at=number % 2)
    assert alliance.must(alliance.earn("first-again", members=10))
    assert alliance.all[0].ask("POST", "/v1/transactions", waiting)[0] == 200
    alliance.all[1].stop()
    alliance.all[1].start()
    alliance.must(alliance.earn("after-a-restart", members=10), at=1)

    take_one_in(alliance, recover, size, first, receipt)


def bring_one_back(alliance, waiting, folder) -> None:
    """One comes back under its own key, with an empty folder: it replays, and then its vote is there."""
    made = [read_validator(folder / f"keys-{who}" / "validator.json") for who in WHO]
    back = alliance.all[3].directory
    join_ledger(back, genesis=alliance.origin.leaves, keys=folder / f"keys-{WHO[3]}", validators=made)
    alliance.all[3] = Validator(alliance.repository, back)
    alliance.all[3].start()
    alliance.must(waiting)
    alliance.must(alliance.earn("with-three", members=10), at=3)


def take_one_in(alliance, recover, size, first, receipt) -> None:
    """One of the lost returns with a new machine: a copy, the note, and a vote, which now can be held."""
    status, _, said = recover(
        3, *alliance.name(*WHO[:2], WHO[3]), "--from", alliance.all[0].directory, "--later"
    )
    assert status == 0, said
    alliance.all.append(Validator(alliance.repository, alliance.folder / "n3"))
    alliance.all[-1].start()
    plan = alliance.must_run(
        "engine", "plan", "--data", alliance.all[0].directory, *alliance.name(*WHO[:2], WHO[3])
    )
    decide(alliance, *ACTIONS.decode(plan), name="three")
    alliance.must(alliance.earn("three-0", members=10))
    alliance.must(alliance.earn("three-1", members=10), at=1)
    wait_until_ready(alliance.all[2])
    alliance.must(alliance.earn("three-2", members=10), at=2)
    alliance.wait_for_same_root(least=size + 12)
    again = alliance.all[2].ask("GET", f"/v1/receipts/{first['index'] + 1}")[1]
    policy = parse_policy(alliance.all[0].config.policy)
    held, still = (verify_receipt(msgspec.convert(each, Receipt), policy) for each in (receipt, again))
    assert held.message == still.message
    for each in alliance.all:
        each.stop()
    check_history(alliance, size)


def check_history(alliance, before: int) -> None:
    """One history at all of them, whose heights go on across what happened."""
    logs = [read_log(each) for each in alliance.all]
    assert all(leaves == logs[0] for leaves in logs)
    blocks = [BLOCK_LEAF_DECODER.decode(leaf) for leaf in logs[0] if leaf.startswith(BLOCK_START)]
    assert [block.height for block in blocks] == list(range(1, len(blocks) + 1))
    engine = [block.engine_height for block in blocks]
    assert engine == sorted(set(engine))
    assert blocks[-1].last > before
    for each in alliance.all:
        out = alliance.must_run("verify", "--data", each.directory, "--chain", alliance.chain)
        assert out
