"""A ledger that one sequencer kept goes on with validators: one history, the same receipts, nothing twice."""

from __future__ import annotations

import json

import msgspec
import pytest

from contracts.messages import Enrol, Propose, Vote
from ledger.errors import Unverified
from ledger.leaves import BLOCK_LEAF_DECODER, BLOCK_START
from ledger.log.merkle import compute_leaf_hashes, compute_root
from ledger.log.note import encode_base64
from ledger.log.policy import parse_policy
from ledger.receipt import Receipt, verify_receipt
from ledger.transaction import sign_transaction
from node.backup import back_up
from node.config import init_data_dir
from node.engine.cometbft.founding import make_validator, read_validator
from node.engine.cometbft.switching import plan_switch
from tests.contracts.cast import (
    FRESH,
    OPERATOR,
    PARTICIPANTS,
    PROGRAMS,
    make_participant,
    member_id,
    open_program,
)
from tests.node.cli.conftest import cli, plain_environment  # noqa: F401 - fixtures
from tests.node.cometbft.test_one_validator import read_log
from tests.node.cometbft.validators import WHO, Validator, Validators, find_ports, get_time


class Ledger(Validators):
    """A sequencer's ledger, which validators may take over."""

    def __init__(self, repository, folder, *, count: int) -> None:
        self.repository, self._folder, self._count = repository, folder, 0
        self.keys = [folder / f"keys-{who}" for who in WHO[:count]]
        for who, keys, port in zip(WHO, self.keys, find_ports(count), strict=False):
            make_validator(keys, participant=who, address=f"127.0.0.1:{port}")
        self.files = [keys / "validator.json" for keys in self.keys]
        self.directory = folder / "n0"
        participants = [make_participant(name) for name in {*PARTICIPANTS, *WHO} - {OPERATOR}]
        config = init_data_dir(
            self.directory,
            name="alliance-to-be",
            operator=OPERATOR,
            participants=participants,
            time=get_time() - 1_000,
        )
        self.govern = config.open_signer("govern")
        self.policy = parse_policy(config.policy)
        self.origin, self.chain = config.origin, config.origin.chain
        self.sequencer = Validator(repository, self.directory)
        self.all = [self.sequencer]

    def decide(self, *actions, name: str) -> None:
        """The operator, who alone votes, is for it; what follows is in the next block."""
        height = json.loads(json.dumps(self.all[0].ask("GET", "/v1/chain")[1]))["height"]
        proposal = Propose(
            actions=list(actions),
            configuration=0,
            effective_height=height + 1,
            expires=get_time() + 600_000,
            proposal=name,
        )
        for number, message in enumerate((proposal, Vote(choice="yes", configuration=0, proposal=name))):
            transaction = sign_transaction(
                [message],
                chain=self.chain,
                sender=OPERATOR,
                transaction_id=f"{name}-{number}",
                not_after=get_time() + 300_000,
                signer=self.govern,
            )
            self.must(transaction.encode())

    def switch(self, run_cli) -> None:
        """Each validator prepares its folder: the first over the sequencer's, the others from a backup."""
        backup = self._folder / "handed-over"
        back_up(self.directory, backup)
        named = [part for file in self.files for part in ("--validator", file)]
        for place, keys in enumerate(self.keys):
            directory = self._folder / f"n{place}"
            source = [] if place == 0 else ["--from", backup]
            status, out, said = run_cli(
                "engine", "switch", "--data", directory, "--keys", keys, *named, *source
            )
            assert (status, out.strip()) == (0, self.chain), said
        self.all = [Validator(self.repository, self._folder / f"n{place}") for place in range(len(self.keys))]


@pytest.fixture
def make_ledger(program, repository, tmp_path):  # noqa: ARG001 - the nodes find it where it was built
    """Makes ledgers with a sequencer, and leaves no process behind."""
    made = []

    def make(count: int) -> Ledger:
        made.append(Ledger(repository, tmp_path, count=count))
        return made[-1]

    yield make
    for each in made:
        each.sequencer.kill()
        each.close()


def begin(ledger) -> None:
    ledger.sequencer.start()
    ledger.must(ledger.sign(FRESH, "govern", *open_program(PROGRAMS["leaf"], height=2)))
    ledger.must(ledger.sign(FRESH, "custody", *[Enrol(member=member_id(one)) for one in range(10)]))


#   validators
@pytest.mark.parametrize("count", [1, 3])
def test_a_ledger_goes_on_with_validators_and_its_history_is_one(make_ledger, cli, count):  # noqa: F811
    ledger = make_ledger(count)
    begin(ledger)
    first = ledger.earn("before", count=3, members=10)
    answer = ledger.must(first)
    path = f"/v1/receipts/{answer['index'] + 1}"
    receipt = msgspec.convert(ledger.sequencer.ask("GET", path)[1], Receipt)
    planned = plan_switch(ledger.origin, [read_validator(file) for file in ledger.files])
    ledger.decide(*planned, name="take-over")
    last = ledger.earn("with-it", count=2, members=10)
    ledger.must(last)

    # The sequencer says what was done, and takes nothing more; what it took it still answers.
    status, told = ledger.sequencer.ask("POST", "/v1/transactions", ledger.earn("after", members=10))
    assert (status, told["code"]) == (503, "ENGINE_SWITCHED"), told
    assert ledger.sequencer.ask("POST", "/v1/transactions", first)[1]["index"] == answer["index"]
    assert ledger.sequencer.ask("GET", "/readyz")[0] == 503
    ledger.sequencer.stop()
    ledger.sequencer.start()
    status, told = ledger.sequencer.ask("POST", "/v1/transactions", ledger.earn("still", members=10))
    assert (status, told["code"]) == (503, "ENGINE_SWITCHED"), "also after it was started again"
    handed_over = ledger.sequencer.get_checkpoint()
    ledger.sequencer.stop()
    status, out, said = cli("engine", "show", "--data", ledger.directory)
    assert status == 0, said
    since = json.loads(out)["since"]
    assert json.loads(out)["height"] == since

    ledger.switch(cli)
    geneses = {(each.directory / "cometbft/config/genesis.json").read_bytes() for each in ledger.all}
    assert len(geneses) == 1
    ledger.start()
    assert ledger.wait_for_same_root() == handed_over
    for number in range(3):
        ledger.must(ledger.earn(f"on-{number}", count=2, members=10), at=number % count)
    repeated = ledger.all[-1].ask("POST", "/v1/transactions", first)[1]
    assert repeated["index"] == answer["index"]
    size, _ = ledger.wait_for_same_root(least=handed_over[0] + 9)
    # Who knows no more than the chain accepts the validators' keys, since the sequencer's last word says so.
    with ledger.merchant(-1) as shop:
        assert shop.earn(member_id(3), "20.00", reference="shop-1", occurred_at=get_time()).code == "OK"
    size, _ = ledger.wait_for_same_root(least=size + 3)
    # A receipt from before stays one; one of today says the same, under the validators' signatures.
    again = msgspec.convert(ledger.all[-1].ask("GET", path)[1], Receipt)
    policy = parse_policy(planned[0].policy.encode())
    held = verify_receipt(receipt, ledger.policy)
    assert verify_receipt(again, policy).message == held.message
    with pytest.raises(Unverified):
        verify_receipt(again, ledger.policy)
    for each in ledger.all:
        each.stop()

    for each in ledger.all:
        status, said, error = cli("verify", "--data", each.directory, "--chain", ledger.chain)
        assert status == 0, said + error
    leaves = read_log(ledger.all[0])
    assert len(leaves) == size
    before = compute_root(compute_leaf_hashes(leaves[: handed_over[0]]))
    assert encode_base64(before) == handed_over[1], "the log that was handed over is how this one begins"
    blocks = [BLOCK_LEAF_DECODER.decode(leaf) for leaf in leaves if leaf.startswith(BLOCK_START)]
    assert [block.height for block in blocks] == list(range(1, len(blocks) + 1))
    assert all(block.engine_height == block.height for block in blocks[:since])
    engine = [block.engine_height for block in blocks[since:]]
    assert len(engine) == 4
    assert engine == sorted(set(engine))
    assert engine[0] >= 1
