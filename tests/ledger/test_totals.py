"""What must always add up is held against every block: a fault of ours stops the node before it is kept."""

from __future__ import annotations

from hashlib import sha256

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
from ledger.totals import TOTALS_TABLES, apply_leg, apply_posting, close_block
from tests.contracts.alliance import RULEBOOK, Alliance
from tests.contracts.cast import ANNA, FRESH, OPERATOR, PETROL, START

LOT = Lot(10, 1, 0, 5, "aa", 0)


def sums_of(text: str) -> str:
    return to_base64url(sha256(text.encode()).digest())


def begin(*postings: Posting) -> State:
    state = State(TOTALS_TABLES)
    state.begin()
    for posting in postings:
        apply_posting(state, posting, day=1)
    return state


def test_points_given_raise_supply_and_tally():
    state = begin(Posting("leaf", ISSUED_HOME, "m_1", LOT))
    assert close_block(state) == sums_of('[["leaf","5"]]')
    state.commit()
    assert (state.get("supply", "leaf"), state.get("tally", "leaf|issued.home")) == (5, 5)


def test_points_between_members_move_no_supply():
    state = begin(Posting("leaf", ISSUED_HOME, "m_1", LOT))
    close_block(state)
    state.commit()
    state.begin()
    apply_posting(state, Posting("leaf", "m_1", "m_2", LOT), day=1)
    assert close_block(state) == sums_of("[]")
    assert state.get("account", "m_1|leaf") is None
    assert state.get("account", "m_2|leaf").lots == (LOT,)


def test_rows_are_programs_then_positions_each_in_order_and_only_what_changed():
    state = begin(
        Posting("star", EXCHANGED_IN, "m_1", LOT),
        Posting("leaf", ISSUED_HOME, "m_1", LOT),
        Posting("mile", ISSUED_HOME, "m_1", LOT),
        Posting("mile", "m_1", EXPIRED, LOT),
    )
    apply_leg(state, Leg("shop", 7, "rounding", "rounding:shop"))
    apply_leg(state, Leg("bank", 9_007_199_254_740_991, "redeem", "shop"))
    rows = '["bank","-9007199254740991"],["rounding:shop","7"],["shop","9007199254740984"]'
    assert close_block(state) == sums_of(f'[["leaf","5"],["star","5"],{rows}]')
    state.commit()
    state.begin()
    apply_leg(state, Leg("bank", 1, "redeem", "till"))
    assert close_block(state) == sums_of('[["bank","-9007199254740992"],["till","1"]]')


def test_a_position_that_comes_back_to_where_it_was_did_not_change():
    state = begin()
    apply_leg(state, Leg("bank", 5, "redeem", "shop"))
    apply_leg(state, Leg("shop", 5, "earn", "bank"))
    assert close_block(state) == sums_of("[]")


def test_what_is_owed_is_kept_by_pair_and_reason():
    state = begin()
    for leg in [
        Leg("bank", 5, "redeem", "shop"),
        Leg("bank", 6, "redeem", "shop"),
        Leg("bank", 1, "earn", "shop"),
        Leg("shop", 2, "redeem", "bank"),
    ]:
        apply_leg(state, leg)
    owed = {"bank|shop|redeem": 11, "bank|shop|earn": 1, "shop|bank|redeem": 2}
    assert dict(state.pending("owed")) == owed
    assert dict(state.pending("position")) == {"bank": -10, "shop": 10}
    # What one owes in all only grows: what others owe it is nothing against that.
    assert dict(state.pending("debit")) == {"bank": 12, "shop": 2}


def test_points_set_aside_move_no_supply_and_no_points():
    state = begin(Posting("leaf", ISSUED_HOME, "m_1", LOT))
    close_block(state)
    state.commit()
    for source, destination, free, held in [
        ("m_1", held_by("m_1"), (), (LOT,)),
        (held_by("m_1"), "m_1", (LOT,), ()),
        ("m_1", held_by("m_1"), (), (LOT,)),
    ]:
        state.begin()
        apply_posting(state, Posting("leaf", source, destination, LOT), day=1)
        assert close_block(state) == sums_of("[]")
        state.commit()
        account = state.get("account", "m_1|leaf")
        assert (account.lots, account.held, account.points) == (free, held, 5)
    state.begin()
    apply_posting(state, Posting("leaf", held_by("m_1"), REDEEMED_HOME, LOT), day=1)
    assert close_block(state) == sums_of('[["leaf","0"]]')
    assert state.get("account", "m_1|leaf") is None


def test_what_is_posted_finds_the_account_as_it_is_that_day():
    """A lot that waited for the fifth day is one with what never waited, on that day and not before."""
    waiting = replace(LOT, spendable_from=5)
    for day, lots in ((4, (LOT, waiting)), (5, (replace(LOT, points=10),))):
        state = begin(Posting("leaf", ISSUED_HOME, "m_1", waiting))
        apply_posting(state, Posting("leaf", ISSUED_HOME, "m_1", LOT), day=day)
        assert state.get("account", "m_1|leaf").lots == lots


def invent_points(state: State) -> None:
    state.put("account", "m_1|leaf", replace(state.get("account", "m_1|leaf"), points=6))


def lose_an_account(state: State) -> None:
    state.put("account", "m_1|leaf", None)


def invent_a_tally(state: State) -> None:
    state.put("tally", "leaf|redeemed.home", 1)


def invent_money(state: State) -> None:
    state.put("position", "bank", 1)


def forget_supply(state: State) -> None:
    state.put("supply", "leaf", 4)
    apply_posting(state, Posting("leaf", "m_1", EXPIRED, LOT), day=1)


FAULTS = [
    (invent_points, "POINTS_NOT_CONSERVED"),
    (lose_an_account, "POINTS_NOT_CONSERVED"),
    (invent_a_tally, "POINTS_NOT_CONSERVED"),
    (invent_money, "POSITIONS_NOT_ZERO"),
    (forget_supply, "SUPPLY_NEGATIVE"),
]


@pytest.mark.parametrize(("fault", "code"), FAULTS)
def test_a_sum_that_does_not_hold_stops_the_node(fault, code):
    state = begin(Posting("leaf", ISSUED_HOME, "m_1", LOT))
    close_block(state)
    state.commit()
    state.begin()
    fault(state)
    with pytest.raises(InvariantBroken, match=code):
        close_block(state)


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
    executor = Executor(state=alliance.state, origin=alliance.origin, rulebook=RULEBOOK._replace(rules=rules))
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
