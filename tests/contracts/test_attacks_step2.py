"""Attacks on holds, refunds, returns, gifts, caps and budgets; each test is named for what holds against it.

The attackers are participants with keys and grants of their own, in league with each other and with members
of their own. Every sum is checked when a test is done.
"""

from __future__ import annotations

from itertools import permutations

import msgspec
import pytest
from msgspec import UNSET

from contracts.messages import (
    Capture,
    Earn,
    Enrol,
    Grant,
    Hold,
    ImportBalance,
    OpenProgram,
    OpenSeries,
    Redeem,
    Refund,
    Release,
    ReturnOrder,
    SetPolicy,
)
from ledger.codec import INTEGER_MAX, encode
from ledger.executor import make_tables
from ledger.outcome import Lot
from ledger.values import AMOUNT_MAX, BALANCE_MAX, NEVER, PAR_MAX, POINTS_MAX
from tests.contracts.alliance import OUTCOMES, RULEBOOK, Alliance
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    FAR,
    FRESH,
    OPERATOR,
    PETROL,
    PHARMACY,
    START,
    TODAY,
    grant,
    member_id,
)
from tests.contracts.orders import (
    NO_CODE,
    agree,
    capture,
    give,
    make_policy,
    refund,
    release,
    return_goods,
    set_aside,
    set_cap,
    set_policy,
)
from tests.contracts.purchases import buy, convert, spend


def codes(block):
    return [[OUTCOMES.decode(outcome).code for outcome in answer.outcomes] for answer in block.answers]


# --- stopping the node -------------------------------------------------------------------------------------


def attempt_a_program(alliance):
    """A program, a series and a look at both, all undone by the last message."""
    opening = [OpenProgram("Mine", "ghost", 500_000), OpenSeries(alliance.height + 1, 0, 10**4, 10**4, "ghost", "s")]
    return [*opening, bring_over(1), make_policy("ghost"), Grant(1, 1, START, "earn", "ghost", FRESH)]


def bring_over(number):
    return ImportBalance(TODAY, NEVER, BORIS, START, POINTS_MAX, "ghost", f"i-{number}", "s")


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
    opened = alliance.sign(PETROL, OpenProgram("Ours", "ghost", 500_000), make_policy("ghost", points_order=7))
    thief = alliance.sign(FRESH, make_policy("ghost", points_order=0), bring_over(2))
    told = codes(alliance.cut(undone, opened, thief))
    assert told[1:] == [["OK", "OK"], ["NOT_ISSUER", "NOT_ISSUER"]]
    assert alliance.get("policy", "ghost").points_order == 7
    assert alliance.points(BORIS, "ghost") == 0


def test_debts_beyond_every_fixed_width_are_kept_to_the_micro():
    """Two participants in league owe each other without a cap: a thousand full messages at the highest price
    pass 2^53, two thousand 2^63. Every record still reads back as it was written.
    """
    alliance = Alliance().open()
    row = [OpenProgram("Dear", "dear", 10**6), OpenSeries(alliance.height + 1, 0, PAR_MAX, PAR_MAX, "dear", "d")]
    alliance.must(FRESH, *row, *[grant(kind, "dear", PETROL) for kind in ("earn", "redeem")])
    count = 2_000
    alliance.must(PETROL, Grant(BALANCE_MAX, BALANCE_MAX, START + 1, "redeem", "mile", FRESH))
    alliance.must(FRESH, grant("redeem", "dear", PETROL, budget_day=BALANCE_MAX, budget_total=BALANCE_MAX))
    earned = [Earn(AMOUNT_MAX, BORIS, START, "dear", f"e-{number}") for number in range(count)]
    alliance.must(PETROL, *earned[: count // 2])
    alliance.must(PETROL, *earned[count // 2 :])
    assert alliance.get("debit", PETROL) == count * POINTS_MAX * PAR_MAX > 2**63
    wide = 0
    for name, kind in make_tables(RULEBOOK).items():
        decoder = msgspec.json.Decoder(kind)
        for _, record in alliance.state.rows(name):
            assert decoder.decode(encode(record)) == record
            wide += isinstance(record, int) and abs(record) > INTEGER_MAX
    assert wide >= 4, "a debit, two positions and a row of the matrix"
    alliance.check()
