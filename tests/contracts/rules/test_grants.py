"""No liability is made and no point accepted for an issuer by somebody else's signature alone."""

from __future__ import annotations

import pytest

from contracts.messages import Earn, Grant, RevokeGrant
from ledger.errors import Refused
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, CINEMA, FRESH, OPERATOR, PETROL, PHARMACY, START, grant
from tests.contracts.ladder import Attempt, Ladder, every_row, fall_from
from tests.contracts.letters import make_nonce
from tests.contracts.purchases import buy, spend


def a_grant() -> Attempt:
    return Attempt(
        Grant,
        sender=FRESH,
        budget_day=100,
        budget_total=1_000,
        expires=START,
        kind="earn",
        program="leaf",
        to=PHARMACY,
    )


def a_revocation() -> Attempt:
    return Attempt(RevokeGrant, sender=FRESH, kind="earn", program="leaf", to=PETROL)


def turn_around(it: Attempt) -> None:
    """Whoever asks, the grant is to themselves."""
    it.set(to=it.sender)


#   Each row breaks one more thing than the row below it.
GRANT = Ladder(
    "grant",
    a_grant,
    [
        ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
        ("NOT_ISSUER", lambda it: setattr(it, "sender", PETROL)),
        ("PARTICIPANT_UNKNOWN", lambda it: it.set(to="nobody")),
        ("GRANT_TO_SELF", turn_around),
        ("GRANT_EXPIRED", lambda it: it.set(expires=it.alliance.time - 1)),
    ],
)
REVOKE_GRANT = Ladder(
    "revoke_grant",
    a_revocation,
    [
        ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
        ("NOT_ISSUER", lambda it: setattr(it, "sender", PETROL)),
        ("GRANT_UNKNOWN", lambda it: it.set(kind="exchange_in")),
    ],
)


@every_row(GRANT, REVOKE_GRANT)
def test_grants_are_turned_down_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def used(alliance, key):
    record = alliance.get("grant", key)
    return record.used_day, record.used_total


def test_budgets_count_only_what_succeeded(alliance):
    alliance.earn(ANNA, 50)
    key = f"leaf|{PETROL}|redeem"
    assert spend(alliance, PETROL, points=51).code == "INSUFFICIENT_POINTS"
    assert spend(alliance, PETROL, points=20, agreed={"points": 19}).code == "CONSENT_TOO_SMALL"
    assert used(alliance, key) == (0, 0)
    assert spend(alliance, PETROL, points=20).code == "OK"
    assert spend(alliance, PETROL, points=20).code == "ALREADY_DONE"
    assert used(alliance, key) == (20, 20)


def test_what_is_spent_at_home_counts_against_no_grant(alliance):
    alliance.earn(ANNA, 50)
    before = {key: record for (table, key), record in alliance.records().items() if table == "grant"}
    assert spend(alliance, points=20).code == "OK"
    after = {key: record for (table, key), record in alliance.records().items() if table == "grant"}
    assert before == after


def test_the_day_counts_again_from_nothing_and_the_total_goes_on(alliance):
    alliance.earn(ANNA, 500)
    alliance.must(FRESH, grant("redeem", "leaf", PETROL, budget_day=100, budget_total=250))
    codes = []
    for day in range(4):
        codes.append(spend(alliance, PETROL, points=100, reference=f"o-{day}").code)
        alliance.wait(days=1)
    assert codes == ["OK", "OK", "GRANT_EXHAUSTED", "GRANT_EXHAUSTED"]
    assert spend(alliance, PETROL, points=50, reference="rest").code == "OK"
    assert used(alliance, f"leaf|{PETROL}|redeem") == (50, 250)


def test_a_new_grant_replaces_the_old_and_starts_anew(alliance):
    alliance.earn(ANNA, 500)
    alliance.must(FRESH, grant("redeem", "leaf", PETROL, budget_day=100, budget_total=100))
    assert spend(alliance, PETROL).code == "OK"
    assert spend(alliance, PETROL, points=1, reference="b").code == "GRANT_EXHAUSTED"
    alliance.must(FRESH, grant("redeem", "leaf", PETROL, budget_day=10, budget_total=20))
    assert used(alliance, f"leaf|{PETROL}|redeem") == (0, 0)
    assert spend(alliance, PETROL, points=10, reference="b").code == "OK"
    assert spend(alliance, PETROL, points=1, reference="c").code == "GRANT_EXHAUSTED"


def test_a_revoked_grant_is_gone_for_the_very_next_message(alliance):
    alliance.earn(ANNA, 500)
    revoke = alliance.sign(FRESH, RevokeGrant("redeem", "leaf", PETROL))
    alliance.cut(revoke)
    assert spend(alliance, PETROL).code == "GRANT_MISSING"
    assert alliance.ask(FRESH, RevokeGrant("redeem", "leaf", PETROL)).code == "GRANT_UNKNOWN"
    # The others stand.
    assert spend(alliance, CINEMA).code == "OK"


def test_a_grant_revoked_earlier_in_the_same_block_is_gone(alliance):
    revoke = alliance.sign(FRESH, RevokeGrant("earn", "leaf", PETROL))
    earn = alliance.sign(PETROL, Earn(10**6, ANNA, START, "leaf", "o"))
    block = alliance.cut(earn, revoke)
    assert b'"code":"OK"' in block.answers[0].outcomes[0]
    again = alliance.sign(PETROL, Earn(10**6, ANNA, START, "leaf", "o2"))
    block = alliance.cut(alliance.sign(FRESH, grant("earn", "leaf", PETROL)), again)
    assert b'"code":"OK"' in block.answers[1].outcomes[0]
    third = alliance.sign(PETROL, Earn(10**6, ANNA, START, "leaf", "o3"))
    block = alliance.cut(alliance.sign(FRESH, RevokeGrant("earn", "leaf", PETROL)), third)
    assert block.answers[1].outcomes == (b'{"code":"GRANT_MISSING"}',)


def test_grants_of_different_kinds_do_not_share_a_budget(alliance):
    alliance.earn(ANNA, 500)
    alliance.must(FRESH, grant("earn", "leaf", PETROL, budget_day=40))
    assert buy(alliance, PETROL).code == "OK"
    assert spend(alliance, PETROL).code == "OK"
    assert used(alliance, f"leaf|{PETROL}|earn") == (40, 40)
    assert used(alliance, f"leaf|{PETROL}|redeem") == (100, 100)


def test_an_order_too_small_for_a_point_needs_a_grant_all_the_same(alliance):
    alliance.must(FRESH, grant("earn", "leaf", PETROL, budget_day=0, budget_total=0))
    assert buy(alliance, PETROL, amount=1).code == "OK"
    assert buy(alliance, CINEMA, amount=1).code == "GRANT_MISSING"


def test_the_operator_is_a_participant_like_any_other(alliance):
    alliance.earn(ANNA, 500)
    assert spend(alliance, OPERATOR, agreed={"nonce": make_nonce("a")}).code == "GRANT_MISSING"
    alliance.must(FRESH, grant("redeem", "leaf", OPERATOR))
    outcome = spend(alliance, OPERATOR)
    assert [(leg.micros, leg.reason) for leg in outcome.legs] == [(990_000, "redeem"), (10_000, "commission")]
    assert alliance.position(OPERATOR) == 1_000_000


def test_grants_are_signed_by_the_organisation_itself():
    alliance = Alliance().open()
    for purpose in ("transact", "custody", "till"):
        with pytest.raises(Refused, match="WRONG_PURPOSE"):
            alliance.ask(FRESH, grant("earn", "leaf", PETROL), purpose=purpose)
