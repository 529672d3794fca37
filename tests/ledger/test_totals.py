"""What must always add up is held against every block: a fault of ours stops the node before it is kept."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from contracts.messages import Earn
from ledger.codec import to_base64url
from ledger.errors import InvariantBroken
from ledger.executor import Executor
from ledger.leaves import BLOCK_LEAF_DECODER
from ledger.outcome import Leg, Lot
from ledger.posting import EXCHANGED_IN, EXPIRED, ISSUED_HOME, REDEEMED_HOME, Posting, held_by
from ledger.rule import Decision
from ledger.state import State
from ledger.totals import TOTALS_TABLES, Movements
from tests.contracts.alliance import RULEBOOK, Alliance
from tests.contracts.cast import ANNA, FRESH, OPERATOR, PETROL, START

LOT = Lot(10, 1, 0, 5, "aa", 0)


def sums_of(text: str) -> str:
    return to_base64url(sha256(text.encode()).digest())


class Block:
    """A state, and what one block after the other moves in it."""

    def __init__(self, *postings: Posting) -> None:
        self.state = State(TOTALS_TABLES)
        self.begin(*postings)

    def begin(self, *postings: Posting, day: int = 1) -> None:
        self.state.begin()
        self.movements = Movements(self.state, day=day)
        for posting in postings:
            self.movements.post(posting)

    def commit(self) -> str:
        sums = self.movements.close()
        self.state.commit()
        return sums

    def get(self, table: str, key: str) -> Any:
        return self.state.get(table, key)


def test_points_given_raise_supply_and_tally():
    block = Block(Posting("leaf", ISSUED_HOME, "m_1", LOT))
    assert block.commit() == sums_of('[["leaf","5"]]')
    assert (block.get("supply", "leaf"), block.get("tally", "leaf|issued.home")) == (5, 5)


def test_points_between_members_move_no_supply():
    block = Block(Posting("leaf", ISSUED_HOME, "m_1", LOT))
    block.commit()
    block.begin(Posting("leaf", "m_1", "m_2", LOT))
    assert block.commit() == sums_of("[]")
    assert block.get("account", "m_1|leaf") is None
    assert block.get("account", "m_2|leaf").lots == (LOT,)


def test_rows_are_programs_then_positions_each_in_order_and_only_what_changed():
    block = Block(
        Posting("star", EXCHANGED_IN, "m_1", LOT),
        Posting("leaf", ISSUED_HOME, "m_1", LOT),
        Posting("mile", ISSUED_HOME, "m_1", LOT),
        Posting("mile", "m_1", EXPIRED, LOT),
    )
    block.movements.owe(Leg("shop", 7, "rounding", "rounding:shop"))
    block.movements.owe(Leg("bank", 9_007_199_254_740_991, "redeem", "shop"))
    rows = '["bank","-9007199254740991"],["rounding:shop","7"],["shop","9007199254740984"]'
    assert block.commit() == sums_of(f'[["leaf","5"],["star","5"],{rows}]')
    block.begin()
    block.movements.owe(Leg("bank", 1, "redeem", "till"))
    assert block.commit() == sums_of('[["bank","-9007199254740992"],["till","1"]]')


def test_a_position_that_comes_back_to_where_it_was_did_not_change():
    block = Block()
    block.movements.owe(Leg("bank", 5, "redeem", "shop"))
    block.movements.owe(Leg("shop", 5, "earn", "bank"))
    assert block.commit() == sums_of("[]")


def test_what_is_owed_is_kept_by_pair_and_reason():
    block = Block()
    for leg in [
        Leg("bank", 5, "redeem", "shop"),
        Leg("bank", 6, "redeem", "shop"),
        Leg("bank", 1, "earn", "shop"),
        Leg("shop", 2, "redeem", "bank"),
    ]:
        block.movements.owe(leg)
    # What one owes in all only grows, and caps ask for it at once: what others owe it is nothing against it.
    assert dict(block.state.pending("debit")) == {"bank": 12, "shop": 2}
    block.movements.close()
    owed = {"bank|shop|redeem": 11, "bank|shop|earn": 1, "shop|bank|redeem": 2}
    assert dict(block.state.pending("owed")) == owed
    assert dict(block.state.pending("position")) == {"bank": -10, "shop": 10}


def test_an_attempt_that_is_given_up_has_moved_nothing():
    block = Block(Posting("leaf", ISSUED_HOME, "m_1", LOT))
    block.movements.owe(Leg("bank", 5, "redeem", "shop"))
    mark = block.movements.mark()
    block.state.begin_atomic()
    block.movements.post(Posting("leaf", ISSUED_HOME, "m_2", LOT))
    block.movements.owe(Leg("bank", 7, "redeem", "shop"))
    block.state.roll_back_atomic()
    block.movements.return_to(mark)
    assert block.commit() == sums_of('[["leaf","5"],["bank","-5"],["shop","5"]]')
    assert (block.get("tally", "leaf|issued.home"), block.get("debit", "bank")) == (5, 5)


def test_points_set_aside_move_no_supply_and_no_points():
    block = Block(Posting("leaf", ISSUED_HOME, "m_1", LOT))
    block.commit()
    for source, destination, free, held in [
        ("m_1", held_by("m_1"), (), (LOT,)),
        (held_by("m_1"), "m_1", (LOT,), ()),
        ("m_1", held_by("m_1"), (), (LOT,)),
    ]:
        block.begin(Posting("leaf", source, destination, LOT))
        assert block.commit() == sums_of("[]")
        account = block.get("account", "m_1|leaf")
        assert (account.lots, account.held, account.points) == (free, held, 5)
    block.begin(Posting("leaf", held_by("m_1"), REDEEMED_HOME, LOT))
    assert block.commit() == sums_of('[["leaf","0"]]')
    assert block.get("account", "m_1|leaf") is None


def test_what_is_posted_finds_the_account_as_it_is_that_day():
    """A lot that waited for the fifth day is one with what never waited, on that day and not before."""
    waiting = replace(LOT, spendable_from=5)
    for day, lots in ((4, (LOT, waiting)), (5, (replace(LOT, points=10),))):
        block = Block(Posting("leaf", ISSUED_HOME, "m_1", waiting))
        block.commit()
        block.begin(Posting("leaf", ISSUED_HOME, "m_1", LOT), day=day)
        assert block.get("account", "m_1|leaf").lots == lots


def invent_points(block: Block) -> None:
    block.state.put("account", "m_1|leaf", replace(block.get("account", "m_1|leaf"), points=6))


def lose_an_account(block: Block) -> None:
    block.state.put("account", "m_1|leaf", None)


def invent_a_tally(block: Block) -> None:
    block.state.put("tally", "leaf|redeemed.home", 1)


def invent_money(block: Block) -> None:
    block.state.put("position", "bank", 1)


def forget_supply(block: Block) -> None:
    block.state.put("supply", "leaf", 4)
    block.movements.post(Posting("leaf", "m_1", EXPIRED, LOT))


FAULTS = [
    (invent_points, "POINTS_NOT_CONSERVED"),
    (lose_an_account, "POINTS_NOT_CONSERVED"),
    (invent_a_tally, "POINTS_NOT_CONSERVED"),
    (invent_money, "POSITIONS_NOT_ZERO"),
    (forget_supply, "SUPPLY_NEGATIVE"),
]


@pytest.mark.parametrize(("fault", "code"), FAULTS)
def test_a_sum_that_does_not_hold_stops_the_node(fault, code):
    block = Block(Posting("leaf", ISSUED_HOME, "m_1", LOT))
    block.commit()
    block.begin()
    fault(block)
    with pytest.raises(InvariantBroken, match=code):
        block.commit()


@pytest.mark.parametrize(
    ("table", "key", "record"), [("position", OPERATOR, 1), ("tally", "leaf|expired", 1)]
)
def test_no_block_of_a_faulty_rule_is_ever_handed_out(alliance, table, key, record):
    """The real rules, but for one that writes a total itself."""
    real = RULEBOOK.rules[Earn]

    def cheat(state, asked, message):
        decision = real.decide(state, asked, message)
        return Decision(decision.outcome, decision.postings, [*decision.changes, (table, key, record)])

    rules = {**RULEBOOK.rules, Earn: real._replace(decide=cheat)}
    cheating = {RULEBOOK.version: RULEBOOK._replace(rules=rules)}
    executor = Executor(state=alliance.state, origin=alliance.origin, rulebooks=cheating)
    transaction = alliance.sign(FRESH, Earn(20_000_000, ANNA, START, "leaf", "o"))
    with pytest.raises(InvariantBroken, match=r"POSITIONS_NOT_ZERO|POINTS_NOT_CONSERVED"):
        executor.execute_block([transaction], time=alliance.time)
    alliance.state.roll_back()
    assert alliance.points(ANNA) == 0


@pytest.fixture
def alliance():
    return Alliance().open()


def test_the_block_leaf_carries_the_sums(alliance):
    alliance.must(PETROL, Earn(50_000_000, ANNA, START, "leaf", "o"))
    leaf = BLOCK_LEAF_DECODER.decode(alliance.leaves[-1])
    assert leaf.sums == sums_of('[["leaf","100"],["fresh-market","1050000"],["petrol-west","-1050000"]]')
    alliance.must(PETROL, Earn(1, ANNA, START, "leaf", "small"))
    assert BLOCK_LEAF_DECODER.decode(alliance.leaves[-1]).sums == sums_of("[]")
