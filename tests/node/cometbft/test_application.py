"""The application as CometBFT asks it, without CometBFT: what is durable when, what answers depend on."""

from __future__ import annotations

import pytest

from contracts.messages import Hold
from ledger.codec import from_base64url
from ledger.errors import InvariantBroken
from ledger.transaction import TransactionDecoder
from node.engine.cometbft.application import OK, REFUSED, REPEATED, Application
from node.engine.cometbft.engine_height import EngineHeight
from node.engine.cometbft.founding import found_ledger, make_validator
from node.engine.cometbft.generated import abci_pb2 as abci
from node.engine.cometbft.home import make_chain_id
from node.engine.cometbft.injected import encode_time, encode_wake
from node.engine.cometbft.known import KnownTransactions
from node.startup import load_chain
from node.storage.store import open_store
from tests.contracts.cast import FRESH, OPERATOR, START, member_id
from tests.node.engine.town import RULEBOOK, HandClock, Town


class Heard:
    """Notes what the application tells."""

    def __init__(self) -> None:
        self.refused = []
        self.misbehaviour = []
        self.committed = []

    def note_connected(self) -> int:
        return 0

    def note_refused(self, transaction, refusal) -> None:
        self.refused.append((transaction.header.id, refusal.code))

    def note_misbehaviour(self, facts) -> None:
        self.misbehaviour += facts

    def note_committed(self, block, transactions, _seconds) -> None:
        self.committed.append((block, transactions))


class Asker:
    """A validator's application over a folder, asked as CometBFT would."""

    def __init__(self, config, clock: HandClock) -> None:
        self.clock = clock
        self.heard = Heard()
        self.store = open_store(config.database, RULEBOOK)
        self.chain = load_chain(
            self.store, origin=config.origin, signer=config.open_signer("log"), on_step=lambda _step: None
        )
        self.application = Application(
            self.chain,
            known=KnownTransactions(TransactionDecoder(RULEBOOK.message_type), chain=config.origin.chain),
            height=EngineHeight(config.directory / "cometbft", self.store.log, before=0),
            clock=clock,
            listener=self.heard,
        )

    def ask(self, name: str, **fields):
        return getattr(self.application.answer(abci.Request(**{name: fields})), name)

    def finalize(self, *transactions: bytes, height: int | None = None):
        block = [encode_time(self.clock.at), *transactions]
        at = self.ask("info").last_block_height + 1 if height is None else height
        return self.ask("finalize_block", txs=block, height=at)

    def make(self, *transactions: bytes):
        answer = self.finalize(*transactions)
        self.ask("commit")
        return answer

    def close(self) -> None:
        self.application.close()
        self.chain.close()
        self.store.close()


@pytest.fixture
def config(tmp_path):
    keys = tmp_path / "keys"
    made = make_validator(keys, participant=OPERATOR, address="127.0.0.1:26000")
    town = Town(tmp_path)
    return found_ledger(
        tmp_path / "n0",
        keys=keys,
        validators=[made],
        name="town",
        operator=OPERATOR,
        participants=[each for each in town.origin.participants if each.participant != OPERATOR],
        time=START,
    )


@pytest.fixture
def town(config, tmp_path):
    town = Town(tmp_path)
    town.chain = config.origin.chain
    return town


@pytest.fixture
def open_asker(config):
    opened = []
    clock = HandClock(START)

    def open_one() -> Asker:
        while opened:
            opened.pop().close()
        opened.append(Asker(config, clock))
        return opened[-1]

    yield open_one
    while opened:
        opened.pop().close()


def test_a_new_chain_begins_at_the_root_of_its_genesis(config, open_asker):
    asker = open_asker()
    root = from_base64url(config.origin.previous, size=32)
    assert asker.ask("info").last_block_height == 0
    assert asker.ask("info").last_block_app_hash == root
    began = asker.ask("init_chain", chain_id=make_chain_id(config.origin.chain))
    assert began.app_hash == root
    with pytest.raises(InvariantBroken, match="ENGINE_OF_ANOTHER_CHAIN"):
        asker.ask("init_chain", chain_id="other")


def test_a_block_is_durable_with_commit_and_not_before(open_asker, town):
    asker = open_asker()
    opening, *rest = town.begin()
    first = asker.finalize(opening)
    assert [each.code for each in first.tx_results] == [OK, OK]
    assert asker.ask("info").last_block_height == 0
    # CometBFT alone was started again: the same block, the same answer, and nothing done twice.
    assert asker.finalize(opening, height=1) == first
    # The node died: the block is decided again, over what is durable.
    asker = open_asker()
    assert asker.ask("info").last_block_height == 0
    assert asker.finalize(opening) == first
    asker.ask("commit")
    assert asker.ask("info").last_block_app_hash == first.app_hash
    asker = open_asker()
    assert asker.ask("info").last_block_height == 1
    assert asker.ask("info").last_block_app_hash == first.app_hash
    assert rest


def test_every_transaction_has_one_result_and_an_idle_block_changes_no_hash(open_asker, town):
    asker = open_asker()
    letters = town.begin()
    for letter in letters:
        asker.make(letter)
    before = asker.ask("info").last_block_app_hash
    earned = town.sign(FRESH, "e-1", town.earn(1), town.earn(2))
    late = town.sign(FRESH, "e-2", town.earn(3), not_after=START - 1)
    answer = asker.make(earned, late, b"nothing that anybody can read", encode_wake(1))
    assert [each.code for each in answer.tx_results] == [OK, OK, REFUSED, REFUSED, REFUSED]
    assert int(answer.tx_results[1].data) == asker.heard.committed[-1][0].answers[0].index
    assert answer.app_hash != before
    size = asker.chain.head.size
    for again in ([earned], [], [late]):
        repeated = asker.make(*again)
        assert repeated.app_hash == answer.app_hash
        assert [each.code for each in repeated.tx_results[1:]] == [
            REPEATED if each is earned else REFUSED for each in again
        ]
    assert asker.chain.head.size == size
    height = asker.ask("info").last_block_height
    # The engine went on where the ledger stood still, and a start knows how far.
    assert height == asker.chain.head.height + 3
    assert open_asker().ask("info").last_block_height == height


def test_what_cannot_be_taken_is_not_let_into_the_mempool(open_asker, town):
    asker = open_asker()
    for letter in town.begin():
        asker.make(letter)
    good = town.sign(FRESH, "e-1", town.earn(1))
    forged = good.replace(b'"signature":"', b'"signature":"A')[:-3] + b'"}'
    for data, code in ((good, OK), (forged, REFUSED), (b"{}", REFUSED), (encode_wake(99), REFUSED)):
        assert asker.ask("check_tx", tx=data).code == code, data
    late = town.sign(FRESH, "e-2", town.earn(3), not_after=START - 1)
    assert asker.ask("check_tx", tx=late).log == "EXPIRED"
    assert asker.heard.refused[-1] == ("e-2", "EXPIRED")
    asker.make(good)
    assert asker.ask("check_tx", tx=good).code == REPEATED
    other = town.sign(FRESH, "e-1", town.earn(2))
    assert asker.ask("check_tx", tx=other).log == "ID_CONFLICT"


def test_an_idle_chain_is_woken_for_work_that_is_due_and_for_nothing_else(open_asker, town):
    asker = open_asker()
    for letter in town.begin():
        asker.make(letter)
    asker.make(town.sign(FRESH, "e-1", town.earn(1)))
    held = Hold(
        expires=START + 120_000,
        member=member_id(1),
        occurred_at=START,
        points=3,
        program="leaf",
        reference="h-1",
    )
    answer = asker.make(town.sign(FRESH, "h-1", held))
    assert answer.tx_results[1].code == OK
    height = asker.ask("info").last_block_height
    assert asker.ask("check_tx", tx=encode_wake(height + 1)).code == REFUSED
    asker.clock.at = START + 200_000
    asker.application._due = (-1, 0.0, False)
    assert asker.ask("check_tx", tx=encode_wake(height)).code == REFUSED
    assert asker.ask("check_tx", tx=encode_wake(height + 1)).code == OK
    size = asker.chain.head.size
    asker.make(encode_wake(height + 1))
    assert asker.chain.head.size == size + 2  # the hold that lapsed, and the block's own leaf
    assert asker.ask("check_tx", tx=encode_wake(height + 2)).code == REFUSED


def test_blocks_that_no_honest_set_of_validators_decides_stop_the_node(open_asker):
    asker = open_asker()
    with pytest.raises(InvariantBroken, match="COMMIT_WITHOUT_BLOCK"):
        asker.ask("commit")
    with pytest.raises(InvariantBroken, match="ENGINE_HEIGHT"):
        asker.finalize(height=2)
    with pytest.raises(InvariantBroken, match="BLOCK_WITHOUT_TIME"):
        asker.ask("finalize_block", txs=[], height=1)
    with pytest.raises(InvariantBroken, match="ABCI_UNEXPECTED"):
        asker.ask("extend_vote", height=1)


def test_who_signs_two_blocks_of_one_height_is_told_of(open_asker):
    asker = open_asker()
    asker.ask(
        "finalize_block",
        txs=[encode_time(START)],
        height=1,
        misbehavior=[{"type": 1, "height": 7, "validator": {"address": b"\x01" * 20, "power": 10}}],
    )
    assert asker.heard.misbehaviour == [
        {"kind": "duplicate_vote", "engine_height": 7, "validator": "01" * 20, "power": 10}
    ]
