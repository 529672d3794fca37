"""Attacks on holds, refunds, returns, caps and budgets; each test is named for what holds against it.

The attackers are participants with keys and grants of their own, in league with each other and with members
of their own. Every sum is checked when a test is done.
"""

from __future__ import annotations

from itertools import permutations

import msgspec
import pytest

from contracts.messages import (
    Capture,
    Earn,
    Grant,
    Hold,
    ImportBalance,
    OpenProgram,
    OpenSeries,
    Redeem,
    Refund,
    Release,
    ReturnOrder,
)
from ledger.codec import INTEGER_MAX, encode
from ledger.executor import make_tables
from ledger.values import AMOUNT_MAX, NEVER, PAR_MAX, POINTS_MAX
from tests.contracts.alliance import OUTCOMES, RULEBOOK, Alliance
from tests.contracts.cast import (
    ANNA,
    BORIS,
    FRESH,
    OPERATOR,
    PETROL,
    PHARMACY,
    START,
    TODAY,
    grant,
    make_signer,
    member_id,
)
from tests.contracts.orders import (
    agree,
    make_policy,
    refund,
    release,
    return_goods,
    set_aside,
    set_cap,
)
from tests.contracts.purchases import buy, spend


def codes(block):
    return [[OUTCOMES.decode(outcome).code for outcome in answer.outcomes] for answer in block.answers]


# --- stopping the node -------------------------------------------------------------------------------------


def attempt_a_program(alliance):
    """A program, a series and a look at both, all undone by the last message."""
    opening = [
        OpenProgram("Mine", "ghost", 500_000),
        OpenSeries(alliance.height + 1, 0, 10**4, 10**4, "ghost", "s1"),
    ]
    return [*opening, bring_over(1), make_policy("ghost"), Grant(1, 1, START, "earn", "ghost", FRESH)]


def bring_over(number):
    return ImportBalance(TODAY, NEVER, BORIS, START, POINTS_MAX, "ghost", f"i-{number}", "s1")


def test_a_program_whose_opening_was_undone_is_unknown_for_the_rest_of_the_block(alliance):
    """What rules remembered of it within the block would let a govern key import into nothing: and a rule
    that reads a record that is not there stops every node.
    """
    before = alliance.records("head", "transaction")
    undone = alliance.sign(FRESH, *attempt_a_program(alliance), atomic=True)
    late = alliance.sign(FRESH, bring_over(2), make_policy("ghost"))
    told = codes(alliance.cut(undone, late))
    assert told == [["ATOMIC_ABORTED"] * 4 + ["GRANT_TO_SELF"], ["PROGRAM_UNKNOWN"] * 2]
    assert alliance.records("head", "transaction") == before


def test_who_failed_to_open_a_program_says_nothing_about_anothers_of_that_name(alliance):
    """The thief's attempt comes first in the block, and is undone; the program is whose opening stood."""
    undone = alliance.sign(FRESH, *attempt_a_program(alliance), atomic=True)
    opened = alliance.sign(
        PETROL, OpenProgram("Ours", "ghost", 500_000), make_policy("ghost", points_order=7)
    )
    thief = alliance.sign(FRESH, make_policy("ghost", points_order=0), bring_over(2))
    told = codes(alliance.cut(undone, opened, thief))
    assert told[1:] == [["OK", "OK"], ["NOT_ISSUER", "NOT_ISSUER"]]
    assert alliance.get("policy", "ghost").points_order == 7
    assert alliance.points(BORIS, "ghost") == 0


def test_debts_beyond_every_fixed_width_are_kept_to_the_micro():
    """Two participants in league and no cap: two full messages at the highest price pass 2^53, two thousand
    2^63. Every record still reads back as it was written.
    """
    alliance = Alliance().open()
    row = [
        OpenProgram("Dear", "dear", 10**6),
        OpenSeries(alliance.height + 1, 0, PAR_MAX, PAR_MAX, "dear", "d1"),
    ]
    alliance.must(FRESH, *row, grant("earn", "dear", PETROL))
    count = 2_000
    earned = [Earn(AMOUNT_MAX, BORIS, START, "dear", f"e-{number}") for number in range(count)]
    alliance.must(PETROL, *earned[: count // 2])
    alliance.must(PETROL, *earned[count // 2 :])
    assert alliance.get("debit", PETROL) == count * POINTS_MAX * PAR_MAX > 2**63
    wide = 0
    for name, kind in make_tables(RULEBOOK).items():
        decoder = msgspec.json.Decoder(kind)
        for _, record in alliance.state.list_records(name):
            assert decoder.decode(encode(record)) == record
            wide += isinstance(record, int) and abs(record) > INTEGER_MAX
    assert wide >= 4, "a debit, two positions and a row of the matrix"
    alliance.check()


# --- the same points twice ---------------------------------------------------------------------------------


def take_at_once(alliance):
    """Anna's 100 points, 70 of them asked for three times."""
    told = {"member": ANNA, "occurred_at": START, "points": 70, "program": "leaf"}
    consents = [
        agree(alliance, {**told, "reference": f"c-{each}"}, kind, PETROL)
        for each, kind in enumerate(("redeem", "hold", "hold"))
    ]
    return [
        alliance.sign(PETROL, Redeem(consent=consents[0], reference="one", **told)),
        alliance.sign(PETROL, Hold(consent=consents[1], expires=START + 60_000, reference="two", **told)),
        alliance.sign(
            PETROL,
            Hold(consent=consents[2], expires=START + 60_000, reference="three", **told),
            Capture("three", TODAY, ANNA, START, 70, "leaf"),
            atomic=True,
        ),
    ]


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_of_three_who_ask_for_the_same_points_in_one_block_the_first_gets_them(alliance, order):
    alliance.earn(ANNA, 100)
    asked = take_at_once(alliance)
    told = codes(alliance.cut(*[asked[number] for number in order]))
    assert [set(each) for each in told] == [
        {"OK"},
        *[{"INSUFFICIENT_POINTS"} | set(each[1:]) for each in told[1:]],
    ]
    free, held = (sum(lot.points for lot in lots) for lots in (alliance.lots(ANNA), alliance.held(ANNA)))
    assert (free, held) == (30, 70 if order[0] == 1 else 0)


@pytest.mark.parametrize("late", [0, 1, 59_999, 60_000])
def test_at_its_end_a_hold_is_not_captured_and_its_points_are_free_once(alliance, late):
    """Capture, release and a redemption of the same points in the very block of its end, and just after."""
    alliance.earn(ANNA, 100)
    end = START + 100_001
    assert set_aside(alliance, expires=end).code == "OK"
    alliance.time = end + late
    ends = [Capture("order", TODAY, ANNA, START, 100, "leaf"), Release("order", TODAY, ANNA, START, "leaf")]
    again = Redeem(member=ANNA, occurred_at=START, points=100, program="leaf", reference="again")
    told = codes(alliance.cut(alliance.sign(FRESH, *ends, again, purpose="till")))[0]
    has_lapsed = (alliance.time // 60_000) * 60_000 >= end
    assert told == ["HOLD_FINAL", "HOLD_FINAL" if has_lapsed else "OK", "OK"]


def test_in_one_atomic_transaction_no_more_comes_back_than_there_was(alliance):
    alliance.earn(ANNA, 60)
    assert buy(alliance, PETROL).code == "OK"
    assert spend(alliance, PETROL).code == "OK"
    told = {
        "member": ANNA,
        "occurred_at": START,
        "original": "order",
        "original_day": TODAY,
        "program": "leaf",
    }
    refunds = [
        Refund(original_type="redeem", points=50, reference=f"r-{number}", **told) for number in range(3)
    ]
    returns = [
        ReturnOrder(amount=10**7, original_type="earn", reference=f"r-{number}", **told)
        for number in range(3)
    ]
    before = alliance.records("head", "transaction")
    for messages in (refunds, returns):
        outcomes = alliance.submit(PETROL, *messages, atomic=True)
        assert [each.code for each in outcomes] == ["ATOMIC_ABORTED"] * 2 + ["REFUND_ABOVE_ORIGINAL"]
    assert alliance.records("head", "transaction") == before
    alliance.must(PETROL, *refunds[:2], *returns[:2], atomic=True)
    # What is left are the 60 from home; the petrol chain and the operator are where they began.
    assert alliance.points(ANNA) == 60
    assert [alliance.position(name) for name in (PETROL, OPERATOR, FRESH)] == [0, 0, 0]


# --- profit ------------------------------------------------------------------------------------------------


def spend_some(alliance):
    return spend(alliance, PETROL, points=40, reference="spent").code


def get_refund(alliance):
    return refund(alliance, PETROL, original="spent", points=40, reference="back").code


def return_it(alliance):
    return return_goods(alliance).code


def hold_some(alliance):
    return set_aside(alliance, points=40, reference="held").code


def let_go(alliance):
    return release(alliance, hold="held").code


ORDERS = [
    [spend_some, get_refund, return_it],
    [spend_some, return_it, get_refund],
    [return_it, spend_some, get_refund],
    [hold_some, return_it, let_go],
    [hold_some, let_go, return_it],
    [spend_some, return_it, get_refund, hold_some, let_go],
]


@pytest.mark.parametrize("steps", ORDERS, ids=lambda steps: "-".join(step.__name__ for step in steps))
def test_in_whatever_order_goods_and_points_come_back_the_member_is_where_they_began(alliance, steps):
    """40 points earned on what came back: what the member has less what they owe is nothing, and the next
    40 they earn stay only as far as they still have the first.
    """
    assert buy(alliance).code == "OK"
    for step in steps:
        step(alliance)
    debt = alliance.get("debt", f"{ANNA}|leaf") or 0
    assert alliance.points(ANNA) - debt == 0
    alliance.earn(ANNA, 40)
    assert alliance.points(ANNA) == 40
    assert alliance.get("debt", f"{ANNA}|leaf") is None
    assert all(alliance.position(name) == 0 for name in (FRESH, PETROL, OPERATOR))


@pytest.mark.parametrize("shortfall", ["block", "debt", "absorb"])
def test_a_partner_wins_nothing_by_returning_spent_earnings(shortfall):
    """The petrol chain earns for members of its own, spends their points at its own till and returns the
    order. The points are gone, so nobody is relieved of them and nothing is paid back for them.
    """
    alliance = Alliance().open()
    alliance.must(FRESH, grant("earn", "leaf", PETROL, budget_total=120), make_policy(shortfall=shortfall))
    for number in range(5):
        puppet = member_id(50 + number)
        alliance.must(PETROL, alliance.enrol(puppet, make_signer(puppet)))
        told = {"member": puppet, "reference": f"o-{number}"}
        if buy(alliance, PETROL, **told).code == "GRANT_EXHAUSTED":
            continue
        assert spend(alliance, PETROL, points=40, **told).code == "OK"
        returned = return_goods(alliance, PETROL, original=f"o-{number}", member=puppet)
        assert returned.code == ("CLAWBACK_BLOCKED" if shortfall == "block" else "OK")
    # Earned at 10,500 and spent at 10,000 there is 500 in it for the issuer, whatever it chose.
    assert alliance.position(FRESH) == 120 * 500
    alliance.check()


# --- what strangers can use up -----------------------------------------------------------------------------


def test_an_issuers_room_is_reserved_by_its_grantees_only_and_by_them_within_their_grant(alliance):
    """A stranger's hold reserves nothing, one at home neither; a grantee that holds and lets go again and
    again is at the end of its grant, with all of the room given back.
    """
    alliance.earn(ANNA, 100)
    alliance.must(FRESH, grant("redeem", "leaf", PETROL, budget_total=300))
    set_cap(alliance, FRESH, 10**6)
    assert set_aside(alliance, PHARMACY, reference="s").code == "GRANT_MISSING"
    assert set_aside(alliance, reference="h").code == "OK"
    assert alliance.get("exposure", FRESH).held == 0
    assert release(alliance, hold="h").code == "OK"
    told = []
    for number in range(4):
        told.append(set_aside(alliance, PETROL, reference=f"g-{number}").code)
        release(alliance, PETROL, hold=f"g-{number}")
    assert told == ["OK"] * 3 + ["GRANT_EXHAUSTED"]
    assert (alliance.get("exposure", FRESH).held, alliance.get("debit", FRESH)) == (0, None)
