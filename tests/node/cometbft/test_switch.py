"""A ledger that one sequencer kept goes on with validators: one history, the same receipts, nothing twice.
Whoever follows it follows on.
"""

from __future__ import annotations

import json
import signal
import time
from urllib.parse import urlsplit

import httpx2
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
from node.access import Role
from node.app import open_tokens
from node.backup import back_up
from node.config import POSTGRESQL_FILE, init_data_dir, load_config
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
from tests.node.cometbft.networks import find_ports
from tests.node.cometbft.processes import PROGRAM, SECONDS, Keeping
from tests.node.cometbft.test_one_validator import read_log
from tests.node.cometbft.validators import WHO, Validator, Validators, get_time
from tests.node.follower.conftest import Process


class Staying(Validator):
    """A node whose address stays the same, whatever it is."""

    def begin(self, *, module: str = PROGRAM) -> None:
        """Its keeper, or it itself, runs."""
        limits = ("--limit", "transactions=0", "--limit", "reads=0")
        if self.node is not None:
            limits += ("--port", str(urlsplit(self.node.url).port))
        self.node = Keeping(self.repository, self.directory, *limits, module=module)

    def stop(self) -> None:
        """As any; its address is remembered."""
        was = self.node
        super().stop()
        self.node = was


class Ledger(Validators):
    """A sequencer's ledger, which validators may take over."""

    def __init__(self, repository, folder, *, count: int, address: str | None = None) -> None:
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
            store="sqlite" if address is None else "postgresql",
        )
        if address is not None:
            (self.directory / POSTGRESQL_FILE).write_text(address + "\n")
        self.govern = config.open_signer("govern")
        self.policy = parse_policy(config.policy)
        self.origin, self.chain = config.origin, config.origin.chain
        self.sequencer = Staying(repository, self.directory)
        self.all = [self.sequencer]
        self.follower = None

    def follow(self) -> None:
        """Another organisation's node follows the sequencer, and is never touched again."""
        token, _ = open_tokens(self.sequencer.config).issue(Role("follower"), seconds=3_600)
        self.follower = Process(
            self.repository,
            *("node.cli.main", "node", "--data", self._folder / "follower", "--port", "0"),
            *("--follow", self.sequencer.url, "--chain", self.chain),
            COMMONPOINT_TOKEN=token,
        )

    def wait_for_follower(self, expected: tuple[int, str]) -> None:
        """It shows the checkpoint that the validators show."""
        end = time.monotonic() + SECONDS
        while True:
            _, size, root, *_ = httpx2.get(f"{self.follower.url}/checkpoint").text.split("\n")
            if (int(size), root) == expected:
                return
            assert self.follower.process.poll() is None, self.follower.end()
            assert time.monotonic() < end, (size, root, expected)
            time.sleep(0.2)

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
        """Each validator prepares its folder: the first over the sequencer's, the others from a backup, and
        where there is a follower, the last from its folder, which is in use.
        """
        backup = self._folder / "handed-over"
        back_up(self.directory, backup)
        named = [part for file in self.files for part in ("--validator", file)]
        for place, keys in enumerate(self.keys):
            directory = self._folder / f"n{place}"
            is_last = place == len(self.keys) - 1 and self.follower is not None
            source = [] if place == 0 else ["--from", self._folder / "follower" if is_last else backup]
            status, out, said = run_cli(
                "engine", "switch", "--data", directory, "--keys", keys, *named, *source
            )
            assert (status, out.strip()) == (0, self.chain), said
        self.sequencer.config = load_config(self.directory)
        others = range(1, len(self.keys))
        self.all = [
            self.sequencer,
            *(Validator(self.repository, self._folder / f"n{place}") for place in others),
        ]


@pytest.fixture
def make_ledger(program, repository, tmp_path):  # noqa: ARG001 - the nodes find it where it was built
    """Makes ledgers with a sequencer, and leaves no process behind."""
    made = []

    def make(count: int, *, address: str | None = None) -> Ledger:
        made.append(Ledger(repository, tmp_path, count=count, address=address))
        return made[-1]

    yield make
    for each in made:
        if each.follower is not None and each.follower.process.poll() is None:
            each.follower.end(signal.SIGKILL)
        each.close()


def begin(ledger) -> None:
    ledger.sequencer.start()
    ledger.must(ledger.sign(FRESH, "govern", *open_program(PROGRAMS["leaf"], height=2)))
    ledger.must(ledger.sign(FRESH, "custody", *[Enrol(member=member_id(one)) for one in range(10)]))


@pytest.fixture
def place(postgres_server):
    """A database for one ledger."""
    made = postgres_server.make()
    yield made
    postgres_server.take_back(made)


#   validators; with two the sequencer's ledger is in PostgreSQL, and the other's a file; with four another
#   organisation follows
@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.full), 2, 4])
def test_a_ledger_goes_on_with_validators_and_its_history_is_one(
    make_ledger,
    cli,  # noqa: F811
    count,
    request,
):
    ledger = make_ledger(count, address=request.getfixturevalue("place").address if count == 2 else None)
    begin(ledger)
    if count == 4:
        ledger.follow()
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
    if count == 4:
        ledger.wait_for_follower(handed_over)
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
    size, root = ledger.wait_for_same_root(least=size + 3)
    if count == 4:
        ledger.wait_for_follower((size, root))
        status, said = ledger.follower.end()
        assert status == 0, said
        status, said, error = cli("verify", "--data", ledger.directory.with_name("follower"))
        assert status == 0, said + error
    # A receipt from before stays one; one of today says the same, under the validators' signatures.
    again = msgspec.convert(ledger.all[-1].ask("GET", path)[1], Receipt)
    policy = parse_policy(planned[0].policy.encode())
    held = verify_receipt(receipt, ledger.policy)
    assert verify_receipt(again, policy).message == held.message
    with pytest.raises(Unverified):
        verify_receipt(again, ledger.policy)
    for each in ledger.all:
        each.stop()

    check_history(ledger, since, handed_over, size, cli)


def check_history(ledger, since, handed_over, size, run) -> None:
    """Each holds one log that verifies, which begins as it was handed over, and in which heights go on."""
    for each in ledger.all:
        status, said, error = run("verify", "--data", each.directory, "--chain", ledger.chain)
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
